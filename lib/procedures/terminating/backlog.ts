import {isGroupState} from '../../codecs/group-state.ts';
import type {DeferredMessage} from '../../cpm/deferred-message.ts';
import type {LogFields} from '../../ports/log.ts';
import type {Leg, SendOutcome} from '../../ports/media-plane.ts';
import type {Context} from '../context.ts';
import {notifySender} from '../made-notification.ts';
import {admitted} from './admitted.ts';
import {byMessage, goesByMessage} from './by-message.ts';
import {awaitedIds, recordTaken} from './taken.ts';
import type {UserLease} from './user-leases.ts';

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

export interface BacklogOptions {
  /** Sequence of the last one offered before. */
  readonly from?: number | undefined;
  readonly onOffered?: (message: DeferredMessage) => void;
  /** `caught-up`: where more and more arrives, all but the last of it, which is less than a batch. Default: until nothing is queued. */
  readonly until?: 'empty' | 'caught-up';
}

/** So many batches are on their way at a time: enough to fill the link, little enough to repeat after a break. */
const batches = 2;
/** The first batch is small, so that it is soon on its way; each next one is twice as large. */
const firstMessages = 16;
const batchMessages = 128;
const batchBytes = 2 * 1024 * 1024;
/** So many that were taken may be written down late: what a PF that is killed offers again. */
const unrecordedMessages = 256;

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
  {from, onOffered, until = 'empty'}: BacklogOptions = {},
): Promise<BacklogResult> {
  const {store, clock, log, policy, hooks} = context;
  let afterSequence = from;
  let skipped = 0;
  let sent = 0;
  let broken = false;
  const awaited: string[] = [];
  const underWay: Batch[] = [];
  const unrecorded: DeferredMessage[] = [];
  let recording: Promise<void> | undefined;
  let limit = firstMessages;
  let isCaughtUp = false;

  /** The next batch is read and sent while the one before it is still on its way. */
  async function sendNext(): Promise<boolean> {
    if (isCaughtUp) return false;
    const window = {afterSequence, limit, maxBytes: batchBytes};
    limit = Math.min(2 * limit, batchMessages);
    const waiting = await store.deferredQueue.next(servedUser, sender, window);
    isCaughtUp = until === 'caught-up' && waiting.length < window.limit && octetsOf(waiting) < batchBytes / 2;
    const aside = waiting.findIndex((message) => goesByMessage(message, context));
    const [first] = waiting;
    if (first === undefined) return false;
    if (aside === 0) return sendAside(first);
    const inSession = aside === -1 ? waiting : waiting.slice(0, aside);
    const messages = await admitted(inSession, hooks.beforeSend);
    if (messages.length < inSession.length) broken = true;
    if (messages.length === 0) return false;
    afterSequence = messages.at(-1)?.sequence;
    const offered = messages.filter(({expiresAt}) => expiresAt > clock.now());
    if (onOffered !== undefined) offered.forEach(onOffered);
    underWay.push({messages: offered, outcomes: Promise.all(offered.map(async (message) => leg.send(message)))});
    return true;
  }

  /** What goes by SIP MESSAGE goes in its place: when those before it are answered, and before those behind it. */
  async function sendAside(message: DeferredMessage): Promise<boolean> {
    for (let oldest = underWay.shift(); oldest !== undefined; oldest = underWay.shift()) await finish(oldest);
    if (!goesOn()) return false;
    afterSequence = message.sequence;
    if (message.expiresAt <= clock.now()) return true;
    if ((await admitted([message], hooks.beforeSend)).length === 0) {
      broken = true;
      return false;
    }

    await sendByMessage(message);
    return true;
  }

  async function sendByMessage(message: DeferredMessage): Promise<void> {
    const {end, note} = await byMessage(context, servedUser, message);
    if (end === 'taken') return recordTaken(context, [message], note);
    skipped += 1;
    await store.deferredQueue.noteRefused([message.id], clock.now(), note);
  }

  async function finish({messages, outcomes}: Batch): Promise<void> {
    const results = await outcomes;
    const taken = messages.filter((_, index) => isTaken(results[index]));
    unrecorded.push(...taken);
    recording ??= record();
    if (unrecorded.length > unrecordedMessages) await recording;
    sent += taken.length;
    awaited.push(...awaitedIds(taken));
    for (const [index, outcome] of results.entries()) {
      if (isTaken(outcome)) continue;
      const message = messages[index];
      if (message !== undefined && isRefusedAlone(outcome) && isGroupState(message)) {
        await drop(message, outcomeText(outcome));
        continue;
      }

      // A client that takes no notifications in a session has them all the same.
      if (message?.kind === 'notification' && outcome.kind === 'not-admitted') {
        await sendByMessage(message);
        continue;
      }

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

  /** Writes down what was taken while the next batch is awaited: one write at a time, all that came meanwhile in the next. */
  function record(): Promise<void> {
    const write = async (): Promise<void> => {
      while (unrecorded.length > 0)
        await recordTaken(context, unrecorded.splice(0), {answer: 'MSRP 200', session: leg.id});
      recording = undefined;
    };
    const written = write();
    written.catch(() => undefined);
    return written;
  }

  const noteRefused = async (message: DeferredMessage, outcome: string): Promise<void> =>
    store.deferredQueue.noteRefused([message.id], clock.now(), {answer: outcome, session: leg.id});

  /** Such an object is no message of anybody: what it says comes anew with the next one. */
  async function drop(message: DeferredMessage, outcome: string): Promise<void> {
    await store.deferredQueue.settle([message.id], 'dropped', clock.now(), {answer: outcome, session: leg.id});
    const where = {clause: 'CPM-CF 8.3.2.9.1.2 C8', ...conversation(message), outcome};
    log.info(where, 'a change of a group is dropped: the client does not take it');
  }

  async function fail(message: DeferredMessage, where: LogFields): Promise<void> {
    await notifySender(context, message, 'failed');
    await store.deferredQueue.settle([message.id], 'failed', clock.now());
    log.info(where, 'a deferred message was not taken; it has failed');
  }

  const goesOn = (): boolean => lease.held && !broken;
  for (;;) {
    while (goesOn() && underWay.length < batches && (await sendNext()));
    const oldest = underWay.shift();
    if (oldest === undefined) break;
    await finish(oldest);
  }

  await recording;
  return {end: goesOn() ? 'empty' : 'broken', skipped, sent, awaited, afterSequence};
}

const octetsOf = (messages: readonly DeferredMessage[]): number =>
  messages.reduce((sum, {bytes}) => sum + bytes.length, 0);

/** How a log record, or a message's history, says it. */
export const outcomeText = (outcome: SendOutcome): string =>
  outcome.kind === 'answered' ? `MSRP ${outcome.status}` : outcome.kind;

/** Whether the peer has it. */
export const isTaken = (outcome: SendOutcome | undefined): boolean =>
  outcome?.kind === 'answered' && outcome.status === 200;

/** The peer did not want this message, but goes on with the session (RFC 4975 §10: 413, 415). */
const isRefusedAlone = (outcome: SendOutcome): boolean =>
  outcome.kind === 'not-admitted' || (outcome.kind === 'answered' && [400, 403, 413, 415].includes(outcome.status));

const conversation = (message: DeferredMessage | undefined): {conversationId?: string; contributionId?: string} =>
  message === undefined
    ? {}
    : {conversationId: message.session.conversationId, contributionId: message.session.contributionId};
