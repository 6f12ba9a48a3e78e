/** The deferred queue on the libsql file (CPM-CF 8.3.2.9.1.1). Runs in the worker thread, inside the transaction of a batch. */
import {createHash} from 'node:crypto';
import {identityBytes, isSettled, progressOf} from '../../cpm/deferred-message.ts';
import type {
  DeferredMessage,
  Disposition,
  NewDeferredMessage,
  OriginalSession,
  PendingState,
  Settlement,
} from '../../cpm/deferred-message.ts';
import {wholeHistory} from '../../cpm/history.ts';
import type {HistoryEntry, HistoryEvent, Note, TracedMessage} from '../../cpm/history.ts';
import type {DeferredQueue, EnqueueResult, Ledger, Selection, SettledMessage} from '../../ports/deferred-queue.ts';
import {countTotal} from './count-total.ts';
import type {Database, Query} from './database.ts';
import {noted} from './noted.ts';
import * as queries from './queries.ts';
import type {MessageRow} from './queries.ts';
import {selectedSizes, sequenceOf, sequencesOf, trace, valuesOf} from './selections.ts';
import type {TraceRow} from './selections.ts';
import type {Sync} from './sync.ts';

/** `expired` and `sentUnconfirmed` hand over whole messages: at most so many octets at a time, whatever their limit. */
const wholeBytes = 16 * 1024 * 1024;

type WhoRow = Pick<MessageRow, 'sequence' | 'served_user' | 'sender' | 'kind' | 'imdn_message_id'>;

