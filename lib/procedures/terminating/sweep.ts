import type {Timer} from '../../ports/clock.ts';
import type {Context} from '../context.ts';
import {notifySender} from '../made-notification.ts';

const batchSize = 100;

/**
 * Looks for messages whose lifetime is over, tells their senders who asked for it and releases them as expired, and forgets the identities of
 * those settled long ago (T26), and what was recorded longer ago still. Runs until `stop`; a sweep that the absent store breaks is repeated at its next time.
 * @clause CPM-CF 8.3.2.9 A21
 */
export function startSweep(
  context: Pick<Context, 'store' | 'clock' | 'log' | 'policy' | 'users' | 'ids' | 'deliveries' | 'hooks'>,
): {stop(): void} {
  const {store, clock, log, policy} = context;
  let timer: Timer;

  async function sweep(): Promise<void> {
    for (;;) {
      const over = await store.deferredQueue.expired(clock.now(), batchSize);
      if (over.length === 0) break;
      for (const message of over) await notifySender(context, message, 'failed');
      await store.deferredQueue.settle(
        over.map(({id}) => id),
        'expired',
        clock.now(),
      );
      log.info({clause: 'CPM-CF 8.3.2.9', expired: over.length}, 'deferred messages have expired');
    }

    await store.deferredQueue.forgetSettled(clock.now() - policy.settledRetention);
    const {recordedRetention} = policy;
    if (recordedRetention === undefined) return;
    // Messages of a group that wait need what is known of it.
    const groupRetention = Math.max(recordedRetention, policy.deferredRetention);
    while ((await store.groupSessions.forget(clock.now() - groupRetention, batchSize)) > 0);
    while ((await store.messageStore.forget(clock.now() - recordedRetention, batchSize)) > 0);
  }

  const next = (): void => {
    timer = clock.after(policy.expirySweep, () => {
      sweep()
        .catch((error: unknown) => {
          log.warn({clause: 'CPM-CF 8.3.2.9', error}, 'a sweep of expired messages was broken off');
        })
        .finally(next);
    });
  };
  next();
  return {
    stop: () => {
      timer.cancel();
    },
  };
}
