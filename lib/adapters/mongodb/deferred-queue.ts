/** The deferred queue on MongoDB (CPM-CF 8.3.2.9.1.1): every step is one atomic change of one document, or can be repeated. */
import {createHash} from 'node:crypto';
import {MongoBulkWriteError} from 'mongodb';
import type {Collection, Db, Document, Filter, OptionalUnlessRequiredId, UpdateFilter} from 'mongodb';
import {identityBytes, isSettled} from '../../cpm/deferred-message.ts';
import type {DeferredMessage, NewDeferredMessage, Settlement} from '../../cpm/deferred-message.ts';
import {CpmError} from '../../errors.ts';
import {pause, type Clock} from '../../ports/clock.ts';
import {latestEntries, wholeHistory} from '../../cpm/history.ts';
import type {HistoryEntry, HistoryEvent, Note, TracedMessage} from '../../cpm/history.ts';
import type {DeferredQueue, EnqueueResult, Selection, SettledMessage} from '../../ports/deferred-queue.ts';
import type {Ids} from '../../ports/ids.ts';
import {adopt} from './adopt.ts';
import {duplicateKey} from './connection.ts';
import type {Connection} from './connection.ts';
import {collections} from './documents.ts';
import type {MessageDocument} from './documents.ts';
import {identityOf} from './identity.ts';
import {forgetSettled, ledger} from './ledger.ts';
import {deleteParts, readParts, sweepParts, writeParts} from './parts.ts';
import * as queries from './queries.ts';
import type {Sequences} from './sequences.ts';

export interface QueueDependencies {
  readonly connection: Connection;
  /** Name of the PF node, as histories tell it. */
  readonly node: string;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly sequences: Sequences;
  /** Bytes up to which a message is one document. */
  readonly inlineBytes: number;
  /** Deadline of what walks over many documents, ms. */
  readonly longMilliseconds: number;
}

/** `expired` and `sentUnconfirmed` hand over whole messages: at most so many octets at a time, whatever their limit. */
const wholeBytes = 16 * 1024 * 1024;

/** A write of another node is seen when most members have it: so often, and after so many milliseconds, it is looked for again. */
export const visibleAttempts = 50;
export const visiblePause = 20;

