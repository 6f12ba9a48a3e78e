import {canonicalAddress} from '../../cpm/address.ts';
import {contributionOf} from '../../cpm/group-session.ts';
import type {DeferredMessage} from '../../cpm/deferred-message.ts';
import type {Note} from '../../cpm/history.ts';
import type {OutgoingRequest, SipResponseView} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import {admitted} from './admitted.ts';
import {pagerMessage, routeTo} from './delivery-invite.ts';
import {recordTaken} from './taken.ts';
import type {UserLease} from './user-leases.ts';

/**
 * What became of a message that needed no MSRP session of its own. `refused`: it alone was not wanted; `unreachable`: nobody there takes
 * anything now, and not before `againAfter` milliseconds (Retry-After; 0 where nothing is said).
 */
export type Attempt =
  | {readonly end: 'taken'; readonly note: Note}
  | {readonly end: 'refused'; readonly note: Note}
  | {readonly end: 'unreachable'; readonly note: Note; readonly againAfter: number};

/** Whether a message goes as it came, by SIP MESSAGE, or may do so by the policy; the others need a session. */
export const goesByMessage = (
  {sender, kind, session}: Pick<DeferredMessage, 'sender' | 'kind' | 'session'>,
  {policy}: Pick<Context, 'policy'>,
): boolean =>
  contributionOf(sender) === undefined &&
  (kind === 'notification' ? !policy.notifiesInSession : session.pager === true);

const needsSession = ({kind, session}: DeferredMessage): boolean => kind === 'chat' && session.pager !== true;

export type WithoutSession =
  | {readonly end: 'done'}
  /** Something is left for a later attempt. */
  | {readonly end: 'kept'; readonly againAfter: number; readonly unreachable: boolean}
  /** From here on a session is needed; this message is the first that needs it. */
  | {readonly end: 'session'; readonly first: DeferredMessage};

const batch = {limit: 32, maxBytes: 1 << 20};

/**
 * Sends what waits for `recipient` from `author` and needs no session: notifications on a session that stands between the two, else by SIP
 * MESSAGE (row A20, T30, T31), standalone messages as they came, in order, up to what needs a session. They alone cause no INVITE.
 * @clause CPM-CF 8.3.2.9.1.1 A14 A20
 */
export async function sendWithoutSession(
  context: Context,
  recipient: string,
  author: string,
  lease: UserLease,
): Promise<WithoutSession> {
  const {store, clock, hooks} = context;
  const cut = new Promise<void>((resolve) => {
    lease.onGiveWay = resolve;
  });
  let afterSequence: number | undefined;
  let isKept = false;
  for (;;) {
    const messages = await store.deferredQueue.next(recipient, author, {afterSequence, ...batch});
    const first = messages.find(needsSession);
    // Notifications wait for the session that is to come.
    const barrier = messages.findIndex((message) => needsSession(message) || !goesByMessage(message, context));
    const sendable = first === undefined ? messages : messages.slice(0, barrier);
    for (const message of sendable) {
      if (!lease.held) return {end: 'kept', againAfter: 0, unreachable: true};
      if (message.expiresAt <= clock.now()) continue;
      if (message.kind === 'chat' && (await admitted([message], hooks.beforeSend)).length === 0)
        return {end: 'kept', againAfter: 0, unreachable: false};
      const overSession = await onSession(context, author, message);
      // His registration is the trigger; nobody is asked before.
      if (overSession === undefined && (await isHeldForHim(context, recipient))) return {end: 'done'};
      const attempt = overSession ?? (await byMessage(context, recipient, message, cut));
      if (attempt.end === 'taken') {
        await recordTaken(context, [message], attempt.note);
        continue;
      }

      await store.deferredQueue.noteRefused([message.id], clock.now(), attempt.note);
      isKept = true;
      if (attempt.end === 'unreachable') return {end: 'kept', againAfter: attempt.againAfter, unreachable: true};
    }

    if (first !== undefined) return {end: 'session', first};
    if (messages.length === 0) return isKept ? {end: 'kept', againAfter: 0, unreachable: false} : {end: 'done'};
    afterSequence = messages.at(-1)?.sequence;
  }
}

