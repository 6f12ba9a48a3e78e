/** SIP messages between an application and the wire: what it wrote is read leniently, completed, and what it may not set is dropped. */
import {CpmError} from '../errors.ts';
import {headerKey, headersOf, parseSipMessage, type SipHeader, type SipMessage} from '../codecs/sip-message.ts';
import {splitList} from './sip-values.ts';

/** Never taken from an application. */
const dropped = new Set(['via', 'route', 'rseq', 'record-route', 'content-length']);

/** Known headers leave under their usual name; for others see `capitalised`. */
const knownNames = new Map(
  [
    'Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Authorization Call-ID Call-Info Contact',
    'Content-Disposition Content-Encoding Content-Language Content-Type CSeq Date Error-Info Event Expires From In-Reply-To',
    'Max-Forwards MIME-Version Min-Expires Min-SE Organization P-Asserted-Identity P-Preferred-Identity Path Priority Privacy',
    'Proxy-Authenticate Proxy-Authorization Proxy-Require RAck Reason Refer-Sub Refer-To Referred-By Reject-Contact Replaces',
    'Reply-To Request-Disposition Require Retry-After Server Service-Route Session-Expires SIP-ETag SIP-If-Match Subject',
    'Subscription-State Supported Timestamp To Unsupported User-Agent Warning WWW-Authenticate',
  ].flatMap((line) => line.split(' ').map((name) => [name.toLowerCase(), name] as const)),
);

/** Headers whose value must begin with a number: others are dropped without a word, as the real server does. */
const numeric = new Set(['expires', 'max-forwards', 'min-expires', 'min-se', 'session-expires', 'timestamp']);

/** The first line of what an application wrote. */
export function startLineOf(bytes: Buffer): string {
  const end = bytes.indexOf('\r\n');
  return bytes.subarray(0, end < 0 ? bytes.length : end).toString();
}

/** Reads a message of an application: the empty line may be missing, its Content-Length counts nothing. Throws `CpmError`. */
export function parseAppMessage(bytes: Buffer): SipMessage {
  const end = bytes.indexOf('\r\n\r\n');
  const head = bytes.subarray(0, end < 0 ? bytes.length : end).toString();
  const body = end < 0 ? Buffer.alloc(0) : bytes.subarray(end + 4);
  const lines = head.split('\r\n').filter((line) => line !== '' && !/^(content-length|l)\s*:/i.test(line));
  const whole = Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body]);
  return parseSipMessage(whole, {maxMessageBytes: 200_000, maxLineBytes: 8192});
}

/** An application's headers as they may leave, `except` some which the caller writes himself. */
export function headersFromApp(message: SipMessage, except: readonly string[], localhost: string): SipHeader[] {
  const without = new Set([...dropped, ...except]);
  return message.headers.flatMap(({name, value}) => {
    const key = headerKey(name);
    if (without.has(key) || (numeric.has(key) && !/^\d/.test(value))) return [];
    const known = knownNames.get(key);
    const written = named(key, value, localhost);
    // One line for each identity: what follows a comma may be an identity of another scheme.
    const values = key === 'p-asserted-identity' ? splitList(written) : [written];
    return values.map((one) => ({name: known ?? capitalised(name), value: one}));
  });
}

/** What the server does not know begins with a capital, and after each dash; names that begin with `X-` stay as they are. */
function capitalised(name: string): string {
  return /^x-/i.test(name) ? name : name.replaceAll(/(?:^|-)[a-z]/g, (start) => start.toUpperCase());
}

/** One header of an application, with `@localhost` replaced by our own address. */
export function headerFromApp(message: SipMessage, name: string, localhost: string): string | undefined {
  const values = headersOf(message, name).filter((value) => value !== '');
  return values.length === 0 ? undefined : named(headerKey(name), values.join(', '), localhost);
}

function named(key: string, value: string, localhost: string): string {
  const replaced = ['from', 'to', 'contact', 'p-asserted-identity'].includes(key);
  return replaced ? value.replaceAll(/@localhost(?![\w.:-])/g, `@${localhost}`) : value;
}

/**
 * The header that names the body's type: the application's, else `application/sdp` for what looks like SDP. Throws `CpmError` with the
 * real server's sentence where a body has no type.
 */
export function contentType(message: SipMessage): SipHeader[] {
  const [given] = headersOf(message, 'Content-Type');
  if (given !== undefined) return [{name: 'Content-Type', value: given}];
  if (message.body.length === 0) return [];
  if (message.body.subarray(0, 3).toString('latin1') === 'v=0')
    return [{name: 'Content-Type', value: 'application/sdp'}];
  throw new CpmError('CPM_ADMIN_REFUSED', 400, 'missing content-type');
}

/** A Request-URI split from the headers behind its `?`, percent-decoded, lists of Route one header each. */
export function splitUriHeaders(uri: string): {readonly uri: string; readonly headers: readonly SipHeader[]} {
  const mark = uri.indexOf('?');
  if (mark < 0) return {uri, headers: []};
  const headers = uri
    .slice(mark + 1)
    .split('&')
    .flatMap((pair) => {
      const equals = pair.indexOf('=');
      const name = decode(pair.slice(0, Math.max(equals, 0)));
      const value = decode(pair.slice(equals + 1));
      if (!/^[\w.!%*+`'~-]+$/.test(name) || /[\r\n]/.test(value)) return [];
      return headerKey(name) === 'route'
        ? splitList(value).map((one) => ({name: 'Route', value: one}))
        : [{name, value}];
    });
  return {uri: uri.slice(0, mark), headers};
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
