import {join} from 'node:path';
import test from 'ava';
import {openEmbeddedStore} from '../../lib/adapters/embedded-store/embedded-store.ts';
import type {Hooks} from '../../lib/hooks/lifecycle.ts';
import {observedStore} from '../../lib/hooks/observed-store.ts';
import type {DeferredQueue} from '../../lib/ports/deferred-queue.ts';
import type {Store} from '../../lib/ports/store.ts';
import {newMessage} from '../support/deferred-messages.ts';
import {temporaryFolder} from '../support/temporary-folder.ts';

const clock = {now: () => 7000};
const released = {id: '1', servedUser: 'tel:+2', sender: 'tel:+1', kind: 'chat', imdnMessageId: 'Message-1'} as const;

const storeThat = (settle: () => ReturnType<DeferredQueue['settle']>, available = true): Store =>
  ({
    deferredQueue: {settle, markSent: () => Promise.resolve()},
    get available() {
      return available;
    },
  }) as unknown as Store;

test('hooks: without one that is told of releases the store is the store itself', (t) => {
  const store = storeThat(() => Promise.resolve([]));
  t.is(observedStore(store, {}, clock), store);
  t.is(observedStore(store, {afterDefer: () => undefined}, clock), store);
});

test('8.3.2.9.1.1 A21: each message that the store released is told once, as what became of it', async (t) => {
  const told: unknown[] = [];
  const hooks = Object.fromEntries(
    ['afterDelivered', 'afterExpired', 'afterFailed'].map((name) => [
      name,
      (view: {how: string}) => told.push([name, view.how]),
    ]),
  ) as Hooks;
  const {deferredQueue, available} = observedStore(
    storeThat(() => Promise.resolve([released])),
    hooks,
    clock,
  );
  for (const how of ['delivered', 'expired', 'failed', 'dropped'] as const)
    t.deepEqual(await deferredQueue.settle(['1', 'gone'], how, 1), [released]);
  t.deepEqual(told, [
    ['afterDelivered', 'delivered'],
    ['afterExpired', 'expired'],
    ['afterFailed', 'failed'],
    ['afterFailed', 'dropped'],
  ]);
  t.true(available);
  await t.notThrowsAsync(deferredQueue.markSent([], 1));
});

test('8.3.2.9.1.1 A21: what the store did not release is told to nobody', async (t) => {
  const told: unknown[] = [];
  const store = storeThat(() => Promise.reject(new Error('away')));
  const {deferredQueue} = observedStore(store, {afterDelivered: (view) => void told.push(view)}, clock);
  await t.throwsAsync(deferredQueue.settle(['1'], 'delivered', 1), {message: 'away'});
  t.deepEqual(told, []);
});

test('8.3.2.9 A21: an erasure tells of each message that it drops, once, to him and from him, by whichever of his addresses, and counts as before', async (t) => {
  const store = await openEmbeddedStore({path: join(await temporaryFolder(t), 'store.db')});
  t.teardown(() => store.close());
  const told: string[] = [];
  const observed = observedStore(
    store,
    {afterFailed: ({imdnMessageId, how}) => void told.push(`${imdnMessageId ?? ''} ${how}`)},
    clock,
  );
  const [bob, other, alice, carol] = ['tel:+2', 'sip:bob@home.example', 'tel:+1', 'tel:+3'];
  const contacts = {contacts: [], servingNode: undefined, expiresAt: 9000};
  await store.registrations.put({servedUser: bob, identities: [bob, other], ...contacts});
  // More than one batch.
  const many = Array.from({length: 1100}, (_, index) =>
    newMessage({servedUser: bob, sender: alice, imdnMessageId: `To${index}`}),
  );
  const [settled] = await observed.deferredQueue.enqueue(many);
  await observed.deferredQueue.settle([settled?.id ?? ''], 'delivered', 1);
  const [sent] = await observed.deferredQueue.enqueue([
    newMessage({servedUser: other, sender: alice, imdnMessageId: 'Sent'}),
    newMessage({servedUser: carol, sender: bob, imdnMessageId: 'From'}),
    newMessage({servedUser: carol, sender: alice, imdnMessageId: 'Others'}),
  ]);
  await observed.deferredQueue.markSent([sent?.id ?? ''], 1);
  t.like(await observed.erase(bob), {messagesTo: 1101, messagesFrom: 1});
  t.deepEqual(
    told.toSorted(),
    [...many.slice(1).map(({imdnMessageId}) => imdnMessageId), 'Sent', 'From'].map((id) => `${id} dropped`).toSorted(),
  );
  t.like(await observed.deferredQueue.ledger(), {accepted: 1103, pending: 1, delivered: 1, dropped: 1101});
  t.like(await observed.erase(bob), {messagesTo: 0, messagesFrom: 0});
});
