import {RESOURCE_LISTS_TYPE, formatResourceLists, type ListEntry} from '../../codecs/resource-lists.ts';
import type {OutgoingRequest} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import {hopOf, originatingCallIdPrefix} from '../terminating/delivery-invite.ts';
import {beyondList, idsOf} from './group-invite.ts';
import type {KnownGroup} from './known-group.ts';

type Needs = Pick<Context, 'sip' | 'policy' | 'ids' | 'log'>;

/**
 * Those for whom the list of a re-start had no room are invited into its session by REFER to the focus (RFC 4579 §5.5): as many at a time as have
 * room (RFC 5368), one by one where the focus does not know that (420). Never rejects.
 * @clause CPM-CF 8.2.2.7 C10
 */
export async function inviteRest(context: Needs, group: KnownGroup, rest: readonly ListEntry[]): Promise<void> {
  let missing = 0;
  for (let waiting = rest; waiting.length > 0;) {
    const next = beyondList(waiting);
    missing += await refer(context, group, waiting.slice(0, waiting.length - next.length));
    waiting = next;
  }

  const where = {...group.label, clause: 'CPM-CF 8.2.2.7', invited: rest.length - missing};
  if (missing === 0) context.log.info(where, 'the participants beyond the list of a re-start are invited');
  else context.log.warn({...where, missing}, 'a group is started again without all of its participants');
}

/** How many of them could not be invited. */
async function refer(context: Needs, group: KnownGroup, entries: readonly ListEntry[]): Promise<number> {
  const {status} = await context.sip.request('REFER', referRequest(context, group, entries));
  if (status < 300) return 0;
  if (status !== 420 || entries.length === 1) return entries.length;
  let missing = 0;
  for (const entry of entries) missing += await refer(context, group, [entry]);
  return missing;
}

/** No dialog of its own comes of it (RFC 4488): what becomes of those who are invited the conference event tells. */
function referRequest(context: Needs, {record}: KnownGroup, entries: readonly ListEntry[]): OutgoingRequest {
  const {sip, policy, ids} = context;
  const {focus, memberAddress} = record;
  const [only, another] = entries;
  const contentId = `${ids.token()}@${policy.homeDomain}`;
  const isList = only === undefined || another !== undefined;
  return {
    uri: focus,
    ...hopOf(context, []),
    headers: {
      'Call-ID': originatingCallIdPrefix + ids.token(),
      Contact: `<${sip.contactUri}>`,
      From: `<${memberAddress}>`,
      To: `<${focus}>`,
      ...idsOf(record),
      'P-Asserted-Identity': `<${memberAddress}>`,
      'Refer-To': isList ? `<cid:${contentId}>` : `<${only.uri}>`,
      'Refer-Sub': 'false',
      Supported: 'norefersub',
      ...(isList
        ? {
            Require: 'multiple-refer',
            'Content-Type': RESOURCE_LISTS_TYPE,
            'Content-Disposition': 'recipient-list',
            'Content-ID': `<${contentId}>`,
          }
        : {}),
    },
    ...(isList ? {body: formatResourceLists(entries)} : {}),
  };
}