/** The queue's calls; sequence and id are the same number, given in the order of arrival. `node` stands in the histories. */
export function deferredQueue(database: Database, node: string): Sync<DeferredQueue> {
  const count = (what: 'accepted' | Settlement, by: number): void => {
    countTotal(database, what, by);
  };

  /** Whole messages in the order of `sequences`. Those of one session share its object, which is read once. */
  const readAll = (sequences: readonly number[]): readonly DeferredMessage[] => {
    const sessions = new Map<string, OriginalSession>();
    const sessionOf = (text: string): OriginalSession => {
      const session = sessions.get(text) ?? sessionFrom(text);
      sessions.set(text, session);
      return session;
    };
    const rows = database.all(queries.whole, JSON.stringify(sequences));
    const found = new Map(rows.map((row) => [row.sequence, row]));
    return sequences.map((sequence) => {
      const row = found.get(sequence);
      if (row === undefined) throw new Error(`message ${sequence} has no body`);
      return messageOf(row, sessionOf(row.session));
    });
  };

  const enqueueOne = (message: NewDeferredMessage): EnqueueResult => {
    const digest = createHash('sha256').update(identityBytes(message)).digest();
    const {servedUser, sender, kind, imdnMessageId} = message;
    const known =
      imdnMessageId === undefined
        ? []
        : database.all(queries.sameIdentity, digest, servedUser, imdnMessageId, sender, kind);
    const repeated = known.find(({same}) => same === 1);
    if (repeated !== undefined) return {id: String(repeated.sequence), outcome: 'duplicate'};

    const {rowid} = database.run(
      `INSERT INTO message (served_user, sender, kind, imdn_message_id, digest, size, content_type, dispositions,
        date_time, received_at, expires_at, node, conversation_id, state)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued')`,
      ...[servedUser, sender, kind, imdnMessageId, digest, message.bytes.byteLength, message.contentType],
      ...[JSON.stringify(message.dispositions), message.dateTime, message.receivedAt, message.expiresAt],
      ...[node, message.session.conversationId],
    );
    const session = JSON.stringify(message.session);
    database.run('INSERT INTO body (sequence, session, bytes) VALUES (?, ?, ?)', rowid, session, message.bytes);
    count('accepted', 1);
    return {id: String(rowid), outcome: known.length > 0 ? 'conflict' : 'stored'};
  };

  const entry = (what: HistoryEvent, at: number, note: Note = {}): string =>
    JSON.stringify({at, node, what, ...note} satisfies HistoryEntry);

  const settleOne = (id: string, how: Settlement, at: number, note?: Note): SettledMessage | undefined => {
    const row = database.get(
      'SELECT sequence, served_user, sender, kind, imdn_message_id FROM message WHERE sequence = ? AND settled_at IS NULL' as Query<WhoRow>,
      sequenceOf(id),
    );
    if (row === undefined) return undefined;

    // The body goes first: on a full disk its pages are what the rest is written to.
    database.run('DELETE FROM body WHERE sequence = ?', row.sequence);
    database.run(
      `UPDATE message SET state = ?, sent_at = NULL, settled_at = ?, ${noted} WHERE sequence = ?`,
      ...[how, at, entry(how, at, note), row.sequence],
    );
    count(how, 1);
    return settledOf(row);
  };

  /** Moves those of a selection whose state fits; answers them. */
  const changeSome = (selection: Selection, states: string, limit: number, sql: string, note: string) => {
    const rows = database.all(
      trace(selection.by, `state IN (${states})`),
      ...[...valuesOf(selection), Math.max(0, limit)],
    );
    for (const {sequence} of rows)
      database.run(`UPDATE message SET ${sql}, ${noted} WHERE sequence = ?`, note, sequence);
    return rows.map(settledOf);
  };

  /** The same message under both keys stays once: the one that is further on, else the earlier one. */
  const mergeIdentities = (fromUser: string, toUser: string): void => {
    const pairs = database.all(
      `SELECT a.sequence AS a, a.state AS aState, b.sequence AS b, b.state AS bState FROM message a JOIN message b
        ON b.served_user = ? AND b.imdn_message_id = a.imdn_message_id AND b.sender = a.sender AND b.kind = a.kind
          AND b.digest = a.digest AND b.imdn_message_id IS NOT NULL
        WHERE a.served_user = ? AND a.imdn_message_id IS NOT NULL` as Query<
        Record<'a' | 'b', number> & Record<'aState' | 'bState', PendingState | Settlement>
      >,
      ...[toUser, fromUser],
    );
    for (const {a, aState, b, bState} of pairs) {
      const keepA = progressOf(aState) === progressOf(bState) ? a < b : progressOf(aState) > progressOf(bState);
      const [sequence, state] = keepA ? [b, bState] : [a, aState];
      database.run('DELETE FROM body WHERE sequence = ?', sequence);
      database.run('DELETE FROM message WHERE sequence = ?', sequence);
      count('accepted', -1);
      if (isSettled(state)) count(state, -1);
    }
  };

  return {
    enqueue: (messages) => messages.map(enqueueOne),

    senders: (servedUser) =>
      database
        .all(queries.senders, servedUser)
        .map(({sender, chats, notifications, oldest}) => ({sender, chats, notifications, oldestDateTime: oldest})),

    next(servedUser, sender, {afterSequence, limit, maxBytes}) {
      const rows = database.all(queries.next, servedUser, sender, afterSequence ?? 0, Math.max(0, limit));
      return readAll(window(rows, maxBytes));
    },

    markSent(ids, at, note) {
      database.run(queries.markSent, at, entry('sent', at, note), sequencesOf(ids));
    },

    noteRefused(ids, at, note) {
      database.run(queries.noteRefused, entry('refused', at, note), sequencesOf(ids));
    },

    settle: (ids, how, at, note) =>
      ids.map((id) => settleOne(id, how, at, note)).filter((settled) => settled !== undefined),

    find: (servedUser, imdnMessageId, sender) =>
      database
        .all(queries.find, servedUser, imdnMessageId)
        .filter((row) => sender === undefined || row.sender === sender)
        .sort((a, b) => a.sequence - b.sequence)
        .map(({sequence, ...row}) => ({id: String(sequence), servedUser, imdnMessageId, ...row})),

    sentUnconfirmed: (servedUser, sender, limit) =>
      readAll(window(database.all(queries.sentUnconfirmed, servedUser, sender, Math.max(0, limit)), wholeBytes)),

    requeueSent: (servedUser, sentBefore, at) =>
      database.run(queries.requeueSent, entry('queued again', at), servedUser, sentBefore).changes,

    expired: (now, limit) => readAll(window(database.all(queries.expired, now, Math.max(0, limit)), wholeBytes)),

    usersPending(after, limit) {
      const users: string[] = [];
      while (users.length < limit) {
        const found = database.get(queries.nextUser, users.at(-1) ?? after ?? '');
        if (found === undefined) break;
        users.push(found.user);
      }
      return users;
    },

    adopt(fromUser, toUser) {
      if (fromUser === toUser) return 0;
      mergeIdentities(fromUser, toUser);
      const move = 'UPDATE message SET served_user = ? WHERE served_user = ? AND';
      const pending = database.run(`${move} settled_at IS NULL`, toUser, fromUser).changes;
      database.run(`${move} settled_at IS NOT NULL`, toUser, fromUser);
      return pending;
    },

    trace: (selection, {after, limit, pendingOnly}) =>
      database
        .all(
          trace(selection.by, pendingOnly ? 'settled_at IS NULL AND sequence > ?' : 'sequence > ?'),
          ...[...valuesOf(selection), after?.sequence ?? 0, Math.max(0, limit)],
        )
        .map(tracedOf),

    pending: (selection, limit) =>
      readAll(
        window(database.all(selectedSizes(selection.by), ...valuesOf(selection), Math.max(0, limit)), wholeBytes),
      ),

    hold: (selection, limit, at, note) =>
      changeSome(selection, `'queued', 'sent'`, limit, `state = 'held'`, entry('held', at, note)),

    release: (selection, limit, at, note) =>
      changeSome(
        selection,
        `'held'`,
        limit,
        `state = iif(sent_at IS NULL, 'queued', 'sent')`,
        entry('released', at, note),
      ),

    ledger(): Ledger {
      const totals = database.all('SELECT what, count FROM total' as Query<{what: string; count: number}>);
      const total = (what: string): number => totals.find((row) => row.what === what)?.count ?? 0;
      const countOf = (condition: string): number =>
        database.get(`SELECT count(*) AS count FROM message WHERE ${condition}` as Query<{count: number}>)?.count ?? 0;
      const held = countOf(`state = 'held'`);
      return {
        accepted: total('accepted'),
        pending: countOf('settled_at IS NULL') - held,
        held,
        delivered: total('delivered'),
        expired: total('expired'),
        dropped: total('dropped'),
        failed: total('failed'),
      };
    },

    forgetSettled: (before) => database.run(queries.forgetSettled, before).changes,
  };
}

