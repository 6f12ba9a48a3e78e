/** SIP messages as values: parsed from bytes and formatted to bytes, bodies untouched (RFC 3261 §7, §18.3, §25.1). */
import {CpmError} from '../errors.ts';
import {GrowingBuffer} from './growing-buffer.ts';
import {longName} from './sip-headers/names.ts';

/** One header field as it stood: the name as written, the value unfolded and without white space around it. */
export interface SipHeader {
  readonly name: string;
  readonly value: string;
}

interface SipParts {
  /** In the order of the message; `Content-Length` is written anew by `formatSipMessage`. */
  readonly headers: readonly SipHeader[];
  readonly body: Buffer;
}

export interface SipRequest extends SipParts {
  readonly kind: 'request';
  readonly method: string;
  readonly uri: string;
}

export interface SipResponse extends SipParts {
  readonly kind: 'response';
  readonly status: number;
  readonly reason: string;
}

export type SipMessage = SipRequest | SipResponse;

/** Limits of what is read. A longer line is what the real server refuses with 400; the rest bounds memory. */
export interface SipLimits {
  readonly maxMessageBytes: number;
  readonly maxLineBytes: number;
}

/** A datagram carries at most 64 KB. */
export const datagramLimits: SipLimits = {maxMessageBytes: 65_536, maxLineBytes: 8192};
/** Room for a resource list or a multipart REGISTER over TCP. */
export const streamLimits: SipLimits = {maxMessageBytes: 262_144, maxLineBytes: 8192};

/** The name by which a header is compared: lower case, compact forms written out (RFC 3261 §7.3.3). */
export function headerKey(name: string): string {
  return longName(name).toLowerCase();
}

/** The values of all header fields of that name, in order; compact forms count. */
export function headersOf(message: SipMessage, name: string): string[] {
  const key = headerKey(name);
  return message.headers.filter((header) => headerKey(header.name) === key).map((header) => header.value);
}

/** The first value of a header, `undefined` where it is absent. */
export function headerOf(message: SipMessage, name: string): string | undefined {
  const key = headerKey(name);
  return message.headers.find((header) => headerKey(header.name) === key)?.value;
}

/** The message without header fields of these names. */
export function withoutHeaders<T extends SipMessage>(message: T, ...names: readonly string[]): T {
  const keys = new Set(names.map(headerKey));
  return {...message, headers: message.headers.filter((header) => !keys.has(headerKey(header.name)))};
}

/** The message with one header field of that name: in the place of the first one, or at the end. */
export function withHeader<T extends SipMessage>(message: T, name: string, value: string): T {
  const key = headerKey(name);
  const at = message.headers.findIndex((header) => headerKey(header.name) === key);
  if (at < 0) return {...message, headers: [...message.headers, {name, value}]};
  const headers = message.headers.filter((header, index) => index === at || headerKey(header.name) !== key);
  return {...message, headers: headers.map((header, index) => (index === at ? {name: header.name, value} : header))};
}

/** Builds a request from name/value pairs, for those who make messages of their own. */
export function createRequest(
  method: string,
  uri: string,
  headers: readonly (readonly [name: string, value: string])[],
  body: Uint8Array = Buffer.alloc(0),
): SipRequest {
  return {
    kind: 'request',
    method,
    uri,
    headers: headers.map(([name, value]) => ({name, value})),
    body: Buffer.from(body),
  };
}

/**
 * Builds a response to a request with what RFC 3261 §8.2.6 copies: every Via, From, To, Call-ID, CSeq; Record-Route too
 * where the response makes a dialog (101–299). A To-tag is added by the server transaction that sends it.
 */
export function createResponse(
  request: SipRequest,
  status: number,
  options: {
    readonly reason?: string;
    readonly headers?: readonly (readonly [name: string, value: string])[];
    readonly body?: Uint8Array;
  } = {},
): SipResponse {
  const copied = ['via', 'from', 'to', 'call-id', 'cseq', ...(status > 100 && status < 300 ? ['record-route'] : [])];
  return {
    kind: 'response',
    status,
    reason: options.reason ?? reasonPhrases[status] ?? 'Unknown',
    headers: [
      ...request.headers.filter((header) => copied.includes(headerKey(header.name))),
      ...(options.headers ?? []).map(([name, value]) => ({name, value})),
    ],
    body: Buffer.from(options.body ?? Buffer.alloc(0)),
  };
}