export function deferredQueue(dependencies: QueueDependencies): DeferredQueue {
  const {connection, node, ids, sequences, longMilliseconds} = dependencies;
  const noted = (what: HistoryEvent, at: number, note: Note = {}) => notedAs({at, node, what, ...note});
  return {
    enqueue: (messages) => connection.run((database) => enqueue(dependencies, database, messages)),

    senders: (servedUser) =>
      connection.run(async (database) => {
        const groups = await collections
          .messages(database)
          .aggregate<queries.SenderGroup>(queries.senders(servedUser))
          .toArray();
        return [...new Set(groups.map(({_id}) => _id.sender))].map((sender) => {
          const own = groups.filter(({_id}) => _id.sender === sender);
          const count = (kind: string): number => own.find(({_id}) => _id.kind === kind)?.count ?? 0;
          const oldestDateTime = Math.min(...own.map(({oldest}) => oldest));
          return {sender, chats: count('chat'), notifications: count('notification'), oldestDateTime};
        });
      }),

    next: (servedUser, sender, {afterSequence, limit, maxBytes}) =>
      connection.run((database) => read(database, queries.next(servedUser, sender, afterSequence), limit, maxBytes)),

    markSent: (messageIds, at, note) =>
      connection.run(async (database) => {
        const messages = collections.messages(database);
        const own = {_id: {$in: [...messageIds]}};
        const queued = {...own, state: 'queued' as const};
        const sent = noted('sent', at, note);
        const {modifiedCount} = await messages.updateMany(queued, {$set: {state: 'sent', sentAt: at}, ...sent});
        if (modifiedCount === messageIds.length) return;
        const held = {...own, state: 'held' as const, sentAt: {$exists: false}};
        await messages.updateMany(held, {$set: {sentAt: at}, ...sent});
      }),

    noteRefused: (messageIds, at, note) =>
      connection.run(async (database) => {
        const pending = {_id: {$in: [...messageIds]}, pending: true as const};
        await collections.messages(database).updateMany(pending, noted('refused', at, note));
      }),

    settle: (messageIds, how, at, note) =>
      connection.run(async (database) => {
        const entry = noted(how, at, note);
        const settled = await Promise.all(messageIds.map((id) => settle(database, id, how, at, entry)));
        return settled.filter((message) => message !== undefined);
      }),

    find: (servedUser, imdnMessageId, sender) =>
      connection.run(async (database) => {
        const found = await collections
          .messages(database)
          .find(queries.find(servedUser, imdnMessageId), {projection: {sender: 1, kind: 1, state: 1, sequence: 1}})
          .toArray();
        return found
          .filter((message) => sender === undefined || message.sender === sender)
          .sort((a, b) => a.sequence - b.sequence)
          .map(({_id, kind, state, ...message}) => ({
            ...{id: _id, servedUser, sender: message.sender, imdnMessageId, kind},
            state: isSettled(state) ? 'queued' : state,
          }));
      }),

    sentUnconfirmed: (servedUser, sender, limit) =>
      connection.run((database) => read(database, queries.sentUnconfirmed(servedUser, sender), limit, wholeBytes)),

    requeueSent: (servedUser, sentBefore, at) =>
      connection.run(async (database) => {
        const change = {
          ...{$set: {state: 'queued' as const}, $unset: {sentAt: true as const}},
          ...noted('queued again', at),
        };
        const {modifiedCount} = await collections
          .messages(database)
          .updateMany(queries.sentBefore(servedUser, sentBefore), change);
        return modifiedCount;
      }),

    expired: (now, limit) => connection.run((database) => read(database, queries.expired(now), limit, wholeBytes)),

    usersPending: (after, limit) => connection.run((database) => usersPending(database, after, limit)),

    adopt: (fromUser, toUser) =>
      connection.run((database) => adopt(database, sequences, fromUser, toUser), longMilliseconds),

    trace: (selection, {after, limit, pendingOnly}) =>
      connection.run(async (database) => {
        if (limit <= 0) return [];
        const {filter, sort} = queries.selected(selection);
        const narrowed = {
          $and: [
            filter,
            ...(after === undefined ? [] : [behind(after)]),
            ...(pendingOnly ? [{pending: true as const}] : []),
          ],
        };
        const projection = {bytes: 0, session: 0};
        const found = await collections.messages(database).find(narrowed, {sort, limit, projection}).toArray();
        return found.map(tracedOf);
      }),

    pending: (selection, limit) =>
      connection.run((database) => {
        const {filter, sort} = queries.selected(selection);
        return read(database, {filter: {...filter, pending: true}, sort}, limit, wholeBytes);
      }),

    hold: (selection, limit, at, note) =>
      connection.run((database) =>
        changeSome(database, selection, limit, {state: {$in: ['queued', 'sent']}}, (_id) => [
          [
            {_id, state: {$in: ['queued', 'sent']}},
            {$set: {state: 'held'}, ...noted('held', at, note)},
          ],
        ]),
      ),

    release: (selection, limit, at, note) =>
      connection.run((database) =>
        changeSome(database, selection, limit, {state: 'held'}, (_id) => [
          [
            {_id, state: 'held', sentAt: {$exists: false}},
            {$set: {state: 'queued'}, ...noted('released', at, note)},
          ],
          [
            {_id, state: 'held', sentAt: {$exists: true}},
            {$set: {state: 'sent'}, ...noted('released', at, note)},
          ],
        ]),
      ),

    ledger: () => connection.run(ledger, longMilliseconds),

    forgetSettled: (before) =>
      connection.run(async (database) => {
        const isPending = async (_id: string): Promise<boolean> =>
          (await collections.messages(database).findOne({_id, pending: true}, {projection: {_id: 1}})) !== null;
        await sweepParts(database, before, isPending);
        await sequences.forget(database, before);
        return forgetSettled(database, {settledAt: {$lt: before}}, () => ids.token());
      }, longMilliseconds),
  };
}

/** An entry in the history of what is written anyway. */
export function notedAs(entry: HistoryEntry) {
  return {$inc: {events: 1}, $push: {history: {$each: [entry], $slice: -latestEntries}}};
}

function behind({sequence, id}: Pick<TracedMessage, 'sequence' | 'id'>): Filter<MessageDocument> {
  return {$or: [{sequence: {$gt: sequence}}, {sequence, _id: {$gt: id}}]};
}

