import {mkdtempSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {readPortFile} from '../lib/adapters/http/port-file.ts';
import {runNode} from './support/child.ts';
import type {Child} from './support/child.ts';

/** A process whose application behaves as said, in a folder of its own. */
function start(t: ExecutionContext, how: string): Child & {folder: string; file: string} {
  const folder = mkdtempSync(path.join(tmpdir(), 'process-'));
  const file = path.join(folder, 'pf.yaml');
  writeFileSync(file, 'admin: {port: 0}\n');
  const child = runNode('test/support/process-fixture.ts', [file, how]);
  t.teardown(() => child.process.kill('SIGKILL'));
  return {...child, folder, file};
}

for (const signal of ['SIGTERM', 'SIGINT'] as const)
  test(`process: ${signal} drains and ends with 0`, async (t) => {
    const child = start(t, 'run');
    await child.said(/Participating Function runs/);
    child.process.kill(signal);
    t.is(await child.ended, 0);
    t.regex(child.output(), /"draining"[^]*"ended"/);
    t.is(readPortFile(path.join(child.folder, 'run')), undefined);
  });

test('process: a second signal ends it without waiting for the drain', async (t) => {
  const child = start(t, 'drain-forever');
  await child.said(/Participating Function runs/);
  child.process.kill('SIGTERM');
  await child.said(/draining/);
  child.process.kill('SIGTERM');
  t.is(await child.ended, 1);
});

test('process: a drain that takes too long ends with 70', async (t) => {
  const child = start(t, 'drain-late');
  await child.said(/Participating Function runs/);
  child.process.kill('SIGTERM');
  t.is(await child.ended, 70);
  t.regex(child.output(), /CPM_DRAIN_OVERDUE/);
});

for (const how of ['throw', 'reject'])
  test(`process: an error that nobody caught (${how}) is logged with a code and ends with 70`, async (t) => {
    const child = start(t, how);
    t.is(await child.ended, 70);
    t.regex(child.output(), /"code":"CPM_UNCAUGHT"[^]*a bug|a bug[^]*"code":"CPM_UNCAUGHT"/);
  });

test('process: a start that fails ends with 69 and leaves no port file', async (t) => {
  const child = start(t, 'fail');
  t.is(await child.ended, 69);
  t.regex(child.output(), /no such SIP server/);
  t.is(readPortFile(path.join(child.folder, 'run')), undefined);
});

test('cpm-pf status: finds the running PF by its configuration; 0 when ready, 1 when a part is away', async (t) => {
  const ready = start(t, 'run');
  const away = start(t, 'store-away');
  await Promise.all([ready.said(/Participating Function runs/), away.said(/Participating Function runs/)]);

  const good = runNode('lib/cli.ts', ['status', '--config', ready.file]);
  t.is(await good.ended, 0);
  t.regex(good.output(), /^store +up$/m);
  const bad = runNode('lib/cli.ts', ['status', '--config', away.file, '--json']);
  t.is(await bad.ended, 1);
  t.like(JSON.parse(bad.output()), {state: 'running', parts: {sip: 'up', store: 'away'}});
});

test('cpm-pf status: no running PF is told, with 69', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'process-'));
  writeFileSync(path.join(folder, 'pf.yaml'), '');
  const child = runNode('lib/cli.ts', ['status', '--config', path.join(folder, 'pf.yaml')]);
  t.is(await child.ended, 69);
  t.regex(child.output(), /^no Participating Function runs/);
});

// SIGHUP

const reloaded = /"the configuration was read anew"/;

test('process: SIGHUP takes policies and log level over, and names each key that counts from the next start on', async (t) => {
  const child = start(t, 'run');
  await child.said(/Participating Function runs/);
  writeFileSync(
    child.file,
    'admin: {port: 1}\ncpm: {deferredRetentionSeconds: 90}\nsip: {homeDomain: home.example}\nlog: {level: debug}\n',
  );
  child.process.kill('SIGHUP');
  await child.said(reloaded);
  const records = child.output().trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>); // prettier-ignore
  const waiting = records.filter(({msg}) => msg === 'a key has changed that counts from the next start on');
  t.deepEqual(waiting.map(({key}) => key).sort(), ['admin.port', 'sip.homeDomain']);
  t.like(
    records.find(({msg}) => msg === 'the application was told'),
    {level: 'debug', retention: 90},
  );
  t.regex(String(records.at(-1)?.['changed']), /cpm\.deferredRetentionSeconds/);
  child.process.kill('SIGTERM');
  t.is(await child.ended, 0);
});

test('process: SIGHUP with a broken file names file and line, and what is in force stays', async (t) => {
  const child = start(t, 'run');
  await child.said(/Participating Function runs/);
  writeFileSync(child.file, 'admin: {port: 0}\ncpm:\n  deferredRetentionSeconds: soon\n  cpmMode: 1\n');
  child.process.kill('SIGHUP');
  await child.said(/the one in force stays/);
  const mistakes = child.output().split('\n').filter((line) => line.includes('"code":"CPM_CONFIG"')).map((line) => JSON.parse(line) as Record<string, unknown>); // prettier-ignore
  t.deepEqual(
    mistakes.map(({file, line, key}) => ({file, line, key})),
    [
      {file: child.file, line: 3, key: 'cpm.deferredRetentionSeconds'},
      {file: child.file, line: 4, key: 'cpm.cpmMode'},
    ],
  );
  t.notRegex(child.output(), reloaded);
  writeFileSync(child.file, 'admin: {port: 0}\nlog: {level: debug}\n');
  child.process.kill('SIGHUP');
  await child.said(reloaded);
});
