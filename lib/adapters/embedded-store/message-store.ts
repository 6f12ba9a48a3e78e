/** The message store on the libsql file (CPM-CF 8.5.2). Runs in the worker thread, inside the transaction of a batch. */
import {createHash} from 'node:crypto';
import {
  samenessOf,
  type FolderSummary,
  type NewStoredObject,
  type StoredKind,
  type StoredSummary,
} from '../../cpm/stored-object.ts';
import type {MessageStore, PutOutcome} from '../../ports/message-store.ts';
import type {Database, Query} from './database.ts';
import {sequenceOf} from './selections.ts';
import type {Sync} from './sync.ts';

interface StoredRow {
  readonly sequence: number;
  readonly served_user: string;
  readonly conversation_id: string;
  readonly contribution_id: string;
  readonly kind: StoredKind;
  readonly imdn_message_id: string;
  readonly author: string;
  readonly recipient: string;
  readonly direction: 'sent' | 'received' | undefined;
  readonly date: number;
  readonly headers: string;
  readonly content_type: string;
  readonly size: number;
  readonly stored_at: number;
}

interface FolderRow {
  readonly conversation_id: string;
  readonly contribution_id: string;
  readonly infos: number;
  readonly messages: number;
  readonly notifications: number;
  readonly states: number;
  readonly first_date: number;
  readonly last_date: number;
}

const count = (kind: StoredKind, name: string): string => `sum(kind = '${kind}') AS ${name}`;

/** By index `stored_folder`, one user's part of it. */
const folders = `
  SELECT conversation_id, contribution_id, ${count('session-info', 'infos')}, ${count('message', 'messages')},
    ${count('notification', 'notifications')}, ${count('group-state', 'states')}, min(date) AS first_date, max(date) AS last_date
  FROM stored WHERE served_user = ? AND (conversation_id, contribution_id) > (?, ?)
  GROUP BY conversation_id, contribution_id HAVING ? IS NULL OR sum(kind = ?) > 0
  ORDER BY conversation_id, contribution_id LIMIT ?` as Query<FolderRow>;

/** By index `stored_order`. */
const list = `
  SELECT * FROM stored WHERE served_user = ? AND conversation_id = ? AND sequence > ?
    AND (? IS NULL OR contribution_id = ?) AND (? IS NULL OR kind = ?) ORDER BY sequence LIMIT ?` as Query<StoredRow>;

/** By index `stored_age`. */
const old = `
  SELECT sequence FROM stored AS one WHERE stored_at < ? AND (kind <> 'session-info' OR NOT EXISTS (
    SELECT 1 FROM stored AS other WHERE other.served_user = one.served_user AND other.conversation_id = one.conversation_id
      AND other.contribution_id = one.contribution_id AND other.kind <> 'session-info'))
  ORDER BY stored_at LIMIT ?` as Query<{readonly sequence: number}>;

export function messageStore(database: Database): Sync<MessageStore> {
  const putOne = (object: NewStoredObject, at: number): PutOutcome => {
    const {servedUser, conversationId, contributionId, kind, imdnMessageId} = object;
    const hash = createHash('sha256');
    for (const part of samenessOf(object)) hash.update(part);
    const digest = hash.digest();
    const identity = [servedUser, conversationId, contributionId, kind, imdnMessageId];
    const known = database.all(
      `SELECT digest = ? AS same FROM stored WHERE served_user = ? AND conversation_id = ?
        AND contribution_id = ? AND kind = ? AND imdn_message_id = ?` as Query<{readonly same: number}>,
      ...[digest, ...identity],
    );
    if (known.some(({same}) => same === 1)) return 'duplicate';

    const {rowid} = database.run(
      `INSERT INTO stored (served_user, conversation_id, contribution_id, kind, imdn_message_id, digest, author,
        recipient, direction, date, headers, content_type, size, stored_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ...[...identity, digest, object.from, object.to, object.direction, object.date, JSON.stringify(object.headers)],
      ...[object.contentType, object.bytes.byteLength, at],
    );
    database.run('INSERT INTO stored_body (sequence, bytes) VALUES (?, ?)', rowid, object.bytes);
    return known.length > 0 ? 'conflict' : 'stored';
  };

  return {
    put: (objects, at) => objects.map((object) => putOne(object, at)),

    folders(servedUser, {after, limit, kind}) {
      const behind = [after?.conversationId ?? '', after?.contributionId ?? ''];
      const rows = database.all(folders, servedUser, ...behind, kind, kind, Math.max(0, limit));
      return rows.map((row) => folderOf(servedUser, row));
    },

    list({servedUser, conversationId, contributionId, kind}, {after = 0, limit}) {
      const narrowed = [contributionId, contributionId, kind, kind];
      return database.all(list, servedUser, conversationId, after, ...narrowed, Math.max(0, limit)).map(summaryOf);
    },

    read(id) {
      const row = database.get(
        'SELECT * FROM stored JOIN stored_body USING (sequence) WHERE sequence = ?' as Query<
          StoredRow & {readonly bytes: Uint8Array}
        >,
        sequenceOf(id),
      );
      return row && {...summaryOf(row), bytes: row.bytes};
    },

    adopt(fromUser, toUser) {
      if (fromUser === toUser) return 0;
      const moved = database.run('UPDATE OR IGNORE stored SET served_user = ? WHERE served_user = ?', toUser, fromUser);
      remove(database, 'served_user = ?', fromUser);
      return moved.changes;
    },

    forget(before, limit) {
      const gone = database.all(old, before, Math.max(0, limit));
      for (const {sequence} of gone) remove(database, 'sequence = ?', sequence);
      return gone.length;
    },
  };
}

/** What a key has, and what it wrote. Answers how many objects. */
export function eraseStored(database: Database, key: string): number {
  return remove(database, 'served_user = ?', key) + remove(database, 'author = ?', key);
}

function remove(database: Database, condition: string, value: string | number): number {
  database.run(`DELETE FROM stored_body WHERE sequence IN (SELECT sequence FROM stored WHERE ${condition})`, value);
  return database.run(`DELETE FROM stored WHERE ${condition}`, value).changes;
}

function folderOf(servedUser: string, row: FolderRow): FolderSummary {
  return {
    servedUser,
    conversationId: row.conversation_id,
    contributionId: row.contribution_id,
    counts: {
      'session-info': row.infos,
      message: row.messages,
      notification: row.notifications,
      'group-state': row.states,
    },
    firstDate: row.first_date,
    lastDate: row.last_date,
  };
}

const summaryOf = (row: StoredRow): StoredSummary => ({
  id: String(row.sequence),
  sequence: row.sequence,
  servedUser: row.served_user,
  conversationId: row.conversation_id,
  contributionId: row.contribution_id,
  kind: row.kind,
  imdnMessageId: row.imdn_message_id,
  from: row.author,
  to: row.recipient,
  direction: row.direction,
  date: row.date,
  headers: JSON.parse(row.headers) as StoredSummary['headers'],
  contentType: row.content_type,
  size: row.size,
  storedAt: row.stored_at,
});
