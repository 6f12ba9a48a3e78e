import {join} from 'node:path';
import {setTimeout} from 'node:timers/promises';
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {openEmbeddedStore} from '../../../lib/adapters/embedded-store/embedded-store.ts';
import {CpmError} from '../../../lib/errors.ts';
import {systemClock} from '../../../lib/ports/clock.ts';
import {silentLog} from '../../../lib/ports/log.ts';
import type {Registration} from '../../../lib/ports/registrations.ts';
import type {Store} from '../../../lib/ports/store.ts';
import {createServedUsers, type ServedUsers} from '../../../lib/procedures/registration/served-users.ts';
import {newObject} from '../../contracts/message-store.ts';
import {newMessage} from '../../support/deferred-messages.ts';
import {newGroup} from '../../support/group-sessions.ts';
import {temporaryFolder} from '../../support/temporary-folder.ts';

const bob = 'tel:+15550102';
const registered = (): Registration => ({
  servedUser: bob,
  identities: [bob, 'sip:robert@home.example'],
  contacts: [],
  servingNode: undefined,
  expiresAt: Date.now() + 600_000,
});

interface Network {
  away: boolean;
  /** Name of a call that fails alone. */
  fails: string | undefined;
}

/** Served users on an embedded store, which can be out of reach. */
async function setUp(
  t: ExecutionContext,
  onJoin?: (store: Store, other: string) => Promise<void>,
): Promise<{users: ServedUsers; store: Store; network: Network}> {
  const real = await openEmbeddedStore({path: join(await temporaryFolder(t), 'store.db')});
  t.teardown(() => real.close());
  const network: Network = {away: false, fails: undefined};
  const unreliable = <Port extends object>(port: Port): Port =>
    new Proxy(port, {
      get(target, name) {
        const method = Reflect.get(target, name) as (...values: unknown[]) => Promise<unknown>;
        return async (...values: unknown[]) => {
          if (network.away || name === network.fails) throw new CpmError('CPM_STORE_AWAY', 503, 'the store is away');
          return method.apply(target, values);
        };
      },
    });
  const store = {...real, registrations: unreliable(real.registrations), groupSessions: unreliable(real.groupSessions)};
  const rules = {
    users: [['sip:+15550102@home.example;user=phone', 'sip:bob@home.example']],
    domains: ['Home.example'],
    numberPrefixes: ['+1555'],
    deferralOf: () => true,
    allowsOfflineStorage: () => false,
  };
  const users = createServedUsers({
    ...{rules, store, clock: systemClock, log: silentLog},
    onJoin: async (other) => onJoin?.(real, other),
  });
  return {users, store: real, network};
}

test('TS 24.229 §5.4.1.7: configured identities, domains and number ranges lead to their user, others to nobody', async (t) => {
  const {users} = await setUp(t);
  t.is(await users.resolve('sip:bob@home.example'), bob);
  t.is(await users.resolve('tel:+1-555-0102'), bob);
  t.is(await users.resolve('sip:+15550199@elsewhere.example;user=phone'), 'tel:+15550199');
  t.is(await users.resolve('sip:robert@home.example'), 'sip:robert@home.example');
  t.is(await users.resolve('sip:eve@elsewhere.example'), undefined);
  t.is(await users.resolve('mailto:bob@home.example'), undefined);
});

test('8.3.2.9.1.2 C1: what a registration taught stays known after it is over', async (t) => {
  const {users} = await setUp(t);
  await users.learn(registered());
  t.is(await users.resolve('sip:robert@home.example'), bob);
  t.truthy(await users.registration(bob));
  await users.forget(bob);
  t.is(await users.registration(bob), undefined);
  t.is(await users.resolve('sip:robert@home.example'), bob);
});

test('8.3.2.9.1.2 T36: a registration that makes two keys one user brings their messages, records and groups together', async (t) => {
  const {users, store} = await setUp(t);
  const robert = 'sip:robert@home.example';
  await store.deferredQueue.enqueue([newMessage({servedUser: robert})]);
  await store.groupSessions.put(newGroup({servedUser: robert}));
  await store.messageStore.put([newObject({servedUser: robert})], 1);
  await users.learn(registered());
  t.deepEqual(await store.deferredQueue.usersPending(undefined, 9), [bob]);
  t.deepEqual(await store.groupSessions.ofUser(bob, {limit: 9}), [newGroup({servedUser: bob})]);
  t.is((await store.messageStore.folders(bob, {limit: 9})).length, 1);
});

test('8.3.2.9.1.2 T36: what is still being kept under the other key is awaited, and moves with the rest', async (t) => {
  const {users, store} = await setUp(t, async (real, other) => {
    await setTimeout(20);
    await real.deferredQueue.enqueue([newMessage({servedUser: other})]);
  });
  await users.learn(registered());
  t.deepEqual(await store.deferredQueue.usersPending(undefined, 9), [bob]);
});

test('8.3.2.9.1.2 T36: a store that goes away while keys join leaves the rest of it to the next attempt', async (t) => {
  const {users, store, network} = await setUp(t);
  const robert = 'sip:robert@home.example';
  await store.groupSessions.put(newGroup({servedUser: robert}));
  network.fails = 'adopt';
  await users.learn(registered());
  t.is((await store.groupSessions.ofUser(bob, {limit: 9})).length, 0);
  network.fails = undefined;
  await users.flush();
  t.is((await store.groupSessions.ofUser(bob, {limit: 9})).length, 1);
  t.is((await store.registrations.get(bob))?.servedUser, bob);
});

test('8.3.2.9.1.2 C1: while the store is away a registration is remembered, and written when it is back', async (t) => {
  const {users, store, network} = await setUp(t);
  network.away = true;
  await users.learn(registered());
  t.truthy(await users.registration(bob));
  t.is(await users.resolve('sip:robert@home.example'), bob);
  t.is(await store.registrations.get(bob), undefined);
  network.away = false;
  await users.flush();
  t.is((await store.registrations.get(bob))?.servedUser, bob);
});

test('8.3.2.9.1.2 T37: a de-registration while the store is away counts at once, and is written when it is back', async (t) => {
  const {users, store, network} = await setUp(t);
  await users.learn(registered());
  network.away = true;
  await users.forget(bob);
  t.is(await users.registration(bob), undefined);
  network.away = false;
  await users.flush();
  t.deepEqual((await store.registrations.get(bob))?.contacts ?? [], []);
  t.is(await users.registration(bob), undefined);
});