/** Moves those of a selection that fit, each in one atomic step, by the first of its changes that does; answers them. */
async function changeSome(
  database: Db,
  selection: Selection,
  limit: number,
  fits: Filter<MessageDocument>,
  changesOf: (id: string) => readonly (readonly [Filter<MessageDocument>, UpdateFilter<MessageDocument>])[],
): Promise<readonly SettledMessage[]> {
  if (limit <= 0) return [];
  const messages = collections.messages(database);
  const {filter, sort} = queries.selected(selection);
  const found = await messages.find({...filter, ...fits}, {sort, limit, projection: who}).toArray();
  const changed = await Promise.all(
    found.map(async (message) => {
      for (const [state, change] of changesOf(message._id))
        if ((await messages.updateOne(state, change)).modifiedCount === 1) return settledOf(message);
      return undefined;
    }),
  );
  return changed.filter((message) => message !== undefined);
}

const who = {servedUser: 1, sender: 1, kind: 1, imdnMessageId: 1};

function settledOf({_id, servedUser, sender, kind, imdnMessageId}: MessageDocument): SettledMessage {
  return {id: _id, servedUser, sender, kind, imdnMessageId};
}

function tracedOf(document: MessageDocument): TracedMessage {
  const {sequence, conversationId, state, receivedAt, expiresAt, node = ''} = document;
  return {
    ...settledOf(document),
    ...{sequence, conversationId, state, receivedAt, expiresAt},
    ...wholeHistory({receivedAt, node, conversationId}, document.history ?? [], document.events ?? 0),
  };
}

async function enqueue(
  {clock, node, ids, sequences, inlineBytes}: QueueDependencies,
  database: Db,
  messages: readonly NewDeferredMessage[],
): Promise<readonly EnqueueResult[]> {
  if (messages.length === 0) return [];
  const places = await placesFor(sequences, database, messages);
  const documents: MessageDocument[] = [];
  for (const [index, message] of messages.entries()) {
    const document = documentOf(message, node, ids.token(), places[index] ?? 0);
    if (message.bytes.byteLength <= inlineBytes) documents.push({...document, bytes: Buffer.from(message.bytes)});
    else documents.push({...document, parts: await writeParts(database, document._id, message.bytes, clock.now())});
  }

  const repeated = await insert(collections.messages(database), documents);
  const known = await kept(database, documents, repeated, clock);
  return Promise.all(
    documents.map(async ({_id, identity, key, sequence, parts}, index) => {
      if (repeated.has(index)) {
        const first = known.find((other) => other.identity === identity);
        if (first === undefined)
          throw new CpmError('CPM_STORE_AWAY', 503, 'the store is away: a message changed meanwhile');
        // Refused by its own first attempt, whose answer was lost.
        if (first._id === _id) return {id: _id, outcome: 'stored'};
        if (parts !== undefined) await deleteParts(database, _id, parts);
        return {id: first._id, outcome: 'duplicate'};
      }
      const older = key !== undefined && known.some((other) => other.key === key && other.sequence < sequence);
      return {id: _id, outcome: older ? 'conflict' : 'stored'};
    }),
  );
}

/** A sequence for each message, in the order given within each pair of user and sender. */
async function placesFor(
  sequences: Sequences,
  database: Db,
  messages: readonly NewDeferredMessage[],
): Promise<readonly number[]> {
  const pairs = new Map<string, number[]>();
  for (const [index, {servedUser, sender}] of messages.entries()) {
    const pair = JSON.stringify([servedUser, sender]);
    pairs.set(pair, [...(pairs.get(pair) ?? []), index]);
  }
  const places: number[] = [];
  for (const [pair, indexes] of pairs) {
    const [servedUser, sender] = JSON.parse(pair) as [string, string];
    const first = await sequences.allocate(database, servedUser, sender, indexes.length);
    indexes.forEach((index, offset) => (places[index] = first + offset));
  }
  return places;
}

/** Inserts; answers the places of those whose identity is there already. */
export async function insert<Item extends Document>(
  collection: Collection<Item>,
  documents: readonly OptionalUnlessRequiredId<Item>[],
): Promise<ReadonlySet<number>> {
  try {
    await collection.insertMany(documents, {ordered: false});
    return new Set();
  } catch (error) {
    if (!(error instanceof MongoBulkWriteError)) throw error;
    const errors = [error.writeErrors].flat();
    const onlyDuplicates = errors.length > 0 && errors.every(({code}) => code === duplicateKey);
    if (!onlyDuplicates || error.result.getWriteConcernError() !== undefined) throw error;
    return new Set(errors.map(({index}) => index));
  }
}

