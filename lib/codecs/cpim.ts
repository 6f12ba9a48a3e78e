/**
 * message/cpim (RFC 3862): message headers, a blank line, MIME headers of the content, a blank line, the content.
 *
 *     Header      = Header-name ":" *( ";" Parameter ) SP Header-value CRLF
 *     Header-name = [ Name-prefix "." ] Name
 *
 * A parsed message keeps its octets in `raw`; they are what is stored and passed on (row E1).
 */
import type {Disposition} from '../cpm/deferred-message.ts';
import {CpmError} from '../errors.ts';
import {type MimeHeader, formatMimeHeaders, isType, mimeHeader, parseMimeLines} from './mime.ts';
import {leafParts} from './multipart.ts';
import {HEADER_LIMITS, type HeaderLimits, asBuffer, readHeaderLines} from './octets.ts';
import {type Params, formatParams, parseParams, positionsOutside} from './tokens.ts';

/** Namespace of the headers that ask for disposition notifications (RFC 5438 §6). */
export const IMDN_NAMESPACE = 'urn:ietf:params:imdn';
const CORE_NAMESPACE = 'urn:ietf:params:cpim-headers:';

/** A message header. Names have case (RFC 3862 §2.2). */
export interface CpimHeader {
  /** The namespace's URI; undefined for the headers of RFC 3862 itself, and where a prefix was never declared. */
  readonly namespace: string | undefined;
  /** Without prefix; with it where it was never declared. */
  readonly name: string;
  readonly params: Params;
  /** Escapes resolved, blanks around it taken off. */
  readonly value: string;
  /** The line's octets, without its end. */
  readonly raw: Buffer;
}

/** A message as it was read; nothing in it is copied. */
export interface Cpim {
  readonly raw: Buffer;
  readonly headers: readonly CpimHeader[];
  readonly contentHeaders: readonly MimeHeader[];
  /** Content-Type of the content, as written. */
  readonly contentType: string | undefined;
  /** The content as it stands, transfer encoding not undone. */
  readonly body: Buffer;
}

/** A message to be written. */
export interface NewCpim {
  /** `name` with its prefix, which an `NS` header before it has declared: `imdn.Message-ID`. */
  readonly headers: readonly {readonly name: string; readonly value: string; readonly params?: Params}[];
  readonly contentHeaders: readonly MimeHeader[];
  readonly body: Uint8Array;
}

/**
 * Reads a message. Tolerated: LF as line end, no blank after the colon, no blank line before `Content-…` headers (as RFC 5438's own
 * examples are printed), no content.
 *
 * @throws CpmError `CPM_CPIM` (400).
 */
export function parseCpim(bytes: Uint8Array, limits: Partial<HeaderLimits> = {}): Cpim {
  const bound = {...HEADER_LIMITS, ...limits};
  const raw = asBuffer(bytes);
  const head = readHeaderLines(raw, 0, bound, malformed);
  const content = head.lines.findIndex((line) => /^content-/i.test(line.toString('latin1', 0, 8)));
  const lines = content === -1 ? head.lines : head.lines.slice(0, content);
  if (lines.length === 0) throw malformed('it has no message headers');
  const second =
    content === -1 ? readHeaderLines(raw, head.next, bound, malformed) : {...head, lines: head.lines.slice(content)};
  const contentHeaders = parseMimeLines(second.lines, malformed);
  return {
    raw,
    headers: parseMessageHeaders(lines),
    contentHeaders,
    contentType: mimeHeader(contentHeaders, 'Content-Type'),
    body: raw.subarray(second.next),
  };
}

/**
 * Writes a message, escaping what RFC 3862 §2.3 does not allow in a header.
 *
 * @throws CpmError `CPM_CPIM` (500) when a header's name is none, `CPM_MIME` (500) when a content header would break its line.
 */
export function formatCpim({headers, contentHeaders, body}: NewCpim): Buffer {
  const lines = headers.map(({name, value, params = []}) => {
    if (!HEADER_NAME.test(name)) throw new CpmError('CPM_CPIM', 500, 'a CPIM header has no valid name');
    return `${name}:${formatParams(params)} ${escapeValue(value)}\r\n`;
  });
  return Buffer.concat([Buffer.from(`${lines.join('')}\r\n${formatMimeHeaders(contentHeaders)}\r\n`), body]);
}

/** The value of the first header of that name in that namespace (undefined: the headers of RFC 3862). */
export function cpimHeader(cpim: Cpim, namespace: string | undefined, name: string): string | undefined {
  return cpim.headers.find((header) => header.namespace === namespace && header.name === name)?.value;
}

