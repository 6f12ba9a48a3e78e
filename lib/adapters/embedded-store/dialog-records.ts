/** Dialog records on the libsql file. Runs in the worker thread, inside the transaction of a batch. */
import type {DialogRecord, DialogRecords} from '../../ports/dialog-records.ts';
import type {Database, Query} from './database.ts';
import type {Sync} from './sync.ts';

export function dialogRecords(database: Database): Sync<DialogRecords> {
  return {
    record({id, node, server, servedUser, openedAt}) {
      database.run('INSERT OR REPLACE INTO dialog VALUES (?, ?, ?, ?, ?)', id, node, server, servedUser, openedAt);
    },

    forget(id) {
      database.run('DELETE FROM dialog WHERE id = ?', id);
    },

    ofNode: (node) =>
      database.all(
        `SELECT id, node, server, served_user AS servedUser, opened_at AS openedAt FROM dialog
          WHERE node = ? ORDER BY rowid` as Query<DialogRecord>,
        node,
      ),
  };
}
