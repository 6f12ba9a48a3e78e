import type {DeferredMessage} from '../../cpm/deferred-message.ts';
import type {Note} from '../../cpm/history.ts';
import type {Context} from '../context.ts';
import {recordDelivered} from '../storage/record-session.ts';

/**
 * Writes down what a client took: it is `sent` where a word about it is to come, and released where none can (row A21).
 * @clause CPM-CF 8.3.2.9.1.1 A21
 */
export async function recordTaken(
  context: Pick<Context, 'store' | 'clock' | 'users' | 'policy' | 'log'>,
  taken: readonly DeferredMessage[],
  note: Note,
): Promise<void> {
  await recordDelivered(context, taken);
  const {store, clock} = context;
  const awaited = taken.filter(isNotificationAwaited).map(({id}) => id);
  const over = taken.filter((message) => !isNotificationAwaited(message)).map(({id}) => id);
  if (awaited.length > 0) await store.deferredQueue.markSent(awaited, clock.now(), note);
  if (over.length > 0) await store.deferredQueue.settle(over, 'delivered', clock.now(), note);
}

/** The imdn.Message-IDs of those about which a delivery notification is to come. */
export const awaitedIds = (taken: readonly DeferredMessage[]): readonly string[] =>
  taken.filter(isNotificationAwaited).map(({imdnMessageId}) => imdnMessageId ?? '');

/** Whether the client will say that it has the message: then that, and not the 200, releases it (row A21). */
const isNotificationAwaited = ({kind, imdnMessageId, dispositions}: DeferredMessage): boolean =>
  kind === 'chat' && imdnMessageId !== undefined && dispositions.includes('positive-delivery');
