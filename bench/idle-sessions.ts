/** P6: resident memory of the relay for each session that nobody speaks in. */
import {setTimeout as wait} from 'node:timers/promises';
import type {Leg} from '../lib/ports/media-plane.ts';
import {Cleanup, scaled, type Bench, type Effort} from './bench.ts';
import {residentBytes} from './cpu.ts';
import {comparison, type Comparison, type Figure, type Round} from './figure.ts';
import type {IdleConnection, IdleServices} from './msrp/idle.ts';
import type {SocketServices} from './peers/sockets.ts';
import {startRelay, type BenchRelay} from './relay.ts';
import {startWorker} from './worker.ts';

/** Two connections each: the limit of open files of a process is 20,000 where this is measured. */
const sessionCount = 9000;
const goal = 10;
/** Sessions that are opened and closed before anything is measured: code is compiled, the young generation has its size. */
const warmShare = 0.1;
const collecting = ['--expose-gc', '--import', new URL('collect.js', import.meta.url).href];

/** One pair of legs for each session; both peers connect, so many of their sessions on each connection. */
async function openPairs(relay: BenchRelay, count: number, perConnection: number): Promise<readonly IdleConnection[]> {
  const connections: IdleConnection[] = [];
  for (let from = 0; from < count; from += perConnection) {
    const indexes = Array.from({length: Math.min(perConnection, count - from)}, (_, offset) => from + offset);
    const pairs = await Promise.all(indexes.map((index) => openPair(relay, index)));
    for (const side of [0, 1] as const) {
      const {host, port} = pairs[0]?.[side].leg.address ?? {host: '', port: 0};
      connections.push({host, port, sessions: pairs.map((pair) => [pair[side].leg.path.join(' '), pair[side].peer])});
    }
  }
  return connections;
}

interface End {
  readonly leg: Leg;
  readonly peer: string;
}

async function openPair({plane}: BenchRelay, index: number): Promise<readonly [End, End]> {
  const options = {mode: 'hold', label: {}, maxMessageBytes: 1e7} as const;
  const access = await plane.openLeg({...options, side: 'access'});
  const core = await plane.openLeg({...options, side: 'core', near: access});
  const ends = [
    {leg: access, peer: `msrp://127.0.0.1:9/access${index};tcp`},
    {leg: core, peer: `msrp://127.0.0.1:9/core${index};tcp`},
  ] as const;
  for (const {leg, peer} of ends)
    leg.connect({path: [peer], connection: 'passive', acceptTypes: ['*'], maxSize: undefined});
  (await access.pair(core)).open();
  return ends;
}

/** Octets of the process that are resident when it has collected. */
async function collected(pid: number): Promise<number> {
  for (let time = 0; time < 3; time += 1) {
    process.kill(pid, 'SIGUSR2');
    await wait(300);
  }
  return residentBytes(pid);
}

/** KB for each of so many. */
async function growth(pid: number, count: number, grow: (count: number) => Promise<void>, shrink: () => Promise<void>) {
  await grow(Math.ceil(count * warmShare));
  await shrink();
  await wait(500);
  const before = await collected(pid);
  await grow(count);
  return ((await collected(pid)) - before) / 1024 / count;
}

async function ours(count: number, perConnection: number): Promise<number> {
  const cleanup = new Cleanup();
  try {
    const relay = cleanup.add(await startRelay(collecting));
    const client = cleanup.add(startWorker<IdleServices>('msrp/idle.js'));
    const grow = async (sessions: number) => client.call('open', await openPairs(relay, sessions, perConnection));
    return await growth(relay.pid, count, grow, () => client.call('close'));
  } finally {
    await cleanup.run();
  }
}

async function peer(count: number, perConnection: number): Promise<number> {
  const cleanup = new Cleanup();
  try {
    const sockets = cleanup.add(startWorker<SocketServices>('peers/sockets.js', {execArgv: collecting}));
    const client = cleanup.add(startWorker<IdleServices>('msrp/idle.js'));
    const port = await sockets.call('accept');
    const grow = async (sessions: number) => {
      const connections = 2 * Math.ceil(sessions / perConnection);
      await client.call('open', Array<IdleConnection>(connections).fill({host: '127.0.0.1', port, sessions: []}));
    };
    return await growth(sockets.pid, count, grow, () => client.call('close'));
  } finally {
    await cleanup.run();
  }
}

async function run(effort: Effort, say: (line: string) => void): Promise<Figure> {
  const count = scaled(sessionCount, effort);
  const parts: Record<string, Comparison> = {};
  for (const perConnection of [1, 20]) {
    const rounds: Round[] = [];
    for (let round = 0; round < effort.rounds; round += 1) {
      const kilobytes = await ours(count, perConnection);
      rounds.push({ours: kilobytes, peer: await peer(count, perConnection), ratio: kilobytes});
    }
    const name = `${perConnection} ${perConnection === 1 ? 'session' : 'sessions'} a connection`;
    parts[name] = comparison(goal, rounds);
    say(`${name}: ${parts[name].ratio.toFixed(1)} KB (goal ${goal})`);
  }
  const [worst] = Object.values(parts).sort((a, b) => b.ratio - a.ratio);
  if (worst === undefined) throw new RangeError('nothing was measured');
  return {
    ...worst,
    wanted: 'at most',
    unit: 'KB per session',
    conditions: `${count} sessions of two legs, bound, paired, silent; ratio is ours in KB; the peer keeps the sockets alone`,
    client: 'is a process of its own, and has no part in what is measured',
    parts,
  };
}

export const idleSessions: Bench = {
  key: 'P6',
  title: 'KB of resident memory for each idle relayed session, after a collection',
  effort: {rounds: 1, seconds: 0, scale: 1},
  run,
};
