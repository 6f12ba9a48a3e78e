import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {readdirSync, readFileSync} from 'node:fs';
import test from 'ava';
import {isComplete, runDemo} from '../../lib/demo/demo.ts';
import {scenarios} from '../../lib/demo/scenarios.ts';
import {runNode} from '../support/child.ts';
import {temporaryFolder} from '../support/temporary-folder.ts';

const whole = {sent: 9, accepted: 9, delivered: 9, notified: 9, identical: true, inOrder: true};

test.serial('the demo: everything arrives over a SIGKILL, and nothing of it stays behind', async (t) => {
  const folder = await temporaryFolder(t);
  process.env['TMPDIR'] = folder;
  t.teardown(() => {
    delete process.env['TMPDIR'];
  });
  const lines: string[] = [];
  const status = await runDemo({
    scenario: scenarios[0],
    json: true,
    out: {write: (text: string) => lines.push(...text.trimEnd().split('\n'))},
  });
  const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  t.deepEqual(events.at(-1), {event: 'summary', ...whole}, lines.slice(-3).join('\n'));
  t.is(status, 0);
  t.true(events.some(({event, text}) => event === 'step' && String(text).includes('SIGKILL')));
  t.true(events.some(({text}) => /SEND #3, 200 KB in \d+ chunks/.test(String(text))));
  t.deepEqual(remainsOf(folder), []);
});

for (const scenario of scenarios.slice(1))
  test.serial(`the demo, ${scenario.name}: ${scenario.title}`, async (t) => {
    t.timeout(60_000);
    const lines: string[] = [];
    const status = await runDemo({
      scenario,
      json: true,
      out: {write: (text: string) => lines.push(...text.trimEnd().split('\n'))},
    });
    t.is(status, 0, lines.slice(-3).join('\n'));
  });

test('the demo: --list names every story, and one that is not there is an error', async (t) => {
  const list = runNode('lib/cli.ts', ['demo', '--list']);
  t.is(await list.ended, 0);
  t.deepEqual(
    list
      .output()
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' ')[0]),
    scenarios.map(({name}) => name),
  );
  const unknown = runNode('lib/cli.ts', ['demo', '--scenario', 'fiction']);
  t.is(await unknown.ended, 64);
  t.regex(unknown.output(), /there is no scenario fiction/);
});

test.serial('the demo: a reader who goes away before the end ends it, and nothing of it stays behind', async (t) => {
  const folder = await temporaryFolder(t);
  const shell = spawn('sh', ['-c', `${process.execPath} dist/lib/cli.js demo | head -1`], {
    env: {...process.env, TMPDIR: folder},
    stdio: 'ignore',
  });
  await once(shell, 'exit');
  t.deepEqual(remainsOf(folder), []);
});

test('the demo: anything missing, altered or out of order fails it', (t) => {
  t.true(isComplete(whole));
  for (const fault of [
    {sent: 0, accepted: 0, delivered: 0, notified: 0},
    {accepted: 8},
    {delivered: 8},
    {notified: 8},
    {identical: false},
    {inOrder: false},
  ]) {
    t.false(isComplete({...whole, ...fault}));
  }
});

/** What a demo in this folder left there, and command lines of processes that still work in it. */
function remainsOf(folder: string): readonly string[] {
  const commandLines = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        // It ended while we looked.
        return '';
      }
    });
  return [...readdirSync(folder), ...commandLines.filter((text) => text.includes(folder))];
}
