import {contributionOf} from '../../cpm/group-session.ts';
import {oldestFirst} from '../../cpm/sender-order.ts';
import type {DeferredMessage, OriginalSession} from '../../cpm/deferred-message.ts';
import {atMost, type Timer} from '../../ports/clock.ts';
import type {PendingSender} from '../../ports/deferred-queue.ts';
import type {Leg} from '../../ports/media-plane.ts';
import type {RegisteredContact, Registration} from '../../ports/registrations.ts';
import type {Context} from '../context.ts';
import {noteNotifications} from '../disposition.ts';
import {deliverGroup} from '../group/deferred-group.ts';
import {cpmDevices} from '../registration/served-users.ts';
import {isRecorded, recordSession} from '../storage/record-session.ts';
import {viewOfDelivery} from '../views.ts';
import {renegotiate} from '../renegotiation.ts';
import {bodyText, localOffer, offerFor} from '../session-description.ts';
import {forgetDialog, rememberDialog} from '../session-dialogs.ts';
import {sendBacklog, type BacklogResult} from './backlog.ts';
import {sendWithoutSession} from './by-message.ts';
import type {DeliveryOutcome, Trigger} from './deliveries.ts';
import {deliveryInvite} from './delivery-invite.ts';
import {deliveryForm} from './delivery-profile.ts';
import {forkInvite, type Answered} from './fork.ts';
import {supportsImdn} from './imdn-support.ts';
import {reportForClient} from './report-for-client.ts';
import {createSuccession, type Succession} from './succession.ts';
import {awaitedIds, recordTaken} from './taken.ts';
import {completed, completedElsewhere} from './reasons.ts';
import type {UserLease} from './user-leases.ts';

/**
 * What became of one sender's backlog: nothing is left to be tried; it stays for a later attempt, not before so many milliseconds; or so does
 * everybody's (`stops`): all, or what would go by SIP MESSAGE alone.
 */
type SenderOutcome = 'done' | {readonly againAfter: number; readonly stops?: 'all' | 'messages' | undefined};

const kept = {againAfter: 0} as const;

/**
 * Delivers everything that waits for a user, sender after sender, each in a session of its own; runs under the user's lease.
 * @clause CPM-CF 8.3.2.9.1.1 A0 A18 A20
 */
export async function deliverDeferred(
  context: Context,
  servedUser: string,
  trigger: Trigger,
  lease: UserLease,
): Promise<DeliveryOutcome> {
  const {store, users, clock, policy, sessions} = context;
  const registration = await users.registration(servedUser);
  const devices = cpmDevices(registration, clock.now());
  // He is there again: sessions that hold for him may ring him with the next message.
  const isThere = (): void => {
    for (const session of sessions.ofUser(servedUser)) session.joinable = true;
  };
  if (trigger === 'registration') {
    await store.deferredQueue.requeueSent(servedUser, clock.now() - policy.sentReoffer, clock.now());
    isThere();
  }

  const tried = new Set<string>();
  let againAfter: number | undefined;
  let takesMessages = true;
  for (;;) {
    const waiting = (await store.deferredQueue.senders(servedUser)).filter(
      ({sender, chats}) => !tried.has(sender) && (chats === 0 ? takesMessages : trigger !== 'notification'),
    );
    const [next] = await inOrder(context, servedUser, waiting);
    if (next !== undefined) lease.serve(next.sender);
    if (!lease.held) return kept;
    if (next === undefined) return againAfter === undefined ? 'settled' : {againAfter};
    tried.add(next.sender);
    const result = await deliverSender(context, servedUser, next, registration, devices, lease);
    if (result === 'done') {
      isThere();
      continue;
    }

    againAfter = Math.max(againAfter ?? 0, result.againAfter);
    if (result.stops === 'messages') takesMessages = false;
    if (result.stops === 'all') return {againAfter};
  }
}