/** `imdn.Message-ID`, by which notifications find their message and a message is known again (RFC 5438 §6.3). */
export function imdnMessageId(cpim: Cpim): string | undefined {
  const id = cpimHeader(cpim, IMDN_NAMESPACE, 'Message-ID');
  return id === '' ? undefined : id;
}

const DISPOSITIONS: readonly Disposition[] = [
  'positive-delivery',
  'negative-delivery',
  'processing',
  'display',
  'interworking',
];

/** Dispositions asked for, unknown ones left out (RFC 5438 §6.2). Empty for a notification: none ever gets one (row E2). */
export function requestedDispositions(cpim: Cpim): ReadonlySet<Disposition> {
  const list = cpimHeader(cpim, IMDN_NAMESPACE, 'Disposition-Notification') ?? '';
  const asked = list.split(',').map((value) => value.split(';', 1)[0]?.trim().toLowerCase());
  return new Set(isNotification(cpim) ? [] : DISPOSITIONS.filter((disposition) => asked.includes(disposition)));
}

/** The DateTime header in milliseconds since 1970; undefined when absent or no date of RFC 3339. */
export function cpimDateTime(cpim: Cpim): number | undefined {
  const text = cpimHeader(cpim, undefined, 'DateTime') ?? '';
  if (!/^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/.test(text)) return undefined;
  const time = Date.parse(text.toUpperCase());
  return Number.isNaN(time) ? undefined : time;
}

/** Whether the content is a disposition notification, or an aggregate of nothing else (RFC 5438 §8.3). */
export function isNotification(cpim: Cpim): boolean {
  if (cpim.contentType === undefined) return false;
  try {
    const leaves = leafParts(cpim.body, cpim.contentType);
    return leaves.length > 0 && leaves.every(({contentType}) => isType(contentType, 'message/imdn+xml'));
  } catch {
    // An aggregate that cannot be read is passed on as any other content.
    return false;
  }
}

// NAMECHAR of RFC 3862 §3.6, one dot between prefix and name.
const NAME = "[\\w!#$%&'*+^`|~-]+";
const HEADER_NAME = new RegExp(`^(?:${NAME}\\.)?${NAME}$`);

function parseMessageHeaders(lines: readonly Buffer[]): readonly CpimHeader[] {
  // `imdn` is understood undeclared, since standards print such messages and clients send them.
  const namespaces = new Map([['imdn', IMDN_NAMESPACE]]);
  return lines.map((raw) => {
    const text = raw.toString();
    const colon = text.indexOf(':');
    const written = text.slice(0, Math.max(colon, 0)).trim();
    if (!HEADER_NAME.test(written)) throw malformed('a line of its headers is no header');
    const {params, value} = parseValue(text.slice(colon + 1));
    if (written === 'NS') {
      const [, prefix, uri] = /^([^\s<]*)\s*<([^>]*)>/.exec(value) ?? [];
      if (prefix !== undefined && uri !== undefined) namespaces.set(prefix, uri.trim());
      return {namespace: undefined, name: written, params, value, raw};
    }
    const dot = written.indexOf('.');
    const uri = namespaces.get(written.slice(0, Math.max(dot, 0)));
    const name = uri === undefined ? written : written.slice(dot + 1);
    return {namespace: uri === CORE_NAMESPACE ? undefined : uri, name, params, value, raw};
  });
}

/** `text` is what follows the colon; parameters stand right behind it, up to the first blank. */
function parseValue(text: string): {params: Params; value: string} {
  const blank = text.startsWith(';') ? (positionsOutside(text, ' ').at(0) ?? text.length) : 0;
  const value = text.slice(blank).trim();
  return {params: parseParams(text.slice(0, blank)), value: unescapeValue(value)};
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['b', '\b'],
  ['t', '\t'],
  ['n', '\n'],
  ['r', '\r'],
]);

function unescapeValue(value: string): string {
  return value.replace(/\\(?:u([0-9A-Fa-f]{4})|([btnr"'\\]))/g, (_, code: string | undefined, letter = '') =>
    code === undefined ? (ESCAPES.get(String(letter)) ?? String(letter)) : String.fromCharCode(parseInt(code, 16)),
  );
}

/** Backslashes, control characters, halves of surrogate pairs, and blanks where they would be lost. */
function escapeValue(value: string): string {
  return value
    .replaceAll('\\', '\\\\')
    .replace(
      /[\u0000-\u001f\u007f]|^\s|\s$|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
      (character) => {
        return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
      },
    );
}

function malformed(why: string): CpmError {
  return new CpmError('CPM_CPIM', 400, `the CPIM message cannot be read: ${why}`);
}
