import type {Context} from '../context.ts';
import type {Membership} from './membership.ts';

const batch = 500;
const batchBytes = 4 * 1024 * 1024;

/**
 * Drops everything that waits for the user of one group: messages, notifications, states. Those of other groups and senders stay.
 * @clause CPM-CF 8.3.2.9.1.2 C5 C11
 */
export async function discardDeferred(
  {store, clock, log}: Pick<Context, 'store' | 'clock' | 'log'>,
  {servedUser, sender, label}: Membership,
): Promise<void> {
  const {deferredQueue} = store;
  let discarded = 0;
  try {
    for (;;) {
      const queued = await deferredQueue.next(servedUser, sender, {
        limit: batch,
        maxBytes: batchBytes,
        afterSequence: undefined,
      });
      const sent = queued.length > 0 ? [] : await deferredQueue.sentUnconfirmed(servedUser, sender, batch);
      const ids = [...queued, ...sent].map(({id}) => id);
      if (ids.length === 0) break;
      await deferredQueue.settle(ids, 'dropped', clock.now(), {answer: 'the user left the group'});
      discarded += ids.length;
    }

    log.info({...label, clause: 'CPM-CF 8.3.2.9.1.2', discarded}, 'what waited of a group is discarded');
  } catch (error) {
    log.warn({...label, error, discarded}, 'what waits of a group could not be discarded; it expires');
  }
}
