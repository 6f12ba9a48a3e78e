import {CpmError} from '../../errors.ts';
import type {Leg} from '../../ports/media-plane.ts';
import type {IncomingInvite} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import {refuseForPlugin} from '../plugin-refusal.ts';
import {hasOwners, recordOwners} from '../storage/record-session.ts';
import {viewOfInvitation} from '../views.ts';
import {ChatSession} from './chat-session.ts';
import {deferMessage} from './defer.ts';
import {devicesFor, goesToDevices, patienceMilliseconds, refusalFor, saidByDevices} from './devices.ts';
import type {Answered} from './fork.ts';
import type {Invitation} from './invitation.ts';
import {completedElsewhere, requestTerminated} from './reasons.ts';

/**
 * A 1-1 session invitation for a served user: his devices are rung, and where none takes it the PF accepts for him and keeps what comes.
 * @clause CPM-CF 8.3.2.1
 */
export async function handleSessionInvitation(
  context: Context,
  invite: IncomingInvite,
  invitation: Invitation,
): Promise<void> {
  const {media, deliveries, policy, overload, sessions, log} = context;
  const label = {conversationId: invitation.conversationId, contributionId: invitation.contributionId};
  const where = {...label, clause: 'CPM-CF 8.3.2.1'};
  const answer = await context.hooks.beforeAccept?.(viewOfInvitation(invitation));
  if (typeof answer === 'object') return refuseForPlugin(context, invite, answer);
  // What is recorded has to pass the PF (T11).
  const owners = await recordOwners(context, invitation);
  const {servedUser, sender} = invitation;
  const between = {sender, stands: () => sessions.between(servedUser, sender).length > 0};
  if (answer !== 'keep' && !hasOwners(owners) && (await goesToDevices(context, invite, invitation, between))) return;

  let leg: Leg | undefined;
  let session: ChatSession;
  try {
    const {transports} = invitation;
    const copies = hasOwners(owners);
    leg = await media.openLeg({
      side: 'core',
      mode: 'hold',
      transports,
      label,
      copies,
      maxMessageBytes: policy.maxMessageBytes,
    });
    session = new ChatSession(context, invitation, leg, owners);
  } catch (error) {
    await leg?.release();
    // What the inviter offers is not to be had here, whenever he asks.
    if (error instanceof CpmError && error.status === 488) throw error;
    log.warn({...where, error}, 'an invitation is refused: no MSRP session can be had');
    await overload.refuse(invite, 'media');
    return;
  }

  invite.onCancel = (reason) => {
    session.cancelled(reason);
  };
  // While a delivery to this user runs, his devices are not rung twice at a time; if it is a long one, what is new queues behind it.
  const idle = await deliveries.idle(invitation.servedUser, patienceMilliseconds);
  const rings = idle && !invite.cancelled && answer !== 'keep' && invite.refusedBy === undefined;
  const devices = rings ? await devicesFor(context, invitation) : [];
  let rang = false;
  const outcome =
    saidByDevices(invite) ??
    (await session.search(devices, ({status}) => {
      if (status === 100 || rang) return;
      rang = true;
      void invite.respond(180);
    }));
  if (outcome.kind === 'cancelled' || invite.cancelled) {
    if (outcome.kind === 'answered') {
      await outcome.dialog.bye({Reason: requestTerminated});
      await outcome.leg.release();
    }

    return session.end(requestTerminated);
  }

  const refusal = refusalFor(outcome, context.policy);
  if (refusal !== undefined) {
    log.info({...where, status: refusal}, "a device's refusal goes back to the inviter");
    await session.end('SIP;cause=200');
    await invite.respond(refusal);
    return;
  }

  session.joinable = devices.length === 0 && answer !== 'keep' && invite.refusedBy === undefined;
  await acceptInvitation(context, invite, session, outcome.kind === 'answered' ? outcome : undefined);
}

async function acceptInvitation(
  context: Context,
  invite: IncomingInvite,
  session: ChatSession,
  answered: Answered | undefined,
): Promise<void> {
  const {store, users, sessions, overload, log, deliveries} = context;
  const where = {...session.label, clause: 'CPM-CF 8.3.2.1'};
  if (answered === undefined && !users.defers(session.servedUser)) {
    await session.end('SIP;cause=480');
    await invite.respond(480);
    return;
  }

  const obstacle = answered === undefined ? await keepingObstacle(context, session) : undefined;
  if (obstacle !== undefined) {
    log.info({...where, obstacle}, 'an invitation is refused: nobody is there, and nothing can be kept for him');
    await session.end('SIP;cause=503');
    await overload.refuse(invite, obstacle);
    return;
  }

  try {
    await session.accept(invite, answered);
  } catch (error) {
    log.info({...where, error}, 'the inviter was gone before the session stood');
    return;
  }

  log.info({...where, store: store.available}, answered ? 'a device took the session' : 'the PF accepts for its user');
  context.hooks.afterAccept?.({
    ...viewOfInvitation(session.invitation),
    by: answered === undefined ? 'participating-function' : 'device',
  });
  if (answered === undefined) {
    session.held();
  } else {
    // NOTE 2 of 8.3.2.9.1.1 (T28): one session at a time with a client for the same two people, the newest.
    for (const other of sessions.between(session.servedUser, session.sender)) {
      if (other !== session && other.client !== undefined) await other.end(completedElsewhere);
    }

    await session.join(answered);
  }

  if (answered === undefined && session.invitation.firstMessage !== undefined) deliveries.later(session.servedUser);
}

/**
 * Accepting for the user means keeping: the store must be there, with room for him, and a first message that rode in the INVITE is stored before
 * the 200. Undefined where all that is so.
 */
async function keepingObstacle(context: Context, session: ChatSession): Promise<'store' | 'pending' | undefined> {
  const {store, overload} = context;
  if (!store.available) return 'store';
  if (overload.isFull(session.servedUser, await waitingFor(context, session))) return 'pending';
  const {firstMessage} = session.invitation;
  if (firstMessage === undefined) return undefined;
  const verdict = await deferMessage(context, session, firstMessage);
  if (verdict === 'accepted') {
    void session.record?.add(firstMessage, 'inviter', 'inviter');
    return undefined;
  }

  if (verdict === 408) return 'store';
  await session.end('SIP;cause=200');
  throw new CpmError('CPM_FIRST_MESSAGE', verdict, 'the message in the INVITE cannot be taken');
}

/** How many messages wait for the user; a store that does not say is found away by what follows. */
export async function waitingFor(
  {store, policy, log}: Pick<Context, 'store' | 'policy' | 'log'>,
  {servedUser, label}: Pick<ChatSession, 'servedUser' | 'label'>,
): Promise<number> {
  if (policy.limits.pendingPerUser === 0) return 0;
  try {
    const senders = await store.deferredQueue.senders(servedUser);
    return senders.reduce((sum, {chats}) => sum + chats, 0);
  } catch (error) {
    log.debug({...label, error}, 'the store does not say how much waits');
    return 0;
  }
}
