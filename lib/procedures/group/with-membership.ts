import type {GroupSession} from '../../cpm/group-session.ts';
import type {Context} from '../context.ts';
import {Membership} from './membership.ts';

/**
 * Works on a user's membership of a group: on the one that is in memory, else on a new one, known by this record. It stays there for as long as any work on
 * it lasts, so that there is never a second one beside it.
 */
export async function withMembership<T>(
  context: Context,
  record: GroupSession,
  work: (membership: Membership) => Promise<T>,
): Promise<T> {
  const membership = context.groups.of(record.servedUser, record.contributionId) ?? new Membership(context, record);
  return membership.hold(async () => work(membership));
}
