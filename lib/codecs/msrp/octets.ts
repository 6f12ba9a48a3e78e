/** What start lines and end-lines are made of (RFC 4975 §9), told from their octets. */
import type {Flag} from './frame.ts';

const cr = 0x0d;
const lf = 0x0a;
/** Octets behind the transaction id of an end-line: flag, CRLF. */
export const flagLine = 3;

/** The flag that an octet stands for, undefined for any other octet. */
export function flagOf(byte: number): Flag | undefined {
  if (byte === 0x24) return '$';
  if (byte === 0x2b) return '+';
  return byte === 0x23 ? '#' : undefined;
}

/** A status of three digits; 0 where it is none. */
export function statusOf(bytes: Buffer, from: number, to: number): number {
  if (to - from !== 3) return 0;
  let value = 0;
  for (let at = from; at < to; at += 1) {
    const digit = (bytes[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return 0;
    value = value * 10 + digit;
  }
  return value;
}

// ident-char = ALPHANUM / "." / "-" / "+" / "%" / "="
const isIdentChar: readonly boolean[] = Array.from(
  {length: 256},
  (_, byte) => /[\w.+%=-]/.test(String.fromCharCode(byte)) && byte !== 0x5f,
);

/** Where the characters end that a transaction id may have. */
export function endOfId(bytes: Buffer, from: number, end: number): number {
  let at = from;
  while (at < end && isIdentChar[bytes[at] ?? 0] === true) at += 1;
  return at;
}

/** Where an end-line ends whose transaction id should follow at `from` and be the one from `id` to `idEnd`; -1: it is none. */
export function endOfEndLine(bytes: Buffer, id: number, idEnd: number, from: number): number {
  const flag = from + idEnd - id;
  if (bytes.length < flag + flagLine) return -1;
  for (let at = from; at < flag; at += 1) if (bytes[at] !== bytes[id + at - from]) return -1;
  const isEnd = flagOf(bytes[flag] ?? 0) !== undefined && bytes[flag + 1] === cr && bytes[flag + 2] === lf;
  return isEnd ? flag + flagLine : -1;
}

/** Whether the octets are those of an ASCII text. */
export function isWord(bytes: Buffer, from: number, to: number, word: string): boolean {
  if (to - from !== word.length) return false;
  for (let at = 0; at < word.length; at += 1) if (bytes[from + at] !== word.charCodeAt(at)) return false;
  return true;
}

/** Whether an end-line stands there: the delimiter, of so many octets, a flag and CRLF. */
export function endsAt(input: Buffer, at: number, delimiter: Buffer, length: number): boolean {
  // A call of the engine costs more.
  for (let each = 0; each < length; each += 1) if (input[at + each] !== delimiter[each]) return false;
  const flag = at + length;
  return flagOf(input[flag] ?? 0) !== undefined && input[flag + 1] === cr && input[flag + 2] === lf;
}

/** Whether flag, CR and LF stand there as far as the input goes. */
export function couldEnd(input: Buffer, at: number): boolean {
  if (at < input.length && flagOf(input[at] ?? 0) === undefined) return false;
  return at + 1 >= input.length || input[at + 1] === cr;
}