/** Bytes of a message. `Content-Length` is always right and stays in its place, or comes last (RFC 3261 §20.14). */
export function formatSipMessage(message: SipMessage): Buffer {
  const {headers, body} = withHeader(message, 'Content-Length', String(message.body.length));
  const start =
    message.kind === 'request'
      ? `${message.method} ${message.uri} SIP/2.0`
      : `SIP/2.0 ${message.status} ${message.reason}`;
  const lines = [start, ...headers.map((header) => `${header.name}: ${header.value}`), '', ''];
  return Buffer.concat([Buffer.from(lines.join('\r\n')), body]);
}

/**
 * Reads the message of one datagram: empty lines before it are skipped, bytes beyond Content-Length are dropped, without
 * Content-Length the body is all that follows (RFC 3261 §18.3). Throws `CpmError` 400 or 513.
 */
export function parseSipMessage(bytes: Uint8Array, limits: SipLimits = datagramLimits): SipMessage {
  if (bytes.length > limits.maxMessageBytes) throw tooLarge(limits);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let start = 0;
  while (buffer[start] === CR || buffer[start] === LF) start++;
  const end = endOfHead(buffer, start);
  if (end === undefined) throw malformed('the header section has no end');
  const head = parseHead(buffer.subarray(start, end), limits);
  const rest = buffer.subarray(end);
  const length = contentLength(head) ?? rest.length;
  if (length > rest.length) throw malformed('the body is shorter than Content-Length says');
  return {...head, body: Buffer.from(rest.subarray(0, length))};
}

/** Splits a TCP stream into messages; cutting the input anywhere changes nothing. */
export interface SipStreamParser {
  /**
   * Takes bytes; `onItem` gets what became whole, before anything after it is looked at. Throws `CpmError` 400 or 513, after which the
   * connection is of no use.
   */
  push(chunk: Uint8Array, onItem: (item: SipMessage | 'ping') => void): void;
}

/** A parser for one connection; `'ping'` is a double CRLF between messages, answered by one CRLF (RFC 5626 §4.4.1). */
export function createSipStreamParser(limits: SipLimits = streamLimits): SipStreamParser {
  const waiting = new GrowingBuffer();
  let scanned = 0;
  let head: SipMessage | undefined;
  let emptyLines = 0;

  function next(): SipMessage | 'ping' | undefined {
    if (head === undefined && scanned === 0 && waiting.at(0) === CR && waiting.at(1) === LF) {
      waiting.take(2);
      emptyLines++;
      if (emptyLines < 2) return next();
      emptyLines = 0;
      return 'ping';
    }
    if (head === undefined) {
      const end = findEndOfHead();
      if (end === undefined) {
        if (waiting.length > limits.maxMessageBytes) throw tooLarge(limits);
        return undefined;
      }
      scanned = 0;
      emptyLines = 0;
      head = parseHead(waiting.take(end), limits);
      const length = contentLength(head);
      if (length === undefined) throw malformed('a message on a stream has no Content-Length');
      if (end + length > limits.maxMessageBytes) throw tooLarge(limits);
    }
    const length = contentLength(head) ?? 0;
    if (waiting.length < length) return undefined;
    const message = {...head, body: waiting.take(length)};
    head = undefined;
    return message;
  }

  /** Goes on where the last look ended, so that every byte is looked at once. */
  function findEndOfHead(): number | undefined {
    for (;;) {
      const lineEnd = waiting.indexOf(LF, scanned);
      if (lineEnd < 0) {
        if (waiting.length - scanned > limits.maxLineBytes) throw lineTooLong();
        return undefined;
      }
      const lineLength = lineEnd - scanned;
      const empty = lineLength === 0 || (lineLength === 1 && waiting.at(scanned) === CR);
      if (lineLength > limits.maxLineBytes) throw lineTooLong();
      scanned = lineEnd + 1;
      if (empty) return scanned;
    }
  }

  return {
    push(chunk, onItem) {
      waiting.append(chunk);
      for (let item = next(); item !== undefined; item = next()) onItem(item);
    },
  };
}

const CR = 13;
const LF = 10;
const utf8 = new TextDecoder('utf-8', {fatal: true});

function endOfHead(buffer: Buffer, start: number): number | undefined {
  for (let from = start; ;) {
    const lineEnd = buffer.indexOf(LF, from);
    if (lineEnd < 0) return undefined;
    if (lineEnd === from || (lineEnd === from + 1 && buffer[from] === CR)) return lineEnd + 1;
    from = lineEnd + 1;
  }
}

