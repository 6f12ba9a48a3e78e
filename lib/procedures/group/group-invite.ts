import {formatMultipart} from '../../codecs/multipart.ts';
import {fittingList} from '../../codecs/participant-list.ts';
import {resourceListsPart, type ListEntry, type ListPurpose} from '../../codecs/resource-lists.ts';
import {asSipRequestUri, canonicalAddress} from '../../cpm/address.ts';
import {ICSI} from '../../cpm/feature-tags.ts';
import type {GroupSession} from '../../cpm/group-session.ts';
import type {RegisteredContact} from '../../ports/registrations.ts';
import type {OutgoingMessage} from '../../ports/media-plane.ts';
import type {OutgoingRequest} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import {hopOf, mimePart, ownHeaders, targetOf} from '../terminating/delivery-invite.ts';
import type {Invitation} from '../terminating/invitation.ts';
import {eventId, groupStateMessage} from './group-state-object.ts';
import {groupContact} from './group-uri.ts';

/**
 * Most octets of a list of participants in an INVITE. drachtio loses what is larger than 12,228 octets on its way from the application, and the
 * session description and the headers are in there, too.
 */
const listOctets = 6000;

/** Those who take part beside the served user, as the list in an INVITE names them (T40). */
export function participantsOf({conference, memberAddress}: GroupSession): readonly ListEntry[] {
  const own = canonicalAddress(memberAddress);
  return conference.participants
    .filter(({entity, yourOwn}) => yourOwn !== true && canonicalAddress(entity) !== own)
    .map(({entity, displayText}) => ({uri: entity, displayName: displayText}));
}

/**
 * The Group State Object with the complete list that goes before everything else in a session whose INVITE could not name them all, or not by their
 * names. Undefined where it could.
 */
export const owedList = (
  context: Pick<Context, 'clock' | 'policy' | 'sip'>,
  group: GroupSession,
  dialogId: string,
): OutgoingMessage | undefined =>
  fittingList(participantsOf(group), listOctets).shortened
    ? groupStateMessage(context, group, eventId('participants', dialogId))
    : undefined;

/** Those for whom the list in one request has no room. */
export const beyondList = (entries: readonly ListEntry[]): readonly ListEntry[] =>
  entries.slice(fittingList(entries, listOctets).entries.length);

/** How an INVITE to a client comes about: for the group's own, with its headers and along its Route; or by the PF, which delivers. */
export interface GroupInviteOrigin {
  readonly headers: Readonly<Record<string, string>>;
  readonly from: string;
  readonly route: readonly string[];
  readonly via?: string;
}

/**
 * The INVITE to one device of a member: the ids of the group, its latest participants, its Subject, and the PF as its focus.
 * @clause CPM-CF 8.3.2.9.1.2 C2 C3 C4
 */
export function groupInvite(
  context: Pick<Context, 'sip' | 'policy' | 'ids'>,
  group: GroupSession,
  device: RegisteredContact,
  offer: string,
  {headers, from, route, via}: GroupInviteOrigin,
): OutgoingRequest {
  const target = targetOf(device, asSipRequestUri(group.memberAddress, context.policy.homeDomain), ICSI.session);
  const body = withList(context, offer, participantsOf(group), 'recipient-list-history');
  return {
    uri: target.uri,
    ...(via === undefined ? {} : {via}),
    ...hopOf(context, route),
    headers: {
      ...headers,
      ...ownHeaders(context, undefined),
      Contact: groupContact(context, group),
      ...target.headers,
      From: `<${from}>`,
      To: `<${asSipRequestUri(group.memberAddress, context.policy.homeDomain)}>`,
      ...idsOf(group),
      'P-Asserted-Service': ICSI.session,
      'Content-Type': body.contentType,
    },
    repeated: {'Accept-Contact': target.acceptContact},
    body: body.body,
  };
}

/** Conversation-ID, Contribution-ID and Subject: the same in every session of a group (T46). */
export const idsOf = ({conversationId, contributionId, subject}: GroupSession): Record<string, string> => ({
  'Conversation-ID': conversationId,
  'Contribution-ID': contributionId,
  ...(subject === undefined ? {} : {Subject: subject}),
});

/** A session description, a list of participants where there are any, and the message that rides along. */
export function withList(
  {ids}: Pick<Context, 'ids'>,
  sdp: string,
  entries: readonly ListEntry[],
  purpose: ListPurpose,
  firstMessage?: Invitation['firstMessage'],
): {readonly contentType: string; readonly body: string | Uint8Array} {
  const list = fittingList(entries, listOctets).entries;
  if (list.length === 0 && firstMessage === undefined) return {contentType: 'application/sdp', body: sdp};
  const boundary = ids.token();
  const parts = [
    mimePart('application/sdp', Buffer.from(sdp)),
    ...(list.length === 0 ? [] : [resourceListsPart(list, purpose)]),
    ...(firstMessage === undefined ? [] : [mimePart(firstMessage.contentType, firstMessage.bytes)]),
  ];
  return {contentType: `multipart/mixed;boundary=${boundary}`, body: formatMultipart(parts, boundary)};
}
