/** Leases on the libsql file (T36). Runs in the worker thread, inside the transaction of a batch. */
import type {LeaseOwner, Leases} from '../../ports/leases.ts';
import type {Database, Query} from './database.ts';
import type {Sync} from './sync.ts';

/** The port's calls with the time at which they were made: the file belongs to one process, so its clock decides. */
export interface TimedLeases {
  claim(...args: [...Parameters<Leases['claim']>, token: string, now: number]): ReturnType<Leases['claim']>;
  renew(...args: [...Parameters<Leases['renew']>, now: number]): ReturnType<Leases['renew']>;
  holder(...args: [...Parameters<Leases['holder']>, now: number]): ReturnType<Leases['holder']>;
}

export function leases(database: Database): Sync<TimedLeases & Pick<Leases, 'release' | 'releaseNode'>> {
  return {
    claim(key, owner, milliseconds, token, now) {
      const {changes} = database.run(
        `INSERT INTO lease (key, node, address, token, expires_at) VALUES (?, ?, ?, ?, ?)
          ON CONFLICT (key) DO UPDATE SET node = excluded.node, address = excluded.address, token = excluded.token,
            expires_at = excluded.expires_at WHERE lease.expires_at <= ?`,
        ...[key, owner.node, owner.address, token, now + milliseconds, now],
      );
      return changes === 1 ? {key, owner, token} : undefined;
    },

    renew: (lease, milliseconds, now) =>
      database.run(
        'UPDATE lease SET expires_at = ? WHERE key = ? AND token = ?',
        ...[now + milliseconds, lease.key, lease.token],
      ).changes === 1,

    release(lease) {
      database.run('DELETE FROM lease WHERE key = ? AND token = ?', lease.key, lease.token);
    },

    holder(key, now) {
      const row = database.get(
        'SELECT node, address FROM lease WHERE key = ? AND expires_at > ?' as Query<LeaseOwner>,
        ...[key, now],
      );
      return row && {node: row.node, address: row.address};
    },

    releaseNode: (node) => database.run('DELETE FROM lease WHERE node = ?', node).changes,
  };
}
