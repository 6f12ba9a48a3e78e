import type {DeferredMessage} from '../../cpm/deferred-message.ts';
import type {Note} from '../../cpm/history.ts';
import type {Hooks} from '../../hooks/lifecycle.ts';
import {viewOfMessage} from '../../hooks/views.ts';
import type {LogFields} from '../../ports/log.ts';
import type {Leg, SendOutcome} from '../../ports/media-plane.ts';
import type {Context} from '../context.ts';
import {notifySender} from '../made-notification.ts';
import type {UserLease} from './deliveries.ts';

/** How sending a sender's backlog ended: all of it was offered, or the client's leg can take no more. */
export interface BacklogResult {
  readonly end: 'empty' | 'broken';
  /** Messages that the client's side will not take (type, size) and that stay queued. */
  readonly skipped: number;
  readonly sent: number;
  /** imdn.Message-IDs of those whose delivery notification is to come. */
  readonly awaited: readonly string[];
  /** Sequence of the last one offered: from where to go on. */
  readonly afterSequence: number | undefined;
}

/** Two of these are on their way at a time: enough to fill a mobile link, little enough to repeat after a break. */
const batchMessages = 32;
const batchBytes = 2 * 1024 * 1024;

interface Batch {
  readonly messages: readonly DeferredMessage[];
  readonly outcomes: Promise<readonly SendOutcome[]>;
}

/**
 * Sends what waits for the user from one sender through a leg, in order of arrival, until nothing is queued any more: what arrives
 * meanwhile is sent, too (T25). The 200 to a message's last chunk makes it `sent`, or releases it where no word about it can come.
 * @clause CPM-CF 8.3.2.9.1.1 A13 A21
 */
export async function sendBacklog(
  context: Context,
  leg: Leg,
  servedUser: string,
  sender: string,
  lease: UserLease,
  from?: number,
): Promise<BacklogResult> {
  const {store, clock, log, policy, hooks} = context;
  let afterSequence = from;
  let skipped = 0;
  let sent = 0;
  let broken = false;
  const awaited: string[] = [];
  const underWay: Batch[] = [];

  /** The next batch is read and sent while the one before it is still on its way. */
  async function sendNext(): Promise<boolean> {
    const window = {afterSequence, limit: batchMessages, maxBytes: batchBytes};
    const waiting = await store.deferredQueue.next(servedUser, sender, window);
    const messages = hooks.beforeSend === undefined ? waiting : await admitted(waiting, hooks.beforeSend);
    if (messages.length < waiting.length) broken = true;
    if (messages.length === 0) return false;
    afterSequence = messages.at(-1)?.sequence;
    underWay.push({messages, outcomes: Promise.all(messages.map(async (message) => leg.send(message)))});
    return true;
  }

  async function finish({messages, outcomes}: Batch): Promise<void> {
    const results = await outcomes;
    const taken = messages.filter((_, index) => isTaken(results[index]));
    await record(taken, store, clock.now(), {answer: 'MSRP 200', session: leg.id});
    sent += taken.length;
    awaited.push(...taken.filter(isNotificationAwaited).map(({imdnMessageId}) => imdnMessageId ?? ''));
    for (const [index, outcome] of results.entries()) {
      if (isTaken(outcome)) continue;
      const message = messages[index];
      const where = {
        clause: 'CPM-CF 8.3.2.9.1.1 A13',
        ...conversation(message),
        outcome: outcomeText(outcome),
      };
      if (!isRefusedAlone(outcome)) broken = true;
      else if (message !== undefined && policy.failsNotAdmitted) await fail(message, where);
      else skipped += 1;
      if (message !== undefined) await noteRefused(message, where.outcome);
      if (broken || !policy.failsNotAdmitted) log.info(where, 'a deferred message was not taken; it stays queued');
    }
  }

  const noteRefused = async (message: DeferredMessage, outcome: string): Promise<void> =>
    store.deferredQueue.noteRefused([message.id], clock.now(), {answer: outcome, session: leg.id});

  async function fail(message: DeferredMessage, where: LogFields): Promise<void> {
    await notifySender(context, message, 'failed');
    await store.deferredQueue.settle([message.id], 'failed', clock.now());
    log.info(where, 'a deferred message was not taken; it has failed');
  }

  const goesOn = (): boolean => lease.held && !broken;
  for (;;) {
    while (goesOn() && underWay.length < 2 && (await sendNext()));
    const oldest = underWay.shift();
    if (oldest === undefined) break;
    await finish(oldest);
  }

  return {end: goesOn() ? 'empty' : 'broken', skipped, sent, awaited, afterSequence};
}

/** What plugins let go now: up to the first one that is to wait, as nothing overtakes it. */
async function admitted(
  messages: readonly DeferredMessage[],
  beforeSend: NonNullable<Hooks['beforeSend']>,
): Promise<readonly DeferredMessage[]> {
  for (const [index, message] of messages.entries()) {
    if ((await beforeSend({...viewOfMessage(message), id: message.id})) === 'later') return messages.slice(0, index);
  }

  return messages;
}

const outcomeText = (outcome: SendOutcome): string =>
  outcome.kind === 'answered' ? `MSRP ${outcome.status}` : outcome.kind;

const isTaken = (outcome: SendOutcome | undefined): boolean => outcome?.kind === 'answered' && outcome.status === 200;

/** The peer did not want this message, but goes on with the session (RFC 4975 §10: 413, 415). */
const isRefusedAlone = (outcome: SendOutcome): boolean =>
  outcome.kind === 'not-admitted' || (outcome.kind === 'answered' && [400, 403, 413, 415].includes(outcome.status));

const conversation = (message: DeferredMessage | undefined): {conversationId?: string; contributionId?: string} =>
  message === undefined
    ? {}
    : {conversationId: message.session.conversationId, contributionId: message.session.contributionId};

async function record(
  taken: readonly DeferredMessage[],
  store: Context['store'],
  at: number,
  note: Note,
): Promise<void> {
  const awaited = taken.filter(isNotificationAwaited).map((message) => message.id);
  const over = taken.filter((message) => !isNotificationAwaited(message)).map((message) => message.id);
  if (awaited.length > 0) await store.deferredQueue.markSent(awaited, at, note);
  if (over.length > 0) await store.deferredQueue.settle(over, 'delivered', at, note);
}

/** Whether the client will say that it has the message: then that, and not the MSRP 200, releases it (row A21). */
const isNotificationAwaited = (message: DeferredMessage): boolean =>
  message.kind === 'chat' && message.imdnMessageId !== undefined && message.dispositions.includes('positive-delivery');
