import test from 'ava';
import {CpmError} from '../../../lib/errors.ts';
import type {NewStoredObject} from '../../../lib/cpm/stored-object.ts';
import {silentLog} from '../../../lib/ports/log.ts';
import type {Store} from '../../../lib/ports/store.ts';
import {createRecorder} from '../../../lib/procedures/storage/recorder.ts';
import {newObject} from '../../contracts/message-store.ts';

const away = new CpmError('CPM_STORE_AWAY', 503, 'away');

/** A store that answers as the test says, and writes down what it was given; time passes at once. */
function recording(answer: (objects: readonly NewStoredObject[]) => CpmError | undefined) {
  const puts: string[][] = [];
  let available = true;
  const store = {
    messageStore: {
      put(objects: readonly NewStoredObject[]) {
        puts.push(objects.map(({imdnMessageId}) => imdnMessageId));
        const error = answer(objects);
        available = error?.code !== 'CPM_STORE_AWAY';
        return error === undefined ? Promise.resolve([]) : Promise.reject(error);
      },
    },
    get available() {
      return available;
    },
    onAvailability: () => undefined,
  } as unknown as Store;
  const clock = {
    now: () => 1,
    after(_: number, fire: () => void) {
      const timer = setImmediate(fire);
      return {
        cancel: () => {
          clearImmediate(timer);
        },
      };
    },
  };
  return {recorder: createRecorder({store, clock, log: silentLog}), puts};
}

const object = (id: string, bytes = 10): NewStoredObject => newObject({imdnMessageId: id, bytes: Buffer.alloc(bytes)});

test('8.5.2: what is recorded goes to the store in order, what waited meanwhile in one write', async (t) => {
  const {recorder, puts} = recording(() => undefined);
  const stored = ['a', 'b', 'c'].map(async (id) => recorder.put(object(id)).stored);
  t.deepEqual(await Promise.all(stored), [true, true, true]);
  t.deepEqual(puts.flat(), ['a', 'b', 'c']);
  t.true(puts.length <= 2);
});

test('8.5.2: while the store is away all that fits waits, is tried again, and comes in order', async (t) => {
  let failures = 3;
  const {recorder, puts} = recording(() => ((failures -= 1) < 0 ? undefined : away));
  const both = [recorder.put(object('a')), recorder.put(object('b'))];
  await Promise.all(both.map(async ({room}) => room));
  t.deepEqual(await Promise.all(both.map(async ({stored}) => stored)), [true, true]);
  t.deepEqual([...new Set(puts.flat())], ['a', 'b']);
});

test('8.5.2: beyond its bound nothing more waits for a store that is away, and nobody is held up', async (t) => {
  const {recorder} = recording(() => away);
  const large = Array.from({length: 65}, (_, index) => recorder.put(object(String(index), 1024 * 1024)));
  await Promise.all(large.map(async ({room}) => room));
  t.false(await large.at(-1)?.stored);
  await recorder.close();
  t.deepEqual(new Set(await Promise.all(large.map(async ({stored}) => stored))), new Set([false]));
  t.false(await recorder.put(object('late')).stored);
});

test('8.5.2: while the store is slow those who record are slowed, and go on when there is room', async (t) => {
  let go: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (go = resolve));
  const store = {
    messageStore: {put: async () => held.then(() => [])},
    available: true,
    onAvailability: () => undefined,
  } as unknown as Store;
  const clock = {now: () => 1, after: () => ({cancel: () => undefined})};
  const recorder = createRecorder({store, clock, log: silentLog});
  const all = Array.from({length: 5}, (_, index) => recorder.put(object(String(index), 1024 * 1024)));
  await all[0]?.room;
  let waits = true;
  const room = all.at(-1)?.room.then(() => (waits = false));
  await new Promise((resolve) => setImmediate(resolve));
  t.true(waits);
  go();
  await room;
  t.deepEqual(await Promise.all(all.map(async ({stored}) => stored)), [true, true, true, true, true]);
});

test('8.5.2: an object that the store cannot take is given up after a few attempts, and takes no other with it', async (t) => {
  const fault = new CpmError('CPM_STORE_FAULT', 500, 'no');
  const {recorder} = recording((objects) =>
    objects.some(({imdnMessageId}) => imdnMessageId === 'bad') ? fault : undefined,
  );
  const all = ['a', 'bad', 'b'].map(async (id) => recorder.put(object(id)).stored);
  t.deepEqual(await Promise.all(all), [true, false, true]);
});
