import {join} from 'node:path';
import test from 'ava';
import {killWriters} from '../../support/kill-rounds.ts';
import {temporaryFolder} from '../../support/temporary-folder.ts';

test('E1 A0: of a writer killed at any moment nothing acknowledged is lost, doubled or out of order (embedded)', async (t) => {
  const folder = await temporaryFolder(t);
  await killWriters(t, {kind: 'embedded', path: join(folder, 'store.db')}, join(folder, 'notes'));
});
