/**
 * Request handlers: web services (or applications that listen) which say what becomes of each new request, so that applications need
 * not stay connected.
 */
import {request as requestHttp} from 'node:http';
import {request as requestHttps} from 'node:https';
import {z} from 'zod';
import {CpmError} from '../errors.ts';
import {formatSipMessage, headerOf, type SipRequest} from '../codecs/sip-message.ts';
import type {AppAddress} from './admin.ts';
import {parseDuration} from './admin-protocol.ts';
import type {Flow} from './flow.ts';
import {parseNameAddr, parseSipUri} from './sip-values.ts';

/** Whom to ask about requests of a method. */
export interface RequestHandler {
  /** A SIP method, or `*`. */
  readonly sipMethod: string;
  /** POST carries the SIP message, GET only what the query says. */
  readonly httpMethod: 'GET' | 'POST';
  /** `http:` and `https:` are asked; `tcp://host:port` and `tls://host:port` are applications to which each request goes. */
  readonly url: string;
  readonly verifyPeer: boolean;
}

/** What becomes of a request. */
export type Instruction =
  | {readonly action: 'reject'; readonly status: number; readonly reason: string | undefined}
  | {readonly action: 'redirect'; readonly contacts: readonly string[]}
  | ProxyInstruction
  | {readonly action: 'connect'; readonly address: AppAddress}
  | {readonly action: 'tag'; readonly tag: string};

export interface ProxyInstruction {
  readonly action: 'proxy';
  readonly recordRoute: boolean;
  readonly followRedirects: boolean;
  readonly simultaneous: boolean;
  readonly provisionalMs: number | undefined;
  readonly finalMs: number | undefined;
  readonly destinations: readonly string[];
}

const oneOrMore = z.union([z.string().transform((one) => [one]), z.array(z.string())]);
const answer = z.discriminatedUnion('action', [
  z.object({
    action: z.literal('reject'),
    data: z.object({status: z.int().min(300).max(699), reason: z.string().optional()}),
  }),
  z.object({action: z.literal('redirect'), data: z.object({contact: oneOrMore})}),
  z.object({
    action: z.literal('proxy'),
    data: z.object({
      recordRoute: z.boolean().default(false),
      followRedirects: z.boolean().default(true),
      simultaneous: z.boolean().default(false),
      provisionalTimeout: z.string().default('5s'),
      finalTimeout: z.string().default('60s'),
      destination: oneOrMore,
    }),
  }),
  z.object({action: z.literal('route'), data: z.union([z.object({uri: z.string()}), z.object({tag: z.string()})])}),
]);

/** How long a web service may take, and how much it may say. */
const limits = {milliseconds: 10_000, bytes: 65_536};

/** The handler of a method: its own before the one of all. */
export function handlerOf(handlers: readonly RequestHandler[], method: string): RequestHandler | undefined {
  const own = handlers.find(({sipMethod}) => sipMethod.toUpperCase() === method);
  return own ?? handlers.find(({sipMethod}) => sipMethod === '*');
}

/** Asks a handler; rejects with `CpmError` `CPM_REQUEST_HANDLER` where it gives no answer that can be followed. */
export async function askHandler(handler: RequestHandler, request: SipRequest, flow: Flow): Promise<Instruction> {
  const direct = /^(tcp|tls):\/\/(.*)$/.exec(handler.url);
  if (direct !== null)
    return {action: 'connect', address: appAddress(`${direct[2] ?? ''};transport=${direct[1] ?? ''}`)};
  try {
    return instructionOf(JSON.parse(await ask(handler, request, flow)));
  } catch (cause) {
    throw cause instanceof CpmError ? cause : unusable('a request handler gave no usable answer', cause);
  }
}

function instructionOf(json: unknown): Instruction {
  const {action, data} = answer.parse(json);
  switch (action) {
    case 'reject':
      return {action, status: data.status, reason: data.reason};
    case 'redirect':
      return {action, contacts: data.contact};
    case 'proxy': {
      const {provisionalTimeout, finalTimeout, destination, ...rest} = data;
      const provisionalMs = parseDuration(provisionalTimeout);
      return {action, ...rest, provisionalMs, finalMs: parseDuration(finalTimeout), destinations: destination};
    }
    case 'route':
      return 'uri' in data ? {action: 'connect', address: appAddress(data.uri)} : {action: 'tag', tag: data.tag};
  }
}

function appAddress(uri: string): AppAddress {
  const match = /^(.*):(\d{1,5})(?:;transport=(tcp|tls))?/.exec(uri);
  if (match?.[1] === undefined) throw unusable(`"${uri}" leads to no application`);
  return {host: match[1].replace(/^\[(.*)\]$/, '$1'), port: Number(match[2]), tls: match[3] === 'tls'};
}

function ask(handler: RequestHandler, request: SipRequest, flow: Flow): Promise<string> {
  const url = new URL(`${handler.url}/?${queryOf(request, flow)}`);
  const send = url.protocol === 'https:' ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const post = handler.httpMethod === 'POST';
    const outgoing = send(url, {
      method: handler.httpMethod,
      headers: {Accept: 'application/json', ...(post ? {'Content-Type': 'text/plain; charset=UTF-8'} : {})},
      rejectUnauthorized: handler.verifyPeer,
      signal: AbortSignal.timeout(limits.milliseconds),
    });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.length > limits.bytes) outgoing.destroy(new Error('the answer is too long'));
      });
      response.on('error', reject);
      response.on('end', () => {
        resolve(text);
      });
    });
    outgoing.end(post ? formatSipMessage(request) : undefined);
  });
}

/** What a web service is told about a request: these fields, and the parameters of the Request-URI. */
function queryOf(request: SipRequest, flow: Flow): string {
  const uri = parseSipUri(request.uri);
  const user = (name: string): string => parseSipUri(parseNameAddr(headerOf(request, name) ?? '').uri)?.user ?? '';
  const fields: (readonly [string, string])[] = [
    ['method', request.method],
    ['domain', uri?.host ?? ''],
    ['protocol', flow.remote.protocol],
    ['source_address', flow.remote.host],
    ['fromUser', user('From')],
    ['toUser', user('To')],
    ['uriUser', uri?.user ?? ''],
    ['contentType', headerOf(request, 'Content-Type') ?? ''],
    ['uri', request.uri],
    ...(uri?.params ?? []),
  ];
  return fields.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
}

function unusable(sentence: string, cause?: unknown): CpmError {
  return new CpmError('CPM_REQUEST_HANDLER', 500, sentence, {cause});
}