/** All that is kept under the identities of these messages, these included. The one that refused another may be about to become durable. */
async function kept(database: Db, documents: readonly MessageDocument[], repeated: ReadonlySet<number>, clock: Clock) {
  const keys = [...new Set(documents.map(({key}) => key).filter((key) => key !== undefined))];
  if (keys.length === 0) return [];
  for (let attempt = 1; ; attempt += 1) {
    const known = await collections
      .messages(database)
      .find(queries.sameKey(keys), {projection: {key: 1, identity: 1, sequence: 1}})
      .toArray();
    const seen = new Set(known.map(({identity}) => identity));
    if (
      attempt === visibleAttempts ||
      documents.every(({identity}, index) => !repeated.has(index) || seen.has(identity))
    )
      return known;
    await pause(clock, visiblePause);
  }
}

function documentOf(message: NewDeferredMessage, node: string, id: string, sequence: number): MessageDocument {
  const {servedUser, sender, kind, contentType, dispositions, receivedAt, expiresAt, session} = message;
  const {imdnMessageId, dateTime} = message;
  const digest = createHash('sha256').update(identityBytes(message)).digest('hex');
  return {
    ...{servedUser, sender, kind, contentType, dispositions, receivedAt, expiresAt, session},
    ...(imdnMessageId === undefined ? {} : {imdnMessageId}),
    ...(dateTime === undefined ? {} : {dateTime}),
    ...identityOf({...message, id}, digest),
    _id: id,
    orderTime: dateTime ?? receivedAt,
    sequence,
    state: 'queued',
    pending: true,
    node,
    conversationId: session.conversationId,
  };
}

/** Undefined where it is settled already. */
export async function settle(
  database: Db,
  id: string,
  how: Settlement,
  at: number,
  noted: ReturnType<typeof notedAs>,
): Promise<SettledMessage | undefined> {
  const before = await collections.messages(database).findOneAndUpdate(
    {_id: id, pending: true},
    {
      $set: {state: how, settledAt: at},
      $unset: {pending: true, bytes: true, parts: true, session: true, sentAt: true},
      ...noted,
    },
    {projection: {...who, parts: 1}, returnDocument: 'before'},
  );
  if (before === null) return undefined;
  if (before.parts !== undefined) await deleteParts(database, id, before.parts);
  return settledOf(before);
}

/** Reads whole messages in the order of a query until a limit is reached, one at least. */
async function read(
  database: Db,
  query: queries.Ordered,
  limit: number,
  maxBytes: number,
): Promise<readonly DeferredMessage[]> {
  const messages: DeferredMessage[] = [];
  if (limit <= 0) return messages;
  let total = 0;
  const cursor = collections.messages(database).find(query.filter, {sort: query.sort, limit});
  for await (const document of cursor) {
    const {_id, parts} = document;
    const bytes = parts === undefined ? document.bytes : await readParts(database, _id, parts);
    // Settled between one read and the other.
    if (bytes === undefined) continue;
    total += bytes.byteLength;
    if (total > maxBytes && messages.length > 0) break;
    messages.push(messageOf(document, bytes));
  }
  return messages;
}

function messageOf(document: MessageDocument, bytes: Uint8Array): DeferredMessage {
  const {session} = document;
  if (session === undefined) throw new TypeError(`pending message ${document._id} has no session`);
  return {
    id: document._id,
    sequence: document.sequence,
    servedUser: document.servedUser,
    sender: document.sender,
    kind: document.kind,
    imdnMessageId: document.imdnMessageId,
    dispositions: document.dispositions,
    contentType: document.contentType,
    // A copy: the driver's is a view of everything that came in one answer.
    bytes: new Uint8Array(bytes),
    dateTime: document.dateTime,
    receivedAt: document.receivedAt,
    expiresAt: document.expiresAt,
    session: {...session, senderInstance: session.senderInstance, subject: session.subject, offer: session.offer},
    state: isSettled(document.state) ? 'queued' : document.state,
    sentAt: document.sentAt,
  };
}

/** Each round reads one page of the index and jumps over the rest of its last user. */
async function usersPending(database: Db, after: string | undefined, limit: number): Promise<readonly string[]> {
  const users = new Set<string>();
  let last = after;
  while (users.size < limit) {
    const {filter, sort} = queries.users(last);
    const page: Pick<MessageDocument, 'servedUser'>[] = await collections
      .messages(database)
      .find(filter, {sort, limit, projection: {_id: 0, servedUser: 1}})
      .toArray();
    for (const {servedUser} of page) users.add(servedUser);
    last = page.at(-1)?.servedUser;
    if (page.length < limit) break;
  }
  return [...users].slice(0, limit);
}
