import type {TestFn} from 'ava';
import type {OpenStore} from './store-under-test.ts';

/** What every store of dialog records does (lib/ports/dialog-records.ts). */
export function dialogRecordsContract(test: TestFn, name: string, open: OpenStore): void {
  test(`RFC 3261 §12: the dialogs that a node left open are told until they are forgotten (${name})`, async (t) => {
    const {dialogRecords} = (await open(t)).store;
    const first = {id: 'call-1;from-tag=a', node: 'pf-1', server: 'drachtio-1', servedUser: 'tel:+49', openedAt: 1000};
    const second = {...first, id: 'call-2;from-tag=b', openedAt: 2000};
    const other = {...first, id: 'call-3;from-tag=c', node: 'pf-2'};
    t.deepEqual(await dialogRecords.ofNode('pf-1'), []);
    for (const record of [first, second, other, first]) await dialogRecords.record(record);
    const left = [...(await dialogRecords.ofNode('pf-1'))].sort((a, b) => a.openedAt - b.openedAt);
    t.deepEqual(left, [first, second]);
    await dialogRecords.forget(first.id);
    await dialogRecords.forget(first.id);
    t.deepEqual(await dialogRecords.ofNode('pf-1'), [second]);
    t.deepEqual(await dialogRecords.ofNode('pf-2'), [other]);
  });
}
