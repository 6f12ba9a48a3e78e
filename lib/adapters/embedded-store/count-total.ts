import type {Settlement} from '../../cpm/deferred-message.ts';
import type {Database} from './database.ts';

/** Counts what became of messages, for the ledger. */
export function countTotal(database: Database, what: 'accepted' | Settlement, by: number): void {
  const sql = 'INSERT INTO total VALUES (?, ?) ON CONFLICT (what) DO UPDATE SET count = count + excluded.count';
  if (by !== 0) database.run(sql, what, by);
}
