import {ICSI} from '../../cpm/feature-tags.ts';
import {formatAcceptContact} from '../../codecs/sip-headers/accept-contact.ts';
import type {GroupSession} from '../../cpm/group-session.ts';
import type {OutgoingRequest} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import {hopOf, originatingCallIdPrefix, ownHeaders} from '../terminating/delivery-invite.ts';
import {idsOf, participantsOf, withList} from './group-invite.ts';

/** `rejoin`: the conference stands, by all we know; `restart`: there is none, and the list says whom to invite. */
export type FocusInviteKind = 'rejoin' | 'restart';

/**
 * The INVITE by which the PF comes back into a group for its user: the ids of the group, the focus that it knows; the list of the participants
 * goes along where the group is started again (8.2.2.7, RFC 5366 §4).
 * @clause CPM-CF 8.2.2.7 C10 D3
 */
export function focusInvite(
  context: Pick<Context, 'sip' | 'policy' | 'ids'>,
  group: GroupSession,
  offer: string,
  kind: FocusInviteKind,
): OutgoingRequest {
  const {policy} = context;
  const isRestart = kind === 'restart';
  const body = withList(context, offer, isRestart ? participantsOf(group) : [], 'recipient-list');
  const uri = isRestart ? (policy.conferenceFactory ?? group.focus) : group.focus;
  return {
    uri,
    ...hopOf(context, []),
    headers: {
      ...ownHeaders(context, undefined, originatingCallIdPrefix),
      From: `<${group.memberAddress}>`,
      To: `<${uri}>`,
      ...idsOf(group),
      'P-Asserted-Identity': `<${group.memberAddress}>`,
      'P-Asserted-Service': ICSI.sessionGroup,
      ...(body.contentType.startsWith('multipart/') ? {Require: 'recipient-list-invite'} : {}),
      'Content-Type': body.contentType,
    },
    repeated: {'Accept-Contact': [formatAcceptContact({icsi: ICSI.sessionGroup})]},
    body: body.body,
  };
}
