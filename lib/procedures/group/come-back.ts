import {pause} from '../../ports/clock.ts';
import type {Context} from '../context.ts';
import type {Membership} from './membership.ts';
import {withMembership} from './with-membership.ts';

const page = 200;
/** Waits before each attempt; the last one repeats for as long as nobody says no. */
const waitMilliseconds = [0, 2000, 5000, 15_000, 60_000];
/** Answers that say nothing against the group: it may be there again in a moment. */
const ofTheMoment = [408, 430, 480, 486, 500, 502, 503, 504, 600];

/**
 * The dialog with a focus was lost and nobody ended it: the PF joins again, until the focus takes it or says that there is no such group.
 * Never rejects.
 * @clause CPM-CF 8.2.2.7
 */
export async function comeBack({clock, log, overload, groups}: Context, membership: Membership): Promise<void> {
  const where = {...membership.label, clause: 'CPM-CF 8.2.2.7'};
  const isWanted = (): boolean =>
    membership.focus === undefined && membership.record.standing === 'active' && overload.refuses() !== 'draining';
  for (let attempt = 0; ; attempt += 1) {
    await pause(clock, waitMilliseconds[Math.min(attempt, waitMilliseconds.length - 1)] ?? 0);
    const outcome = await groups.comingBack.take(async () => (isWanted() ? membership.start('rejoin') : 'joined'));
    if (outcome === 'joined') return;
    if (ofTheMoment.includes(outcome.status)) continue;
    log.info({...where, status: outcome.status}, 'a group is over by the word of its focus');
    membership.note({standing: 'inactive'});
    return;
  }
}

/**
 * After a crash, or when a SIP server is back: joins each group again in which this node stood.
 * @clause CPM-CF 8.2.2.7
 */
export async function comeBackToAll(context: Context): Promise<void> {
  const {store, policy} = context;
  let after: {readonly servedUser: string; readonly contributionId: string} | undefined;
  for (;;) {
    const records = await store.groupSessions.standingOf(policy.node, {after, limit: page});
    for (const record of records) {
      void withMembership(context, record, async (membership) => membership.comeBack());
    }

    after = records.at(-1);
    if (records.length < page) return;
  }
}
