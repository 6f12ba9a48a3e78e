import {join} from 'node:path';
import test from 'ava';
import Libsql from 'libsql';
import {openEmbeddedStore} from '../../../lib/adapters/embedded-store/embedded-store.ts';
import * as queries from '../../../lib/adapters/embedded-store/queries.ts';
import {trace} from '../../../lib/adapters/embedded-store/selections.ts';
import {queries as groupQueries} from '../../../lib/adapters/embedded-store/group-sessions.ts';
import type {Selection} from '../../../lib/ports/deferred-queue.ts';
import {newMessage} from '../../support/deferred-messages.ts';
import {temporaryFolder} from '../../support/temporary-folder.ts';

const {sender: alice} = newMessage();
const count = 100_000;

const byNumbers = 'USING INTEGER PRIMARY KEY (rowid=?); LIST SUBQUERY 1; SCAN json_each VIRTUAL TABLE INDEX 1:';

/** Each statement, and the index that serves it. */
const plans: Readonly<Record<Exclude<keyof typeof queries, 'whole'>, string>> = {
  senders: 'USING COVERING INDEX message_queue (served_user=?)',
  next: 'USING COVERING INDEX message_queue (served_user=? AND sender=? AND sequence>?)',
  nextUser: 'USING COVERING INDEX message_queue (served_user>?)',
  markSent: byNumbers,
  noteRefused: byNumbers,
  expired: 'USING INDEX message_expiry (expires_at<?)',
  find: 'USING INDEX message_identity (imdn_message_id=? AND served_user=?)',
  sameIdentity: 'USING COVERING INDEX message_identity (imdn_message_id=? AND served_user=? AND sender=? AND kind=?)',
  sentUnconfirmed: 'USING INDEX message_sent (served_user=?)',
  requeueSent: 'USING INDEX message_sent (served_user=? AND sent_at<?)',
  forgetSettled: 'USING INDEX message_settled (settled_at>? AND settled_at<?)',
};

/** Each way in which an operator asks; a few messages with one imdn.Message-ID may be sorted. */
const selections: Readonly<Record<Selection['by'], RegExp>> = {
  message: /MULTI-INDEX OR.*USING INDEX message_identity \(imdn_message_id=\?\).*USING INTEGER PRIMARY KEY/,
  user: /^SEARCH message USING INDEX message_user \(served_user=\? AND sequence>\?\)$/,
  sender: /^SEARCH message USING INDEX message_sender \(sender=\? AND sequence>\?\)$/,
  conversation: /^SEARCH message USING INDEX message_conversation \(conversation_id=\? AND sequence>\?\)$/,
};

test('8.3.2.9.1.1 A0 T64: with 100,000 pending messages every statement of the queue goes by its index and sorts nothing', async (t) => {
  t.timeout(300_000);
  const path = join(await temporaryFolder(t), 'store.db');
  const store = await openEmbeddedStore({path, callMilliseconds: 60_000});
  for (let first = 0; first < count; first += 2000)
    await store.deferredQueue.enqueue(
      Array.from({length: 2000}, (_, index) =>
        newMessage({
          servedUser: `tel:+49${String((first + index) % 100).padStart(3, '0')}`,
          imdnMessageId: `Msg${first + index}`,
          bytes: Buffer.from(`Message ${first + index}`),
          expiresAt: 2_000_000_000_000 + first + index,
        }),
      ),
    );

  const {deferredQueue} = store;
  const user = 'tel:+49042';
  t.is((await deferredQueue.usersPending(undefined, 1000)).length, 100);
  t.is((await deferredQueue.senders(user))[0]?.chats, count / 100);
  const window = await deferredQueue.next(user, alice, {afterSequence: 50_000, limit: 10, maxBytes: 1_000_000});
  t.deepEqual(window.map(({imdnMessageId}) => imdnMessageId).slice(0, 2), ['Msg50042', 'Msg50142']);
  t.is((await deferredQueue.find(user, 'Msg99942')).length, 1);
  t.is((await deferredQueue.expired(2_000_000_000_009, 100)).length, 10);
  t.is((await deferredQueue.ledger()).pending, count);
  await store.close();

  const file = new Libsql(path);
  t.teardown(() => file.close());
  const planOf = (sql: string): string => planIn(file, sql);
  for (const [name, index] of Object.entries(plans))
    t.is(planOf(queries[name as keyof typeof plans]), `SEARCH message ${index}`, name);
  const message = 'SEARCH message USING INTEGER PRIMARY KEY (rowid=?); REUSE LIST SUBQUERY 1';
  t.is(planOf(queries.whole), `SEARCH body ${byNumbers}; ${message}`);
  for (const [by, plan] of Object.entries(selections))
    t.regex(planOf(trace(by as Selection['by'], 'sequence > ?')), plan, by);
});

test('8.3.2.9.1.2: every statement on group sessions goes by an index and sorts nothing', async (t) => {
  const path = join(await temporaryFolder(t), 'store.db');
  await (await openEmbeddedStore({path})).close();
  const file = new Libsql(path);
  t.teardown(() => file.close());
  const plans: Readonly<Record<keyof typeof groupQueries, string>> = {
    get: 'INDEX sqlite_autoindex_group_session_1 (served_user=? AND contribution_id=?)',
    ofUser: 'INDEX sqlite_autoindex_group_session_1 (served_user=? AND contribution_id>?)',
    standingOf: 'INDEX group_standing (node=? AND (served_user,contribution_id)>(?,?))',
    over: 'INDEX group_over (changed_at<?)',
  };
  for (const [name, plan] of Object.entries(plans))
    t.is(planIn(file, groupQueries[name as keyof typeof plans]), `SEARCH group_session USING ${plan}`, name);
});

function planIn(file: Libsql.Database, sql: string): string {
  const parameters = Array.from({length: sql.split('?').length - 1}, () => 1);
  const steps = file.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(parameters) as {detail: string}[];
  return steps.map((step) => step.detail).join('; ');
}
