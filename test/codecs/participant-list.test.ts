import test from 'ava';
import fc from 'fast-check';
import {fittingList} from '../../lib/codecs/participant-list.ts';
import {formatResourceLists, type ListEntry} from '../../lib/codecs/resource-lists.ts';

const octets = (entries: readonly ListEntry[]): number => Buffer.byteLength(formatResourceLists(entries));

const members = (count: number): ListEntry[] =>
  Array.from({length: count}, (_, index) => ({
    uri: `sip:+1555${String(index).padStart(4, '0')}@home.example;user=phone`,
    displayName: `Member ${index} – ${'é'.repeat(20)}`,
    copyControl: 'to',
  }));

test('8.3.2.9.1.2 C2: a list that has room goes out as it is', (t) => {
  const all = members(20);
  t.deepEqual(fittingList(all, octets(all)), {entries: all, shortened: false, omitted: 0});
});

test('8.3.2.9.1.2 C2: one octet too many, and the display names are left out, which is told', (t) => {
  const all = members(20);
  const {entries, shortened, omitted} = fittingList(all, octets(all) - 1);
  t.deepEqual(
    entries.map(({uri, displayName, copyControl}) => [uri, displayName, copyControl]),
    all.map(({uri}) => [uri, undefined, 'to']),
  );
  t.deepEqual([shortened, omitted], [true, 0]);
});

test('8.3.2.9.1.2 C2: where even that is too long the first participants stay, as many as have room', (t) => {
  const all = members(300);
  const {entries, shortened, omitted} = fittingList(all, 8000);
  t.true(octets(entries) <= 8000);
  t.true(octets(all.slice(0, entries.length + 1).map(({uri, copyControl}) => ({uri, copyControl}))) > 8000);
  t.deepEqual([shortened, omitted], [true, 300 - entries.length]);
});

test('8.3.2.9.1.2 C2: a list is never emptied: one participant stays whatever the room is', (t) => {
  t.deepEqual(fittingList(members(3), 1).entries.length, 1);
});

test('8.3.2.9.1.2 C2: for any list and any room: a beginning of it, as long as fits, and told when it is not all', (t) => {
  const entry = fc.record({uri: fc.webUrl(), displayName: fc.string({unit: 'grapheme'})});
  fc.assert(
    fc.property(fc.array(entry, {minLength: 1, maxLength: 30}), fc.nat(3000), (all, room) => {
      const {entries, shortened, omitted} = fittingList(all, room);
      t.deepEqual(
        entries.map(({uri}) => uri),
        all.slice(0, all.length - omitted).map(({uri}) => uri),
      );
      t.is(shortened, octets(all) > room);
      t.true(octets(entries) <= room || entries.length <= 1);
    }),
  );
});
