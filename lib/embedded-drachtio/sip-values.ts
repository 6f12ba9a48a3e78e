/** The header values which transactions and dialogs are made of: lists, Via, addresses, CSeq, URIs (RFC 3261 §20, §19.1). */
import {CpmError} from '../errors.ts';
import {headerOf, headersOf, type SipMessage, type SipRequest} from '../codecs/sip-message.ts';

/** Where a message goes to or comes from. */
export interface SipAddress {
  readonly protocol: 'udp' | 'tcp';
  readonly host: string;
  readonly port: number;
}

/** Splits at commas that stand outside quotes and angle brackets (RFC 3261 §7.3.1). */
export function splitList(value: string): string[] {
  return splitOutside(value, ',').filter((item) => item !== '');
}

function splitOutside(value: string, separator: string): string[] {
  const items: string[] = [];
  let quoted = false;
  let depth = 0;
  let from = 0;
  for (let at = 0; at < value.length; at++) {
    const sign = value[at];
    if (quoted && sign === '\\') at++;
    else if (sign === '"') quoted = !quoted;
    else if (quoted) continue;
    else if (sign === '<') depth++;
    else if (sign === '>') depth = Math.max(0, depth - 1);
    else if (sign === separator && depth === 0) {
      items.push(value.slice(from, at).trim());
      from = at + 1;
    }
  }
  return [...items, value.slice(from).trim()];
}

/** Parameters after a value, by lower-case name; one without `=` is `''`. */
export type Params = ReadonlyMap<string, string>;

function parseParams(parts: readonly string[]): Params {
  const params = new Map<string, string>();
  for (const part of parts) {
    const equals = part.indexOf('=');
    const name = (equals < 0 ? part : part.slice(0, equals)).trim().toLowerCase();
    if (name !== '' && !params.has(name)) params.set(name, equals < 0 ? '' : part.slice(equals + 1).trim());
  }
  return params;
}

/** A From, To, Contact, Route or Record-Route value: display name and URI as written, parameters outside the brackets. */
export interface NameAddr {
  readonly display: string;
  readonly uri: string;
  readonly params: Params;
}

/** Reads one name-addr or addr-spec (RFC 3261 §20.10: without brackets every parameter belongs to the header). */
export function parseNameAddr(value: string): NameAddr {
  const [first = '', ...rest] = splitOutside(value, ';');
  const bracket = /^(.*)<([^<>]*)>$/s.exec(first);
  if (bracket !== null)
    return {display: (bracket[1] ?? '').trim(), uri: (bracket[2] ?? '').trim(), params: parseParams(rest)};
  return {display: '', uri: first, params: parseParams(rest)};
}

/** The tag of a message's From or To, `undefined` where there is none. */
export function tagOf(message: SipMessage, name: 'From' | 'To'): string | undefined {
  const value = headerOf(message, name);
  return value === undefined ? undefined : parseNameAddr(value).params.get('tag');
}

/** The top Via (RFC 3261 §20.42). */
export interface Via {
  readonly protocol: string;
  readonly host: string;
  readonly port: number | undefined;
  readonly params: Params;
}

/** Reads one Via value; `undefined` where it is none. */
export function parseVia(value: string): Via | undefined {
  const [sent = '', ...rest] = splitOutside(value, ';');
  const match = /^SIP\s*\/\s*2\.0\s*\/\s*([A-Za-z]+)\s+(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+)(?:\s*:\s*(\d{1,5}))?$/i.exec(
    sent,
  );
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  const port = match[3] === undefined ? undefined : Number(match[3]);
  return {protocol: match[1].toLowerCase(), host: bare(match[2]), port, params: parseParams(rest)};
}

/** The top Via value of a message as text, first of a list. */
export function topVia(message: SipMessage): string | undefined {
  const value = headerOf(message, 'Via');
  return value === undefined ? undefined : splitList(value)[0];
}

/** The message without its top Via: what a proxy passes back (RFC 3261 §16.7 step 3). */
export function withoutTopVia<T extends SipMessage>(message: T): T {
  const at = message.headers.findIndex((header) => /^(via|v)$/i.test(header.name));
  if (at < 0) return message;
  const rest = splitList(message.headers[at]?.value ?? '')
    .slice(1)
    .join(', ');
  const headers = message.headers.flatMap((header, index) =>
    index !== at ? [header] : rest === '' ? [] : [{name: header.name, value: rest}],
  );
  return {...message, headers};
}

/** The message with another top Via value. */
export function withTopVia<T extends SipMessage>(message: T, via: string): T {
  const stripped = withoutTopVia(message);
  return {...stripped, headers: [{name: 'Via', value: via}, ...stripped.headers]};
}

/** CSeq: the number and the method; `undefined` where it is missing or malformed. */
export function cseqOf(message: SipMessage): {readonly number: number; readonly method: string} | undefined {
  const match = /^(\d{1,10})\s+(\S+)$/.exec(headerOf(message, 'CSeq') ?? '');
  return match?.[2] === undefined ? undefined : {number: Number(match[1]), method: match[2]};
}

/** The parts of a sip: or sips: URI that say where it leads (RFC 3261 §19.1.1). */
export interface SipUri {
  readonly scheme: string;
  readonly user: string | undefined;
  readonly host: string;
  readonly port: number | undefined;
  readonly params: Params;
  /** What stands behind `?`, as written. */
  readonly headers: string | undefined;
}

/** Reads a sip: or sips: URI; `undefined` for any other scheme and for what is malformed. */
export function parseSipUri(uri: string): SipUri | undefined {
  const match =
    /^(sips?):(?:([^@]*)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?((?:;[^?]*)?)(?:\?(.*))?$/is.exec(uri);
  if (match?.[1] === undefined || match[3] === undefined) return undefined;
  return {
    scheme: match[1].toLowerCase(),
    user: match[2],
    host: bare(match[3]),
    port: match[4] === undefined ? undefined : Number(match[4]),
    params: parseParams((match[5] ?? '').split(';')),
    headers: match[6],
  };
}

/**
 * Where a URI leads: its host, its port or 5060, TCP where `transport=tcp` says so, else UDP. Names are resolved by the system; no
 * NAPTR or SRV look-up. Throws `CpmError` 416 for what is no sip: URI.
 */
export function addressOfUri(uri: string): SipAddress {
  const parsed = parseSipUri(uri);
  if (parsed === undefined) throw new CpmError('CPM_SIP_URI', 416, 'the URI is no sip URI and leads nowhere');
  const protocol = parsed.params.get('transport')?.toLowerCase() === 'tcp' ? 'tcp' : 'udp';
  return {protocol, host: parsed.params.get('maddr') ?? parsed.host, port: parsed.port ?? 5060};
}

/** Where a request goes next: its first Route, else its Request-URI (RFC 3261 §8.1.2, loose routers only). */
export function nextHopOf(request: SipRequest): SipAddress {
  const [route] = headersOf(request, 'Route').flatMap(splitList);
  return addressOfUri(route === undefined ? request.uri : parseNameAddr(route).uri);
}

/** `host:port` for a URI or a Via; IPv6 in brackets, the port left out where it is 5060. */
export function hostPort(host: string, port: number): string {
  const shown = host.includes(':') ? `[${host}]` : host;
  return port === 5060 ? shown : `${shown}:${port}`;
}

/** `host:port`, the port always there. */
export function hostPortOf(address: SipAddress): string {
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

function bare(host: string): string {
  return host.startsWith('[') ? host.slice(1, -1) : host;
}
