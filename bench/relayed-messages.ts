/**
 * P1: messages of 1 KB through the relay, per second of its processor time, beside Kamailio's at its best as a relay of sessions that it knows; shown
 * beside it, the same as an open relay, that asks nobody who he is.
 */
import {Cleanup, scaled, type Bench, type Effort} from './bench.ts';
import {comparison, inTurns, worstOf, type Comparison, type Figure} from './figure.ts';
import {sharesOf, startLoad, type Load} from './load.ts';
import {kamailioVersion, startKamailio, type Kamailio} from './peers/kamailio.ts';
import {receiverUri, relayedSession, startRelay, type BenchRelay} from './relay.ts';

/** SENDs in flight in each session, and the goal. */
const goals: readonly (readonly [window: number, goal: number])[] = [
  [1, 1],
  [4, 2],
  [16, 3.5],
];
const shape = {bodyBytes: 1024, open: false};
const sessionCount = 200;

const loadOn = (relay: BenchRelay, count: number): Promise<Load> =>
  startLoad(count, [relay.pid], (ports) =>
    Promise.all(ports.map((port, index) => relayedSession(relay.plane, index, port))),
  );

const loadOnKamailio = ({pid, port: relayPort}: Kamailio, count: number): Promise<Load> =>
  startLoad(count, [pid], (ports) =>
    Promise.resolve(
      ports.map((port, index) => ({
        host: '127.0.0.1',
        port: relayPort,
        toPath: `msrp://127.0.0.1:${relayPort}/session${index};tcp ${receiverUri(index, port)}`,
        fromPath: `msrp://127.0.0.1:9/sender${index};tcp`,
      })),
    ),
  );

async function run(effort: Effort, say: (line: string) => void): Promise<Figure> {
  const cleanup = new Cleanup();
  try {
    const count = scaled(sessionCount, effort);
    const relay = cleanup.add(await startRelay());
    const ours = cleanup.add(await loadOn(relay, count));
    const kamailio = cleanup.add(await startKamailio());
    const peer = cleanup.add(await loadOnKamailio(kamailio, count));
    const open = cleanup.add(await startKamailio({open: true}));
    const openPeer = cleanup.add(await loadOnKamailio(open, count));

    const rate = async (load: Load, window: number, seconds = effort.seconds) => {
      const result = await load.run({...shape, window, warmSeconds: effort.seconds / 4, seconds});
      return result.messages / result.cpuSeconds;
    };
    const compare = async (goal: number, window: number, theirs: Load, rounds: number) => {
      const turns = await inTurns(
        rounds,
        () => rate(ours, window),
        () => rate(theirs, window),
      );
      return comparison(goal, turns);
    };

    // Code is compiled while it runs: the first seconds say little.
    for (const load of [ours, peer, openPeer]) await rate(load, 4, 2 * effort.seconds);
    const parts: Record<string, Comparison> = {};
    for (const [window, goal] of goals) {
      const part = await compare(goal, window, peer, effort.rounds);
      parts[`W=${window}`] = part;
      say(`W=${window}: ${part.ratio.toFixed(2)} (goal ${goal})`);
    }
    const shown: Record<string, Comparison> = {};
    for (const [window, goal] of goals) {
      const few = Math.min(2, effort.rounds);
      shown[`W=${window}, Kamailio as an open relay`] = await compare(goal, window, openPeer, few);
    }
    return {
      ...worstOf(parts),
      wanted: 'at least',
      unit: 'messages per CPU-second',
      conditions: `${count} sessions, 1 KB each, W in flight in each session; Kamailio ${kamailio.version} answers the SEND itself`,
      client: `cores taken: relay ${sharesOf(ours)}; Kamailio ${sharesOf(peer)}`,
      parts: {...parts, ...shown},
    };
  } finally {
    await cleanup.run();
  }
}

export const relayedMessages: Bench = {
  key: 'P1',
  title: "relayed 1 KB messages per CPU-second ÷ Kamailio's msrp relay",
  effort: {rounds: 5, seconds: 1, scale: 1},
  missing: () => (kamailioVersion() === undefined ? 'Kamailio is not installed' : undefined),
  run,
};