function parseHead(bytes: Buffer, limits: SipLimits): SipMessage {
  const lines = decode(bytes).split(/\r?\n/);
  const [start = ''] = lines.splice(0, 1);
  const fields: {name: string; value: string}[] = [];
  if (start.length > limits.maxLineBytes) throw lineTooLong();
  for (const line of lines) {
    if (line === '') continue;
    if (line.length > limits.maxLineBytes) throw lineTooLong();
    const last = fields.at(-1);
    if (last !== undefined && /^[ \t]/.test(line)) last.value = `${last.value} ${line.trim()}`.trim();
    else fields.push(parseField(line));
  }
  return {...parseStartLine(start), headers: fields, body: Buffer.alloc(0)};
}

type StartLine =
  | {readonly kind: 'request'; readonly method: string; readonly uri: string}
  | {readonly kind: 'response'; readonly status: number; readonly reason: string};

function parseStartLine(line: string): StartLine {
  const response = /^SIP\/2\.0 ([1-6]\d\d)(?: (.*))?$/i.exec(line);
  if (response !== null) return {kind: 'response', status: Number(response[1]), reason: response[2] ?? ''};
  const request = /^([A-Za-z0-9.!%*_+`'~-]+) (\S+) SIP\/2\.0$/i.exec(line);
  if (request?.[1] === undefined || request[2] === undefined)
    throw malformed('the first line is neither a request nor a response');
  return {kind: 'request', method: request[1], uri: request[2]};
}

function parseField(line: string): {name: string; value: string} {
  const colon = line.indexOf(':');
  const name = line.slice(0, Math.max(colon, 0)).trimEnd();
  if (!/^[A-Za-z0-9.!%*_+`'~-]+$/.test(name)) throw malformed('a header line has no name');
  return {name, value: line.slice(colon + 1).trim()};
}

function contentLength(message: SipMessage): number | undefined {
  const values = new Set(headersOf(message, 'Content-Length'));
  if (values.size === 0) return undefined;
  const [value = ''] = values;
  // Two different lengths let two readers see two different messages, so neither is believed.
  if (values.size > 1 || !/^\d{1,9}$/.test(value)) throw malformed('Content-Length is not one number');
  return Number(value);
}

function decode(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new CpmError('CPM_SIP_MALFORMED', 400, 'the header section is not UTF-8', {cause});
  }
}

function malformed(sentence: string): CpmError {
  return new CpmError('CPM_SIP_MALFORMED', 400, sentence);
}

function lineTooLong(): CpmError {
  return new CpmError('CPM_SIP_LINE_TOO_LONG', 400, 'a header line is longer than allowed');
}

function tooLarge(limits: SipLimits): CpmError {
  return new CpmError('CPM_SIP_TOO_LARGE', 513, `the message is larger than ${limits.maxMessageBytes} bytes`);
}

/** Reason phrases of RFC 3261 §21 and of the extensions in use. */
export const reasonPhrases: Readonly<Record<number, string>> = {
  100: 'Trying',
  180: 'Ringing',
  181: 'Call Is Being Forwarded',
  182: 'Queued',
  183: 'Session Progress',
  200: 'OK',
  202: 'Accepted',
  300: 'Multiple Choices',
  301: 'Moved Permanently',
  302: 'Moved Temporarily',
  305: 'Use Proxy',
  380: 'Alternative Service',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  410: 'Gone',
  412: 'Conditional Request Failed',
  413: 'Request Entity Too Large',
  415: 'Unsupported Media Type',
  416: 'Unsupported URI Scheme',
  420: 'Bad Extension',
  421: 'Extension Required',
  422: 'Session Interval Too Small',
  423: 'Interval Too Brief',
  480: 'Temporarily Unavailable',
  481: 'Call/Transaction Does Not Exist',
  482: 'Loop Detected',
  483: 'Too Many Hops',
  484: 'Address Incomplete',
  485: 'Ambiguous',
  486: 'Busy Here',
  487: 'Request Terminated',
  488: 'Not Acceptable Here',
  489: 'Bad Event',
  491: 'Request Pending',
  493: 'Undecipherable',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Server Time-out',
  505: 'Version Not Supported',
  513: 'Message Too Large',
  600: 'Busy Everywhere',
  603: 'Decline',
  604: 'Does Not Exist Anywhere',
  606: 'Not Acceptable',
};
