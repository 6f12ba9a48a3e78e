/** Broken input for processes: they stay alive, serve a good peer afterwards, and their memory stays bounded. */
import {existsSync, readFileSync} from 'node:fs';
import {seededRandom} from '../support/random.ts';
import {examplesOf, type Failure, type Run} from './fuzzing.ts';
import {mutate} from './mutation.ts';
import {promise} from './target.ts';

/** What runs and is attacked. */
export interface Attacked {
  /** Resolves when the input was taken, or its connection closed. */
  send(input: Buffer): Promise<void>;
  /** Rejects when something died, or a good peer is not served. */
  check(): Promise<void>;
  close(): Promise<void>;
}

export interface LiveTarget {
  readonly name: string;
  readonly clause: string;
  /** Folders of examples. */
  readonly examples: readonly string[];
  readonly dictionary: readonly string[];
  start(): Promise<Attacked>;
}

const batch = 16;
/** Octets of the longest input: more than a reader, less than a machine has time for. */
const longest = 50_000;

/** Sends mutated examples in batches until `goesOn`, told the number of inputs so far, says no, or the target fails. The same seed gives the same inputs. */
export async function attack(target: LiveTarget, seed: number, goesOn: (inputs: number) => boolean): Promise<Run> {
  const random = seededRandom(seed);
  const pool = target.examples.flatMap(examplesOf).map(({bytes}) => bytes);
  let inputs = 0;
  const attacked = await target.start();
  try {
    for (let next = pool; next.length > 0; next = goesOn(inputs) ? mutated() : []) {
      inputs += next.length;
      const error = await tried(attacked, next);
      if (error !== undefined) return {inputs, shapes: 0, failure: await narrowed(target, next, error)};
    }
  } finally {
    await attacked.close();
  }
  return {inputs, shapes: 0, failure: undefined};

  function mutated(): Buffer[] {
    const {dictionary} = target;
    return Array.from({length: batch}, () => mutate(random, {pool, dictionary}).subarray(0, longest));
  }
}

/** How a target fails on these inputs, on a fresh start; undefined when it does not. */
export async function attackedWith(target: LiveTarget, inputs: readonly Buffer[]): Promise<unknown> {
  const attacked = await target.start();
  try {
    return await tried(attacked, inputs);
  } finally {
    await attacked.close();
  }
}

async function tried(attacked: Attacked, inputs: readonly Buffer[]): Promise<unknown> {
  try {
    await Promise.all(inputs.map(async (input) => attacked.send(input)));
    await attacked.check();
    return undefined;
  } catch (error) {
    return error ?? new Error('it failed');
  }
}

/** The one input of a batch that does it alone, or all of them behind one another. */
async function narrowed(target: LiveTarget, inputs: readonly Buffer[], error: unknown): Promise<Failure> {
  for (const input of inputs) {
    const alone = await attackedWith(target, [input]);
    if (alone !== undefined) return {input, error: alone};
  }
  return {input: Buffer.concat(inputs), error};
}

// A fresh process has 60 to 100 MB, what it may keep for its peers is bounded far below the rest.
const residentBytes = 600 * 1024 * 1024;

/** The promise that a process lives, and that its resident memory is bounded (where the system tells). */
export function promiseAlive(pid: number | undefined, name: string): void {
  promise(pid !== undefined && isAlive(pid), `${name} stays alive`);
  const file = `/proc/${pid ?? 0}/status`;
  const resident = existsSync(file) ? /^VmRSS:\s*(\d+) kB/m.exec(readFileSync(file, 'utf8'))?.[1] : undefined;
  promise(Number(resident ?? 0) * 1024 < residentBytes, `the memory of ${name} is bounded: ${resident ?? ''} KB`);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