/** The policy that orders senders (row A0), which a plugin may have changed. */
async function inOrder(
  {hooks}: Context,
  servedUser: string,
  waiting: readonly PendingSender[],
): Promise<readonly PendingSender[]> {
  const senders = oldestFirst(waiting);
  const order = await hooks.order?.({servedUser, senders: senders.map((sender) => ({...sender}))});
  return order?.flatMap((key) => senders.find(({sender}) => sender === key) ?? []) ?? senders;
}

async function deliverSender(
  context: Context,
  servedUser: string,
  {sender, chats}: PendingSender,
  registration: Registration | undefined,
  devices: readonly RegisteredContact[],
  lease: UserLease,
): Promise<SenderOutcome> {
  const isThere = registration !== undefined && devices.length > 0;
  if (contributionOf(sender) !== undefined) {
    // What waits of a group comes from nobody by itself: without a message to be handed over the client is not called.
    return chats > 0 && isThere ? deliverGroup(context, servedUser, sender, {registration, devices, lease}) : 'done';
  }

  // Nobody is there: the next registration is the trigger, no retry is. The recipient of a notification may be known elsewhere alone.
  if (chats > 0 && !isThere) return 'done';
  const result = await sendWithoutSession(context, servedUser, sender, lease);
  switch (result.end) {
    case 'done':
      return 'done';
    case 'kept':
      return {againAfter: result.againAfter, stops: result.unreachable ? 'messages' : undefined};
    case 'session':
      return isThere ? deliverSession(context, servedUser, result.first, registration, devices, lease) : 'done';
  }
}

/**
 * One sender's delivery, in one session as a rule: INVITE, ACK, the sender's messages, BYE after the 200 to the last one.
 * @clause CPM-CF 8.3.2.9.1.1 A1 A9 A11 A12 A13 A14 A15 A16
 */
async function deliverSession(
  context: Context,
  servedUser: string,
  first: DeferredMessage,
  registration: Registration,
  devices: readonly RegisteredContact[],
  lease: UserLease,
): Promise<SenderOutcome> {
  const {store, clock, log, policy} = context;
  const {sender, session} = first;
  const label = {conversationId: session.conversationId, contributionId: session.contributionId};
  const where = {...label, clause: 'CPM-CF 8.3.2.9.1.1'};

  const view = viewOfDelivery(first, devices);
  if ((await context.hooks.beforeInvite?.(view)) === 'later') {
    await store.deferredQueue.noteRefused([first.id], clock.now(), {answer: 'a plugin: later'});
    return kept;
  }

  // Changes while something is awaited.
  const isOver = (): boolean => !lease.held;
  if (isOver()) return kept;

  // steps 1 to 10
  const succession = createSuccession();
  const fork = forkInvite(context, {
    devices,
    legLabel: label,
    onLater: succession.offer,
    request(device, leg) {
      const {direction, firstMessage} = deliveryForm(policy, device, first);
      const offer = offerFor(session.offer, leg, policy.maxMessageBytes, direction);
      return deliveryInvite(context, session, registration, device, offer, firstMessage);
    },
  });
  lease.onGiveWay = () => {
    fork.cancel(completedElsewhere);
  };
  const answer = await fork.outcome;
  const statuses = answer.kind === 'refused' ? answer.statuses : [];
  context.hooks.afterInvite?.({...view, outcome: answer.kind, statuses: [...statuses]});
  if (answer.kind === 'cancelled') {
    log.info(where, 'a delivery that rings gives way to a session that needs the same messages');
    return kept;
  }

  if (answer.kind === 'refused') {
    const stops = statuses.some((status) => policy.stopsDelivery.includes(status));
    const {retryAfterSeconds} = answer;
    // step 11.b
    await store.deferredQueue.noteRefused([first.id], clock.now(), {answer: `SIP ${statuses.join(' ')}`});
    log.info(
      {...where, statuses: statuses.join(), retryAfterSeconds, stop: stops},
      'a delivery was not taken; its messages stay queued',
    );
    return {againAfter: (retryAfterSeconds ?? 0) * 1000, stops: stops ? 'all' : undefined};
  }

  // step 11.a
  let answered: Answered | undefined = answer;
  let outcome: SenderOutcome = kept;
  try {
    // A yes that crossed the CANCEL.
    if (isOver()) {
      succession.offer(answered);
      answered = undefined;
    }

    while (answered !== undefined && outcome !== 'done') {
      log.info(where, 'a delivery session stands');
      // NOTE 2: a session that stands with this sender goes, and what it has not acknowledged is taken along.
      for (const other of context.sessions.between(servedUser, sender)) {
        await other.dropClient('another session with its sender takes its place', completedElsewhere);
      }

      try {
        outcome = await overSession(context, servedUser, sender, first, answered, lease, succession);
      } finally {
        await answered.leg.release();
        forgetDialog(context, answered.dialog);
      }

      answered = outcome === 'done' || isOver() ? undefined : succession.take();
    }
  } finally {
    await succession.close();
  }

  return outcome;
}

