import {parseReferredBy} from '../../codecs/sip-headers/referred-by.ts';
import {formatReason, parseReason, sipCause, type Reason} from '../../codecs/sip-headers/reason.ts';
import type {GroupSession} from '../../cpm/group-session.ts';
import {pause} from '../../ports/clock.ts';
import type {SipReply, SipRequestView} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import type {Party} from '../party.ts';
import {finishMilliseconds} from '../storage/record-session.ts';
import {reasonOf} from '../terminating/bye.ts';
import {viewOfSession} from '../views.ts';
import {completed} from '../terminating/reasons.ts';
import {discardDeferred} from './discard.ts';
import {eventId, storedGroupState, type Removal} from './group-state-object.ts';
import type {Membership} from './membership.ts';

/**
 * The network ends a group session: what is known of the group is stored unless everybody just left, the client is told and his 200 awaited
 * (bounded by the SIP port), the session recorded, then the focus gets its 200, then the media goes. What the client still says gets 481 meanwhile.
 * @clause CPM-CF 8.3.2.3 B2 B3 B4 B5 B6 B7 B8 B9 B10 B11
 */
export async function byeOfFocus(
  context: Context,
  membership: Membership,
  focus: Party,
  bye: SipRequestView,
): Promise<SipReply | undefined> {
  const {log, hooks} = context;
  // An earlier conference of the group: the one that stands goes on.
  if (membership.focus !== focus) return undefined;
  // steps 2.a, 2.b
  const reason = bye.header('Reason');
  const cause = sipCause(reason);
  log.info({...membership.label, clause: 'CPM-CF 8.3.2.3', cause}, 'the network ends a group session');
  const conference = membership.conferenceBeforeEnd();
  const parties = membership.takeApart();
  const isOver = cause === 410;
  const end = {standing: isOver ? 'removed' : 'inactive', conference} as const;
  if (cause === 'absent' || cause === 200) membership.note(end);
  else await storeState(context, membership, end, focus.dialog.id, isOver ? {referredBy: referrerOf(bye)} : undefined);

  // step 2.c
  await parties.client?.dialog.bye({Reason: reason === undefined ? completed : sipFirst(reason)});
  // step 2.d
  await membership.recorded();
  // step 2.e happens when this resolves, 2.f after it
  hooks.afterBye?.({...viewOfSession(membership), by: 'network', reason});
  queueMicrotask(() => void membership.release(parties));
  return undefined;
}

/** The same with the value of protocol SIP in front: SIP servers (drachtio) let the first one alone pass, and clients look for that one. */
function sipFirst(reason: string): string {
  if (sipCause(reason) === 'other') return reason;
  const isSip = ({protocol}: Reason): boolean => protocol.toUpperCase() === 'SIP';
  const values = parseReason(reason);
  return formatReason(...values.filter(isSip), ...values.filter((value) => !isSip(value)));
}

/**
 * The object first, then that the group is over. While the store is away both wait for it, among what is recorded of sessions, and the session ends
 * all the same.
 */
async function storeState(
  context: Context,
  membership: Membership,
  end: Pick<GroupSession, 'standing' | 'conference'>,
  dialogId: string,
  removal: Removal | undefined,
): Promise<void> {
  const {recorder, clock, log} = context;
  const where = {...membership.label, clause: 'CPM-CF 8.3.2.3'};
  const state = storedGroupState(context, {...membership.record, ...end}, eventId('bye', dialogId), removal);
  // Until then it is known here alone how the group ended: the store says that it stands.
  const written = membership.hold(async () => {
    const {stored} = recorder.put(state);
    await membership.noteAfter(stored, end);
    return stored;
  });
  const inTime = await Promise.race([written, pause(clock, finishMilliseconds)]);
  if (inTime === undefined) log.warn(where, 'the state of a group waits for the store');
  void written.then((isStored) => {
    if (!isStored) log.warn(where, 'the state of a group could not be stored');
    else if (inTime === undefined) log.info(where, 'the state of a group is stored now');
  });
}

/** The address alone (T5); a header that cannot be read names nobody. */
function referrerOf(bye: SipRequestView): string | undefined {
  const header = bye.header('Referred-By');
  try {
    return header === undefined ? undefined : parseReferredBy(header);
  } catch {
    return undefined;
  }
}

/**
 * A member's client ends his session. With an explicit cause 200 he leaves the group, and what still waits of it is discarded; for any other
 * cause, or none, the PF stays in the group for him and keeps it (T6, T47).
 * @clause CPM-CF 8.2.2.3 C11
 */
export async function byeOfMember(
  context: Context,
  membership: Membership,
  client: Party,
  bye: SipRequestView,
  by: 'peer' | 'server',
): Promise<SipReply | undefined> {
  const {log, hooks} = context;
  if (membership.client !== client) return undefined;
  const reason = reasonOf(bye, by);
  const leaves = sipCause(reason) === 200;
  const where = {...membership.label, clause: 'CPM-CF 8.2.2.3'};
  log.info(where, leaves ? 'a client leaves his group' : 'a client ends his session; the PF stays in the group');
  hooks.afterBye?.({...viewOfSession(membership), by: 'client', reason});
  if (leaves) await leave(context, membership, reason ?? completed);
  else queueMicrotask(() => void membership.dropClient(completed));
  return undefined;
}

/**
 * The user leaves: the focus is told, the subscription ends, what waits of this group alone is discarded.
 * @clause CPM-CF 8.2.2.3 C5 C11
 */
export async function leave(context: Context, membership: Membership, reason: string): Promise<void> {
  // BYE first, then the end of the subscription (T39).
  const told = membership.focus?.dialog.bye({Reason: reason});
  const parties = membership.takeApart();
  // What others say from now on is not for him any more; what was taken before goes with the rest.
  parties.focus?.leg.refuse();
  await Promise.all([
    told,
    membership.kept().then(async () => discardDeferred(context, membership)),
    membership.change({standing: 'left'}).catch((error: unknown) => {
      context.log.warn({...membership.label, error}, 'what is known of a group could not be written down');
    }),
  ]);
  queueMicrotask(() => void membership.release(parties));
}
