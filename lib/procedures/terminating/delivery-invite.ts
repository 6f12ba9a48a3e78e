import {formatMultipart} from '../../codecs/multipart.ts';
import {formatAcceptContact} from '../../codecs/sip-headers/accept-contact.ts';
import {formatContact} from '../../codecs/sip-headers/contact.ts';
import {formatReferredBy} from '../../codecs/sip-headers/referred-by.ts';
import {asSipRequestUri} from '../../cpm/address.ts';
import type {OriginalSession} from '../../cpm/deferred-message.ts';
import {ICSI} from '../../cpm/feature-tags.ts';
import type {RegisteredContact, Registration} from '../../ports/registrations.ts';
import type {OutgoingRequest} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import type {Invitation} from './invitation.ts';

/** Call-IDs of the PF's own requests begin so: the core hands them back through the user's filter criteria, and they go on (T35). */
export const ownCallIdPrefix = 'cpm-pf-';
/** Those of INVITEs for a user who calls: to the PF of the one called, maybe this one, they are like any other. */
export const originatingCallIdPrefix = 'cpm-orig-';

type FirstMessage = NonNullable<Invitation['firstMessage']>;
type Needs = Pick<Context, 'sip' | 'policy' | 'ids'>;

/**
 * The INVITE that hands over what one sender left for the user.
 * @clause CPM-CF 8.3.2.9.1.1 A1 A2 A3 A4 A5 A6 A7 A8 A10
 */
export function deliveryInvite(
  context: Needs,
  session: OriginalSession,
  registration: Registration,
  device: RegisteredContact,
  offer: string,
  firstMessage?: FirstMessage,
): OutgoingRequest {
  const {policy} = context;
  const body = withFirstMessage(context, offer, firstMessage);
  const target = targetOf(device, asSipRequestUri(session.recipientAddress, policy.homeDomain), ICSI.session);
  return {
    uri: target.uri,
    ...hopOf(context, registration.servingNode === undefined ? [] : [routeTo(registration.servingNode)]),
    headers: {
      ...ownHeaders(context, session.senderInstance),
      ...target.headers,
      From: `<${policy.deferredMsgMgmtUri}>`,
      To: `<${asSipRequestUri(session.recipientAddress, policy.homeDomain)}>`,
      'Conversation-ID': session.conversationId,
      'Contribution-ID': session.contributionId,
      ...(session.subject === undefined ? {} : {Subject: session.subject}),
      'P-Asserted-Identity': `<${policy.deferredMsgMgmtUri}>`,
      'P-Asserted-Service': ICSI.session,
      'Referred-By': formatReferredBy(session.senderAddress),
      'Content-Type': body.contentType,
    },
    repeated: {'Accept-Contact': target.acceptContact},
    body: body.body,
  };
}

/**
 * The INVITE for one device in a live session: the session's own headers pass, all that belongs to a dialog is new (row E7).
 * @clause CPM-CF 8.3.2.1 E7
 */
export function liveInvite(
  context: Needs,
  invitation: Invitation,
  device: RegisteredContact,
  offer: string,
): OutgoingRequest {
  const target = targetOf(device, invitation.recipientAddress, ICSI.session);
  const body = withFirstMessage(context, offer, invitation.firstMessage);
  return {
    uri: target.uri,
    via: invitation.server,
    ...hopOf(context, invitation.route),
    headers: {
      ...invitation.passed,
      ...ownHeaders(context, invitation.senderInstance),
      ...target.headers,
      From: `<${asSipRequestUri(invitation.senderAddress, context.policy.homeDomain)}>`,
      To: `<${invitation.recipientAddress}>`,
      'P-Asserted-Service': ICSI.session,
      'Content-Type': body.contentType,
    },
    repeated: {'Accept-Contact': target.acceptContact},
    body: body.body,
  };
}

