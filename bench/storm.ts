/** P8: everybody comes back at once, and something waits for each of them. */
import path from 'node:path';
import {openEmbeddedStore} from '../lib/adapters/embedded-store/embedded-store.ts';
import {Cleanup, scaled, type Bench, type Effort} from './bench.ts';
import {residentBytes} from './cpu.ts';
import {comparison, type Figure, type Round} from './figure.ts';
import {startPfBeside} from './pf.ts';
import type {CrowdServices} from './sip/crowd.ts';
import {waitingFor} from './sip/storm-messages.ts';

const many = 10_000;
const few = 1000;
const each = 3;
/** Users of a storm before the others, which does not count. */
const warm = 300;

/** Writes what waits for so many users, as an earlier life of the PF would have. */
async function fill(stateDirectory: string, users: number): Promise<void> {
  const store = await openEmbeddedStore({path: path.join(stateDirectory, 'cpm.db')});
  try {
    for (let first = 0; first < users; first += 500) {
      const some = Array.from({length: Math.min(500, users - first)}, (_, index) => waitingFor(first + index, each));
      await store.deferredQueue.enqueue(some.flat());
    }
  } finally {
    await store.close();
  }
}

interface Storm {
  readonly round: Round;
  readonly megabytes: {readonly before: number; readonly few: number; readonly many: number};
  readonly share: number;
}

async function storm(effort: Effort, fewFirst: boolean): Promise<Storm> {
  const cleanup = new Cleanup();
  const counts = {warm: scaled(warm, effort), few: scaled(few, effort), many: scaled(many, effort)};
  try {
    const pf = cleanup.add(
      await startPfBeside<CrowdServices>('sip/crowd.js', {
        // In a storm an answer may take its time.
        t1Milliseconds: 250,
        // Nobody here says "delivered".
        sections: {cpm: {notificationWaitSeconds: 0}},
        prepare: async (stateDirectory) => fill(stateDirectory, counts.warm + counts.few + counts.many),
      }),
    );
    const megabytes = (): number => residentBytes(pf.pid) / 2 ** 20;
    const of = async (first: number, count: number) => {
      const rate = await pf.phones.call('storm', {first, count, each});
      return {rate, megabytes: megabytes()};
    };
    await of(0, counts.warm);
    const before = megabytes();
    const since = performance.now();
    const cpu = await pf.phones.call('cpu');
    const first = fewFirst ? await of(counts.warm, counts.few) : undefined;
    const larger = await of(counts.warm + counts.few, counts.many);
    const smaller = first ?? (await of(counts.warm, counts.few));
    const share = ((await pf.phones.call('cpu')) - cpu) / ((performance.now() - since) / 1000);
    return {
      round: {ours: larger.rate, peer: smaller.rate, ratio: larger.rate / smaller.rate},
      megabytes: {before, few: smaller.megabytes, many: larger.megabytes},
      share,
    };
  } finally {
    await cleanup.run();
  }
}

async function run(effort: Effort): Promise<Figure> {
  const storms: Storm[] = [];
  for (let index = 0; index < effort.rounds; index += 1) storms.push(await storm(effort, index % 2 === 0));
  const most = (of: (storm: Storm) => number): string => Math.max(...storms.map(of)).toFixed(0);
  return {
    ...comparison(
      0.8,
      storms.map(({round}) => round),
    ),
    wanted: 'at least',
    unit: 'messages per second',
    conditions:
      `${each} messages of 1 KB for each of ${scaled(many, effort)} users against ${scaled(few, effort)}, all registered at once; ` +
      `resident memory of the PF before ${most(({megabytes}) => megabytes.before)} MiB, ` +
      `after the smaller storm ${most(({megabytes}) => megabytes.few)} MiB, after the larger one ${most(({megabytes}) => megabytes.many)} MiB`,
    client: `core and phones took ${most(({share}) => share * 100)} % of a core`,
  };
}

export const registrationStorm: Bench = {
  key: 'P8',
  title: 'deliveries when 10,000 users register at once ÷ when 1,000 do',
  effort: {rounds: 3, seconds: 1, scale: 1},
  run,
};
