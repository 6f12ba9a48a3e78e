import type {DeferredQueue} from '../ports/deferred-queue.ts';
import type {Store} from '../ports/store.ts';
import type {Hooks} from './lifecycle.ts';

type Settle = Parameters<DeferredQueue['settle']>;

const toldAs = {
  delivered: 'afterDelivered',
  expired: 'afterExpired',
  failed: 'afterFailed',
  dropped: 'afterFailed',
} as const satisfies Record<Settle[1], keyof Hooks>;

/** The store, and plugins that are told of each message that is released from it, whatever released it. Without such plugins the store itself. */
export function observedStore(store: Store, hooks: Hooks): Store {
  if (Object.values(toldAs).every((name) => hooks[name] === undefined)) return store;
  const {deferredQueue} = store;
  const queue: DeferredQueue = {
    ...deferredQueue,
    async settle(...args: Settle) {
      const [, how] = args;
      const released = await deferredQueue.settle(...args);
      for (const message of released) hooks[toldAs[how]]?.({...message, how});
      return released;
    },
  };
  return Object.create(store, {deferredQueue: {value: queue}}) as Store;
}
