import test from 'ava';
import fc from 'fast-check';
import {formatByteRange, parseByteRange} from '../../../lib/codecs/msrp/byte-range.ts';

test('RFC 4975 §7.1.1: Byte-Range is start-end/total, end and total may be unknown', (t) => {
  t.deepEqual(parseByteRange(Buffer.from('1-39/39')), {start: 1, end: 39, total: 39});
  t.deepEqual(parseByteRange(Buffer.from('2049-*/65536')), {start: 2049, end: undefined, total: 65_536});
  t.deepEqual(parseByteRange(Buffer.from('1-*/*')), {start: 1, end: undefined, total: undefined});
  t.deepEqual(parseByteRange(Buffer.from('1-0/0')), {start: 1, end: 0, total: 0});
});

test('RFC 4975 §7.1.1: what is no Byte-Range is not read', (t) => {
  for (const text of [
    '',
    '1',
    '1-',
    '1-5',
    '1-5/',
    '0-5/5',
    '*-5/5',
    '5-3/9',
    '1-5/5 ',
    '1-5/5x',
    '-1-5/5',
    '9999999999999999-*/*',
  ]) {
    t.is(parseByteRange(Buffer.from(text)), undefined, text);
  }
});

test('RFC 4975 §7.1.1: every Byte-Range is read as it was written', (t) => {
  const count = fc.nat({max: 2 ** 48});
  fc.assert(
    fc.property(
      count,
      fc.option(count, {nil: undefined}),
      fc.option(count, {nil: undefined}),
      (from, length, total) => {
        const range = {start: from + 1, end: length === undefined ? undefined : from + length, total};
        t.deepEqual(parseByteRange(Buffer.from(formatByteRange(range))), range);
      },
    ),
  );
});
