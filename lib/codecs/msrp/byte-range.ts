/** Byte-Range (RFC 4975 §7.1.1): which octets of a message a chunk holds, counted from 1, and how many there are in all. */
export interface ByteRange {
  readonly start: number;
  /** The last octet; undefined for `*`. Octets before the end-line are what counts, never this number. */
  readonly end: number | undefined;
  /** Undefined for `*`. */
  readonly total: number | undefined;
}

const star = 0x2a;

// byte-range = range-start "-" range-end "/" total; range-end, total = 1*DIGIT / "*"
/** Reads a Byte-Range value; undefined where it is none, or counts beyond 2^53. */
export function parseByteRange(bytes: Uint8Array): ByteRange | undefined {
  let at = 0;
  const digits = (): number | undefined => {
    let value = 0;
    const from = at;
    for (; at < bytes.length; at += 1) {
      const digit = (bytes[at] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    return at === from || at - from > 15 ? undefined : value;
  };
  const digitsOrStar = (): number | '*' | undefined => {
    if (bytes[at] !== star) return digits();
    at += 1;
    return '*';
  };

  const start = digits();
  if (start === undefined || start < 1 || bytes[at++] !== 0x2d) return undefined;
  const end = digitsOrStar();
  if (end === undefined || bytes[at++] !== 0x2f) return undefined;
  const total = digitsOrStar();
  if (total === undefined || at !== bytes.length) return undefined;
  // An empty message is 1-0/0.
  if (end !== '*' && end < start - 1) return undefined;
  return {start, end: end === '*' ? undefined : end, total: total === '*' ? undefined : total};
}

/** Writes a Byte-Range value. */
export function formatByteRange(range: ByteRange): string {
  return `${range.start}-${range.end ?? '*'}/${range.total ?? '*'}`;
}
