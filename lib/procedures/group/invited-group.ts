import {resourceListsIn, type ListEntry} from '../../codecs/resource-lists.ts';
import {invitedConference, unknownConference} from '../../cpm/conference-state.ts';
import type {GroupSession} from '../../cpm/group-session.ts';
import type {SipMessageView} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import type {Invitation} from '../terminating/invitation.ts';

/** Where the group is, who of it the served user is, and whom the INVITE names. */
export interface Invited {
  readonly focus: string;
  readonly memberAddress: string;
  readonly invited: readonly ListEntry[];
}

/** The list of participants that an INVITE carries; empty where it has none. @throws CpmError 400 where it cannot be read. */
export const listIn = (invite: SipMessageView): readonly ListEntry[] =>
  resourceListsIn(invite.header('Content-Type') ?? '', invite.body)?.entries ?? [];

/** What an INVITE says of a group, and what was known of it before. */
export function groupFor(
  {policy, clock}: Pick<Context, 'policy' | 'clock'>,
  {servedUser, contributionId, conversationId, subject, offer}: Invitation,
  known: GroupSession | undefined,
  {focus, memberAddress, invited}: Invited,
): GroupSession {
  // Who stays anonymous (RFC 5364 §5) is nobody whom a list could name again.
  const named = invited
    .filter(({uri}) => !/@anonymous\.invalid\b/i.test(uri))
    .map(({uri, displayName}) => ({address: uri, name: displayName}));
  return {
    ...{servedUser, contributionId, conversationId, offer, focus, memberAddress},
    standing: 'active',
    subject: subject ?? known?.subject,
    conference:
      named.length > 0
        ? invitedConference(named, known?.conference.description)
        : (known?.conference ?? unknownConference),
    node: policy.node,
    changedAt: clock.now(),
  };
}
