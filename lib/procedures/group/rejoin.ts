import {canonicalAddress} from '../../cpm/address.ts';
import {formatAcceptContact} from '../../codecs/sip-headers/accept-contact.ts';
import {ICSI} from '../../cpm/feature-tags.ts';
import type {GroupSession} from '../../cpm/group-session.ts';
import {CpmError} from '../../errors.ts';
import type {Leg, RemoteMedia} from '../../ports/media-plane.ts';
import type {IncomingInvite, SipDialog} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import type {Party} from '../party.ts';
import {answerFor, bodyText, localOffer, remoteMedia, type LocalDescription} from '../session-description.ts';
import {hopOf, originatingCallIdPrefix, ownHeaders} from '../terminating/delivery-invite.ts';
import {pickHeaders, readInvitation, type Invitation} from '../terminating/invitation.ts';
import {serviceUnavailable} from '../terminating/reasons.ts';
import {isRecorded} from '../storage/record-session.ts';
import {beyondList, withList} from './group-invite.ts';
import {eventId, groupStateMessage} from './group-state-object.ts';
import {focusOf, groupContact, groupOf} from './group-uri.ts';
import {groupFor, listIn} from './invited-group.ts';
import type {Membership} from './membership.ts';
import {isUnknown, type FocusOutcome} from './sought-group.ts';
import {withMembership} from './with-membership.ts';

/** What a refusal of the network says beside its status. */
const ofRefusals = ['Retry-After', 'Warning', 'Reason'];

/**
 * A served user's client goes to a group: into one that the PF knows he comes again, with all that waits; one that it does not know is begun, or
 * joined, in his name.
 * @clause CPM-CF 8.3.2.9.1.3 D1
 */
export async function handleMember(
  context: Context,
  invite: IncomingInvite,
  servedUser: string,
  known: GroupSession | undefined,
): Promise<void> {
  const invitation = readInvitation(invite, servedUser, context);
  const isNamed = groupOf(context, invite) !== undefined;
  if (known === undefined && isNamed && context.sip.isOwn(invite.uri)) return invite.respond(404);
  const standing = context.groups.of(servedUser, invitation.contributionId);
  const comesAgain =
    standing?.focus !== undefined || isNamed || (known !== undefined && sameAddress(invite.uri, known.focus));
  if (known !== undefined && comesAgain && invitation.firstMessage !== undefined) {
    context.log.info(
      {contributionId: known.contributionId, clause: 'CPM-CF 8.3.2.9.1.3'},
      'a message in a re-join is refused',
    );
    await invite.respond(415, {headers: {Accept: 'application/sdp, application/resource-lists+xml, multipart/mixed'}});
  } else if (known !== undefined && comesAgain)
    await withMembership(context, known, async (membership) => rejoin(context, invite, invitation, membership));
  else if (known?.standing === 'removed') await invite.respond(410);
  else await begin(context, invite, invitation, known);
}

const sameAddress = (one: string, other: string): boolean =>
  one === other || (canonicalAddress(one) !== undefined && canonicalAddress(one) === canonicalAddress(other));

/** A client's side of a group session: our leg to it, and how we describe that. */
interface Near {
  readonly leg: Leg;
  readonly remote: RemoteMedia;
  readonly local: LocalDescription;
}

async function openNear(
  context: Context,
  {servedUser, offer, transports, conversationId, contributionId}: Invitation,
  near: Leg | undefined,
  far?: string,
): Promise<Near> {
  const {media, policy} = context;
  const leg = await media.openLeg({
    side: 'access',
    mode: 'hold',
    transports,
    label: {conversationId, contributionId},
    ...(near === undefined ? {} : {near}),
    copies: isRecorded(context, servedUser),
    maxMessageBytes: policy.maxMessageBytes,
  });
  try {
    return {
      leg,
      remote: remoteMedia(offer, 'offer', leg),
      local: answerFor(offer, far, leg, policy.maxMessageBytes),
    };
  } catch (error) {
    await leg.release();
    throw error;
  }
}

const acceptMember = async (
  context: Context,
  invite: IncomingInvite,
  group: GroupSession,
  {local}: Near,
): Promise<SipDialog> =>
  invite.accept({
    headers: {
      Contact: groupContact(context, group),
      'Content-Type': 'application/sdp',
      'Conversation-ID': group.conversationId,
      'Contribution-ID': group.contributionId,
    },
    body: local.text,
  });

/**
 * Everything that waits goes to the client over the dialog that he opened. An active group he is joined with; an inactive one is started again at
 * once, and he is told who was in it last. A delivery that rings him gives way (T52).
 * @clause CPM-CF 8.3.2.9.1.3 D1 D2 D3 D5
 */
async function rejoin(
  context: Context,
  invite: IncomingInvite,
  invitation: Invitation,
  membership: Membership,
): Promise<void> {
  const where = {...membership.label, clause: 'CPM-CF 8.3.2.9.1.3'};
  const {focus} = membership;
  const near = await openNear(context, invitation, focus?.leg, focus?.remote);
  near.leg.connect(near.remote);
  let dialog: SipDialog;
  try {
    dialog = await acceptMember(context, invite, membership.record, near);
  } catch (error) {
    context.log.info({...where, error}, 'a client that came again was gone before the session stood');
    await near.leg.release();
    return;
  }

  const client: Party = {dialog, leg: near.leg, local: near.local, remote: invitation.offer};
  const isActive = membership.focus !== undefined;
  context.log.info({...where, active: isActive}, 'a client comes again into his group');
  const first = isActive ? undefined : groupStateMessage(context, membership.record, eventId('rejoin', dialog.id));
  const admitted = membership.admit(client, near.remote, invite, {first});
  const outcome = isActive ? 'joined' : await startAgain(membership, context.policy);
  if (outcome !== 'joined') void membership.refuseClient(client, outcome.status);
  await admitted;
}

