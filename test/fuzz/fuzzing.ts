/** Runs a target on mutated examples, and makes what it fails on small. */
import {existsSync, readFileSync, readdirSync} from 'node:fs';
import path from 'node:path';
import {createContext, Script} from 'node:vm';
import {seededRandom} from '../support/random.ts';
import {mutate} from './mutation.ts';
import type {Target} from './target.ts';

/** Inputs that were taken for something new are kept, but no more than that. */
const poolSize = 2000;
/** An input that takes longer hangs its reader: none takes a hundredth of it. Far beyond what a slow and loaded machine makes of that. */
const hangMilliseconds = 20_000;

export interface Example {
  /** File name. */
  readonly name: string;
  readonly bytes: Buffer;
}

export interface Failure {
  readonly input: Buffer;
  readonly error: unknown;
}

export interface Run {
  /** Inputs that were tried, examples included. */
  readonly inputs: number;
  /** Different things that inputs were taken for. */
  readonly shapes: number;
  readonly failure: Failure | undefined;
}

/** The examples of a target: good ones, nasty ones, and each one that once made it fail. */
export function examplesOf(name: string): readonly Example[] {
  const folder = path.join('test', 'fixtures', 'fuzz', name);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .map((file) => ({name: file, bytes: readFileSync(path.join(folder, file))}));
}

/**
 * Tries the examples and then mutations of them until `goesOn`, told the number of inputs so far, says no, or the target fails. The same seed
 * gives the same inputs.
 */
export function fuzz(target: Target, seed: number, goesOn: (inputs: number) => boolean): Run {
  const random = seededRandom(seed);
  const pool = examplesOf(target.name).map(({bytes}) => bytes);
  const shapes = new Set<string>();
  let inputs = 0;
  const run = (failure?: Failure): Run => ({inputs, shapes: shapes.size, failure});
  const attempt = (input: Buffer): Failure | undefined => {
    inputs += 1;
    const {failure, shape} = outcome(target, input);
    if (shape === undefined || shapes.has(shape)) return failure;
    shapes.add(shape);
    // The older half of what was found gives way; the examples stay.
    if (input.length <= 4096) pool.push(input);
    if (pool.length > poolSize) pool.splice(poolSize / 4, poolSize / 4);
    return failure;
  };

  for (const example of [...pool]) {
    const failure = attempt(example);
    if (failure !== undefined) return run(failure);
  }
  while (goesOn(inputs)) {
    const failure = attempt(
      mutate(random, {pool, dictionary: target.dictionary}).subarray(0, target.longest ?? 65_536),
    );
    if (failure !== undefined) return run(failure);
  }
  return run();
}

/** A smaller input on which the target fails in the same way. `tries` bounds the work. */
export function shrink(target: Target, failure: Failure, tries = 5000): Failure {
  let smallest = failure;
  let left = tries;
  const kind = kindOf(failure.error);
  const hangs = kind === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
  for (
    let size = hangs ? 0 : Math.ceil(failure.input.length / 2);
    size >= 1;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let at = 0; at < smallest.input.length && left > 0; left -= 1) {
      const input = Buffer.concat([smallest.input.subarray(0, at), smallest.input.subarray(at + size)]);
      const {failure: next} = outcome(target, input);
      if (next !== undefined && kindOf(next.error) === kind) smallest = next;
      else at += size;
    }
  }
  return smallest;
}

/** What an input is taken for, or how the target fails on it. */
export function outcome(target: Target, input: Buffer): {readonly failure?: Failure; readonly shape?: string} {
  try {
    return {shape: inTime(() => target.check(input), hangMilliseconds)};
  } catch (error) {
    return {failure: {input, error}};
  }
}

/** Two errors are of one kind when they differ in nothing but what the input brings in. */
function kindOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('code' in error && typeof error.code === 'string' && error.code.startsWith('ERR_SCRIPT')) return error.code;
  return `${error.name} ${error.message.split(':', 2).join(':').replace(/\d+/g, '')}`;
}

const caller = {work: (): unknown => undefined};
const script = new Script('caller.work()');
const context = createContext({caller});

/** Calls a function that must not block for ever; a hang is thrown as `ERR_SCRIPT_EXECUTION_TIMEOUT`. */
export function inTime<T>(work: () => T, milliseconds: number): T {
  caller.work = work;
  return script.runInContext(context, {timeout: milliseconds}) as T;
}
