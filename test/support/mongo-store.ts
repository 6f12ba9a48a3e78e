/** The server of one test file, and stores of one test on a database of its own. */
import {randomBytes} from 'node:crypto';
import type {ExecutionContext, TestFn} from 'ava';
import {MongoClient} from 'mongodb';
import type {Db} from 'mongodb';
import {openMongoStore} from '../../lib/adapters/mongodb/mongo-store.ts';
import type {MongoStoreOptions} from '../../lib/adapters/mongodb/mongo-store.ts';
import type {Store} from '../../lib/ports/store.ts';
import {mongoKind, startMongo} from './mongo.ts';

/** Starts a server before the tests of a file, where there is one, and stops it after them. `uri` is there while they run. */
export function mongoOfFile(test: TestFn): {readonly uri: string} {
  const mongo = {uri: ''};
  if (mongoKind.kind === 'none') return mongo;
  let stop: () => Promise<void> = () => Promise.resolve();
  test.before(async (t) => {
    t.timeout(120_000);
    const running = await startMongo();
    mongo.uri = running.uri;
    stop = running.stop;
  });
  test.after.always(() => stop());
  return mongo;
}

export interface MongoDatabase {
  /** The database as it is, without the adapter. */
  readonly raw: Db;
  /** Another node's store on it. */
  open(options?: Partial<MongoStoreOptions>): Store;
}

export function mongoDatabase(t: ExecutionContext, uri: string): MongoDatabase {
  const database = `cpm_${randomBytes(6).toString('hex')}`;
  const client = new MongoClient(uri, {serverSelectionTimeoutMS: 30_000});
  const raw = client.db(database);
  const stores: Store[] = [];
  t.teardown(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await raw.dropDatabase();
    await client.close();
  });
  return {
    raw,
    open(options = {}) {
      const store = openMongoStore({
        uri,
        database,
        callMilliseconds: 20_000,
        serverSelectionMilliseconds: 10_000,
        ...options,
      });
      stores.push(store);
      return store;
    },
  };
}