/** A pager-mode MESSAGE towards one device of a user, or all of them where none is known (5.4, 6.1.2). */
export function pagerMessage(
  context: Needs,
  session: OriginalSession,
  route: readonly string[],
  content: {readonly contentType: string; readonly bytes: Uint8Array},
): OutgoingRequest {
  const {policy} = context;
  const recipient = asSipRequestUri(session.recipientAddress, policy.homeDomain);
  const sender = asSipRequestUri(session.senderAddress, policy.homeDomain);
  const acceptContact = [formatAcceptContact({icsi: ICSI.pagerMessage})];
  if (session.recipientInstance !== undefined) {
    acceptContact.push(formatAcceptContact({instance: session.recipientInstance}, {requireExplicit: true}));
  }

  return {
    uri: recipient,
    ...hopOf(context, route),
    headers: {
      'Call-ID': ownCallIdPrefix + context.ids.token(),
      From: `<${sender}>`,
      To: `<${recipient}>`,
      'P-Asserted-Identity': `<${session.senderAddress}>`,
      'P-Asserted-Service': ICSI.pagerMessage,
      'Conversation-ID': session.conversationId,
      'Contribution-ID': session.contributionId,
      'Content-Type': content.contentType,
    },
    repeated: {'Accept-Contact': acceptContact},
    body: content.bytes,
  };
}

/**
 * Addresses a device (6.1.2): its GRUU; else the public identity with the instance asked for; else, the device being unknown, the public
 * identity with the service alone, not to be forked further.
 */
export function targetOf(
  device: RegisteredContact,
  identity: string,
  icsi: string,
): {
  readonly uri: string;
  readonly acceptContact: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
} {
  const service = formatAcceptContact({icsi});
  if (device.publicGruu !== undefined) return {uri: device.publicGruu, acceptContact: [service], headers: {}};
  if (device.instance !== undefined) {
    const instance = formatAcceptContact({instance: device.instance}, {requireExplicit: true});
    return {uri: identity, acceptContact: [service, instance], headers: {}};
  }

  return {uri: identity, acceptContact: [service], headers: {'Request-Disposition': 'no-fork'}};
}

/** What each INVITE of ours has of its own. */
export function ownHeaders(
  {sip, policy, ids}: Needs,
  senderInstance: string | undefined,
  callIdPrefix = ownCallIdPrefix,
): Record<string, string> {
  const timer =
    policy.sessionExpiresSeconds === undefined
      ? {}
      : {Supported: 'timer', 'Session-Expires': String(policy.sessionExpiresSeconds)};
  return {
    'Call-ID': callIdPrefix + ids.token(),
    Contact: formatContact(sip.contactUri, {icsi: ICSI.session, instance: senderInstance}),
    ...timer,
  };
}

/** Along the Route that the core gave, else to the configured next hop. */
export function hopOf({policy}: Needs, route: readonly string[]): Pick<OutgoingRequest, 'route' | 'nextHop'> {
  if (route.length > 0) return {route};
  return policy.outboundProxy === undefined ? {} : {nextHop: policy.outboundProxy};
}

/** A Route value that leads through a node loosely. */
export const routeTo = (uri: string): string => `<${uri.includes(';lr') ? uri : `${uri};lr`}>`;

/** The body of an INVITE: the offer, and beside it the message that rides along. */
export function withFirstMessage(
  {ids}: Needs,
  offer: string,
  firstMessage: FirstMessage | undefined,
): {readonly contentType: string; readonly body: string | Uint8Array} {
  if (firstMessage === undefined) return {contentType: 'application/sdp', body: offer};
  const boundary = ids.token();
  return {
    contentType: `multipart/mixed;boundary=${boundary}`,
    body: formatMultipart(
      [mimePart('application/sdp', Buffer.from(offer)), mimePart(firstMessage.contentType, firstMessage.bytes)],
      boundary,
    ),
  };
}

/** A part of a multipart body that has its type alone. */
export const mimePart = (contentType: string, bytes: Uint8Array): Parameters<typeof formatMultipart>[0][number] => ({
  headers: [{name: 'Content-Type', value: contentType}],
  body: Buffer.from(bytes),
});
