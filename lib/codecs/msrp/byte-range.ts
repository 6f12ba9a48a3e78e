/** Byte-Range (RFC 4975 §7.1.1): which octets of a message a chunk holds, counted from 1, and how many there are in all. */
export interface ByteRange {
  readonly start: number;
  /** The last octet; undefined for `*`. Octets before the end-line are what counts, never this number. */
  readonly end: number | undefined;
  /** Undefined for `*`. */
  readonly total: number | undefined;
}

const star = 0x2a;
const hyphen = 0x2d;
const stroke = 0x2f;

// byte-range = range-start "-" range-end "/" total; range-end, total = 1*DIGIT / "*"
/** Reads a Byte-Range value, which is all of the octets or a part of them; undefined where it is none, or counts beyond 10^15. */
export function parseByteRange(bytes: Uint8Array, from = 0, to = bytes.length): ByteRange | undefined {
  const dash = endOfNumber(bytes, from, to);
  const slash = bytes[dash + 1] === star ? dash + 2 : endOfNumber(bytes, dash + 1, to);
  const end = bytes[slash + 1] === star ? slash + 2 : endOfNumber(bytes, slash + 1, to);
  if (end !== to || bytes[dash] !== hyphen || bytes[slash] !== stroke) return undefined;

  const range = {
    start: numberIn(bytes, from, dash) ?? 0,
    end: numberIn(bytes, dash + 1, slash),
    total: numberIn(bytes, slash + 1, to),
  };
  const isNumber = (value: number | undefined, at: number) => value !== undefined || bytes[at] === star;
  if (range.start < 1 || !isNumber(range.end, dash + 1) || !isNumber(range.total, slash + 1)) return undefined;
  // An empty message is 1-0/0.
  return range.end !== undefined && range.end < range.start - 1 ? undefined : range;
}

function endOfNumber(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to && isDigit(bytes[at] ?? 0)) at += 1;
  return at;
}

/** Undefined where there are no digits, or more than fifteen. */
function numberIn(bytes: Uint8Array, from: number, to: number): number | undefined {
  if (from === to || to - from > 15) return undefined;
  let value = 0;
  for (let at = from; at < to; at += 1) {
    if (!isDigit(bytes[at] ?? 0)) return undefined;
    value = value * 10 + (bytes[at] ?? 0) - 0x30;
  }
  return value;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/** Writes a Byte-Range value. */
export function formatByteRange(range: ByteRange): string {
  return `${range.start}-${range.end ?? '*'}/${range.total ?? '*'}`;
}
