/** P2: octets in chunks of 64 KB through the relay, per second of its processor time, beside `a.pipe(b)` in Node. */
import {Cleanup, scaled, type Bench, type Effort} from './bench.ts';
import {comparison, inTurns, worstOf, type Comparison, type Figure} from './figure.ts';
import {sharesOf, startLoad, type Load} from './load.ts';
import type {PipeServices} from './peers/pipe.ts';
import {receiverUri, relayedSession, startRelay} from './relay.ts';
import {startWorker} from './worker.ts';

const bodyBytes = 64 * 1024;
const window = 2;
const sessionCount = 20;
const kinds = [
  {name: 'explicit end', open: false, goal: 1},
  {name: 'open end (*)', open: true, goal: 0.9},
] as const;

async function run(effort: Effort, say: (line: string) => void): Promise<Figure> {
  const cleanup = new Cleanup();
  try {
    const count = scaled(sessionCount, effort);
    const relay = cleanup.add(await startRelay());
    const pipe = cleanup.add(startWorker<PipeServices>('peers/pipe.js'));
    const ours = cleanup.add(
      await startLoad(count, [relay.pid], (ports) =>
        Promise.all(ports.map((port, index) => relayedSession(relay.plane, index, port))),
      ),
    );
    const peer = cleanup.add(
      await startLoad(count, [pipe.pid], async (ports) =>
        (await pipe.call('pipeTo', ports)).map((port, index) => ({
          host: '127.0.0.1',
          port,
          toPath: receiverUri(index, ports[index] ?? 0),
          fromPath: `msrp://127.0.0.1:9/sender${index};tcp`,
        })),
      ),
    );
    const rate = async (load: Load, open: boolean, seconds = effort.seconds) => {
      const result = await load.run({bodyBytes, open, window, warmSeconds: effort.seconds / 4, seconds});
      return (result.messages * bodyBytes) / 1e6 / result.cpuSeconds;
    };
    for (const load of [ours, peer]) for (const {open} of kinds) await rate(load, open);

    const parts: Record<string, Comparison> = {};
    for (const {name, open, goal} of kinds) {
      const rounds = await inTurns(
        effort.rounds,
        () => rate(ours, open),
        () => rate(peer, open),
      );
      parts[name] = comparison(goal, rounds);
      say(`${name}: ${parts[name].ratio.toFixed(2)} (goal ${goal})`);
    }
    return {
      ...worstOf(parts),
      wanted: 'at least',
      unit: 'MB per CPU-second',
      conditions: `${count} sessions, ${window} chunks of 64 KB in flight in each, each a message of its own`,
      client: `cores taken: relay ${sharesOf(ours)}; pipe ${sharesOf(peer)}`,
      parts,
    };
  } finally {
    await cleanup.run();
  }
}

export const relayedBytes: Bench = {
  key: 'P2',
  title: 'relayed bytes per CPU-second in 64 KB chunks ÷ a.pipe(b) in Node',
  effort: {rounds: 7, seconds: 1, scale: 1},
  run,
};
