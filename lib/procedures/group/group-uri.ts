import {formatContact, isFocus, parseContacts} from '../../codecs/sip-headers/contact.ts';
import {parseSipUri} from '../../codecs/sip-headers/sip-uri.ts';
import {opaqueId} from '../../codecs/sip-headers/cpm-ids.ts';
import type {GroupSession} from '../../cpm/group-session.ts';
import {ICSI} from '../../cpm/feature-tags.ts';
import {resolveEscapes} from '../../cpm/percent-escapes.ts';
import type {SipMessageView, SipRequestView} from '../../ports/sip.ts';
import type {Context} from '../context.ts';

/** Names the group in our own URI: a client that re-joins by it reaches the PF, which knows the focus. */
const parameter = 'ocid';

/** The group as its clients know it: a URI of the PF. */
export const groupUri = ({sip}: Pick<Context, 'sip'>, {contributionId}: Pick<GroupSession, 'contributionId'>): string =>
  `${sip.contactUri};${parameter}=${encodeURIComponent(contributionId)}`;

/** Contact of the PF towards a client of the group: a focus as the client sees it (row C2, T41). */
export const groupContact = (context: Pick<Context, 'sip'>, group: Pick<GroupSession, 'contributionId'>): string =>
  formatContact(groupUri(context, group), {icsi: ICSI.session, isFocus: true});

/** The Contribution-ID that such a URI names, whoever gave it: a focus may name its groups so as well. */
function namedIn(uri: string): string | undefined {
  const value = /^sips?:/i.test(uri) ? parseSipUri(uri).params.get(parameter) : undefined;
  return value === undefined ? undefined : opaqueId(resolveEscapes(value));
}

/**
 * The Contribution-ID in a Request-URI that came from such a Contact: of this node, or, where the request is for that group by its header, too, of
 * another one, or of an address that it had before. Undefined in any other.
 */
export function groupOf({sip}: Pick<Context, 'sip'>, request: SipRequestView): string | undefined {
  const named = namedIn(request.uri);
  return sip.isOwn(request.uri) || named === opaqueId(request.header('Contribution-ID')) ? named : undefined;
}

/** The session identity that a focus gives in its Contact (T46); the PF's own URI of a group is none. */
export function focusOf({sip}: Pick<Context, 'sip'>, message: Pick<SipMessageView, 'header'>): string | undefined {
  const header = message.header('Contact');
  const [contact] = header === undefined ? [] : parseContacts(header);
  if (contact === undefined || !isFocus(contact)) return undefined;
  return sip.isOwn(contact.uri) && namedIn(contact.uri) !== undefined ? undefined : contact.uri;
}
