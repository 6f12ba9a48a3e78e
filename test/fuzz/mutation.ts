/** Makes new inputs of known ones: wrong in few places, so that they get past the first look. */
import type {Random} from '../support/random.ts';

/** Octets of the longest input of all; a target may bound its own closer. */
const largestInput = 300_000;

const numbers = [
  '0',
  '-1',
  '00',
  '1',
  '65535',
  '65536',
  '2147483647',
  '2147483648',
  '4294967296',
  '9007199254740993',
  '1e9',
  '999999999999999',
  '9999999999999999999999',
  '*',
];
const words = [
  '\r\n',
  '\n',
  '\r',
  '\r\n\r\n',
  '\r\n ',
  '\r\n\t',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '=',
  '"',
  '\\',
  '<',
  '>',
  '@',
  '/',
  '%',
  '%00',
  '%zz',
  '[',
  ']',
  '--',
  '&',
  '&#0;',
  '\u2028',
  '\u00e9',
  '😀',
  '__proto__',
  'constructor',
  'toString',
];
/** Broken UTF-8: a lone continuation, a cut sequence, an overlong one, half of a surrogate pair, beyond U+10FFFF, a byte order mark. */
const encodings = ['80', 'e282', 'c080', 'eda080', 'f4908080', 'ff', 'efbbbf'].map((hex) => Buffer.from(hex, 'hex'));

type Mutation = (input: Buffer, random: Random, others: Others) => Buffer;

interface Others {
  readonly pool: readonly Buffer[];
  readonly dictionary: readonly string[];
}

/** A new input; the same random numbers and the same others give the same one. */
export function mutate(random: Random, others: Others): Buffer {
  let input = pick(random, others.pool);
  for (let left = 1 + random.below(random.below(4) === 0 ? 12 : 3); left > 0; left -= 1)
    input = pick(random, mutations)(input, random, others).subarray(0, largestInput);
  return Buffer.from(input);
}

function pick<T>(random: Random, from: readonly T[]): T {
  const one = from[random.below(from.length)];
  if (one === undefined) throw new RangeError('there is nothing to pick from');
  return one;
}

function spliced(input: Buffer, from: number, to: number, between: Uint8Array): Buffer {
  return Buffer.concat([input.subarray(0, from), between, input.subarray(to)]);
}

/** A piece somewhere in the input, mostly a short one. */
function piece(input: Buffer, random: Random): readonly [number, number] {
  const from = random.below(input.length + 1);
  const longest = random.below(4) === 0 ? input.length : 16;
  return [from, Math.min(input.length, from + random.below(longest + 1))];
}

/** Matches of a pattern, as places; an input without any gives an empty place. */
function match(input: Buffer, random: Random, pattern: RegExp): readonly [number, number] {
  const found = [...input.toString('latin1', 0, 65_536).matchAll(pattern)];
  const one = found[random.below(Math.max(1, found.length))];
  return one === undefined ? [0, 0] : [one.index, one.index + one[0].length];
}

const line = /[^\n]*\n|[^\n]+$/g;

const mutations: readonly Mutation[] = [
  function flip(input, random) {
    const at = random.below(Math.max(1, input.length));
    return spliced(input, at, at + 1, Buffer.of((input[at] ?? 0) ^ (1 << random.below(8))));
  },
  function octet(input, random) {
    const [from] = piece(input, random);
    return spliced(input, from, from + random.below(2), Buffer.of(random.below(256)));
  },
  function cut(input, random) {
    return input.subarray(0, random.below(input.length + 1));
  },
  function drop(input, random) {
    return spliced(input, ...piece(input, random), Buffer.of());
  },
  function double(input, random) {
    const [from, to] = piece(input, random);
    return spliced(input, from, from, input.subarray(from, to));
  },
  function word(input, random, {dictionary}) {
    const [from, to] = piece(input, random);
    const text = pick(random, random.below(2) === 0 && dictionary.length > 0 ? dictionary : words);
    return spliced(input, from, random.below(2) === 0 ? from : to, Buffer.from(text));
  },
  function wordForWord(input, random, {dictionary}) {
    return spliced(input, ...match(input, random, /[\w.+-]+/g), Buffer.from(pick(random, [...dictionary, ...words])));
  },
  function number(input, random) {
    return spliced(input, ...match(input, random, /\d+/g), Buffer.from(pick(random, numbers)));
  },
  function encoding(input, random) {
    const [from] = piece(input, random);
    return spliced(input, from, from, pick(random, encodings));
  },
  function lineEnd(input, random) {
    return spliced(
      input,
      ...match(input, random, /\r\n/g),
      Buffer.from(pick(random, ['\n', '\r', '\r\r\n', '\r\n\r\n', ' \r\n', '\r\n ', ''])),
    );
  },
  function lineAgain(input, random) {
    const [from, to] = match(input, random, line);
    const [at] = match(input, random, line);
    return spliced(input, at, at, input.subarray(from, to));
  },
  function lineGone(input, random) {
    return spliced(input, ...match(input, random, line), Buffer.of());
  },
  function cross(input, random, {pool}) {
    const other = pick(random, pool);
    return Buffer.concat([
      input.subarray(0, random.below(input.length + 1)),
      other.subarray(random.below(other.length + 1)),
    ]);
  },
  function follow(input, random, {pool}) {
    return Buffer.concat([input, pick(random, pool)]);
  },
  function many(input, random) {
    const [from, to] = random.below(2) === 0 ? match(input, random, line) : piece(input, random);
    const one = input.subarray(from, Math.min(to, from + 512));
    const times = pick(random, [2, 10, 64, 300, random.below(40) === 0 ? 20_000 : 1000]);
    const most = Math.floor(largestInput / Math.max(1, one.length));
    return spliced(input, from, from, Buffer.concat(Array.from({length: Math.min(times, most)}, () => one)));
  },
  function nest(input, random) {
    // A piece in itself, from both sides: elements in elements, parts in parts.
    const [from, to] = piece(input, random);
    const times = pick(random, [2, 5, 40, 400]);
    const middle = from + random.below(to - from + 1);
    const repeat = (one: Uint8Array) => Buffer.concat(Array.from({length: times}, () => one));
    return spliced(
      input,
      from,
      to,
      Buffer.concat([repeat(input.subarray(from, middle)), repeat(input.subarray(middle, to))]),
    );
  },
];
