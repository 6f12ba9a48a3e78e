import test from 'ava';
import type {Hooks} from '../../lib/hooks/lifecycle.ts';
import {observedStore} from '../../lib/hooks/observed-store.ts';
import type {DeferredQueue} from '../../lib/ports/deferred-queue.ts';
import type {Store} from '../../lib/ports/store.ts';

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
  t.is(observedStore(store, {}), store);
  t.is(observedStore(store, {afterDefer: () => undefined}), store);
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
  const {deferredQueue} = observedStore(store, {afterDelivered: (view) => void told.push(view)});
  await t.throwsAsync(deferredQueue.settle(['1'], 'delivered', 1), {message: 'away'});
  t.deepEqual(told, []);
});
