import {setTimeout} from 'node:timers/promises';
import anyTest from 'ava';
import {deferredQueueContract} from '../../contracts/deferred-queue.ts';
import {dialogRecordsContract} from '../../contracts/dialog-records.ts';
import {erasureContract} from '../../contracts/erasure.ts';
import {groupSessionsContract} from '../../contracts/group-sessions.ts';
import {leasesContract} from '../../contracts/leases.ts';
import {messageStoreContract} from '../../contracts/message-store.ts';
import {operatedQueueContract} from '../../contracts/operated-queue.ts';
import {registrationsContract} from '../../contracts/registrations.ts';
import type {OpenStore} from '../../contracts/store-under-test.ts';
import {mongoDatabase, mongoOfFile} from '../../support/mongo-store.ts';
import {mongoName, testWithMongo} from '../../support/mongo.ts';

const mongo = mongoOfFile(anyTest);

const open: OpenStore = (t) => {
  const database = mongoDatabase(t, mongo.uri);
  const store = database.open({node: 'pf-1'});
  // Leases run on the server's clock, so time really passes.
  return Promise.resolve({
    store,
    letPass: (milliseconds) => setTimeout(milliseconds),
    async restart() {
      await store.close();
      return database.open({node: 'pf-1'});
    },
  });
};

const test = testWithMongo(anyTest);
deferredQueueContract(test, mongoName, open);
operatedQueueContract(test, mongoName, open);
erasureContract(test, mongoName, open);
registrationsContract(test, mongoName, open);
leasesContract(test, mongoName, open);
dialogRecordsContract(test, mongoName, open);
messageStoreContract(test, mongoName, open);
groupSessionsContract(test, mongoName, open);
