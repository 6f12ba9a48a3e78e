/** The message store on MongoDB (CPM-CF 8.5.2): every step is one atomic change of one document, or can be repeated. */
import {createHash} from 'node:crypto';
import type {Db, Document, Filter} from 'mongodb';
import {samenessOf, storedKinds} from '../../cpm/stored-object.ts';
import type {FolderSummary, NewStoredObject, StoredSummary} from '../../cpm/stored-object.ts';
import {CpmError} from '../../errors.ts';
import {pause} from '../../ports/clock.ts';
import type {FolderPage, MessageStore, PutOutcome} from '../../ports/message-store.ts';
import {isDuplicateKey} from './connection.ts';
import {insert, visibleAttempts, visiblePause, type QueueDependencies} from './deferred-queue.ts';
import {collections} from './documents.ts';
import type {StoredDocument} from './documents.ts';
import {digestOf} from './identity.ts';
import {deleteParts, readParts, sweepParts, writeParts} from './parts.ts';

const atATime = 500;

export function messageStore(dependencies: Omit<QueueDependencies, 'node'>): MessageStore {
  const {connection, longMilliseconds} = dependencies;
  return {
    put: (objects, at) => connection.run((database) => put(dependencies, database, objects, at)),

    folders: (servedUser, page) =>
      connection.run(async (database) => {
        if (page.limit <= 0) return [];
        const found = collections.stored(database).aggregate<FolderGroup>(foldersOf(servedUser, page));
        return (await found.toArray()).map((group) => folderOf(servedUser, group));
      }),

    list: ({servedUser, conversationId, contributionId, kind}, {after = 0, limit}) =>
      connection.run(async (database) => {
        if (limit <= 0) return [];
        const narrowed = {
          ...{servedUser, conversationId, sequence: {$gt: after}},
          ...(contributionId === undefined ? {} : {contributionId}),
          ...(kind === undefined ? {} : {kind}),
        };
        const options = {sort: {sequence: 1}, limit, projection: {bytes: 0}} as const;
        const found = await collections.stored(database).find(narrowed, options).toArray();
        return found.map(summaryOf);
      }),

    read: (id) =>
      connection.run(async (database) => {
        const document = await collections.stored(database).findOne({_id: id});
        if (document === null) return undefined;
        const {parts} = document;
        const bytes =
          parts === undefined ? document.bytes : await readParts(database, id, parts, collections.storedParts);
        // Removed between one read and the other.
        return bytes && {...summaryOf(document), bytes: new Uint8Array(bytes)};
      }),

    adopt: (fromUser, toUser) => connection.run((database) => adopt(database, fromUser, toUser), longMilliseconds),

    forget: (before, limit) => connection.run((database) => forget(database, before, limit), longMilliseconds),
  };
}

async function put(
  {clock, ids, sequences, inlineBytes}: Omit<QueueDependencies, 'node'>,
  database: Db,
  objects: readonly NewStoredObject[],
  at: number,
): Promise<readonly PutOutcome[]> {
  const documents: StoredDocument[] = [];
  const outcomes: PutOutcome[] = [];
  const known = await knownOf(database, objects.map(keyOf));
  const places = new Map<string, number>();
  for (const {servedUser} of objects) places.set(servedUser, (places.get(servedUser) ?? 0) + 1);
  for (const [servedUser, count] of places)
    places.set(servedUser, await sequences.allocate(database, servedUser, 'message store', count));

  for (const object of objects) {
    const sequence = places.get(object.servedUser) ?? 0;
    places.set(object.servedUser, sequence + 1);
    const [_id, key] = [ids.token(), keyOf(object)];
    const hash = createHash('sha256');
    for (const part of samenessOf(object)) hash.update(part);
    const identity = `${key}:${hash.digest('hex')}`;
    const others = known.get(key) ?? new Set();
    known.set(key, others);
    const outcome = others.has(identity) ? 'duplicate' : others.size > 0 ? 'conflict' : 'stored';
    outcomes.push(outcome);
    others.add(identity);
    if (outcome === 'duplicate') continue;
    const {bytes, direction, ...rest} = object;
    const size = bytes.byteLength;
    documents.push({
      ...{...rest, _id, identity, key, sequence, storedAt: at, size},
      ...(direction === undefined ? {} : {direction}),
      ...(size <= inlineBytes
        ? {bytes: Buffer.from(bytes)}
        : {parts: await writeParts(database, _id, bytes, clock.now(), collections.storedParts)}),
    });
  }

  if (documents.length === 0) return outcomes;
  const repeated = await insert(collections.stored(database), documents);
  const refused = documents.filter((_, index) => repeated.has(index));
  if (refused.length === 0) return outcomes;
  // Another node, or an attempt of ours whose answer was lost, stored it at the same moment: it may be about to become durable.
  for (let attempt = 1; ; attempt += 1) {
    const seen = await knownOf(
      database,
      refused.map(({key}) => key),
    );
    if (refused.every(({key, identity}) => seen.get(key)?.has(identity))) break;
    if (attempt === visibleAttempts) throw new CpmError('CPM_STORE_AWAY', 503, 'the store is away: it still stores');
    await pause(clock, visiblePause);
  }

  for (const {_id, parts} of refused) {
    const own = parts !== undefined && (await collections.stored(database).findOne({_id}, {projection: {_id: 1}}));
    if (own === null) await deleteParts(database, _id, parts ?? 0, collections.storedParts);
  }
  return outcomes;
}

