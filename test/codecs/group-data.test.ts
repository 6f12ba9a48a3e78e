import test from 'ava';
import {isGroupData} from '../../lib/codecs/group-data.ts';

test('8.3.2.9.1.2: a message of group data management is told by its type, in any case and with parameters', (t) => {
  t.true(isGroupData('application/vnd.oma.cpm-groupdata+xml'));
  t.true(isGroupData('Application/vnd.OMA.CPM-GroupData+XML; charset=utf-8'));
  for (const other of ['application/group-state-object+xml', 'application/vnd.oma.cpm-groupdata', 'text/plain', ''])
    t.false(isGroupData(other), other);
});
