import {join} from 'node:path';
import test from 'ava';
import {openEmbeddedStore} from '../../../lib/adapters/embedded-store/embedded-store.ts';
import {systemClock} from '../../../lib/ports/clock.ts';
import type {Store} from '../../../lib/ports/store.ts';
import {deferredQueueContract} from '../../contracts/deferred-queue.ts';
import {dialogRecordsContract} from '../../contracts/dialog-records.ts';
import {erasureContract} from '../../contracts/erasure.ts';
import {groupSessionsContract} from '../../contracts/group-sessions.ts';
import {leasesContract} from '../../contracts/leases.ts';
import {messageStoreContract} from '../../contracts/message-store.ts';
import {operatedQueueContract} from '../../contracts/operated-queue.ts';
import {registrationsContract} from '../../contracts/registrations.ts';
import type {OpenStore} from '../../contracts/store-under-test.ts';
import {temporaryFolder} from '../../support/temporary-folder.ts';

const open: OpenStore = async (t) => {
  let passed = 0;
  const clock = {...systemClock, now: () => 1_790_000_000_000 + passed};
  const folder = await temporaryFolder(t);
  const openIt = async (): Promise<Store> => {
    const store = await openEmbeddedStore({path: join(folder, 'store.db'), node: 'pf-1', clock});
    t.teardown(() => store.close());
    return store;
  };
  const store = await openIt();
  const letPass = (milliseconds: number): Promise<void> => {
    passed += milliseconds;
    return Promise.resolve();
  };
  const restart = async (): Promise<Store> => {
    await store.close();
    return openIt();
  };
  return {store, letPass, restart};
};

deferredQueueContract(test, 'embedded', open);
operatedQueueContract(test, 'embedded', open);
erasureContract(test, 'embedded', open);
registrationsContract(test, 'embedded', open);
leasesContract(test, 'embedded', open);
dialogRecordsContract(test, 'embedded', open);
messageStoreContract(test, 'embedded', open);
groupSessionsContract(test, 'embedded', open);