function keyOf(object: Omit<NewStoredObject, 'bytes'> | StoredDocument): string {
  const {servedUser, conversationId, contributionId, kind, imdnMessageId} = object;
  const identity = [servedUser, conversationId, contributionId, kind, imdnMessageId];
  return createHash('sha256').update(JSON.stringify(identity)).digest('hex');
}

/** Identities that are there, by key. */
async function knownOf(database: Db, keys: readonly string[]): Promise<Map<string, Set<string>>> {
  const known = new Map<string, Set<string>>();
  const found = collections
    .stored(database)
    .find({key: {$in: [...new Set(keys)]}}, {projection: {key: 1, identity: 1}});
  for await (const {key, identity} of found) known.set(key, (known.get(key) ?? new Set()).add(identity));
  return known;
}

interface FolderGroup extends Readonly<Record<string, number | object>> {
  readonly _id: {readonly conversationId: string; readonly contributionId: string};
  readonly firstDate: number;
  readonly lastDate: number;
}

/** Index `folder`, which holds all that is asked for. */
function foldersOf(servedUser: string, {after, limit, kind}: FolderPage): Document[] {
  const {conversationId = '', contributionId = ''} = after ?? {};
  const behind = [{conversationId: {$gt: conversationId}}, {conversationId, contributionId: {$gt: contributionId}}];
  const counts = storedKinds.map((one) => [one, {$sum: {$cond: [{$eq: ['$kind', one]}, 1, 0]}}]);
  return [
    {$match: {servedUser, $or: behind}},
    {
      $group: {
        _id: {conversationId: '$conversationId', contributionId: '$contributionId'},
        firstDate: {$min: '$date'},
        lastDate: {$max: '$date'},
        ...(Object.fromEntries(counts) as Document),
      },
    },
    ...(kind === undefined ? [] : [{$match: {[kind]: {$gt: 0}}}]),
    {$sort: {'_id.conversationId': 1, '_id.contributionId': 1}},
    {$limit: limit},
  ];
}

function folderOf(servedUser: string, {_id, firstDate, lastDate, ...counts}: FolderGroup): FolderSummary {
  return {servedUser, ..._id, counts: counts as FolderSummary['counts'], firstDate, lastDate};
}

const summaryOf = (document: StoredDocument): StoredSummary => ({
  id: document._id,
  sequence: document.sequence,
  servedUser: document.servedUser,
  conversationId: document.conversationId,
  contributionId: document.contributionId,
  kind: document.kind,
  imdnMessageId: document.imdnMessageId,
  from: document.from,
  to: document.to,
  direction: document.direction,
  date: document.date,
  headers: document.headers,
  contentType: document.contentType,
  size: document.size,
  storedAt: document.storedAt,
});

/** Two identities turned out to be one user: object by object; it can be repeated. */
async function adopt(database: Db, fromUser: string, toUser: string): Promise<number> {
  if (fromUser === toUser) return 0;
  const stored = collections.stored(database);
  let moved = 0;
  for await (const document of stored.find({servedUser: fromUser}, {projection: {bytes: 0}, sort: {sequence: 1}})) {
    const key = keyOf({...document, servedUser: toUser});
    const change = {servedUser: toUser, key, identity: `${key}:${digestOf(document.identity)}`};
    try {
      moved += (await stored.updateOne({_id: document._id}, {$set: change})).modifiedCount;
    } catch (error) {
      // Both keys have it.
      if (!isDuplicateKey(error)) throw error;
      await removeStored(database, {_id: document._id});
    }
  }
  return moved;
}

/** Removes what a filter names, at most so many; answers how many. */
export async function removeStored(database: Db, filter: Filter<StoredDocument>, limit = Infinity): Promise<number> {
  const stored = collections.stored(database);
  let removed = 0;
  for (;;) {
    const most = Math.min(atATime, limit - removed);
    if (most <= 0) return removed;
    const gone = await stored.find(filter, {projection: {parts: 1}, limit: most}).toArray();
    if (gone.length === 0) return removed;
    const {deletedCount} = await stored.deleteMany({_id: {$in: gone.map(({_id}) => _id)}});
    removed += deletedCount;
    for (const {_id, parts} of gone)
      if (parts !== undefined) await deleteParts(database, _id, parts, collections.storedParts);
  }
}

async function forget(database: Db, before: number, limit: number): Promise<number> {
  const stored = collections.stored(database);
  const info = 'session-info' as const;
  const old = {storedAt: {$lt: before}};
  let removed = await removeStored(database, {...old, kind: {$ne: info}}, limit);
  for await (const {_id, servedUser, conversationId, contributionId} of stored.find({...old, kind: info})) {
    if (removed >= limit) return removed;
    const rest = {servedUser, conversationId, contributionId, kind: {$ne: info}};
    if ((await stored.findOne(rest, {projection: {_id: 1}})) === null) removed += await removeStored(database, {_id});
  }

  const isNamed = async (_id: string): Promise<boolean> =>
    (await stored.findOne({_id}, {projection: {_id: 1}})) !== null;
  await sweepParts(database, before, isNamed, collections.storedParts);
  return removed;
}
