import type {GroupSession} from '../../cpm/group-session.ts';
import type {Context} from '../context.ts';
import {serviceUnavailable} from '../terminating/reasons.ts';
import {createTurns, type Turns} from '../turns.ts';
import type {Membership} from './membership.ts';

/** The groups in which this node stands for served users, or has one of their clients: found by user and Contribution-ID. */
export interface Groups {
  of(servedUser: string, contributionId: string): Membership | undefined;
  add(membership: Membership): void;
  remove(membership: Membership): void;
  all(): readonly Membership[];
  /**
   * Two keys turned out to be one user: the groups of the former one are the other one's from now on. Resolves once nothing is written under the
   * former one any more; never rejects.
   */
  follow(former: string, servedUser: string): Promise<void>;
  /** The end of a PF, or of a SIP server, must not become a storm of INVITEs at the focuses: so many come-backs at a time. */
  readonly comingBack: Turns;
}

export function createGroups(comingBackAtATime: () => number): Groups {
  const byUser = new Map<string, Map<string, Membership>>();
  const groups: Groups = {
    of: (servedUser, contributionId) => byUser.get(servedUser)?.get(contributionId),
    add(membership) {
      const {servedUser, contributionId} = membership.record;
      const groups = byUser.get(servedUser) ?? new Map<string, Membership>();
      byUser.set(servedUser, groups.set(contributionId, membership));
    },
    remove(membership) {
      const {servedUser, contributionId} = membership.record;
      const groups = byUser.get(servedUser);
      if (groups?.get(contributionId) !== membership) return;
      groups.delete(contributionId);
      if (groups.size === 0) byUser.delete(servedUser);
    },
    all: () => [...byUser.values()].flatMap((groups) => [...groups.values()]),
    async follow(former, servedUser) {
      const moving = [...(byUser.get(former)?.values() ?? [])];
      for (const membership of moving) {
        const other = groups.of(servedUser, membership.record.contributionId);
        groups.remove(membership);
        membership.follow(servedUser);
        // Both were in it: he is in it once, and his sessions of the other one end.
        const ends = other?.focus === undefined ? other : membership;
        if (ends !== membership) groups.add(membership);
        void ends?.end(serviceUnavailable);
      }

      await Promise.allSettled(moving.map(async (membership) => membership.written()));
    },
    comingBack: createTurns(comingBackAtATime),
  };
  return groups;
}

/** What is known of a user's group: by this node where it is in it, else by the store. Rejects with `CPM_STORE_AWAY` (503). */
export const knownOf = async (
  {groups, store}: Pick<Context, 'groups' | 'store'>,
  servedUser: string,
  contributionId: string,
): Promise<GroupSession | undefined> =>
  groups.of(servedUser, contributionId)?.record ?? store.groupSessions.get(servedUser, contributionId);
