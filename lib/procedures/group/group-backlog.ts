import type {Context} from '../context.ts';
import type {Party} from '../party.ts';
import {sendBacklog} from '../terminating/backlog.ts';
import {reportForClient} from '../terminating/report-for-client.ts';
import type {UserLease} from '../terminating/user-leases.ts';
import type {Membership} from './membership.ts';

/**
 * What waits of a group, to one client: messages, notifications and states, in the order in which they came. `caught-up`: but for the last of
 * it, where more keeps coming. False when he could not take it all.
 * @clause CPM-CF 8.3.2.9.1.2 C7 C8
 */
export async function sendGroupBacklog(
  context: Context,
  {servedUser, sender, reports}: Membership,
  client: Party,
  lease: UserLease,
  until: 'empty' | 'caught-up',
): Promise<boolean> {
  for (let from: number | undefined; ;) {
    const {end, sent, afterSequence} = await sendBacklog(context, client.leg, servedUser, sender, lease, {from, until});
    if (end === 'broken') return false;
    if (!reports && sent > 0) await reportForClient(context, servedUser, sender);
    if (sent === 0 || until === 'caught-up') return true;
    from = afterSequence;
  }
}
