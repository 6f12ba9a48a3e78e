import {deepStrictEqual} from 'node:assert/strict';
import {CpmError} from '../../lib/errors.ts';
import {seededRandom, type Random} from '../support/random.ts';

/** A reader of what comes from outside, and what it promises for any octets whatever. */
export interface Target {
  /** Its examples are in `test/fixtures/fuzz/NAME`. */
  readonly name: string;
  /** Where the format is defined. */
  readonly clause: string;
  /** Words that the reader looks for. */
  readonly dictionary: readonly string[];
  /**
   * Reads the input; throws where a promise is broken. The result says in short what the input was taken for: one that is taken for something
   * new is mutated further.
   */
  check(input: Buffer): string;
  /** Octets of the longest input that is tried; 65,536 by default. */
  readonly longest?: number;
}

/** What a reader gave, or the code of the CpmError with which it refused. */
export type Outcome<T> =
  {readonly value: T; readonly refusal?: undefined} | {readonly value?: undefined; readonly refusal: string};

/** Calls a reader that may refuse with these codes, and with no other error. */
export function attempt<T>(work: () => T, ...codes: readonly string[]): Outcome<T> {
  try {
    return {value: work()};
  } catch (error) {
    if (error instanceof CpmError && codes.includes(error.code)) return {refusal: `${error.code} ${error.message}`};
    throw error;
  }
}

/** A promise of a codec that an input breaks. */
export function promise(kept: boolean, what: string): void {
  if (!kept) throw new Error(`broken promise: ${what}`);
}

/** The promise that two values are the same, however deep. */
export function promiseSame(actual: unknown, expected: unknown, what: string): void {
  try {
    deepStrictEqual(actual, expected);
  } catch (cause) {
    throw new Error(`broken promise: ${what}: ${cause instanceof Error ? cause.message : ''}`, {cause});
  }
}

/** Chance that depends on the input alone, so that an input fails always or never (FNV-1a). */
export function randomOf(input: Uint8Array): Random {
  let hash = 0x811c9dc5;
  for (const byte of input) hash = Math.imul(hash ^ byte, 0x01000193);
  return seededRandom(hash);
}

/** Ways to cut an input: not at all, octet by octet (short ones), anywhere. */
export function cutsOf(input: Buffer, random: Random): readonly (readonly Buffer[])[] {
  const cut = (length: () => number): Buffer[] => {
    const pieces = [];
    for (let at = 0; at < input.length;) {
      const to = Math.min(input.length, at + length());
      pieces.push(input.subarray(at, to));
      at = to;
    }
    return pieces;
  };
  return [
    [input],
    ...(input.length <= 2048 ? [cut(() => 1)] : []),
    cut(() => 1 + random.below(16)),
    cut(() => 1 + random.below(4096)),
  ];
}

/** A number as the shape of an input has it: exact where small. */
export function few(count: number): number {
  return count <= 4 ? count : 4 + Math.floor(Math.log2(count / 4));
}
