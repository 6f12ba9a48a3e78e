import {randomBytes} from 'node:crypto';
import {setTimeout} from 'node:timers/promises';
import anyTest from 'ava';
import {openMongoStore} from '../../../lib/adapters/mongodb/mongo-store.ts';
import {deferredQueueContract} from '../../contracts/deferred-queue.ts';
import {dialogRecordsContract} from '../../contracts/dialog-records.ts';
import {leasesContract} from '../../contracts/leases.ts';
import {registrationsContract} from '../../contracts/registrations.ts';
import type {OpenStore} from '../../contracts/store-under-test.ts';
import {dropDatabase, mongoKind, mongoName, startMongo} from '../../support/mongo.ts';
import type {RunningMongo} from '../../support/mongo.ts';

const test = mongoKind.kind === 'none' ? (anyTest.skip as typeof anyTest) : anyTest;

let mongo: RunningMongo | undefined;
if (mongoKind.kind !== 'none') {
  anyTest.before(async () => {
    mongo = await startMongo();
  });
  anyTest.after.always(() => mongo?.stop());
}

const open: OpenStore = (t) => {
  const {uri} = mongo ?? {uri: ''};
  const database = `cpm_${randomBytes(6).toString('hex')}`;
  const store = openMongoStore({uri, database, callMilliseconds: 20_000});
  t.teardown(async () => {
    await store.close();
    await dropDatabase(uri, database);
  });
  // Leases run on the server's clock, so time really passes.
  return Promise.resolve({store, letPass: (milliseconds) => setTimeout(milliseconds)});
};

deferredQueueContract(test, mongoName, open);
registrationsContract(test, mongoName, open);
leasesContract(test, mongoName, open);
dialogRecordsContract(test, mongoName, open);
