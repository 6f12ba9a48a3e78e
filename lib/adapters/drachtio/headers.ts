import {CpmError} from '../../errors.ts';
import type {SipMessageView} from '../../ports/sip.ts';

/** Compact forms (RFC 3261 §7.3.3 and the RFCs that define the headers); drachtio-srf expands only some of them. */
const compact: Readonly<Record<string, string>> = {
  a: 'accept-contact',
  b: 'referred-by',
  c: 'content-type',
  d: 'request-disposition',
  e: 'content-encoding',
  f: 'from',
  i: 'call-id',
  j: 'reject-contact',
  k: 'supported',
  l: 'content-length',
  m: 'contact',
  n: 'identity-info',
  o: 'event',
  r: 'refer-to',
  s: 'subject',
  t: 'to',
  u: 'allow-events',
  v: 'via',
  x: 'session-expires',
  y: 'identity',
};

/** Header fields of a message as the server handed it over, by lower-case full name, several joined by `, ` in their order. */
export function parseHeaders(raw: string): ReadonlyMap<string, string> {
  const end = raw.indexOf('\r\n\r\n');
  const lines = (end === -1 ? raw : raw.slice(0, end)).split(/\r\n(?![ \t])/);
  const headers = new Map<string, string>();
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(':');
    if (colon === -1) continue;
    const name = line.slice(0, colon).trim().toLowerCase();
    const full = compact[name] ?? name;
    const value = unfold(line.slice(colon + 1));
    const before = headers.get(full);
    headers.set(full, before === undefined ? value : `${before}, ${value}`);
  }

  return headers;
}

/**
 * A message read from its text. `exactBody` gives the octets where the text could not carry them (a body that is not UTF-8).
 * The body is everything behind the empty line, up to Content-Length: drachtio-srf's own `payload` cuts multipart bodies.
 */
export function messageView(raw: string, exactBody: (raw: string) => Buffer | undefined): SipMessageView {
  const headers = parseHeaders(raw);
  let body: Uint8Array | undefined;
  return {
    header: (name) => headers.get(name.toLowerCase()),
    get body() {
      body ??= exactBody(raw) ?? bodyOf(raw);
      const length = Number.parseInt(headers.get('content-length') ?? '', 10);
      return length < body.length ? body.subarray(0, length) : body;
    },
  };
}

function bodyOf(raw: string): Buffer {
  const end = raw.indexOf('\r\n\r\n');
  return end === -1 ? Buffer.alloc(0) : Buffer.from(raw.slice(end + 4));
}

/**
 * Header fields ready for a frame: names as given, repeated ones joined by `, ` (RFC 3261 §7.3), no line break left that could smuggle a header
 * in. A body needs its Content-Type here: the server guesses only SDP, and refuses the rest.
 */
export function outgoingHeaders(
  headers: Readonly<Record<string, string>>,
  options: {
    repeated?: Readonly<Record<string, readonly string[]>> | undefined;
    body?: string | Uint8Array | undefined;
  } = {},
): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) result[name] = unfold(value);
  for (const [name, values] of Object.entries(options.repeated ?? {})) {
    const key = findHeader(result, name) ?? name;
    const all = [...(key in result ? [result[key] ?? ''] : []), ...values.map(unfold)];
    if (all.length > 0) result[key] = all.join(', ');
  }

  if (options.body !== undefined && options.body.length > 0 && findHeader(result, 'Content-Type') === undefined) {
    throw new CpmError('CPM_SIP_NO_CONTENT_TYPE', 500, 'a SIP message with a body has no Content-Type');
  }

  return result;
}

/** The key under which a header stands, whatever its case. */
export function findHeader(headers: Readonly<Record<string, string>>, name: string): string | undefined {
  const wanted = name.toLowerCase();
  return Object.keys(headers).find((key) => key.toLowerCase() === wanted);
}

/** Sets headers that are not there yet. */
export function withDefaults(
  headers: Readonly<Record<string, string>>,
  defaults: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const result = {...headers};
  for (const [name, value] of Object.entries(defaults)) {
    if (value !== undefined && findHeader(result, name) === undefined) result[name] = value;
  }

  return result;
}

function unfold(value: string): string {
  return value.replace(/[\r\n]+[ \t]*/g, ' ').trim();
}

/**
 * The Request-URI for a frame: with the route set as URI header, the only way in which drachtio writes Route headers into an initial request
 * (the first one is then the next hop). Headers that the URI itself carries are taken off: a registered contact must not add any.
 * @throws CpmError 416 for anything but sip: and sips:, since a `tel:` Request-URI ends the drachtio server.
 */
export function requestUri(uri: string, route: readonly string[] = []): string {
  checkUri(uri);
  const bare = uri.split('?', 1)[0] ?? uri;
  if (route.length === 0) return bare;
  const list = route.map((entry) => {
    const target = entry.trim();
    checkUri(/^(?:[^<]*<)?([^>]*)>?/.exec(target)?.[1] ?? target);
    return target.includes('<') ? target : `<${target}>`;
  });
  return `${bare}?Route=${encodeURIComponent(list.join(','))}`;
}

/** @throws CpmError 416 unless it is a sip: or sips: URI without blanks, brackets or `|` (which parts the fields of a frame). */
export function checkUri(uri: string): void {
  if (!/^sips?:[^\s<>|"]+$/i.test(uri)) {
    throw new CpmError('CPM_SIP_URI_SCHEME', 416, 'a request may only be sent to a sip: or sips: URI');
  }
}
