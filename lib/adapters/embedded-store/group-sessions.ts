/** Group sessions on the libsql file (CPM-CF 8.3.2.9.1.2). Runs in the worker thread, inside the transaction of a batch. */
import type {GroupSession} from '../../cpm/group-session.ts';
import type {GroupSessions} from '../../ports/group-sessions.ts';
import type {Database, Query} from './database.ts';
import type {Sync} from './sync.ts';

interface GroupRow {
  readonly served_user: string;
  readonly contribution_id: string;
  readonly node: string;
  readonly standing: GroupSession['standing'];
  readonly changed_at: number;
  readonly session: string;
}

/** Data, so that a test can ask for the plan of each. */
export const queries = {
  get: 'SELECT * FROM group_session WHERE served_user = ? AND contribution_id = ?' as Query<GroupRow>,

  ofUser: `
    SELECT * FROM group_session WHERE served_user = ? AND contribution_id > ?
    ORDER BY contribution_id LIMIT ?` as Query<GroupRow>,

  standingOf: `
    SELECT * FROM group_session WHERE standing = 'active' AND node = ? AND (served_user, contribution_id) > (?, ?)
    ORDER BY served_user, contribution_id LIMIT ?` as Query<GroupRow>,

  over: `
    SELECT rowid FROM group_session WHERE standing <> 'active' AND changed_at < ?
    ORDER BY changed_at LIMIT ?` as Query<{readonly rowid: number}>,
};

export function groupSessions(database: Database): Sync<GroupSessions> {
  return {
    put({servedUser, contributionId, node, standing, changedAt, ...session}) {
      database.run(
        `INSERT OR REPLACE INTO group_session (served_user, contribution_id, node, standing, changed_at, session)
          VALUES (?, ?, ?, ?, ?, ?)`,
        ...[servedUser, contributionId, node, standing, changedAt, JSON.stringify(session)],
      );
    },

    get(servedUser, contributionId) {
      const row = database.get(queries.get, servedUser, contributionId);
      return row && sessionOf(row);
    },

    ofUser: (servedUser, {after = '', limit}) =>
      database.all(queries.ofUser, servedUser, after, Math.max(0, limit)).map(sessionOf),

    standingOf: (node, {after, limit}) =>
      database
        .all(queries.standingOf, node, after?.servedUser ?? '', after?.contributionId ?? '', Math.max(0, limit))
        .map(sessionOf),

    adopt(fromUser, toUser) {
      if (fromUser === toUser) return 0;
      database.run(
        `DELETE FROM group_session AS known WHERE served_user = ? AND EXISTS (
          SELECT 1 FROM group_session AS other WHERE other.served_user = ?
            AND other.contribution_id = known.contribution_id AND other.changed_at > known.changed_at)`,
        ...[toUser, fromUser],
      );
      const {changes} = database.run(
        'UPDATE OR IGNORE group_session SET served_user = ? WHERE served_user = ?',
        ...[toUser, fromUser],
      );
      eraseGroups(database, fromUser);
      return changes;
    },

    forget: (before, limit) =>
      database.run(`DELETE FROM group_session WHERE rowid IN (${queries.over})`, before, Math.max(0, limit)).changes,
  };
}

/** Those of one key. Answers how many. */
export function eraseGroups(database: Database, key: string): number {
  return database.run('DELETE FROM group_session WHERE served_user = ?', key).changes;
}

/** JSON has no `undefined`: what was absent is said again. */
function sessionOf(row: GroupRow): GroupSession {
  const session = JSON.parse(row.session) as Omit<GroupSession, 'servedUser' | 'contributionId' | 'node' | 'standing'>;
  return {
    ...session,
    servedUser: row.served_user,
    contributionId: row.contribution_id,
    standing: row.standing,
    subject: session.subject,
    offer: session.offer,
    conference: {...session.conference, version: session.conference.version},
    node: row.node,
    changedAt: row.changed_at,
  };
}