/** Whether he is served here and off: what no session takes waits for him. Of others nobody here knows whether they are there. */
async function isHeldForHim({users}: Context, recipient: string): Promise<boolean> {
  return (await users.resolve(recipient)) !== undefined && (await users.devices(recipient)).length === 0;
}

/** The recipient's leg of a session in which he invited the author takes a notification, while it stands. */
async function onSession(
  {sessions, policy}: Context,
  author: string,
  message: DeferredMessage,
): Promise<Attempt | undefined> {
  const recipient = canonicalAddress(message.session.recipientAddress);
  if (message.kind !== 'notification' || !policy.notifiesInSession || recipient === undefined) return undefined;
  for (const session of sessions.between(author, recipient)) {
    const outcome = await session.leg.send(message);
    if (outcome.kind === 'answered' && outcome.status === 200)
      return {end: 'taken', note: {answer: 'MSRP 200', session: session.leg.id}};
  }

  return undefined;
}

/**
 * One SIP MESSAGE with the service of pager mode, to the user's devices, or to the one that sent what a notification reports on. Never rejects.
 * @clause CPM-CF 5.4 A20
 */
export async function byMessage(
  context: Context,
  recipient: string,
  message: DeferredMessage,
  cut?: Promise<void>,
): Promise<Attempt> {
  const {users, clock, log} = context;
  const {conversationId, contributionId, pager} = message.session;
  const registration = await users.registration(recipient);
  const route = registration?.servingNode === undefined ? [] : [routeTo(registration.servingNode)];
  const request = pagerMessage(context, message.session, route, message);
  // How long it lives on (RFC 3428 §7).
  const expires = pager === true ? {Expires: String(Math.ceil((message.expiresAt - clock.now()) / 1000))} : {};
  const response = await sendMessage(
    context,
    {...request, headers: {...request.headers, ...expires}},
    (late) => {
      const {end, note} = attemptOf(late);
      if (end === 'taken') void recordTaken(context, [message], note).catch(() => undefined);
    },
    cut,
  );
  const attempt = attemptOf(response);
  log.info(
    {
      clause: 'CPM-CF 5.4',
      conversationId,
      contributionId,
      kind: message.kind,
      status: response.status,
      end: attempt.end,
    },
    attempt.end === 'taken' ? 'a SIP MESSAGE was taken' : 'a SIP MESSAGE was not taken; what it carried stays queued',
  );
  return attempt;
}

const noAnswer: SipResponseView = {
  status: 408,
  reason: 'Request Timeout',
  header: () => undefined,
  body: new Uint8Array(0),
};

/**
 * A MESSAGE and its final answer: 408 where none comes in the time that the policy sets, as who waits for it holds up others, or before `cut`.
 * An answer after that is told to `onLate`. Never rejects.
 */
export async function sendMessage(
  {sip, clock, policy}: Pick<Context, 'sip' | 'clock' | 'policy'>,
  request: OutgoingRequest,
  onLate?: (response: SipResponseView) => void,
  cut?: Promise<void>,
): Promise<SipResponseView> {
  return new Promise((resolve) => {
    let over = false;
    const giveUp = (): void => {
      over = true;
      resolve(noAnswer);
    };
    const timer = clock.after(policy.messageMilliseconds, giveUp);
    void cut?.then(giveUp);
    void sip.request('MESSAGE', request).then((response) => {
      timer.cancel();
      if (over) onLate?.(response);
      else resolve(response);
    });
  });
}

/** Client errors that say nothing against this message in particular. */
const ofTheMoment = [401, 407, 408, 430, 480, 486, 600];

/** What an answer to a MESSAGE means for what it carried. */
export function attemptOf(response: SipResponseView): Attempt {
  const {status} = response;
  const note = {answer: `SIP ${status}`};
  if (status >= 200 && status < 300) return {end: 'taken', note};
  const isServerError = status >= 500 && status < 600;
  if (status >= 400 && !isServerError && !ofTheMoment.includes(status)) return {end: 'refused', note};
  const seconds = Number.parseInt(response.header('Retry-After') ?? '', 10);
  return {end: 'unreachable', note, againAfter: Number.isNaN(seconds) ? 0 : seconds * 1000};
}
