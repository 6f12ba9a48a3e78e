/**
 * `npm run fuzz [-- --minutes N] [--seed S] [--target NAME] [--json FILE] [--input FILE]`: gives the readers of what comes from outside, and the
 * processes around them, broken input for N minutes in all (default 1). The command prints how much of the code was reached, and leaves it in
 * `coverage/fuzz/coverage-summary.json`. An input that breaks a promise is made small and saved, with the command that repeats it; the exit
 * status is then 1. `--input` tries one file.
 */
import {createHash} from 'node:crypto';
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {fuzz, outcome, shrink, type Failure, type Run} from '../test/fuzz/fuzzing.ts';
import {attack, attackedWith, type LiveTarget} from '../test/fuzz/live.ts';
import type {Target} from '../test/fuzz/target.ts';
import {liveTargets, targets} from '../test/fuzz/targets.ts';

const {values} = parseArgs({
  options: {
    minutes: {type: 'string', default: '1'},
    seed: {type: 'string'},
    target: {type: 'string'},
    json: {type: 'string'},
    input: {type: 'string'},
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed ?? Date.now() % 2 ** 32);
const all = [...targets, ...liveTargets];
const chosen = all.filter(({name}) => values.target === undefined || name === values.target);
if (chosen.length === 0 || !(minutes > 0) || !Number.isSafeInteger(seed)) {
  process.stderr.write(`--minutes and --seed are numbers, --target is one of ${all.map(({name}) => name).join(' ')}\n`);
  process.exit(2);
}

const results: Record<string, Omit<Run, 'failure'> & {readonly failure?: string}> = {};
for (const target of chosen) {
  const run =
    values.input === undefined ? await fuzzFor(target, minutes / chosen.length) : await repeated(target, values.input);
  const failure = run.failure === undefined ? undefined : saved(target, run.failure);
  results[target.name] = {inputs: run.inputs, shapes: run.shapes, ...(failure === undefined ? {} : {failure})};
  process.stdout.write(
    `${target.name}: ${run.inputs} inputs, ${run.shapes} shapes${failure === undefined ? '' : `: ${failure}`}\n`,
  );
  if (failure !== undefined) process.exitCode = 1;
}
if (values.json !== undefined)
  writeFileSync(values.json, `${JSON.stringify({seed, minutes, targets: results}, undefined, 1)}\n`);

async function fuzzFor(target: Target | LiveTarget, share: number): Promise<Run> {
  const end = Date.now() + share * 60_000;
  const goesOn = (): boolean => Date.now() < end;
  return 'start' in target ? attack(target, seed, goesOn) : fuzz(target, seed, goesOn);
}

async function repeated(target: Target | LiveTarget, file: string): Promise<Run> {
  const input = readFileSync(file);
  if (!('start' in target)) return {inputs: 1, shapes: 0, failure: outcome(target, input).failure};
  const error = await attackedWith(target, [input]);
  return {inputs: 1, shapes: 0, failure: error === undefined ? undefined : {input, error}};
}

/** Keeps a failing input, small; says what it breaks and how to repeat it. */
function saved(target: Target | LiveTarget, failure: Failure): string {
  const {input, error} = 'start' in target ? failure : shrink(target, failure);
  const file = path.join('reports', 'fuzz', target.name, createHash('sha256').update(input).digest('hex').slice(0, 12));
  mkdirSync(path.dirname(file), {recursive: true});
  writeFileSync(file, input);
  process.stdout.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return `an input breaks it (seed ${seed}); repeat: npm run fuzz -- --target ${target.name} --input ${file}`;
}
