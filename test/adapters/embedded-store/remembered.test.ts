import test from 'ava';
import {remembered} from '../../../lib/adapters/embedded-store/remembered.ts';
import type {Registration, Registrations} from '../../../lib/ports/registrations.ts';

const user = 'tel:+15550102';
const other = 'sip:bob@home.example';

const registration = (expiresAt: number): Registration => ({
  servedUser: user,
  identities: [user, other],
  contacts: [],
  servingNode: undefined,
  expiresAt,
});

/** A file that answers when it is let, and counts what it is asked. */
function slowFile() {
  let stored: Registration | undefined;
  const asked: string[] = [];
  const waiting: (() => void)[] = [];
  const later = <T>(what: string, value: () => T): Promise<T> => {
    asked.push(what);
    // What a read finds is what is there when it is asked.
    const found = value();
    return new Promise((resolve) =>
      waiting.push(() => {
        resolve(found);
      }),
    );
  };
  const file: Registrations = {
    put: (next) => later('put', () => void (stored = next)),
    get: () => later('get', () => stored),
    remove: () => later('remove', () => void (stored = undefined)),
    servedUserOf: () => later('servedUserOf', () => stored?.servedUser),
    identitiesOf: () => later('identitiesOf', () => stored?.identities ?? []),
  };
  const answer = <T>(promise: Promise<T>): Promise<T> => {
    for (const each of waiting.splice(0)) each();
    return promise;
  };
  return {file, asked, answer};
}

test('8.3.2.9.1.2: what the file said of a user, and that it knows nothing of him, is asked once', async (t) => {
  const {file, asked, answer} = slowFile();
  const store = remembered(file, () => true);
  t.is(await answer(store.get(user)), undefined);
  t.is(await answer(store.servedUserOf(other)), undefined);
  t.is(await store.get(user), undefined);
  t.is(await store.servedUserOf(other), undefined);
  t.deepEqual(asked, ['get', 'servedUserOf']);
});

test('8.3.2.9.1.2: a registration, and its end, are seen at once by who asks after it', async (t) => {
  const {file, answer} = slowFile();
  const store = remembered(file, () => true);
  await answer(store.get(user));
  await answer(store.servedUserOf(other));
  await answer(store.put(registration(1)));
  t.is((await answer(store.get(user)))?.expiresAt, 1);
  t.is(await answer(store.servedUserOf(other)), user);
  await answer(store.put(registration(2)));
  t.is((await answer(store.get(user)))?.expiresAt, 2);
  await answer(store.remove(user));
  t.is(await answer(store.get(user)), undefined);
});

test('8.3.2.9.1.2: what was read while a registration was being written is not remembered', async (t) => {
  const {file, answer} = slowFile();
  const store = remembered(file, () => true);
  const before = store.get(user);
  const put = store.put(registration(1));
  const during = store.get(user);
  await answer(Promise.all([before, put, during]));
  t.is((await answer(store.get(user)))?.expiresAt, 1);
});

test('8.3.2.9.1.2: while the file is away nothing is said from memory', async (t) => {
  const {file, asked, answer} = slowFile();
  let available = true;
  const store = remembered(file, () => available);
  await answer(store.get(user));
  available = false;
  await answer(store.get(user));
  t.deepEqual(asked, ['get', 'get']);
});
