import {randomBytes} from 'node:crypto';
import {once} from 'node:events';
import {join} from 'node:path';
import {setTimeout} from 'node:timers/promises';
import anyTest from 'ava';
import {MongoClient} from 'mongodb';
import {openMongoStore} from '../../../lib/adapters/mongodb/mongo-store.ts';
import {CpmError} from '../../../lib/errors.ts';
import type {Store} from '../../../lib/ports/store.ts';
import {checkPending, killRounds, killSeed, killWriters, newAccount} from '../../support/kill-rounds.ts';
import type {Account} from '../../support/kill-rounds.ts';
import {mongoKind, mongoName, startMongo, testWithMongo} from '../../support/mongo.ts';
import {seededRandom} from '../../support/random.ts';
import {messageOf, userOf} from '../../support/store-writer.ts';
import {temporaryFolder} from '../../support/temporary-folder.ts';

const test = testWithMongo(anyTest);
/** Only a server that the test started may be killed. */
const testOurs = mongoKind.kind === 'uri' ? (anyTest.skip as typeof anyTest) : test;

test(`E1 A0: of a writer killed at any moment nothing acknowledged is lost, doubled or out of order (${mongoName})`, async (t) => {
  const mongo = await startMongo();
  const database = `cpm_${randomBytes(6).toString('hex')}`;
  t.teardown(async () => {
    const client = new MongoClient(mongo.uri);
    await client.db(database).dropDatabase();
    await client.close();
    await mongo.stop();
  });
  const folder = await temporaryFolder(t);
  await killWriters(t, {kind: 'mongodb', uri: mongo.uri, database}, join(folder, 'notes'));
});

testOurs(
  `E1 A0: of a server killed at any moment the store says so in time and comes back, whole (${mongoName})`,
  async (t) => {
    const rounds = killRounds(5);
    const random = seededRandom(killSeed);
    t.log(`KILL_SEED=${killSeed} KILL_ROUNDS=${rounds}`);
    t.timeout(60_000 + rounds * 30_000);
    const mongo = await startMongo();
    const store = openMongoStore({uri: mongo.uri, database: 'cpm_kill', probeMilliseconds: 100});
    t.teardown(async () => {
      await store.close();
      await mongo.stop();
    });
    await untilAvailable(store, true);

    const accounts = Array.from({length: 4}, newAccount);
    for (let round = 0; round < rounds; round += 1) {
      const writing = Promise.all(accounts.map((account, writer) => writeUntilAway(store, writer, account)));
      await setTimeout(random.below(400));
      const away = untilAvailable(store, false);
      await mongo.kill();
      const refusals = await writing;
      t.deepEqual([...new Set(refusals.map(({code}) => code))], ['CPM_STORE_AWAY'], 'every writer is told');
      await away;
      t.false(store.available);
      const back = untilAvailable(store, true);
      await mongo.start();
      await back;
      for (const [writer, account] of accounts.entries()) await checkPending(t, store, userOf(writer), account, writer);
    }
    const ledger = await store.deferredQueue.ledger();
    t.is(ledger.accepted, ledger.pending + ledger.delivered);
  },
);

/** Stores one message after the other until the store refuses one: that is what resolves. */
async function writeUntilAway({deferredQueue}: Store, writer: number, account: Account): Promise<CpmError> {
  for (let number = Math.max(-1, ...account.stored) + 1; ; number += 1) {
    account.tried.add(number);
    try {
      await deferredQueue.enqueue([messageOf(writer, number)]);
    } catch (error) {
      if (error instanceof CpmError) return error;
      throw error;
    }
    account.stored.add(number);
  }
}

function untilAvailable(store: Store, wanted: boolean): Promise<void> {
  if (store.available === wanted) return Promise.resolve();
  const changes = new EventTarget();
  store.onAvailability((available) => changes.dispatchEvent(new Event(String(available))));
  return once(changes, String(wanted)).then(() => undefined);
}
