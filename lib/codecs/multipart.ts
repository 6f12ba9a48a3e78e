/**
 * MIME multipart (RFC 2046 §5.1), binary safe. Lines may end with LF alone; a missing close delimiter ends the last part with the input.
 *
 *     multipart := [preamble CRLF] "--" boundary padding CRLF part *(CRLF "--" boundary padding CRLF part) CRLF "--" boundary "--" …
 *     part      := headers CRLF body
 */
import {CpmError} from '../errors.ts';
import {type MimeHeader, formatMimeHeaders, mimeHeader, parseContentType, readMimeHeaders} from './mime.ts';
import {HEADER_LIMITS, type HeaderLimits, asBuffer, findOctets} from './octets.ts';

/** One part; nothing in it is copied. */
export interface Part {
  readonly headers: readonly MimeHeader[];
  /** The Content-Type as written; undefined where there is none, which means text/plain. */
  readonly contentType: string | undefined;
  /** Octets as they stand, transfer encoding not undone. */
  readonly body: Buffer;
}

export interface MultipartLimits extends HeaderLimits {
  /** Parts of one multipart. */
  readonly maxParts: number;
  /** Multiparts in multiparts. */
  readonly maxDepth: number;
}

// A SIP body has an SDP, a list of recipients, a message; an aggregate of notifications has a few dozen. Nothing real nests deeper.
export const MULTIPART_LIMITS: MultipartLimits = {...HEADER_LIMITS, maxParts: 256, maxDepth: 4};

const LF = 0x0a;
const CR = 0x0d;
const HYPHEN = 0x2d;

/**
 * The parts of a multipart body, in order. Preamble and epilogue are left out.
 *
 * @throws CpmError `CPM_MULTIPART` (400).
 */
export function parseMultipart(
  body: Uint8Array,
  contentType: string,
  limits: Partial<MultipartLimits> = {},
): readonly Part[] {
  const bound = {...MULTIPART_LIMITS, ...limits};
  const octets = asBuffer(body);
  const parts: Part[] = [];
  let begin: number | undefined;
  for (const {start, end, close} of delimiters(octets, boundaryOf(contentType), bound)) {
    if (begin !== undefined) parts.push(parsePart(octets.subarray(begin, Math.max(begin, start)), bound));
    if (parts.length > bound.maxParts) throw malformed('it has too many parts');
    begin = end;
    if (close) return parts;
  }
  if (begin === undefined) throw malformed('its boundary never comes');
  parts.push(parsePart(octets.subarray(begin), bound));
  return parts;
}

/**
 * All that is no multipart itself, however deep: the body as its only part when it is none.
 *
 * @throws CpmError `CPM_MULTIPART` (400).
 */
export function leafParts(
  body: Uint8Array,
  contentType: string,
  limits: Partial<MultipartLimits> = {},
): readonly Part[] {
  const {maxDepth} = {...MULTIPART_LIMITS, ...limits};
  const leaves: Part[] = [];
  const visit = (part: Part, depth: number): void => {
    if (part.contentType === undefined || !isMultipart(part.contentType)) leaves.push(part);
    else if (depth === maxDepth) throw malformed('it is nested too deep');
    else for (const inner of parseMultipart(part.body, part.contentType, limits)) visit(inner, depth + 1);
  };
  visit({headers: [{name: 'Content-Type', value: contentType}], contentType, body: asBuffer(body)}, 0);
  return leaves;
}

/** Whether a Content-Type is a multipart one. */
export function isMultipart(contentType: string): boolean {
  return parseContentType(contentType).type.startsWith('multipart/');
}

/**
 * Writes a multipart body; the Content-Type that goes with it is `multipart/…;boundary=…` with the same boundary.
 *
 * @throws CpmError `CPM_MULTIPART` (500) when the boundary is not allowed or occurs in a part.
 */
export function formatMultipart(parts: readonly Pick<Part, 'headers' | 'body'>[], boundary: string): Buffer {
  if (!/^[\w'()+,./:=?-]{1,70}$/.test(boundary) || parts.some(({body}) => asBuffer(body).includes(`--${boundary}`))) {
    throw new CpmError('CPM_MULTIPART', 500, 'the boundary does not fit the parts');
  }
  const chunks = parts.flatMap(({headers, body}) => [
    Buffer.from(`--${boundary}\r\n${formatMimeHeaders(headers)}\r\n`),
    body,
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...chunks, Buffer.from(`--${boundary}--\r\n`)]);
}

interface Delimiter {
  /** Where the line end before the delimiter begins; it belongs to the delimiter. */
  readonly start: number;
  /** Behind the delimiter's own line. */
  readonly end: number;
  readonly close: boolean;
}

/** Finds delimiter lines. What only begins like one, such as a longer boundary, is none. */
function* delimiters(octets: Buffer, boundary: string, {steps}: MultipartLimits): Generator<Delimiter> {
  const dashed = Buffer.from(`--${boundary}`);
  for (let at = findOctets(octets, dashed, 0, steps); at !== -1; at = findOctets(octets, dashed, at + 1, steps)) {
    if (at > 0 && octets[at - 1] !== LF) continue;
    let end = at + dashed.length;
    const close = octets[end] === HYPHEN && octets[end + 1] === HYPHEN;
    if (close) end += 2;
    while (octets[end] === 0x20 || octets[end] === 0x09) end++;
    if (steps !== undefined) steps.taken += end - at;
    if (octets[end] === CR && octets[end + 1] === LF) end++;
    if (octets[end] !== LF && end < octets.length) continue;
    const feed = at > 0 ? at - 1 : 0;
    yield {start: feed > 0 && octets[feed - 1] === CR ? feed - 1 : feed, end: Math.min(end + 1, octets.length), close};
  }
}

function parsePart(octets: Buffer, limits: MultipartLimits): Part {
  const {headers, next} = readMimeHeaders(octets, 0, limits, malformed);
  return {headers, contentType: mimeHeader(headers, 'Content-Type'), body: octets.subarray(next)};
}

function boundaryOf(contentType: string): string {
  const boundary = parseContentType(contentType).params.get('boundary');
  if (boundary === undefined || boundary === '' || boundary.length > 200) throw malformed('it names no boundary');
  return boundary;
}

function malformed(why: string): CpmError {
  return new CpmError('CPM_MULTIPART', 400, `the multipart body cannot be read: ${why}`);
}
