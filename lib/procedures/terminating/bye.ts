import {sipCause} from '../../codecs/sip-headers/reason.ts';
import {pause} from '../../ports/clock.ts';
import type {SipDialog, SipReply, SipRequestView} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import type {SessionRecord} from '../storage/record-session.ts';
import {viewOfSession, type ViewedSession} from '../views.ts';
import {completed, serviceUnavailable} from './reasons.ts';

/** How long a BYE may come after the end of the MSRP connection: a phone that hangs up may close that first. */
export const farewellMilliseconds = 2000;

/** A session as its end sees it, whoever began it. */
export interface EndingSession extends ViewedSession {
  /** Nothing is relayed any more, what the client still says gets 481, devices that still ring are cancelled; answers the dialogs that are still up. */
  takeApart(reason: string): readonly SipDialog[];
  readonly record: SessionRecord | undefined;
  /** All media resources go. */
  release(): Promise<void>;
}

/**
 * A BYE from the network side of a 1-1 session: the client is told first, its answer awaited for a while, the session recorded
 * whatever the answer was (T8), then the network gets its 200, then the media goes. Late messages of the client get 481 meanwhile (row B7);
 * no cause ever makes a Group State Object here (T4).
 * @clause CPM-CF 8.3.2.3 B2 B3 B7 B8 B9 B10 B11
 */
export async function byeOfNetwork(
  {log, hooks, policy, clock}: Pick<Context, 'log' | 'hooks' | 'policy' | 'clock'>,
  session: EndingSession,
  bye: SipRequestView,
  by: 'peer' | 'server' = 'peer',
): Promise<SipReply | undefined> {
  // step 2.a, 2.b
  const reason = reasonOf(bye, by);
  const cause = sipCause(reason);
  log.info({...session.label, clause: 'CPM-CF 8.3.2.3', cause}, 'the network ends the session');
  // step 2.b.iv, 2.c
  const passed = cause === 'absent' || reason === undefined ? completed : reason;
  const told = Promise.all(session.takeApart(passed).map(async (dialog) => dialog.bye({Reason: passed})));
  // step 2.d: a client that does not answer leaves time for the record before the 200, and is not waited for after it
  await Promise.race([told, pause(clock, session.record === undefined ? policy.byeAnswer : policy.byeWait)]);
  await session.record?.finish();
  // step 2.e happens when this resolves, 2.f after it
  hooks.afterBye?.({...viewOfSession(session), by: 'network', reason});
  queueMicrotask(() => void session.release());
  return undefined;
}

/**
 * A BYE from the served user's client: the session ends for both. Unanswered messages of the inviter are kept (row A16), and offered again.
 * @clause CPM-CF 8.2.2.3 A16
 */
export async function byeOfClient(
  {log, hooks}: Pick<Context, 'log' | 'hooks'>,
  session: EndingSession,
  bye: SipRequestView,
  by: 'peer' | 'server' = 'peer',
): Promise<SipReply | undefined> {
  log.info({...session.label, clause: 'CPM-CF 8.2.2.3'}, 'the client ends the session');
  const reason = reasonOf(bye, by);
  const passed = reason ?? completed;
  await Promise.all(session.takeApart(passed).map(async (dialog) => dialog.bye({Reason: passed})));
  hooks.afterBye?.({...viewOfSession(session), by: 'client', reason});
  queueMicrotask(() => void session.release());
  return undefined;
}

/** Why it ends: where nobody said goodbye (the session timer ran out, a connection is lost) nobody has left. */
export const reasonOf = (bye: SipRequestView, by: 'peer' | 'server'): string | undefined =>
  by === 'server' ? serviceUnavailable : bye.header('Reason');

/** Ends every session of a node that stops: the peers see that it was not their doing. */
export async function byeToAll({sessions}: Pick<Context, 'sessions'>): Promise<void> {
  await Promise.all(sessions.all().map(async (session) => session.end(serviceUnavailable)));
}
