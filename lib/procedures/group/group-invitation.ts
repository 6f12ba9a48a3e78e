import {formatContact} from '../../codecs/sip-headers/contact.ts';
import {ICSI} from '../../cpm/feature-tags.ts';
import {groupSender, type GroupSession} from '../../cpm/group-session.ts';
import {CpmError} from '../../errors.ts';
import type {Leg, RemoteMedia} from '../../ports/media-plane.ts';
import type {IncomingInvite} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import {refuseForPlugin} from '../plugin-refusal.ts';
import {answerFor, bodyText, localOffer, remoteMedia} from '../session-description.ts';
import {isRecorded} from '../storage/record-session.ts';
import {viewOfInvitation} from '../views.ts';
import {devicesFor, goesToDevices, refusalFor, saidByDevices, type Between} from '../terminating/devices.ts';
import {forkInvite, type Answered} from '../terminating/fork.ts';
import {passedBack, readInvitation, type Invitation} from '../terminating/invitation.ts';
import {requestTerminated, serviceUnavailable} from '../terminating/reasons.ts';
import {waitingFor} from '../terminating/session-invitation.ts';
import {groupInvite, owedList} from './group-invite.ts';
import {focusOf} from './group-uri.ts';
import {knownOf} from './groups.ts';
import {groupFor, listIn} from './invited-group.ts';
import type {Membership} from './membership.ts';
import {withMembership} from './with-membership.ts';

/**
 * A focus invites a served user: his devices are rung in its name, and where none takes it the PF stands in the group for him, keeping what is said.
 * @clause CPM-CF 8.3.2.1 C1
 */
export async function handleGroupInvitation(
  context: Context,
  invite: IncomingInvite,
  servedUser: string,
): Promise<void> {
  const {hooks} = context;
  const invitation = readInvitation(invite, servedUser, context);
  const answer = await hooks.beforeAccept?.(viewOfInvitation(invitation));
  if (typeof answer === 'object') return refuseForPlugin(context, invite, answer);
  // What is recorded has to pass the PF (T11).
  const mayPass = answer !== 'keep' && !isRecorded(context, servedUser);
  if (mayPass && (await goesToDevices(context, invite, invitation, memberOf(context, invitation)))) return;
  const {servedUser: user, contributionId, recipientAddress} = invitation;
  const known = await knownOf(context, user, contributionId).catch(() => undefined);
  const focus = focusOf(context, invite) ?? invite.uri;
  const group = groupFor(context, invitation, known, {focus, memberAddress: recipientAddress, invited: listIn(invite)});
  await withMembership(context, group, async (membership) =>
    membership.answer(async () =>
      answerFocus(context, invite, invitation, {membership, group, rings: answer !== 'keep'}),
    ),
  );
}

interface Asked {
  readonly membership: Membership;
  /** What is known of the group, and what the invitation says of it. */
  readonly group: GroupSession;
  /** Whether devices may ring. */
  readonly rings: boolean;
}

async function answerFocus(
  context: Context,
  invite: IncomingInvite,
  invitation: Invitation,
  {membership, group, rings}: Asked,
): Promise<void> {
  const {policy, overload, log, users, store} = context;
  const where = {contributionId: invitation.contributionId, clause: 'CPM-CF 8.3.2.1'};
  // A delivery of the group rings him already: his answer counts for both.
  const isRung = membership.rings;
  if (isRung) {
    const {timesLeft} = membership;
    log.info(where, 'a group invitation waits for the answer to a delivery that rings');
    void invite.respond(180);
    await membership.rung();
    if (invite.cancelled) return;
    if (membership.timesLeft > timesLeft) return invite.respond(603);
  }

  let leg: Leg | undefined;
  let remote: RemoteMedia;
  try {
    leg = await membership.openFocusLeg(invitation.transports);
    remote = remoteMedia(invitation.offer, 'offer', leg);
  } catch (error) {
    await leg?.release();
    if (error instanceof CpmError && error.status === 488) throw error;
    log.warn({...where, error}, 'a group invitation is refused: no MSRP session can be had');
    return overload.refuse(invite, 'media');
  }

  const search =
    membership.client === undefined && rings && !isRung
      ? ring(context, invite, invitation, {membership, group, near: leg})
      : undefined;
  const outcome = await search;
  const answered = outcome?.kind === 'answered' ? outcome : undefined;
  // Where it was not the focus who gave up, a client of his has come by himself.
  if (invite.cancelled || (outcome?.kind === 'cancelled' && membership.client === undefined)) {
    await giveUp(answered, leg, requestTerminated);
    return;
  }

  const refusal = outcome && refusalFor(outcome, policy);
  const mayKeep = users.defers(membership.servedUser) && store.available;
  const isAlone = answered === undefined && membership.client === undefined;
  if (refusal !== undefined || (isAlone && !mayKeep)) {
    await leg.release();
    log.info({...where, status: refusal ?? 480}, 'a group invitation is refused');
    return invite.respond(refusal ?? 480);
  }

  if (isAlone && overload.isFull(membership.servedUser, await waitingFor(context, membership))) {
    await leg.release();
    log.info(where, 'a group invitation is refused: too much waits for the user');
    return overload.refuse(invite, 'pending');
  }

  await accept(context, invite, invitation, {membership, group, leg, remote, answered});
}

