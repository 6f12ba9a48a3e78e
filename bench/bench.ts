/** What every benchmark is, and what it is told. */
import type {Figure} from './figure.ts';

export interface Effort {
  /** Pairs of measurements. */
  readonly rounds: number;
  /** Length of one measurement. */
  readonly seconds: number;
  /** A part of the usual number of sessions and messages: 1, or less for a miniature that only shows that all runs. */
  readonly scale: number;
}

export interface Bench {
  readonly key: string;
  /** One line. */
  readonly title: string;
  readonly effort: Effort;
  /** What it needs and this machine has not. */
  missing?(): string | undefined;
  run(effort: Effort, say: (line: string) => void): Promise<Figure>;
}

/** A share of the usual count, at least one. */
export const scaled = (count: number, {scale}: Effort): number => Math.max(1, Math.round(count * scale));

const unfinished = new Set<Cleanup>();

/** What a benchmark started; ended in the opposite order, whatever happens to one of them. */
export class Cleanup {
  readonly #ends: (() => Promise<void>)[] = [];

  constructor() {
    unfinished.add(this);
  }

  /** Remembers how it ends. */
  add<T extends {stop(): Promise<void>}>(started: T): T {
    this.#ends.unshift(() => started.stop());
    return started;
  }

  async run(): Promise<void> {
    unfinished.delete(this);
    for (const end of this.#ends) await end().catch((error: unknown) => process.stderr.write(`${String(error)}\n`));
  }
}

/** Ends whatever still runs: somebody wants this process to end. */
export const endUnfinished = (): Promise<unknown> => Promise.all([...unfinished].map((each) => each.run()));
