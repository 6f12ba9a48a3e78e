/** Reading octets without copying them. */
import type {CpmError} from '../errors.ts';

/** Counts the octets that a reader looked at, so that a test can say "in proportion to the input" without a watch. */
export interface Steps {
  taken: number;
}

/** The same octets as a Buffer; nothing is copied. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Position of the wanted octets at or after `from`, -1 where there are none. */
export function findOctets(octets: Buffer, wanted: number | Buffer, from: number, steps?: Steps): number {
  const at = octets.indexOf(wanted, from);
  if (steps !== undefined) steps.taken += (at === -1 ? octets.length : at) - from + 1;
  return at;
}

/** How large a block of header lines may be. */
export interface HeaderLimits {
  /** Octets of one block of headers. */
  readonly maxHeaderOctets: number;
  /** Lines of one block of headers. */
  readonly maxHeaderLines: number;
  readonly steps?: Steps | undefined;
}

// Real CPIM and MIME headers stay far below; a block that does not end within this is no header block.
export const HEADER_LIMITS: HeaderLimits = {maxHeaderOctets: 65_536, maxHeaderLines: 256};

export interface HeaderLines {
  /** Each line without its end. */
  readonly lines: readonly Buffer[];
  /** Where the octets behind the blank line begin. */
  readonly next: number;
}

/** Reads lines, ended by CRLF or LF, up to a blank one or the end of the input. Throws what `fault` makes of a sentence where a limit is passed. */
export function readHeaderLines(
  octets: Buffer,
  from: number,
  limits: HeaderLimits,
  fault: (why: string) => CpmError,
): HeaderLines {
  const block = octets.subarray(0, from + limits.maxHeaderOctets);
  const lines: Buffer[] = [];
  let at = from;
  while (at < block.length) {
    const feed = findOctets(block, 0x0a, at, limits.steps);
    const stop = feed === -1 ? block.length : feed;
    const end = stop > at && block[stop - 1] === 0x0d ? stop - 1 : stop;
    if (feed !== -1 && end === at) return {lines, next: feed + 1};
    if (lines.length === limits.maxHeaderLines) throw fault('it has too many headers');
    lines.push(block.subarray(at, end));
    at = stop + 1;
  }
  if (block.length < octets.length) throw fault('its headers do not end in time');
  return {lines, next: octets.length};
}
