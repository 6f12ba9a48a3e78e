import {asSipRequestUri} from '../../cpm/address.ts';
import {CpmError} from '../../errors.ts';
import type {Leg} from '../../ports/media-plane.ts';
import type {IncomingInvite, InviteOutcome, OutgoingRequest} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import {liveOffer, remoteMedia} from '../session-description.ts';
import {isRecorded} from '../storage/record-session.ts';
import {hopOf, originatingCallIdPrefix, ownHeaders, withFirstMessage} from '../terminating/delivery-invite.ts';
import {pickHeaders, readInvitation, type Invitation} from '../terminating/invitation.ts';
import {requestTerminated} from '../terminating/reasons.ts';
import {OriginatingSession} from './originating-session.ts';

/** Whom the caller wants to reach, and how: for the far side, unlike what a PF asks for to find its own user's devices. */
const preferences = ['Accept-Contact', 'Reject-Contact', 'Request-Disposition'];
/** What a refusal of the network says beside its status. */
const ofRefusals = ['Retry-After', 'Warning', 'Reason'];

/**
 * A 1-1 session that the served user begins, where the PF is to have its media: a leg to his client, a leg to the network along the Route that
 * the core gave. Nobody is rung here and nothing is kept for the one who is called: that is the work of his own PF.
 * @clause CPM-CF 8.2.2
 */
export async function handleOriginatingInvitation(
  context: Context,
  invite: IncomingInvite,
  servedUser: string,
): Promise<void> {
  const {sip, overload, log} = context;
  const recipientAddress = asSipRequestUri(invite.uri, context.policy.homeDomain);
  const invitation = {...readInvitation(invite, servedUser, context), recipientAddress};
  const where = {
    conversationId: invitation.conversationId,
    contributionId: invitation.contributionId,
    clause: 'CPM-CF 8.2.2',
  };
  let session: OriginatingSession;
  try {
    session = await openSession(context, invitation);
  } catch (error) {
    // What is offered is not to be had here, whenever he asks.
    if (error instanceof CpmError && error.status === 488) throw error;
    log.warn({...where, error}, 'an invitation is refused: no MSRP session can be had');
    await overload.refuse(invite, 'media');
    return;
  }

  const call = sip.invite(originatingInvite(context, invite, invitation, session.network));
  invite.onCancel = (reason) => {
    call.cancel(reason);
  };
  let rang = false;
  call.onProvisional = ({status}) => {
    if (status === 100 || rang) return;
    rang = true;
    void invite.respond(180);
  };
  const outcome = await call.outcome;
  if (outcome.kind !== 'accepted') {
    await session.end(requestTerminated);
    await refuse(invite, outcome);
    return;
  }

  if (await session.join(invite, outcome)) log.info(where, 'a session of a served user is relayed');
}

/** @throws CpmError (488) when the client's offer and our leg do not fit, `CPM_MEDIA_AWAY` (503). */
async function openSession(context: Context, invitation: Invitation): Promise<OriginatingSession> {
  const {media, policy} = context;
  const {conversationId, contributionId, transports} = invitation;
  const options = {
    mode: 'hold',
    label: {conversationId, contributionId},
    maxMessageBytes: policy.maxMessageBytes,
    copies: isRecorded(context, invitation.servedUser),
  } as const;
  const opened: Leg[] = [];
  try {
    const client = await media.openLeg({...options, side: 'access', transports});
    opened.push(client);
    const offered = remoteMedia(invitation.offer, 'offer', client);
    const network = await media.openLeg({...options, side: 'core', near: client});
    return new OriginatingSession(context, invitation, {client, network, offered});
  } catch (error) {
    await Promise.all(opened.map(async (leg) => leg.release()));
    throw error;
  }
}

/**
 * The INVITE that goes on: what belongs to the session passes, all that belongs to a dialog is new (row E7). Its Call-ID tells it from what the
 * PF originates for those who are called, should their PF be this one.
 * @clause CPM-CF 8.2.2 E7
 */
function originatingInvite(
  context: Context,
  invite: IncomingInvite,
  invitation: Invitation,
  network: Leg,
): OutgoingRequest {
  const {policy} = context;
  const {contentType, body} = withFirstMessage(
    context,
    liveOffer(invitation.offer, network, policy.maxMessageBytes).text,
    invitation.firstMessage,
  );
  return {
    uri: invitation.recipientAddress,
    via: invitation.server,
    ...hopOf(context, invitation.route),
    headers: {
      ...invitation.passed,
      ...pickHeaders(preferences, invite),
      ...ownHeaders(context, invitation.senderInstance, originatingCallIdPrefix),
      From: `<${asSipRequestUri(invitation.senderAddress, policy.homeDomain)}>`,
      To: `<${invitation.recipientAddress}>`,
      'Content-Type': contentType,
    },
    body,
  };
}

async function refuse(invite: IncomingInvite, outcome: Exclude<InviteOutcome, {kind: 'accepted'}>): Promise<void> {
  if (outcome.kind === 'failed') return invite.respond(outcome.status);
  const {status, reason} = outcome.response;
  // A redirection is the caller's to follow, and he knows only us.
  if (status < 400) return invite.respond(480);
  return invite.respond(status, {reason, headers: pickHeaders(ofRefusals, outcome.response)});
}
