import {readFileSync} from 'node:fs';
import {readFile, stat, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {Worker} from 'node:worker_threads';
import test from 'ava';
import type {ExecutionContext} from 'ava';
import Libsql from 'libsql';
import {openDatabase} from '../../../lib/adapters/embedded-store/database.ts';
import {openEmbeddedStore} from '../../../lib/adapters/embedded-store/embedded-store.ts';
import type {EmbeddedStoreOptions} from '../../../lib/adapters/embedded-store/embedded-store.ts';
import type {CpmError} from '../../../lib/errors.ts';
import {addsUp} from '../../../lib/ports/deferred-queue.ts';
import type {Store} from '../../../lib/ports/store.ts';
import {newObject} from '../../contracts/message-store.ts';
import {newMessage, newMessages} from '../../support/deferred-messages.ts';
import {temporaryFolder} from '../../support/temporary-folder.ts';

const {servedUser: bob, sender: alice} = newMessage();
const all = {afterSequence: undefined, limit: 1000, maxBytes: Number.MAX_SAFE_INTEGER};

test('E8: one process owns the file, the next one is refused until it is closed', async (t) => {
  const path = join(await temporaryFolder(t), 'store.db');
  const owner = await open(t, {path});
  await owner.deferredQueue.enqueue([newMessage()]);
  const refused = await refusal(openEmbeddedStore({path, busyMilliseconds: 20}));
  t.is(refused.code, 'CPM_STORE_IN_USE');
  t.true(refused.message.includes(path));
  await owner.close();
  const next = await open(t, {path});
  t.is((await next.deferredQueue.next(bob, alice, all)).length, 1);
});

test('E8: a file of a newer program, of another program or of no database is refused and left alone', async (t) => {
  const folder = await temporaryFolder(t);
  const newer = join(folder, 'newer.db');
  await (await open(t, {path: newer})).close();
  const sqlite = new Libsql(newer);
  sqlite.exec('UPDATE schema SET version = 99');
  sqlite.close();
  const foreign = join(folder, 'foreign.db');
  const other = new Libsql(foreign);
  other.exec('CREATE TABLE address_book (name TEXT)');
  other.close();
  const text = join(folder, 'text.db');
  await writeFile(text, 'This is not a database. '.repeat(100));

  for (const [path, words] of [
    [newer, 'has schema version 99, this program knows up to 4'],
    [foreign, 'is a database of another program'],
    [text, 'is not a store file'],
  ] as const) {
    const {code, message} = await refusal(openEmbeddedStore({path}));
    t.is(code, 'CPM_STORE_SCHEMA');
    t.true(message.includes(words), message);
  }
  t.is((await refusal(openEmbeddedStore({path: folder}))).code, 'CPM_STORE_AWAY');
});

test('E8: a file of the first version is opened with all that it has, its histories begin where they were', async (t) => {
  const path = join(await temporaryFolder(t), 'store.db');
  const first = new Libsql(path);
  first.exec(readFileSync('test/fixtures/store/version-1.sql', 'utf8'));
  first.close();
  const {deferredQueue, messageStore} = await open(t, {path, node: 'pf-1'});
  t.deepEqual(await messageStore.put([newObject()], 1), ['stored']);
  await deferredQueue.settle(['7'], 'delivered', 4000);
  const traced = await deferredQueue.trace({by: 'user', value: bob}, {after: undefined, limit: 9, pendingOnly: false});
  t.deepEqual(
    traced.map(({id, conversationId, history}) => [id, conversationId, history.map(({what, node}) => what + node)]),
    [
      ['7', 'first', ['accepted', 'deliveredpf-1']],
      ['8', undefined, ['accepted']],
    ],
  );
  t.true(addsUp(await deferredQueue.ledger()));
});

test('8.3.2.9 A21: no octet of an erased user is left in the file, nor of the words of a delivered message', async (t) => {
  const path = join(await temporaryFolder(t), 'store.db');
  const store = await open(t, {path});
  const {deferredQueue: queue, registrations} = store;
  const words = (index: number): Buffer => Buffer.from(`secret ${index} `.repeat(index % 7 === 0 ? 2000 : 20));
  const erased = 'tel:+15550199';
  await registrations.put({
    servedUser: erased,
    identities: [erased],
    contacts: [],
    servingNode: undefined,
    expiresAt: 1,
  });
  for (let index = 0; index < 600; index += 1) {
    const servedUser = index % 3 === 0 ? erased : `tel:+1555${index}`;
    const sender = index % 3 === 1 ? erased : alice;
    const session = {...newMessage().session, recipientAddress: servedUser, senderAddress: sender};
    await queue.enqueue([newMessage({servedUser, sender, session, imdnMessageId: `Msg${index}`, bytes: words(index)})]);
  }
  const others = await queue.trace({by: 'sender', value: alice}, {after: undefined, limit: 1000, pendingOnly: false});
  const ids = others.filter(({servedUser}) => servedUser !== erased).map(({id}) => id);
  await queue.settle(ids, 'delivered', 1);
  await store.erase(erased);
  for (const file of [path, `${path}-wal`]) {
    const octets = await readFile(file, 'latin1');
    t.false(octets.includes('15550199'), `${file}: the address`);
    t.false(octets.includes('secret'), `${file}: the words`);
  }
});

test('E8: what is acknowledged has been written through to the disk, by a connection that has the file alone', async (t) => {
  const path = join(await temporaryFolder(t), 'store.db');
  const database = openDatabase({path, busyMilliseconds: 0, maxFileBytes: undefined});
  t.teardown(() => {
    database.close();
  });
  const settings = ['journal_mode', 'synchronous', 'locking_mode'].map((name) => database.pragma(name));
  t.deepEqual(settings, ['wal', 2, 'exclusive']);
});

test('E1: nobody but its owner can read the file', async (t) => {
  const path = join(await temporaryFolder(t), 'deep', 'store.db');
  await open(t, {path});
  t.is((await stat(path)).mode & 0o777, 0o600);
  t.is((await stat(`${path}-wal`)).mode & 0o777, 0o600);
});

test('E8: calls made while one is written are written together, in two transactions', async (t) => {
  const batches: number[] = [];
  const store = await open(t, {
    spawn: (options) =>
      watched(spawn(options), (message) => {
        if (message.kind === 'batch') batches.push(message.calls?.length ?? 0);
      }),
  });
  const results = await Promise.all(newMessages(100).map((message) => store.deferredQueue.enqueue([message])));
  t.true(results.every(([result]) => result?.outcome === 'stored'));
  t.deepEqual(batches, [1, 99]);
});

test('E8: an impossible call fails alone, its neighbours in the transaction are kept', async (t) => {
  const store = await open(t);
  const first = store.deferredQueue.enqueue([newMessage({imdnMessageId: 'Msg1'})]);
  const impossible = refusal(store.deferredQueue.enqueue([newMessage({imdnMessageId: 'Msg2', receivedAt: NaN})]));
  const last = store.deferredQueue.enqueue([newMessage({imdnMessageId: 'Msg3'})]);
  t.is((await impossible).code, 'CPM_STORE_FAULT');
  await Promise.all([first, last]);
  t.true(store.available);
  const kept = await store.deferredQueue.next(bob, alice, all);
  t.deepEqual(
    kept.map(({imdnMessageId}) => imdnMessageId),
    ['Msg1', 'Msg3'],
  );
});

test('E8: when the thread dies every pending call is refused, and another thread goes on with the file', async (t) => {
  let worker: Worker | undefined;
  const store = await open(t, {retryMilliseconds: 20, spawn: (options) => (worker = spawn(options))});
  await store.deferredQueue.enqueue([newMessage()]);
  const changes = availabilityOf(store);
  const dying = worker?.terminate();
  const pending = newMessages(30, {}, 'Late').map((message) => store.deferredQueue.enqueue([message]));
  const outcomes = await Promise.allSettled(pending);
  await dying;
  t.true(
    outcomes.every(
      (outcome) => outcome.status === 'rejected' && (outcome.reason as CpmError).code === 'CPM_STORE_AWAY',
    ),
  );
  await changes.until(true);
  t.deepEqual(changes.seen, [false, true]);
  t.is((await store.deferredQueue.next(bob, alice, all)).length, 1);
  t.is((await store.deferredQueue.enqueue([newMessage({imdnMessageId: 'Msg2'})]))[0]?.outcome, 'stored');
});

test('E8: a full disk refuses what is new and keeps what it has, and there is room again when messages leave', async (t) => {
  const store = await open(t, {maxFileBytes: 2_000_000, retryMilliseconds: 20});
  const changes = availabilityOf(store);
  const large = (index: number) => newMessage({imdnMessageId: `Large${index}`, bytes: Buffer.alloc(300_000, index)});
  const kept: string[] = [];
  let refused: CpmError | undefined;
  for (let index = 0; refused === undefined && index < 20; index += 1) {
    const outcome = await store.deferredQueue.enqueue([large(index)]).catch((error: unknown) => error as CpmError);
    if (outcome instanceof Error) refused = outcome;
    else kept.push(outcome[0]?.id ?? '');
  }
  t.is(refused?.code, 'CPM_STORE_AWAY');
  t.true(kept.length >= 4);
  await changes.until(true);
  t.deepEqual(changes.seen, [false, true]);
  t.is((await store.deferredQueue.next(bob, alice, all)).length, kept.length);
  t.is((await store.deferredQueue.settle(kept.slice(0, 2), 'delivered', 1)).length, 2);
  t.is((await store.deferredQueue.enqueue([large(kept.length)]))[0]?.outcome, 'stored');
  t.is((await store.deferredQueue.ledger()).accepted, kept.length + 1);
});

test('E8: a disk that does not answer is told in time, and when it answers after all the store is back', async (t) => {
  const held: (() => void)[] = [];
  let holding = false;
  let deadline = (): void => undefined;
  const store = await open(t, {
    clock: {
      now: () => 0,
      after(_, fire) {
        deadline = fire;
        return {cancel: () => undefined};
      },
    },
    spawn: (options) =>
      withheld(spawn(options), (post) => {
        if (holding) held.push(post);
        else post();
      }),
  });
  const changes = availabilityOf(store);
  holding = true;
  const late = refusal(store.deferredQueue.enqueue([newMessage()]));
  deadline();
  t.is((await late).code, 'CPM_STORE_AWAY');
  t.false(store.available);
  t.is((await refusal(store.deferredQueue.ledger())).message, 'the store is away: the disk does not answer');
  await store.dialogRecords.record({id: '1', node: 'pf', server: 'd', servedUser: bob, openedAt: 1});
  holding = false;
  for (const post of held) post();
  await changes.until(true);
  t.is((await store.deferredQueue.enqueue([newMessage()]))[0]?.outcome, 'duplicate');
  t.deepEqual(await store.dialogRecords.ofNode('pf'), []);
});

test('E8: what waits for the disk is bounded, one message larger than the bound still passes alone', async (t) => {
  const store = await open(t, {maxWaitingBytes: 1000});
  const first = store.deferredQueue.enqueue([newMessage({bytes: Buffer.alloc(5000)})]);
  const second = store.deferredQueue.enqueue([newMessage({imdnMessageId: 'Msg2', bytes: Buffer.alloc(900)})]);
  const third = refusal(store.deferredQueue.enqueue([newMessage({imdnMessageId: 'Msg3', bytes: Buffer.alloc(200)})]));
  t.is((await third).message, 'the store is away: too much waits for the disk');
  t.is((await first)[0]?.outcome, 'stored');
  t.is((await second)[0]?.outcome, 'stored');
});

test('E8: closing waits for what was called, refuses what comes after, and may be said twice', async (t) => {
  const path = join(await temporaryFolder(t), 'store.db');
  const store = await open(t, {path});
  const calls = newMessages(20).map((message) => store.deferredQueue.enqueue([message]));
  const closing = store.close();
  t.is((await refusal(store.deferredQueue.ledger())).code, 'CPM_STORE_AWAY');
  await Promise.all([closing, store.close(), ...calls]);
  t.false(store.available);
  await store.close();
  t.is((await (await open(t, {path})).deferredQueue.next(bob, alice, all)).length, 20);
});

async function open(t: ExecutionContext, options: Partial<EmbeddedStoreOptions> = {}): Promise<Store> {
  const path = options.path ?? join(await temporaryFolder(t), 'store.db');
  const store = await openEmbeddedStore({...options, path});
  t.teardown(() => store.close());
  return store;
}

async function refusal(promise: Promise<unknown>): Promise<CpmError> {
  return promise.then(
    () => {
      throw new Error('it was not refused');
    },
    (error: unknown) => error as CpmError,
  );
}

function spawn(workerData: unknown): Worker {
  return new Worker(new URL('../../../lib/adapters/embedded-store/worker.js', import.meta.url), {workerData});
}

function watched(worker: Worker, watch: (message: {kind: string; calls?: readonly unknown[]}) => void): Worker {
  const post = worker.postMessage.bind(worker);
  worker.postMessage = (message: {kind: string}, transfer?) => {
    watch(message);
    post(message, transfer as []);
  };
  return worker;
}

/** Lets the test decide when a message reaches the thread. */
function withheld(worker: Worker, decide: (post: () => void) => void): Worker {
  const post = worker.postMessage.bind(worker);
  worker.postMessage = (message: unknown, transfer?) => {
    decide(() => {
      post(message, transfer as []);
    });
  };
  return worker;
}

/** Everything that the store says of its availability, and a wait for one of it. */
function availabilityOf(store: Store): {readonly seen: readonly boolean[]; until(wanted: boolean): Promise<void>} {
  const seen: boolean[] = [];
  let check = (): void => undefined;
  store.onAvailability((available) => {
    seen.push(available);
    check();
  });
  const until = (wanted: boolean) =>
    new Promise<void>((resolve) => {
      check = () => {
        if (seen.at(-1) === wanted) resolve();
      };
      check();
    });
  return {seen, until};
}
