/** MIME entity headers (RFC 2045), as CPIM content and the parts of a multipart carry them. */
import {CpmError} from '../errors.ts';
import {type HeaderLimits, type HeaderLines, readHeaderLines} from './octets.ts';
import {type Params, parseParams, splitOutside} from './tokens.ts';

/** A MIME header; its name has no case. */
export interface MimeHeader {
  readonly name: string;
  /** Unfolded, without blanks around it. */
  readonly value: string;
}

/** Reads MIME headers up to the blank line; a block that the input ends is accepted. */
export function readMimeHeaders(
  octets: Buffer,
  from: number,
  limits: HeaderLimits,
  fault: (why: string) => CpmError,
): {readonly headers: readonly MimeHeader[]; readonly next: number} {
  const {lines, next} = readHeaderLines(octets, from, limits, fault);
  return {headers: parseMimeLines(lines, fault), next};
}

/** Makes headers of lines, joining those that are folded (RFC 2822 §2.2.3). */
export function parseMimeLines(lines: HeaderLines['lines'], fault: (why: string) => CpmError): readonly MimeHeader[] {
  const unfolded: string[][] = [];
  for (const line of lines) {
    const text = line.toString();
    const folded = /^[ \t]/.test(text) ? unfolded.at(-1) : undefined;
    if (folded === undefined) unfolded.push([text.trim()]);
    else folded.push(text.trim());
  }
  return unfolded.map((pieces) => {
    const text = pieces.join(' ');
    const colon = text.indexOf(':');
    const name = text.slice(0, Math.max(colon, 0)).trim();
    if (!isFieldName(name)) throw fault('a line of its headers is no header');
    return {name, value: text.slice(colon + 1).trim()};
  });
}

/** The value of the first header of that name, in any letter case. */
export function mimeHeader(headers: readonly MimeHeader[], name: string): string | undefined {
  const wanted = name.toLowerCase();
  return headers.find((header) => header.name.toLowerCase() === wanted)?.value;
}

/**
 * Writes MIME headers, a line each, without the blank line.
 *
 * @throws CpmError `CPM_MIME` (500) when a header would break its line.
 */
export function formatMimeHeaders(headers: readonly MimeHeader[]): string {
  return headers
    .map(({name, value}) => {
      if (!isFieldName(name) || /[\r\n\0]/.test(value))
        throw new CpmError('CPM_MIME', 500, 'a MIME header would break its line');
      return `${name}: ${value}\r\n`;
    })
    .join('');
}

/** A Content-Type: type and subtype in lower case, and parameters. */
export interface ContentType {
  readonly type: string;
  readonly params: Params;
}

/** Reads a Content-Type; a value that makes no sense gives a type that equals none. */
export function parseContentType(text: string): ContentType {
  const [type = '', ...params] = splitOutside(text, ';');
  return {type: type.toLowerCase(), params: parseParams(params.join(';'))};
}

/** Whether a Content-Type is of that type (lower case), whatever its parameters. */
export function isType(contentType: string | undefined, type: string): boolean {
  return contentType !== undefined && parseContentType(contentType).type === type;
}

/** The octets with Content-Transfer-Encoding undone (RFC 2045 §6): only to look at them, never to pass them on. */
export function decodeContent(headers: readonly MimeHeader[], body: Buffer): Buffer {
  const encoding = mimeHeader(headers, 'Content-Transfer-Encoding')?.toLowerCase();
  if (encoding === 'base64') return Buffer.from(body.toString('latin1'), 'base64');
  if (encoding === 'quoted-printable') return decodeQuotedPrintable(body);
  return body;
}

function decodeQuotedPrintable(body: Buffer): Buffer {
  const text = body
    .toString('latin1')
    .replace(/=(?:\r?\n|([0-9A-Fa-f]{2}))/g, (_, code: string | undefined) =>
      code === undefined ? '' : String.fromCharCode(parseInt(code, 16)),
    );
  return Buffer.from(text, 'latin1');
}

function isFieldName(name: string): boolean {
  return /^[!-9;-~]+$/.test(name);
}
