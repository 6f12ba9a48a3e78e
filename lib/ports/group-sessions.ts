import type {GroupSession} from '../cpm/group-session.ts';

/**
 * The group sessions of served users, durable: they outlive dialogs and processes (CPM-CF 8.3.2.9.1.2, 8.3.2.9.1.3).
 *
 * Every promise resolves only after the change is durable, and rejects with `CPM_STORE_AWAY` (503) when the store cannot be reached in time;
 * whether the change was made is then open. Every call may be repeated. A field that may be left out, and is undefined, comes back left out.
 */
export interface GroupSessions {
  /** Writes a group session, in place of what was known of it under its user and Contribution-ID. */
  put(session: GroupSession): Promise<void>;

  get(servedUser: string, contributionId: string): Promise<GroupSession | undefined>;

  /** Those of a user, by Contribution-ID. */
  ofUser(servedUser: string, page: GroupPage): Promise<readonly GroupSession[]>;

  /** The active ones in which a node stands, by served user and Contribution-ID: what its next life re-joins. */
  standingOf(node: string, page: GroupNodePage): Promise<readonly GroupSession[]>;

  /** Moves everything of one key to another: two identities turned out to be one user. Of a group that both know, what was changed last stays. */
  adopt(fromUser: string, toUser: string): Promise<number>;

  /** Removes at most `limit` that are not active and were changed before `before` (ms). Answers how many. */
  forget(before: number, limit: number): Promise<number>;
}

export interface GroupPage {
  /** Contribution-ID of the last one seen. */
  readonly after?: string | undefined;
  readonly limit: number;
}

export interface GroupNodePage {
  readonly after?: Pick<GroupSession, 'servedUser' | 'contributionId'> | undefined;
  readonly limit: number;
}
