/** P1: messages of 1 KB through the relay, per second of its processor time, beside Kamailio's. */
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

/** Sessions in these relays in turn. */
const loadOn = (relays: readonly BenchRelay[], count: number): Promise<Load> =>
  startLoad(
    count,
    relays.map(({pid}) => pid),
    (ports) =>
      Promise.all(
        ports.map((port, index) => {
          const relay = relays[index % relays.length];
          if (relay === undefined) throw new RangeError('no relay');
          return relayedSession(relay.plane, index, port);
        }),
      ),
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
    const ours = cleanup.add(await loadOn([relay], count));
    const pair = [cleanup.add(await startRelay()), cleanup.add(await startRelay())];
    const oursOnTwo = cleanup.add(await loadOn(pair, count));
    const kamailio = cleanup.add(await startKamailio());
    const peer = cleanup.add(await loadOnKamailio(kamailio, count));
    const table = cleanup.add(await startKamailio({sessionTable: true}));
    const peerWithTable = cleanup.add(await loadOnKamailio(table, count));

    const rate = async (load: Load, window: number, seconds = effort.seconds) => {
      const result = await load.run({...shape, window, warmSeconds: effort.seconds / 4, seconds});
      return result.messages / result.cpuSeconds;
    };
    const compare = async (goal: number, window: number, mine: Load, theirs: Load, rounds: number) => {
      const turns = await inTurns(
        rounds,
        () => rate(mine, window),
        () => rate(theirs, window),
      );
      return comparison(goal, turns);
    };

    // Code is compiled while it runs: the first seconds say little.
    for (const load of [ours, oursOnTwo, peer, peerWithTable]) await rate(load, 4, 2 * effort.seconds);
    const parts: Record<string, Comparison> = {};
    for (const [window, goal] of goals) {
      const part = await compare(goal, window, ours, peer, effort.rounds);
      parts[`W=${window}`] = part;
      say(`W=${window}: ${part.ratio.toFixed(2)} (goal ${goal})`);
    }
    const shown: Record<string, Comparison> = {};
    for (const [window, goal] of goals) {
      shown[`W=${window}, two sidecars`] = await compare(goal, window, oursOnTwo, peer, Math.min(2, effort.rounds));
      shown[`W=${window}, Kamailio with a session table`] = await compare(
        ...([goal, window, ours, peerWithTable] as const),
        Math.min(2, effort.rounds),
      );
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
