/** The indexes as data, each with what it is for, and how a database is made ready for them. */
import type {Db, IndexDescription} from 'mongodb';
import {CpmError} from '../../errors.ts';
import {collections} from './documents.ts';
import {isDuplicateKey} from './connection.ts';

export interface Index {
  readonly collection:
    | 'messages'
    | 'parts'
    | 'stored'
    | 'storedParts'
    | 'groupSessions'
    | 'sequences'
    | 'identities'
    | 'leases'
    | 'dialogs';
  readonly name: string;
  readonly key: Record<string, 1>;
  readonly options?: Omit<IndexDescription, 'key' | 'name'>;
}

export const indexes: readonly Index[] = [
  {collection: 'messages', name: 'identity', key: {identity: 1}, options: {unique: true}},
  {collection: 'messages', name: 'key', key: {key: 1}, options: {sparse: true}},
  {collection: 'messages', name: 'queue', key: {state: 1, servedUser: 1, sender: 1, sequence: 1}},
  {collection: 'messages', name: 'senders', key: {state: 1, servedUser: 1, sender: 1, kind: 1, orderTime: 1}},
  {collection: 'messages', name: 'message', key: {imdnMessageId: 1, servedUser: 1}},
  {collection: 'messages', name: 'user', key: {servedUser: 1, sequence: 1}},
  {collection: 'messages', name: 'sender', key: {sender: 1, sequence: 1}},
  {collection: 'messages', name: 'conversation', key: {conversationId: 1, sequence: 1}},
  {
    collection: 'messages',
    name: 'sent',
    key: {state: 1, servedUser: 1, sentAt: 1},
    options: {partialFilterExpression: {state: 'sent'}},
  },
  {
    collection: 'messages',
    name: 'expiry',
    key: {pending: 1, expiresAt: 1, sequence: 1},
    options: {partialFilterExpression: {pending: true}},
  },
  {collection: 'messages', name: 'settled', key: {settledAt: 1}, options: {sparse: true}},
  {collection: 'parts', name: 'written', key: {writtenAt: 1}},
  {collection: 'stored', name: 'identity', key: {identity: 1}, options: {unique: true}},
  {collection: 'stored', name: 'key', key: {key: 1}},
  {collection: 'stored', name: 'folder', key: {servedUser: 1, conversationId: 1, contributionId: 1, kind: 1, date: 1}},
  {collection: 'stored', name: 'order', key: {servedUser: 1, conversationId: 1, sequence: 1}},
  {collection: 'stored', name: 'author', key: {from: 1}},
  {collection: 'stored', name: 'age', key: {storedAt: 1}},
  {collection: 'storedParts', name: 'written', key: {writtenAt: 1}},
  {
    collection: 'groupSessions',
    name: 'group',
    key: {servedUser: 1, contributionId: 1},
    options: {unique: true},
  },
  {
    collection: 'groupSessions',
    name: 'standing',
    key: {node: 1, servedUser: 1, contributionId: 1},
    options: {partialFilterExpression: {standing: 'active'}},
  },
  {collection: 'groupSessions', name: 'over', key: {standing: 1, changedAt: 1}},
  {collection: 'sequences', name: 'value', key: {value: 1}},
  {collection: 'identities', name: 'user', key: {servedUser: 1}},
  {collection: 'leases', name: 'node', key: {node: 1}},
  {collection: 'dialogs', name: 'node', key: {node: 1}},
];

/** Raised with every change of the documents that an older program would misread. */
const schemaVersion = 4;

/** Creates what is missing. Throws `CPM_STORE_SCHEMA` when a newer program has been at this database. */
export async function prepare(database: Db): Promise<void> {
  const schema = collections.schema(database);
  try {
    await schema.updateOne({_id: 'schema'}, {$max: {version: schemaVersion}}, {upsert: true});
  } catch (error) {
    // Another node said it at the same moment.
    if (!isDuplicateKey(error)) throw error;
  }
  const version = (await schema.findOne({_id: 'schema'}))?.version ?? schemaVersion;
  if (version > schemaVersion)
    throw new CpmError(
      'CPM_STORE_SCHEMA',
      500,
      `the database has schema version ${version}, this program knows up to ${schemaVersion}`,
    );
  for (const collection of new Set(indexes.map((index) => index.collection))) {
    const own = indexes.filter((index) => index.collection === collection);
    await database.collection(collection).createIndexes(own.map(({key, name, options}) => ({...options, key, name})));
  }
}
