/** Dialog records on MongoDB: best effort, but for reading them. */
import {CpmError} from '../../errors.ts';
import type {DialogRecords} from '../../ports/dialog-records.ts';
import type {Connection} from './connection.ts';
import {collections} from './documents.ts';

export function dialogRecords(connection: Connection): DialogRecords {
  return {
    record: ({id, ...record}) =>
      connection
        .run(async (database) => {
          await collections.dialogs(database).replaceOne({_id: id}, record, {upsert: true});
        })
        .catch(ignoreAway),

    forget: (id) =>
      connection
        .run(async (database) => {
          await collections.dialogs(database).deleteOne({_id: id});
        })
        .catch(ignoreAway),

    ofNode: (node) =>
      connection.run(async (database) => {
        const found = await collections.dialogs(database).find({node}).toArray();
        return found.map(({_id, ...record}) => ({id: _id, ...record}));
      }),
  };
}

/** The store says by its availability that it is away. */
function ignoreAway(error: unknown): void {
  if (!(error instanceof CpmError && error.code === 'CPM_STORE_AWAY')) throw error;
}
