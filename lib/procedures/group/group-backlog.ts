import type {Context} from '../context.ts';
import type {Party} from '../party.ts';
import {sendBacklog} from '../terminating/backlog.ts';
import type {UserLease} from '../terminating/user-leases.ts';
import type {Membership} from './membership.ts';

/**
 * What waits of a group, to one client: messages, notifications and states, in the order in which they came. False when he could not take it all.
 * @clause CPM-CF 8.3.2.9.1.2 C7 C8
 */
export async function sendGroupBacklog(
  context: Context,
  {servedUser, sender}: Membership,
  client: Party,
  lease: UserLease,
): Promise<boolean> {
  for (let after: number | undefined; ;) {
    const {end, sent, afterSequence} = await sendBacklog(context, client.leg, servedUser, sender, lease, after);
    if (end === 'broken') return false;
    if (sent === 0) return true;
    after = afterSequence;
  }
}
