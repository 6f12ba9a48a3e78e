/** P3: what the relay adds to the time that a message takes, beside what a pipe adds. */
import {Cleanup, scaled, type Bench, type Effort} from './bench.ts';
import {comparison, type Figure, type Round} from './figure.ts';
import {sharesOf, startLoad, type Load} from './load.ts';
import type {PipeServices} from './peers/pipe.ts';
import {receiverUri, relayedSession, startRelay} from './relay.ts';
import {startWorker} from './worker.ts';

const shape = {bodyBytes: 1024, open: false};
const sessionCount = 40;
const usualRate = 8000;
/** A round whose direct p99 is above this says more of the machine than of anybody else, ms. */
const quietMilliseconds = 0.5;
/** So many that count are enough, and as few as this are too few. */
const enough = 9;
const tooFew = 3;

async function run(effort: Effort, say: (line: string) => void): Promise<Figure> {
  const cleanup = new Cleanup();
  try {
    const count = scaled(sessionCount, effort);
    const to = (ports: readonly number[], via: readonly number[] = ports) =>
      ports.map((port, index) => ({
        host: '127.0.0.1',
        port: via[index] ?? 0,
        toPath: receiverUri(index, port),
        fromPath: `msrp://127.0.0.1:9/sender${index};tcp`,
      }));
    const relay = cleanup.add(await startRelay());
    const pipe = cleanup.add(startWorker<PipeServices>('peers/pipe.js'));
    const relayed = cleanup.add(
      await startLoad(count, [relay.pid], (ports) =>
        Promise.all(ports.map((port, index) => relayedSession(relay.plane, index, port))),
      ),
    );
    const piped = cleanup.add(
      await startLoad(count, [pipe.pid], async (ports) => to(ports, await pipe.call('pipeTo', ports))),
    );
    const direct = cleanup.add(await startLoad(count, [], (ports) => Promise.resolve(to(ports))));

    const {seconds} = effort;
    const top = await relayed.run({...shape, window: 16, warmSeconds: seconds, seconds});
    const rate = Math.min(usualRate, Math.floor(top.messages / top.seconds / 2));
    const p99 = (load: Load) => load.pace({...shape, rate, seconds});
    const loads = [direct, piped, relayed] as const;
    for (const load of loads) await p99(load);

    const rounds: Round[] = [];
    const valid = () => rounds.filter((round) => round.void === undefined).length;
    while (rounds.length < effort.rounds && valid() < enough) {
      const base = await p99(direct);
      const peer = (await p99(piped)) - base;
      const ours = (await p99(relayed)) - base;
      const why = base > quietMilliseconds ? `direct p99 is ${base.toFixed(2)} ms` : undefined;
      const lost = peer > 0 ? why : 'the pipe adds nothing that can be told from noise';
      rounds.push({
        ours: ours * 1000,
        peer: peer * 1000,
        ratio: peer > 0 ? ours / peer : 0,
        ...(lost === undefined ? {} : {void: lost}),
      });
    }
    say(`${valid()} of ${rounds.length} rounds count`);
    return {
      ...comparison(2, valid() < tooFew ? rounds.map(({ours, peer, ratio}) => ({ours, peer, ratio})) : rounds),
      rounds,
      wanted: 'at most',
      unit: 'µs added to the 99th percentile',
      conditions: `${count} sessions, 1 KB, ${rate} messages a second evenly; rounds with a direct p99 above ${quietMilliseconds} ms are void`,
      client: `cores taken at full load: relay ${sharesOf(relayed)}`,
      ...(valid() < tooFew ? {void: `void: ${valid()} of ${rounds.length} rounds count`} : {}),
    };
  } finally {
    await cleanup.run();
  }
}

export const latency: Bench = {
  key: 'P3',
  title: 'what the relay adds to the p99 of one message ÷ what a.pipe(b) adds',
  effort: {rounds: 20, seconds: 0.7, scale: 1},
  run,
};