/**
 * How the PF stands to the group for the user: here, or on another node by what is written down. Where that is `removed`, this invitation has to be
 * written down, or his client could never come again.
 */
const memberOf = ({groups, store}: Context, {servedUser, contributionId}: Invitation): Between => ({
  sender: groupSender(contributionId),
  async stands() {
    if (groups.of(servedUser, contributionId) !== undefined) return true;
    const known = await store.groupSessions.get(servedUser, contributionId).catch(() => undefined);
    return known?.standing === 'active' || known?.standing === 'removed';
  },
});

async function ring(
  context: Context,
  invite: IncomingInvite,
  invitation: Invitation,
  {membership, group, near}: {readonly membership: Membership; readonly group: GroupSession; readonly near: Leg},
): ReturnType<typeof searchOf> {
  const said = saidByDevices(invite);
  if (said !== undefined) return said;
  const devices = await devicesFor(context, invitation);
  let rang = false;
  return searchOf(context, invite, membership, {
    devices,
    near,
    legLabel: membership.label,
    copies: membership.isRecorded,
    request: (device, leg) =>
      groupInvite(context, group, device, localOffer(invitation.offer, leg, context.policy.maxMessageBytes).text, {
        headers: invitation.passed,
        from: invitation.senderAddress,
        route: invitation.route,
        via: invitation.server,
      }),
    onProvisional({status}) {
      if (status === 100 || rang) return;
      rang = true;
      void invite.respond(180);
    },
  });
}

async function searchOf(
  context: Context,
  invite: IncomingInvite,
  membership: Membership,
  options: Parameters<typeof forkInvite>[1],
) {
  const fork = forkInvite(context, options);
  invite.onCancel = (reason) => {
    fork.cancel(reason);
  };
  return membership.ring(fork);
}

async function giveUp(answered: Answered | undefined, leg: Leg, reason: string): Promise<void> {
  await answered?.dialog.bye({Reason: reason});
  await Promise.all([answered?.leg.release(), leg.release()]);
}

interface Accepting {
  readonly membership: Membership;
  readonly group: GroupSession;
  readonly leg: Leg;
  readonly remote: RemoteMedia;
  readonly answered: Answered | undefined;
}

async function accept(
  context: Context,
  invite: IncomingInvite,
  invitation: Invitation,
  {membership, group, leg, remote, answered}: Accepting,
): Promise<void> {
  const {sip, policy, log, hooks, overload} = context;
  const where = {...membership.label, clause: 'CPM-CF 8.3.2.1'};
  const far = answered === undefined ? membership.client?.remote : bodyText(answered.response);
  const before = membership.record;
  const local = answerFor(invitation.offer, far, leg, policy.maxMessageBytes);
  const {firstMessage} = invitation;
  const verdict = firstMessage === undefined ? 'accepted' : await membership.keepFirst(firstMessage);
  if (verdict !== 'accepted') {
    await giveUp(answered, leg, serviceUnavailable);
    if (verdict === 408) return overload.refuse(invite, 'store');
    throw new CpmError('CPM_FIRST_MESSAGE', verdict, 'the message in the INVITE cannot be taken');
  }

  try {
    // A PF that dies after its 200 comes back into the group by what is written here.
    await membership.change(group);
  } catch (error) {
    log.info({...where, error}, 'a group invitation is refused: what is known of the group cannot be written down');
    await giveUp(answered, leg, serviceUnavailable);
    return overload.refuse(invite, 'store');
  }

  leg.connect(remote);
  try {
    const dialog = await invite.accept({
      headers: {
        Contact: formatContact(sip.contactUri, {icsi: ICSI.session, instance: answered?.device.instance}),
        'Content-Type': 'application/sdp',
        'Conversation-ID': invitation.conversationId,
        'Contribution-ID': invitation.contributionId,
        ...passedBack(invitation, answered?.response),
      },
      body: local.text,
    });
    membership.stand({dialog, leg, local, remote: invitation.offer}, remote);
  } catch (error) {
    log.info({...where, error}, 'the focus was gone before the session stood');
    await giveUp(answered, leg, serviceUnavailable);
    membership.note(membership.focus === undefined ? {standing: 'inactive'} : before);
    return;
  }

  const by = answered === undefined && membership.client === undefined ? 'participating-function' : 'device';
  log.info(where, by === 'device' ? 'a device took a group session' : 'the PF stands in a group for its user');
  hooks.afterAccept?.({...viewOfInvitation(invitation), by});
  if (answered === undefined) {
    if (firstMessage !== undefined) context.deliveries.later(membership.servedUser);
    return;
  }

  const party = {
    dialog: answered.dialog,
    leg: answered.leg,
    local: localOffer(invitation.offer, answered.leg, policy.maxMessageBytes),
    remote: bodyText(answered.response),
  };
  const first = owedList(context, membership.record, answered.dialog.id);
  await membership.admit(party, answered.remote, answered.response, {first});
}
