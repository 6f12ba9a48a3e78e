/** The tables of the embedded store, by version. A released version is never edited: the next one is appended. */
import {CpmError} from '../../errors.ts';
import type {Database, Query} from './database.ts';

/**
 * `message` is small and all that queue scans read; what is large is in `body`. `sequence` is the order of arrival over the whole store,
 * so it grows within each (served user, sender) and stays right when one key is moved to another. A settled message keeps its row
 * without its body until its identity is forgotten, or, having none, as long; `history` has the latest of its `events`; `total` counts what became of messages, whether they are still known or not.
 */
const migrations: readonly (readonly string[])[] = [
  [
    'CREATE TABLE schema (version INTEGER NOT NULL, probed_at INTEGER)',
    'INSERT INTO schema (version) VALUES (0)',

    `CREATE TABLE message (
      sequence INTEGER PRIMARY KEY AUTOINCREMENT,
      served_user TEXT NOT NULL,
      sender TEXT NOT NULL,
      kind TEXT NOT NULL,
      imdn_message_id TEXT,
      digest BLOB NOT NULL,
      size INTEGER NOT NULL,
      content_type TEXT NOT NULL,
      dispositions TEXT NOT NULL,
      date_time INTEGER,
      received_at INTEGER NOT NULL,
      expires_at INTEGER NOT NULL,
      state TEXT NOT NULL,
      sent_at INTEGER,
      settled_at INTEGER
    )`,
    `CREATE UNIQUE INDEX message_identity ON message (served_user, imdn_message_id, sender, kind, digest)
      WHERE imdn_message_id IS NOT NULL`,
    `CREATE INDEX message_queue ON message (served_user, sender, sequence, kind, date_time, received_at, size)
      WHERE state = 'queued'`,
    `CREATE INDEX message_sent ON message (served_user, sent_at) WHERE state = 'sent'`,
    'CREATE INDEX message_expiry ON message (expires_at, sequence) WHERE settled_at IS NULL',
    'CREATE INDEX message_settled ON message (settled_at) WHERE settled_at IS NOT NULL',
    'CREATE TABLE body (sequence INTEGER PRIMARY KEY, session TEXT NOT NULL, bytes BLOB NOT NULL)',
    'CREATE TABLE total (what TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID',

    'CREATE TABLE registration (served_user TEXT PRIMARY KEY, registration TEXT NOT NULL)',
    'CREATE TABLE identity (identity TEXT PRIMARY KEY, served_user TEXT NOT NULL)',
    'CREATE INDEX identity_of_user ON identity (served_user)',

    `CREATE TABLE lease (
      key TEXT PRIMARY KEY, node TEXT NOT NULL, address TEXT, token TEXT NOT NULL, expires_at INTEGER NOT NULL
    )`,
    'CREATE INDEX lease_of_node ON lease (node)',

    `CREATE TABLE dialog (
      id TEXT PRIMARY KEY, node TEXT NOT NULL, server TEXT NOT NULL, served_user TEXT NOT NULL, opened_at INTEGER NOT NULL
    )`,
    'CREATE INDEX dialog_of_node ON dialog (node)',
  ],
  // Where a message is: its history, and every way in which somebody asks after it. The identity begins with the imdn.Message-ID now,
  // as that is asked for alone, too.
  [
    `ALTER TABLE message ADD COLUMN node TEXT NOT NULL DEFAULT ''`,
    'ALTER TABLE message ADD COLUMN conversation_id TEXT',
    'ALTER TABLE message ADD COLUMN events INTEGER NOT NULL DEFAULT 0',
    `ALTER TABLE message ADD COLUMN history TEXT NOT NULL DEFAULT '[]'`,
    `UPDATE message SET conversation_id =
      (SELECT json_extract(session, '$.conversationId') FROM body WHERE body.sequence = message.sequence)`,
    'DROP INDEX message_identity',
    `CREATE UNIQUE INDEX message_identity ON message (imdn_message_id, served_user, sender, kind, digest)
      WHERE imdn_message_id IS NOT NULL`,
    'CREATE INDEX message_user ON message (served_user, sequence)',
    'CREATE INDEX message_sender ON message (sender, sequence)',
    'CREATE INDEX message_conversation ON message (conversation_id, sequence)',
    `CREATE INDEX message_held ON message (served_user, sequence) WHERE state = 'held'`,
  ],
  // What is recorded of sessions.
  [
    `CREATE TABLE stored (
      sequence INTEGER PRIMARY KEY AUTOINCREMENT,
      served_user TEXT NOT NULL,
      conversation_id TEXT NOT NULL,
      contribution_id TEXT NOT NULL,
      kind TEXT NOT NULL,
      imdn_message_id TEXT NOT NULL,
      digest BLOB NOT NULL,
      author TEXT NOT NULL,
      recipient TEXT NOT NULL,
      direction TEXT,
      date INTEGER NOT NULL,
      headers TEXT NOT NULL,
      content_type TEXT NOT NULL,
      size INTEGER NOT NULL,
      stored_at INTEGER NOT NULL
    )`,
    `CREATE UNIQUE INDEX stored_identity ON stored
      (served_user, conversation_id, contribution_id, kind, imdn_message_id, digest)`,
    'CREATE INDEX stored_folder ON stored (served_user, conversation_id, contribution_id, kind, date)',
    'CREATE INDEX stored_order ON stored (served_user, conversation_id, sequence)',
    'CREATE INDEX stored_author ON stored (author)',
    'CREATE INDEX stored_age ON stored (stored_at)',
    'CREATE TABLE stored_body (sequence INTEGER PRIMARY KEY, bytes BLOB NOT NULL)',
  ],
  // What outlives the dialogs of groups.
  [
    `CREATE TABLE group_session (
      served_user TEXT NOT NULL,
      contribution_id TEXT NOT NULL,
      node TEXT NOT NULL,
      standing TEXT NOT NULL,
      changed_at INTEGER NOT NULL,
      session TEXT NOT NULL,
      PRIMARY KEY (served_user, contribution_id)
    )`,
    `CREATE INDEX group_standing ON group_session (node, served_user, contribution_id) WHERE standing = 'active'`,
    `CREATE INDEX group_over ON group_session (changed_at) WHERE standing <> 'active'`,
  ],
];

/** Brings the file to the newest version, inside the caller's transaction. Throws `CPM_STORE_SCHEMA` for a file that is newer, or somebody else's. */
export function migrate(database: Database, path: string): void {
  const version = versionOf(database, path);
  if (version > migrations.length)
    throw new CpmError(
      'CPM_STORE_SCHEMA',
      500,
      `the store ${path} has schema version ${version}, this program knows up to ${migrations.length}`,
    );
  for (const statement of migrations.slice(version).flat()) database.run(statement);
  if (version < migrations.length) database.run('UPDATE schema SET version = ?', migrations.length);
}

function versionOf(database: Database, path: string): number {
  const tables = database.all(`SELECT name FROM sqlite_schema WHERE type = 'table'` as Query<{name: string}>);
  if (tables.length === 0) return 0;
  const row = tables.some(({name}) => name === 'schema')
    ? database.get('SELECT version FROM schema' as Query<{version: number}>)
    : undefined;
  if (row === undefined) throw new CpmError('CPM_STORE_SCHEMA', 500, `${path} is a database of another program`);
  return row.version;
}
