import {mkdtempSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'ava';
import {packageVersion} from '../../lib/version.ts';
import {runNode} from '../support/child.ts';

async function cpmPf(...args: string[]): Promise<{status: number | string; output: string}> {
  const child = runNode('lib/cli.ts', args);
  return {status: await child.ended, output: child.output()};
}

function configFile(text: string): string {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'cli-')), 'pf.yaml');
  writeFileSync(file, text);
  return file;
}

test('cpm-pf: --help names every command and ends with 0', async (t) => {
  const {status, output} = await cpmPf('--help');
  t.is(status, 0);
  for (const command of [
    'start',
    'relay',
    'check-config',
    'status',
    'where',
    'queue',
    'erase',
    'recorded',
    'groups',
    'demo',
    'clause',
  ])
    t.regex(output, new RegExp(`^  ${command} `, 'm'));
});

test('cpm-pf: --version prints the version of the package', async (t) => {
  t.deepEqual(await cpmPf('--version'), {status: 0, output: `${packageVersion()}\n`});
});

test('cpm-pf: an unknown command or option ends with 64', async (t) => {
  t.is((await cpmPf('begin')).status, 64);
  t.is((await cpmPf('clause', '--xml')).status, 64);
  t.is((await cpmPf('status')).status, 64);
});

test('cpm-pf check-config: a good file is ok, with its warnings', async (t) => {
  const file = configFile('served: {domains: [example.org]}\n');
  const {status, output} = await cpmPf('check-config', file);
  t.is(status, 0);
  t.regex(output, /: warning: sip\.drachtio names no server/);
  t.true(output.endsWith(`${file}: ok\n`));
});

test('cpm-pf check-config: a mistake is told with file, line and key, and ends with 78', async (t) => {
  const file = configFile('sip:\n  inviteSeconds: soon\n');
  const {status, output} = await cpmPf('check-config', file);
  t.is(status, 78);
  t.is(output, `${file}:2: sip.inviteSeconds: expected a whole number from 1 to 180, found "soon"\n`);
});

test('cpm-pf relay: listens where the configuration says, ends with 0 at SIGTERM, and with 69 where the port is taken', async (t) => {
  const sides = 'access: {listenPort: 0}, core: {listenPort: 0}';
  const relay = runNode('lib/cli.ts', ['relay', '--config', configFile(`relay: {${sides}}\n`)]);
  t.teardown(() => relay.process.kill('SIGKILL'));
  const {control} = JSON.parse(await relay.line(/"listening"/)) as {control: string};
  t.regex(control, /^127\.0\.0\.1:\d+$/);

  const second = await cpmPf('relay', '--config', configFile(`relay: {control: "${control}", ${sides}}\n`));
  t.is(second.status, 69);
  t.regex(second.output, /"code":"CPM_RELAY_CONTROL"/);

  relay.process.kill('SIGTERM');
  t.is(await relay.ended, 0);
});

test('cpm-pf clause --json: every row is there, in order', async (t) => {
  const {status, output} = await cpmPf('clause', '--json');
  t.is(status, 0);
  const rows = (JSON.parse(output) as {row: string}[]).map(({row}) => row);
  const range = (letter: string, from: number, to: number) =>
    Array.from({length: to - from + 1}, (_, index) => `${letter}${from + index}`);
  t.deepEqual(rows, [
    ...range('A', 0, 21),
    ...range('B', 1, 11),
    ...range('C', 1, 12),
    ...range('D', 1, 5),
    ...range('E', 1, 9),
  ]);
});