function settledOf({sequence, served_user, sender, kind, imdn_message_id}: WhoRow): SettledMessage {
  return {id: String(sequence), servedUser: served_user, sender, kind, imdnMessageId: imdn_message_id};
}

function tracedOf(row: TraceRow): TracedMessage {
  const {sequence, state, received_at: receivedAt, expires_at: expiresAt, node, events} = row;
  const conversationId = row.conversation_id;
  return {
    ...settledOf(row),
    ...{sequence, conversationId, state, receivedAt, expiresAt},
    ...wholeHistory({receivedAt, node, conversationId}, JSON.parse(row.history) as HistoryEntry[], events),
  };
}

/** The first rows whose sizes fit together, at least one. */
function window(rows: readonly {sequence: number; size: number}[], maxBytes: number): readonly number[] {
  let total = 0;
  const end = rows.findIndex(({size}, index) => (total += size) > maxBytes && index > 0);
  return rows.slice(0, end === -1 ? rows.length : end).map(({sequence}) => sequence);
}

/** JSON has no `undefined`: what was absent is said again. */
function sessionFrom(text: string): OriginalSession {
  const session = JSON.parse(text) as OriginalSession;
  const {senderInstance, subject, offer} = session;
  return {...session, senderInstance, subject, offer};
}

function messageOf(row: MessageRow, session: OriginalSession): DeferredMessage {
  return {
    id: String(row.sequence),
    sequence: row.sequence,
    servedUser: row.served_user,
    sender: row.sender,
    kind: row.kind,
    imdnMessageId: row.imdn_message_id,
    dispositions: JSON.parse(row.dispositions) as Disposition[],
    contentType: row.content_type,
    bytes: row.bytes,
    dateTime: row.date_time,
    receivedAt: row.received_at,
    expiresAt: row.expires_at,
    session,
    state: row.state,
    sentAt: row.sent_at,
  };
}