/**
 * A group that should stand, by all that we know, or that he left himself, is joined; where the focus knows nothing of it, it is one that has to be
 * started again. So is one that may have stood past the PF: what we know of it is old then.
 */
async function startAgain(membership: Membership, {terminatingSessions}: Context['policy']): Promise<FocusOutcome> {
  const {timesLeft} = membership;
  if (membership.record.standing !== 'inactive' || terminatingSessions === 'proxy') {
    const outcome = await membership.start('rejoin');
    const hasLeft = membership.timesLeft > timesLeft;
    if (outcome === 'joined' || hasLeft || !isUnknown(outcome.status)) return outcome;
  }

  return membership.start('restart');
}

/**
 * A group that a client begins, or joins for the first time: his INVITE goes on in his name, and the PF stands in between from its first moment.
 * @clause CPM-CF 8.2.2
 */
async function begin(
  context: Context,
  invite: IncomingInvite,
  invitation: Invitation,
  known: GroupSession | undefined,
): Promise<void> {
  const {media, sip, policy, log} = context;
  const {servedUser, conversationId, contributionId, offer, senderAddress} = invitation;
  const where = {conversationId, contributionId, clause: 'CPM-CF 8.2.2'};
  const list = listIn(invite);
  if (beyondList(list).length > 0) {
    log.info(where, 'a list of those to be invited is too long');
    return invite.respond(513);
  }

  const far = await media.openLeg({
    side: 'core',
    mode: 'hold',
    label: {conversationId, contributionId},
    copies: isRecorded(context, servedUser),
    maxMessageBytes: policy.maxMessageBytes,
  });
  const farLocal = localOffer(offer, far, policy.maxMessageBytes);
  const body = withList(context, farLocal.text, list, 'recipient-list', invitation.firstMessage);
  const sent = sip.invite({
    uri: invite.uri,
    via: invitation.server,
    ...hopOf(context, invitation.route),
    headers: {
      ...invitation.passed,
      ...ownHeaders(context, undefined, originatingCallIdPrefix),
      From: `<${senderAddress}>`,
      To: `<${invite.uri}>`,
      ...(list.length > 0 ? {Require: 'recipient-list-invite'} : {}),
      'P-Asserted-Service': ICSI.sessionGroup,
      'Content-Type': body.contentType,
    },
    repeated: {'Accept-Contact': [formatAcceptContact({icsi: ICSI.sessionGroup})]},
    body: body.body,
  });
  invite.onCancel = (reason) => {
    sent.cancel(reason);
  };
  const outcome = await sent.outcome;
  if (outcome.kind !== 'accepted') {
    await far.release();
    const status = outcome.kind === 'refused' ? outcome.response.status : outcome.status;
    const headers = outcome.kind === 'refused' ? pickHeaders(ofRefusals, outcome.response) : {};
    log.info({...where, status}, 'a group could not be begun');
    if (!invite.cancelled) await invite.respond(status, {headers});
    return;
  }

  const {dialog, response} = outcome;
  const group = groupFor(context, invitation, known, {
    focus: focusOf(context, response) ?? invite.uri,
    memberAddress: senderAddress,
    invited: list,
  });
  const focus: Party = {dialog, leg: far, local: farLocal, remote: bodyText(response)};
  await withMembership(context, group, async (membership) => {
    const before = membership.record;
    try {
      await joinBoth(context, invite, invitation, {membership, group, focus});
    } catch (error) {
      log.info({...where, error}, 'a group session could not be joined on both sides');
      await Promise.all([dialog.bye({Reason: serviceUnavailable}), far.release()]);
      if (membership.record !== before)
        membership.note(membership.focus === undefined ? {standing: 'inactive'} : before);
      const status = error instanceof CpmError && error.status >= 400 ? error.status : 500;
      if (!invite.cancelled) await invite.respond(status).catch(() => undefined);
    }
  });
}

interface Joining {
  readonly membership: Membership;
  readonly group: GroupSession;
  readonly focus: Party;
}

async function joinBoth(
  context: Context,
  invite: IncomingInvite,
  invitation: Invitation,
  {membership, group, focus}: Joining,
): Promise<void> {
  const remote = remoteMedia(focus.remote, 'answer', focus.leg);
  focus.leg.connect(remote);
  await focus.leg.bound(context.policy.bindMilliseconds);
  await membership.change(group);
  const near = await openNear(context, invitation, focus.leg, focus.remote);
  near.leg.connect(near.remote);
  let dialog: SipDialog;
  try {
    dialog = await acceptMember(context, invite, membership.record, near);
  } catch (error) {
    await near.leg.release();
    throw error;
  }

  context.log.info({...membership.label, clause: 'CPM-CF 8.2.2'}, 'a client begins a group session');
  membership.stand(focus, remote);
  if (invitation.firstMessage !== undefined) membership.tookFirst(invitation.firstMessage);
  await membership.admit({dialog, leg: near.leg, local: near.local, remote: invitation.offer}, near.remote, invite);
}
