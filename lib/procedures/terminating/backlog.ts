import type {DeferredMessage} from '../../cpm/deferred-message.ts';
import type {Leg, SendOutcome} from '../../ports/media-plane.ts';
import type {Context} from '../context.ts';
import type {UserLease} from './deliveries.ts';

/** How sending a sender's backlog ended: all of it was offered, or the client's leg can take no more. */
export interface BacklogResult {
  readonly end: 'empty' | 'broken';
  /** Messages that the client's side will not take (type, size); they stay queued. */
  readonly skipped: number;
  readonly sent: number;
  /** imdn.Message-IDs of those whose delivery notification is to come. */
  readonly awaited: readonly string[];
  /** Sequence of the last one offered: from where to go on. */
  readonly afterSequence: number | undefined;
}

/** Enough in flight to fill a mobile link, little enough to repeat after a break. */
const windowMessages = 32;
const windowBytes = 4 * 1024 * 1024;

/**
 * Sends what waits for the user from one sender through a leg, in order of arrival, until nothing is queued any more: what arrives
 * meanwhile is sent, too (T25). The 200 to a message's last chunk makes it `sent`, or releases it where no word about it can come.
 * @clause CPM-CF 8.3.2.9.1.1 A13 A21
 */
export async function sendBacklog(
  {store, clock, log}: Pick<Context, 'store' | 'clock' | 'log'>,
  leg: Leg,
  servedUser: string,
  sender: string,
  lease: UserLease,
  from?: number,
): Promise<BacklogResult> {
  let afterSequence = from;
  let skipped = 0;
  let sent = 0;
  const awaited: string[] = [];
  while (lease.held) {
    const batch = await store.deferredQueue.next(servedUser, sender, {
      afterSequence,
      limit: windowMessages,
      maxBytes: windowBytes,
    });
    if (batch.length === 0) return {end: 'empty', skipped, sent, awaited, afterSequence};
    const outcomes = await Promise.all(batch.map(async (message) => leg.send(message)));
    const taken = batch.filter((_, index) => isTaken(outcomes[index]));
    await record(taken, store, clock.now());
    sent += taken.length;
    awaited.push(...taken.filter(isNotificationAwaited).map(({imdnMessageId}) => imdnMessageId ?? ''));
    for (const [index, outcome] of outcomes.entries()) {
      if (isTaken(outcome)) continue;
      const message = batch[index];
      log.info(
        {clause: 'CPM-CF 8.3.2.9.1.1 A13', ...conversation(message), outcome: outcomeText(outcome)},
        'a deferred message was not taken; it stays queued',
      );
      if (!isRefusedAlone(outcome)) return {end: 'broken', skipped, sent, awaited, afterSequence};
      skipped += 1;
    }

    afterSequence = batch.at(-1)?.sequence;
  }

  return {end: 'broken', skipped, sent, awaited, afterSequence};
}

const outcomeText = (outcome: SendOutcome): string =>
  outcome.kind === 'answered' ? String(outcome.status) : outcome.kind;

const isTaken = (outcome: SendOutcome | undefined): boolean => outcome?.kind === 'answered' && outcome.status === 200;

/** The peer did not want this message, but goes on with the session (RFC 4975 §10: 413, 415). */
const isRefusedAlone = (outcome: SendOutcome): boolean =>
  outcome.kind === 'not-admitted' || (outcome.kind === 'answered' && [400, 403, 413, 415].includes(outcome.status));

const conversation = (message: DeferredMessage | undefined): {conversationId?: string; contributionId?: string} =>
  message === undefined
    ? {}
    : {conversationId: message.session.conversationId, contributionId: message.session.contributionId};

async function record(taken: readonly DeferredMessage[], store: Context['store'], at: number): Promise<void> {
  const awaited = taken.filter(isNotificationAwaited).map((message) => message.id);
  const over = taken.filter((message) => !isNotificationAwaited(message)).map((message) => message.id);
  if (awaited.length > 0) await store.deferredQueue.markSent(awaited, at);
  if (over.length > 0) await store.deferredQueue.settle(over, 'delivered', at);
}

/** Whether the client will say that it has the message: then that, and not the MSRP 200, releases it (row A21). */
const isNotificationAwaited = (message: DeferredMessage): boolean =>
  message.kind === 'chat' && message.imdnMessageId !== undefined && message.dispositions.includes('positive-delivery');
