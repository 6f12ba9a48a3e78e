import {once} from 'node:events';
import {createServer} from 'node:net';
import type {AddressInfo} from 'node:net';
import anyTest from 'ava';
import {openMongoStore} from '../../../lib/adapters/mongodb/mongo-store.ts';
import type {CpmError} from '../../../lib/errors.ts';
import {systemClock} from '../../../lib/ports/clock.ts';
import {newMessage, newMessages} from '../../support/deferred-messages.ts';
import {mongoDatabase, mongoOfFile} from '../../support/mongo-store.ts';
import {mongoName, testWithMongo} from '../../support/mongo.ts';

const test = testWithMongo(anyTest);
const {servedUser: bob, sender: alice} = newMessage();
const all = {afterSequence: undefined, limit: 1000, maxBytes: Number.MAX_SAFE_INTEGER};

const mongo = mongoOfFile(anyTest);

test(`8.3.2.9.1.1 T36: of fifty racing claims over five nodes exactly one wins (${mongoName})`, async (t) => {
  const database = mongoDatabase(t, mongo.uri);
  const nodes = Array.from({length: 5}, () => database.open());
  const claims = await Promise.all(
    Array.from({length: 10}, () =>
      nodes.map(({leases}, index) => leases.claim('bob', {node: `pf-${index}`, address: undefined}, 60_000)),
    ).flat(),
  );
  const won = claims.filter((lease) => lease !== undefined);
  t.is(won.length, 1);
  t.is((await database.open().leases.holder('bob'))?.node, won[0]?.owner.node);
});

test(`8.3.2.9.1.1 A0 T64: order of arrival holds over nodes whose clocks disagree by an hour (${mongoName})`, async (t) => {
  const database = mongoDatabase(t, mongo.uri);
  const nodes = [0, -3_600_000, 3_600_000].map((skew) =>
    database.open({clock: {...systemClock, now: () => Date.now() + skew}}),
  );
  for (let index = 0; index < 30; index += 1)
    await nodes[index % 3]?.deferredQueue.enqueue([newMessage({imdnMessageId: `Msg${index}`})]);
  const kept = await database.open().deferredQueue.next(bob, alice, all);
  t.deepEqual(
    kept.map(({imdnMessageId}) => imdnMessageId),
    Array.from({length: 30}, (_, index) => `Msg${index}`),
  );
  t.is(new Set(kept.map(({sequence}) => sequence)).size, 30);
});

test(`E8 T62: of one message raced over three nodes one is kept (${mongoName})`, async (t) => {
  const database = mongoDatabase(t, mongo.uri);
  const nodes = Array.from({length: 3}, () => database.open({inlineBytes: 10}));
  const racing = [...nodes, ...nodes].map(({deferredQueue}) => deferredQueue.enqueue([newMessage()]));
  const outcomes = (await Promise.all(racing)).flat().map(({outcome}) => outcome);
  t.deepEqual(outcomes.sort(), ['duplicate', 'duplicate', 'duplicate', 'duplicate', 'duplicate', 'stored']);
  t.is(await database.raw.collection('parts').countDocuments(), 1);
});

test(`E1: parts of a large message leave with it, those that a crash left alone are swept (${mongoName})`, async (t) => {
  const database = mongoDatabase(t, mongo.uri);
  const parts = database.raw.collection<{_id: string; message: string; writtenAt: number}>('parts');
  const {deferredQueue} = database.open({inlineBytes: 1000, clock: {...systemClock, now: () => 5000}});
  const [first, second] = await deferredQueue.enqueue([
    newMessage({bytes: Buffer.alloc(9_000_000, 'a')}),
    newMessage({imdnMessageId: 'Msg2', bytes: Buffer.alloc(1001, 'b')}),
    newMessage({imdnMessageId: 'Msg3'}),
  ]);
  t.is(await parts.countDocuments(), 4);
  await deferredQueue.settle([first?.id ?? ''], 'delivered', 6000);
  t.is(await parts.countDocuments(), 1);
  await parts.insertOne({_id: 'lost:0', message: 'lost', writtenAt: 4000});
  await deferredQueue.forgetSettled(4000);
  t.is(await parts.countDocuments(), 2);
  await deferredQueue.forgetSettled(5001);
  t.deepEqual(
    (await parts.find().toArray()).map(({message}) => message),
    [second?.id ?? ''],
  );
  t.is((await deferredQueue.next(bob, alice, all))[0]?.bytes.byteLength, 1001);
});

