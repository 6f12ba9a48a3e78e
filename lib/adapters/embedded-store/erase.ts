/** Everything of one user leaves the file. Runs in the worker thread, inside the transaction of a batch. */
import type {Erased} from '../../ports/store.ts';
import {countTotal} from './count-total.ts';
import {sqliteCode} from './database.ts';
import type {Database, Query} from './database.ts';
import {eraseGroups} from './group-sessions.ts';
import {eraseStored} from './message-store.ts';

/** What is deleted is overwritten (`secure_delete`), in the rows themselves; see `scrub`. */
export function erase(database: Database, servedUser: string): Erased {
  const own = database.all(
    'SELECT identity FROM identity WHERE served_user = ?' as Query<{identity: string}>,
    servedUser,
  );
  const keys = [...new Set([servedUser, ...own.map(({identity}) => identity)])];

  const eraseMessages = (column: 'served_user' | 'sender', key: string): number => {
    const {pending} = database.get(
      `SELECT count(*) AS pending FROM message WHERE ${column} = ? AND settled_at IS NULL` as Query<{pending: number}>,
      key,
    ) ?? {pending: 0};
    countTotal(database, 'dropped', pending);
    database.run(`DELETE FROM body WHERE sequence IN (SELECT sequence FROM message WHERE ${column} = ?)`, key);
    return database.run(`DELETE FROM message WHERE ${column} = ?`, key).changes;
  };
  const sum = (each: (key: string) => number): number => keys.reduce((total, key) => total + each(key), 0);

  return {
    messagesTo: sum((key) => eraseMessages('served_user', key)),
    messagesFrom: sum((key) => eraseMessages('sender', key)),
    recorded: sum((key) => eraseStored(database, key)),
    groups: sum((key) => eraseGroups(database, key)),
    registrations: sum((key) => database.run('DELETE FROM registration WHERE served_user = ?', key).changes),
    identities: sum(
      (key) => database.run('DELETE FROM identity WHERE identity = ? OR served_user = ?', key, key).changes,
    ),
  };
}

/** A file of this size is written anew in a second or two, while other calls wait. */
const scrubbedBytes = 512 * 1024 * 1024;

/**
 * After an erasure, outside of any transaction: pages of a B-tree that were once rearranged keep copies of what stood in them, and so does the
 * write-ahead log. A larger file keeps the former until somebody runs VACUUM on it. On a full disk nothing happens: the erasure itself stands.
 */
export function scrub(database: Database): void {
  try {
    const bytes = Number(database.pragma('page_count')) * Number(database.pragma('page_size'));
    if (bytes <= scrubbedBytes) database.run('VACUUM');
    database.pragma('wal_checkpoint(TRUNCATE)');
  } catch (error) {
    if (sqliteCode(error) === undefined) throw error;
  }
}