async function overSession(
  context: Context,
  servedUser: string,
  sender: string,
  first: DeferredMessage,
  {device, dialog, leg, remote, response}: Answered,
  lease: UserLease,
  succession: Succession,
): Promise<SenderOutcome> {
  const {policy, log, clock} = context;
  const {session} = first;
  const where = {
    conversationId: session.conversationId,
    contributionId: session.contributionId,
    clause: 'CPM-CF 8.3.2.9.1.1',
  };
  const recordable = {...session, inviter: sender, invited: servedUser};
  const isForUser = first.kind === 'chat' && isRecorded(context, servedUser);
  const record = recordSession(
    context,
    () => recordable,
    () => (isForUser ? {invited: servedUser} : {}),
  );
  const heard = hearing(clock);
  dialog.onBye = () => {
    heard.stop();
    // What was not answered is not delivered; sending stops because the leg says `lost` (row A16).
    void leg.release();
    return Promise.resolve(undefined);
  };
  rememberDialog(context, servedUser, dialog);
  // A client may move in the middle of its delivery, too; there is nobody else whom that concerns.
  const {direction} = deliveryForm(policy, device, first);
  const local = localOffer(session.offer, leg, policy.maxMessageBytes, direction);
  const alone = {party: {dialog, leg, local, remote: bodyText(response)}, other: undefined, lost: () => undefined};
  dialog.onModify = async (request) => renegotiate(context, alone, request);
  // Where each message came from that did not come as the first one did.
  const others = new Map<string, OriginalSession>();
  const onOffered = ({imdnMessageId, session: from}: DeferredMessage): void => {
    if (imdnMessageId !== undefined && !isSameOrigin(from, session)) others.set(imdnMessageId, from);
  };
  // step 11.a.iv
  leg.onMessage = async (message) => {
    const noted = await noteNotifications(context, {
      author: servedUser,
      about: sender,
      content: message,
      takeOverFor: session,
      sessionOf: (messageId) => others.get(messageId),
      onNoted: heard.add,
    });
    if (noted === 'store-away' || noted === 'refused') return 408;
    const verdict = noted === 'forwarded' ? 'accepted' : await replyOfRecipient(context, servedUser, sender, message);
    if (verdict === 'accepted') await record?.add(message, 'invited');
    return verdict;
  };
  const makeWay = (): void => {
    heard.stop();
    void dialog.bye({Reason: completedElsewhere}).then(() => leg.release());
  };
  succession.standing(makeWay);
  let patience: Timer | undefined;
  lease.onGiveWay = () => {
    log.info(where, 'a delivery session gives way to a session that needs the same messages');
    heard.stop();
    // What is on its way to the client may arrive; what it has not answered by then stays queued.
    patience = clock.after(lastMessageMilliseconds, makeWay);
  };
  if (lease.givesWay) lease.onGiveWay();
  // step 11.a.ii
  leg.connect(remote);
  try {
    await leg.bound(policy.bindMilliseconds);
    // step 11.a.iii
    const reports = supportsImdn(response, bodyText(response), policy);
    const {firstMessage} = deliveryForm(policy, device, first);
    const inInvite = firstMessage === undefined ? [] : [firstMessage];
    await recordTaken(context, inInvite, {answer: 'SIP 200', session: leg.id});
    let skipped = 0;
    let result: BacklogResult | undefined;
    do {
      const after: number | undefined = result?.afterSequence ?? firstMessage?.sequence;
      result = await sendBacklog(context, leg, servedUser, sender, lease, {from: after, onOffered});
      skipped += result.skipped;
      const awaited = [...awaitedIds(inInvite), ...result.awaited];
      if (result.end === 'empty' && reports) await heard.all(awaited, policy.notificationWait);
      // What came while the notifications were awaited goes in the same session (T25).
    } while (result.end === 'empty' && result.sent > 0);
    if (result.end === 'empty' && !reports) await reportForClient(context, servedUser, sender);
    log.info({...where, skipped, end: result.end}, 'a delivery session is done');
    return result.end === 'empty' && skipped === 0 ? 'done' : kept;
  } catch (error) {
    log.warn({...where, error}, 'a delivery session was broken off; its messages stay queued');
    return kept;
  } finally {
    patience?.cancel();
    // step 11.a.v; notifications that cross the BYE are taken until its 200 is here. A client that is gone answers none, and is not waited for.
    if (!dialog.ended)
      await atMost(clock, byeMilliseconds, dialog.bye({Reason: lease.givesWay ? completedElsewhere : completed}));
    // What the client said in it may still be on its way into the record; nobody waits for that.
    void record?.finish();
  }
}

