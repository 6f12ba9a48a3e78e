import {existsSync} from 'node:fs';
import {appendFile, readFile, stat, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {example, openForTest} from 'drachtio-cpm/test-kit';
import {temporaryFolder} from '../../test/support/temporary-folder.ts';
import lawfulRetention, {verifyJournal} from './index.ts';

const records = async (file: string): Promise<readonly Record<string, unknown>[]> =>
  (await readFile(file, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('lawful-retention: what is offered, kept and released is a record each, on the disk when it is acknowledged', async (t) => {
  const file = path.join(await temporaryFolder(t), 'journal.jsonl');
  const opened = await openForTest(lawfulRetention, {file});
  t.is(await opened.hooks.beforeDefer?.(example.message({text: 'grüezi'})), undefined);
  t.like(await records(file), [
    {at: '2026-01-01T00:00:00.000Z', event: 'offered', sender: 'tel:+15550101', size: 7, content: 'Z3LDvGV6aQ=='},
  ]);
  opened.hooks.afterDefer?.(example.deferred({id: '17'}));
  const {servedUser, sender} = example.message();
  const released = {id: '17', servedUser, sender, kind: 'chat', imdnMessageId: 'Message-1', how: 'delivered'} as const;
  opened.hooks.afterDelivered?.(released);
  await opened.close();
  t.like((await records(file)).slice(1), [
    {event: 'kept', id: '17', outcome: 'stored'},
    {event: 'released', id: '17', how: 'delivered'},
  ]);
  t.like(await verifyJournal(file), {records: 3, broken: 0, firstWrong: undefined});
  t.is((await stat(file)).mode & 0o777, 0o600);
});

test('lawful-retention: without content there is only that there was a message', async (t) => {
  const file = path.join(await temporaryFolder(t), 'journal.jsonl');
  const opened = await openForTest(lawfulRetention, {file, content: false, sync: 'none'});
  await opened.hooks.beforeDefer?.(example.message());
  await opened.close();
  t.false('content' in ((await records(file))[0] ?? {}));
  t.deepEqual(opened.retained, [file]);
});

test('lawful-retention: a journal goes on where it ended, and a record that is changed, taken out or put in shows', async (t) => {
  const file = path.join(await temporaryFolder(t), 'journal.jsonl');
  for (const text of ['one', 'two', 'three']) {
    const opened = await openForTest(lawfulRetention, {file});
    await opened.hooks.beforeDefer?.(example.message({text}));
    await opened.close();
  }

  t.like(await verifyJournal(file), {records: 3, firstWrong: undefined});
  const whole = await readFile(file, 'utf8');
  const lines = whole.trimEnd().split('\n');
  const [first = '', second = '', third = ''] = lines;
  const wrongIn = async (changed: readonly string[]) => {
    await writeFile(file, `${changed.join('\n')}\n`);
    return (await verifyJournal(file)).firstWrong;
  };
  t.is(await wrongIn([first, second.replace('"size":3', '"size":4'), third]), 2);
  t.is(await wrongIn([first, third]), 2);
  t.is(await wrongIn([second, third]), 1);
  t.is(await wrongIn([first, first, second, third]), 2);
  t.is(await wrongIn([first, second, third]), undefined);
});

test('lawful-retention: what an interrupted write left is no record, and the chain goes on past it', async (t) => {
  const file = path.join(await temporaryFolder(t), 'journal.jsonl');
  const first = await openForTest(lawfulRetention, {file});
  await first.hooks.beforeDefer?.(example.message());
  await first.close();
  const [line = ''] = (await readFile(file, 'utf8')).split('\n');
  await appendFile(file, line.slice(0, 100));
  const second = await openForTest(lawfulRetention, {file});
  await second.hooks.beforeDefer?.(example.message());
  await second.close();
  t.like(await verifyJournal(file), {records: 2, broken: 1, firstWrong: undefined});
});

test('lawful-retention: the end of a long journal is found, whatever the size of its last record', async (t) => {
  const file = path.join(await temporaryFolder(t), 'journal.jsonl');
  for (const text of ['short', 'x'.repeat(3_000_000), 'short again']) {
    const opened = await openForTest(lawfulRetention, {file, sync: 'none'});
    await opened.hooks.beforeDefer?.(example.message({text}));
    await opened.close();
  }

  t.like(await verifyJournal(file), {records: 3, broken: 0, firstWrong: undefined});
});

test('lawful-retention: messages that come together are all in the chain', async (t) => {
  const file = path.join(await temporaryFolder(t), 'journal.jsonl');
  const {hooks, close} = await openForTest(lawfulRetention, {file});
  await Promise.all(
    Array.from({length: 200}, async (_, index) => hooks.beforeDefer?.(example.message({text: String(index)}))),
  );
  await close();
  t.like(await verifyJournal(file), {records: 200, broken: 0, firstWrong: undefined});
});

(existsSync('/dev/full') ? test : test.skip)(
  'lawful-retention: on a full disk a message is not taken, and its sender keeps it',
  async (t) => {
    const {hooks, log, close} = await openForTest(lawfulRetention, {file: '/dev/full'});
    t.deepEqual(await hooks.beforeDefer?.(example.message()), {refuse: 408});
    t.true(log.some(({code, plugin}) => code === 'CPM_HOOK_FAILED' && plugin === 'lawful-retention'));
    await close();
  },
);

test('lawful-retention: a journal that cannot be opened keeps the PF from starting', async (t) => {
  const file = path.join(await temporaryFolder(t), 'nowhere', 'journal.jsonl');
  await t.throwsAsync(openForTest(lawfulRetention, {file}), {
    code: 'CPM_PLUGIN',
    message: /^the plugin lawful-retention cannot be started: ENOENT/,
  });
});
