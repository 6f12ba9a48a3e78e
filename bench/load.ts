/** The load as the benchmarks use it: connected to what is measured, run in turns, with a note of how busy everybody was. */
import {median} from './figure.ts';
import type {Session} from './msrp/frames.ts';
import type {LoadServices, PaceOptions, RunOptions, RunResult} from './msrp/load.ts';
import {startWorker} from './worker.ts';

/** Connected to one of those that are compared. */
export interface Load {
  run(options: Omit<RunOptions, 'pids'>): Promise<RunResult>;
  /** Sends at an even rate; the 99th percentile of the time from when a SEND was due to its receiver, ms. */
  pace(options: PaceOptions): Promise<number>;
  /** Shares of a core that the measured processes and this client took while it counted, of each run. */
  readonly shares: readonly {readonly measured: number; readonly client: number}[];
  stop(): Promise<void>;
}

/** Starts a client with so many receivers; `sessions` tells where its senders go. `pids`: whose processor time is measured. */
export async function startLoad(
  count: number,
  pids: readonly number[],
  sessions: (ports: readonly number[]) => Promise<readonly Session[]>,
): Promise<Load> {
  const worker = startWorker<LoadServices>('msrp/load.js');
  const shares: {measured: number; client: number}[] = [];
  const ports = await worker.call('listen', count);
  await worker.call('connect', await sessions(ports));
  return {
    shares,
    async run(options) {
      const result = await worker.call('run', {...options, pids});
      shares.push({
        measured: result.cpuSeconds / result.seconds,
        client: result.clientCpuSeconds / result.seconds,
      });
      return result;
    },
    pace: (options) => worker.call('pace', options),
    stop: () => worker.stop(),
  };
}

/** How busy the measured processes and their client were: medians of all runs. */
export function sharesOf({shares}: Load): string {
  const middle = (of: (share: Load['shares'][number]) => number) => median(shares.map(of)).toFixed(2);
  return `${middle(({measured}) => measured)}, its client ${middle(({client}) => client)}`;
}