const isSameOrigin = (one: OriginalSession, other: OriginalSession): boolean =>
  one.conversationId === other.conversationId &&
  one.contributionId === other.contributionId &&
  one.senderInstance === other.senderInstance;

/** A chat message of the recipient in the delivery session goes to the sender while his own session stands; otherwise it is not ours to keep. */
async function replyOfRecipient(
  {sessions}: Context,
  servedUser: string,
  sender: string,
  message: Parameters<NonNullable<Leg['onMessage']>>[0],
): ReturnType<NonNullable<Leg['onMessage']>> {
  const [session] = sessions.between(servedUser, sender);
  const outcome = await session?.leg.send(message);
  return outcome?.kind === 'answered' && outcome.status === 200 ? 'accepted' : 403;
}

const byeMilliseconds = 2000;
/** Longest wait for the messages under way when a session gives way. */
const lastMessageMilliseconds = 1000;

/** The 200 to a notification goes another way than the BYE: ahead of it by this, or the phone would say it again elsewhere. */
const answerMilliseconds = 20;

/**
 * A phone says "delivered" a moment after its 200, in the same session if it finds it: the BYE leaves it that moment, bounded, and comes at
 * once when everything awaited was heard, or the phone itself has gone.
 */
function hearing(clock: Context['clock']): {
  readonly add: (messageId: string) => void;
  readonly stop: () => void;
  readonly all: (messageIds: readonly string[], milliseconds: number) => Promise<void>;
} {
  const heard = new Set<string>();
  let look: () => void = () => undefined;
  let stopped = false;
  return {
    add(messageId) {
      clock.after(answerMilliseconds, () => {
        heard.add(messageId);
        look();
      });
    },
    stop() {
      stopped = true;
      look();
    },
    all: async (messageIds, milliseconds) =>
      new Promise((resolve) => {
        const timer = clock.after(milliseconds, resolve);
        look = () => {
          if (!stopped && !messageIds.every((messageId) => heard.has(messageId))) return;
          timer.cancel();
          resolve();
        };
        look();
      }),
  };
}
