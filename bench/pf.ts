/** The Participating Function as an operator starts it, on an embedded store and an embedded SIP server, and phones around it. */
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {readPortFile} from '../lib/adapters/http/port-file.ts';
import {endLeftovers, freePort, lastLogLines, startPf, type PfSettings} from '../lib/demo/pf-process.ts';
import {comparison, inTurns, type Comparison} from './figure.ts';
import type {PhoneServices} from './sip/phones.ts';
import {startWorker, type Services, type Worker} from './worker.ts';

export interface BenchPf {
  readonly phones: Worker<PhoneServices>;
  /** SIP URI of the PF, to which the phones' core is told to send. */
  readonly uri: string;
  /** Of the PF process alone. */
  readonly pid: number;
  readonly folder: string;
  stop(): Promise<void>;
}

/**
 * T1 of RFC 3261 in milliseconds, everywhere: transactions that are over are kept for 64 times as long, and at the usual 500 ms more of them are than
 * the SIP servers hold.
 */
export const benchT1 = 50;

/** How busy the process of core and phones is from now on; the result says it for the time until then. */
async function watchPhones(phones: Worker<PhoneServices>): Promise<() => Promise<string>> {
  const since = performance.now();
  const before = await phones.call('cpu');
  return async () => {
    const share = ((await phones.call('cpu')) - before) / ((performance.now() - since) / 1000);
    return `core and phones took ${share.toFixed(2)} cores`;
  };
}

/** The comparison of ours with a peer's by the clock, in turns and after some turns that do not count, and how busy the phones were. */
export async function comparedByClock(
  phones: Worker<PhoneServices>,
  goal: number,
  turns: {readonly warm: number; readonly rounds: number},
  ours: () => Promise<number>,
  peer: () => Promise<number>,
): Promise<Comparison & {readonly client: string}> {
  for (let warm = 0; warm < turns.warm; warm += 1) {
    await ours();
    await peer();
  }
  const client = await watchPhones(phones);
  const rounds = await inTurns(turns.rounds, ours, peer);
  return {...comparison(goal, rounds), client: await client()};
}

/** What a process that stands for core and phones has to do for any benchmark. */
interface Surroundings {
  /** Starts the core; gives its SIP URI. */
  readonly open: () => Promise<string>;
  /** Where the core takes what is for served users. */
  readonly aim: (pf: string) => void;
}

export interface BenchPfOptions {
  /** Sections of the configuration, over those that every benchmark has. */
  readonly sections?: PfSettings['more'];
  /** Is given the folder of the PF's state before it starts. */
  readonly prepare?: (stateDirectory: string) => Promise<void>;
  /** T1 of RFC 3261 at the SIP server, milliseconds; default `benchT1`. */
  readonly t1Milliseconds?: number;
}

/** The PF, and a process below `bench` that is core and phones to it. */
export async function startPfBeside<S extends Services>(
  file: string,
  {sections, prepare, t1Milliseconds = benchT1}: BenchPfOptions = {},
): Promise<Omit<BenchPf, 'phones'> & {readonly phones: Worker<S>}> {
  const folder = mkdtempSync(path.join(tmpdir(), 'cpm-bench-'));
  const phones = startWorker<S>(file);
  const surroundings = phones as unknown as Worker<Surroundings & Services>;
  const core = await surroundings.call('open');
  await prepare?.(path.join(folder, 'state'));
  const sipPort = await freePort();
  const embedded = {host: '127.0.0.1', port: sipPort, adminPort: 0, t1Milliseconds};
  const settings = {folder, core, homeDomain: 'home.example', sipPort, more: {...sections, sip: {embedded}}};
  const pf = await startPf(settings).catch((error: unknown) => {
    throw new Error(lastLogLines(folder).join('\n'), {cause: error});
  });
  const uri = `sip:127.0.0.1:${sipPort};transport=tcp`;
  await surroundings.call('aim', uri);
  return {
    phones,
    uri,
    pid: pf.pid,
    folder,
    async stop() {
      await pf.stop();
      endLeftovers(folder);
      await phones.stop();
      rmSync(folder, {recursive: true, force: true});
    },
  };
}

export async function startBenchPf(): Promise<BenchPf> {
  const pf = await startPfBeside<PhoneServices>('sip/phones.js');
  const admin = readPortFile(path.join(pf.folder, 'run'));
  await pf.phones.call('watch', new URL('/status', admin?.url).href);
  return pf;
}