for (const [moment, counted, deleted] of [
  ['before it counted', false, false],
  ['before it deleted', true, false],
  ['before it added', true, true],
] as const)
  test(`E8: a sweep that died ${moment} is finished by the next, each message counts once (${mongoName})`, async (t) => {
    const {raw, ...database} = mongoDatabase(t, mongo.uri);
    const {deferredQueue} = database.open();
    const ids = (await deferredQueue.enqueue(newMessages(4))).map(({id}) => id);
    await deferredQueue.settle(ids.slice(0, 2), 'delivered', 1000);
    await deferredQueue.settle(ids.slice(2, 3), 'failed', 1000);
    const before = await deferredQueue.ledger();
    const note = {token: 'a', ids: ids.slice(0, 3)};
    const counts = {delivered: 2, expired: 0, dropped: 0, failed: 1};
    const underWay = counted ? {...note, counts} : note;
    await raw.collection<{_id: string}>('totals').insertOne({_id: 'forgotten', ...{underWay}});
    if (deleted) await raw.collection<{_id: string}>('messages').deleteMany({_id: {$in: ids.slice(0, 3)}});

    t.deepEqual(await deferredQueue.ledger(), before);
    const forgotten = await Promise.all(
      [database.open(), database.open()].map((node) => node.deferredQueue.forgetSettled(2000)),
    );
    t.is(
      forgotten.reduce((sum, count) => sum + count, 0),
      3,
    );
    t.deepEqual(await deferredQueue.ledger(), before);
    t.is(await raw.collection('messages').countDocuments(), 1);
  });

test(`E8: closing waits for what was called, refuses what comes after, and may be said twice (${mongoName})`, async (t) => {
  const database = mongoDatabase(t, mongo.uri);
  const store = database.open();
  await store.deferredQueue.ledger();
  const calls = newMessages(20).map((message) => store.deferredQueue.enqueue([message]));
  const late = newMessage({imdnMessageId: 'Late'});
  // Past the look at whether the store is there.
  await Promise.resolve();
  const closing = store.close();
  t.is((await refusal(store.deferredQueue.enqueue([late]))).code, 'CPM_STORE_AWAY');
  await Promise.all([closing, store.close(), ...calls]);
  t.false(store.available);
  t.is((await database.open().deferredQueue.next(bob, alice, all)).length, 20);
});

test(`E8: what a newer program wrote is left alone, and the store says why it is away (${mongoName})`, async (t) => {
  const database = mongoDatabase(t, mongo.uri);
  await database.raw.collection<{_id: string; version: number}>('schema').insertOne({_id: 'schema', version: 99});
  const store = database.open();
  const refused = await refusal(store.deferredQueue.ledger());
  t.is(refused.code, 'CPM_STORE_AWAY');
  t.true(refused.message.includes('schema version 99'), refused.message);
  t.false(store.available);
});

anyTest(
  'E8: a MongoDB that is not there is said at once after the first look, and records of dialogs hold nobody up',
  async (t) => {
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const {port} = closed.address() as AddressInfo;
    closed.close();
    const store = openMongoStore({
      uri: `mongodb://127.0.0.1:${port}/`,
      database: 'cpm',
      serverSelectionMilliseconds: 50,
      probeMilliseconds: 60_000,
    });
    t.teardown(() => store.close());
    t.false(store.available);
    const {deferredQueue, registrations, leases, dialogRecords} = store;
    const owner = {node: 'pf', address: undefined};
    for (const call of [
      () => deferredQueue.enqueue([newMessage()]),
      () => registrations.get(bob),
      () => leases.claim('bob', owner, 1000),
      () => dialogRecords.ofNode('pf'),
    ]) {
      const {code, status} = await refusal(call());
      t.deepEqual([code, status], ['CPM_STORE_AWAY', 503]);
    }
    await dialogRecords.record({id: '1', node: 'pf', server: 'd', servedUser: bob, openedAt: 1});
    await dialogRecords.forget('1');
    await store.close();
    await store.close();
  },
);

function refusal(promise: Promise<unknown>): Promise<CpmError> {
  return promise.then(
    () => {
      throw new Error('it was not refused');
    },
    (error: unknown) => error as CpmError,
  );
}
