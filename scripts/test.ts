/**
 * `npm test [-- [--tap] [FILE | FOLDER | PATTERN …] [--AVA-OPTION=…]]`: runs the tests with AVA and writes reports/tests.json. Prints each failing test with
 * its diagnosis and a summary, or with `--tap` AVA's TAP as it comes. The exit status is AVA's; a run without tests fails.
 */
import {spawn} from 'node:child_process';
import {existsSync, mkdirSync, readdirSync, rmSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {createInterface} from 'node:readline';
import {tapReader} from './tap.ts';
import type {TestResult} from './tap.ts';

const reportFile = path.join('reports', 'tests.json');
/** Milliseconds; more than any test asks for. */
const longestSilence = 900_000;

const args = process.argv.slice(2);
const asTap = args.includes('--tap');
const options = args.filter((arg) => arg.startsWith('-') && arg !== '--tap');
const patterns = args.filter((arg) => !arg.startsWith('-'));
const files = testFiles().filter((file) => patterns.length === 0 || patterns.some((pattern) => matches(file, pattern)));
if (files.length === 0) {
  process.stderr.write(`no test file matches ${patterns.join(' ')}\n`);
  process.exit(1);
}

rmSync(reportFile, {force: true});
const ava = spawn(
  process.execPath,
  [path.join('node_modules', 'ava', 'entrypoints', 'cli.mjs'), '--tap', ...options, ...files],
  {
    stdio: ['ignore', 'pipe', 'inherit'],
  },
);
const ended = new Promise<number>((resolve) => {
  ava.once('exit', (code) => {
    resolve(code ?? 1);
  });
});

// AVA's own timeout is not armed again once it fell into the time that some test had asked for: a test that hangs then hangs the run.
const silent = setTimeout(() => {
  process.stdout.write(`# nothing ended for ${longestSilence} ms: AVA is killed\n`);
  ava.kill('SIGKILL');
}, longestSilence);

const reader = tapReader(files);
let last: TestResult | undefined;
for await (const line of createInterface({input: ava.stdout})) {
  silent.refresh();
  last = reader.line(line) ?? last;
  if (asTap) process.stdout.write(`${line}\n`);
  else if (last?.status === 'failed' && !/^(?:1\.\.|# (?:tests|pass|skip|fail) )/.test(line))
    process.stdout.write(`${readable(line, last)}\n`);
}
let status = await ended;
clearTimeout(silent);
if (status === 0 && (!reader.complete || count('ran-and-passed') === 0)) status = 1;

mkdirSync(path.dirname(reportFile), {recursive: true});
writeFileSync(
  reportFile,
  `${JSON.stringify({complete: reader.complete, status, tests: reader.results}, undefined, 1)}\n`,
);
if (!asTap) summarise();
process.exitCode = status;

/** A failing test's own line, or a line of its diagnosis as it is. */
function readable(line: string, {title, file}: TestResult): string {
  return line.startsWith('not ok') ? `✘ ${file}: ${title}` : line;
}

function summarise(): void {
  for (const {status: how, file, title} of reader.results)
    if (how === 'skipped' || how === 'todo') process.stdout.write(`- ${how}: ${file}: ${title}\n`);
  if (!reader.complete) process.stdout.write('the run was not complete\n');
  const todo = count('todo') === 0 ? '' : `, ${count('todo')} todo`;
  process.stdout.write(
    `${count('ran-and-passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped${todo}\n`,
  );
}

function count(status: TestResult['status']): number {
  return reader.results.filter((result) => result.status === status).length;
}

function testFiles(): string[] {
  return ['plugins', 'test']
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder, {recursive: true, encoding: 'utf8'}).map((file) => path.join(folder, file)),
    )
    .filter((file) => file.endsWith('.test.ts'))
    .sort();
}

/** `*` stands for anything but a slash, `**` for anything; a folder for all in it. */
function matches(file: string, pattern: string): boolean {
  const plain = path.normalize(pattern).replace(/\/$/, '');
  const expression = plain
    .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replace(/\*\*\/|\*\*|\*/g, (stars) => (stars === '*' ? '[^/]*' : '.*'));
  return new RegExp(`^${expression}(?:$|/)`).test(file);
}
