import type {Clock} from '../ports/clock.ts';
import type {DeferredQueue, Selection, TracePage} from '../ports/deferred-queue.ts';
import type {Store} from '../ports/store.ts';
import type {Hooks} from './lifecycle.ts';

type Settle = Parameters<DeferredQueue['settle']>;

const toldAs = {
  delivered: 'afterDelivered',
  expired: 'afterExpired',
  failed: 'afterFailed',
  dropped: 'afterFailed',
} as const satisfies Record<Settle[1], keyof Hooks>;

/** So many messages are dropped at a time: a transaction of the store stays short. */
const batch = 500;

/**
 * The store, and plugins that are told of each message that is released from it, whatever released it: an erasure drops what waits first. Without
 * such plugins the store itself.
 */
export function observedStore(store: Store, hooks: Hooks, clock: Pick<Clock, 'now'>): Store {
  if (Object.values(toldAs).every((name) => hooks[name] === undefined)) return store;
  const {deferredQueue, registrations} = store;
  const queue: DeferredQueue = {
    ...deferredQueue,
    async settle(...args: Settle) {
      const [, how] = args;
      const released = await deferredQueue.settle(...args);
      for (const message of released) hooks[toldAs[how]]?.({...message, how});
      return released;
    },
  };

  async function dropAll(selection: Selection): Promise<void> {
    for (let after: TracePage['after']; ;) {
      const page = await queue.trace(selection, {after, limit: batch, pendingOnly: true});
      const ids = page.map(({id}) => id);
      if (ids.length > 0) await queue.settle(ids, 'dropped', clock.now());
      if (page.length < batch) return;
      after = page.at(-1);
    }
  }

  const erase: Store['erase'] = async (servedUser) => {
    for (const value of new Set([servedUser, ...(await registrations.identitiesOf(servedUser))]))
      for (const by of ['user', 'sender'] as const) await dropAll({by, value});
    return store.erase(servedUser);
  };
  return Object.create(store, {deferredQueue: {value: queue}, erase: {value: erase}}) as Store;
}
