/**
 * A PF reduced to its media plane, for tests that kill it: it holds and relays, and what it accepts it has written to a file before it
 * says so. `node media-holder.js '{"control":…,"log":…,"legs":[["a1","b1"],["h1"]]}'`: pairs and single legs by name.
 */
import {fdatasyncSync, openSync, writeSync} from 'node:fs';
import {createMediaPlane} from '../../lib/adapters/sidecar/media-plane.ts';
import {systemClock} from '../../lib/ports/clock.ts';
import {silentLog} from '../../lib/ports/log.ts';
import type {Leg} from '../../lib/ports/media-plane.ts';

export interface HolderTask {
  readonly control: string;
  readonly log: string;
  readonly legs: readonly (readonly string[])[];
}

/** One line of the log. */
export interface HolderNote {
  readonly leg: string;
  readonly id: string;
  readonly text: string;
}

export const peerUri = (name: string): string => `msrp://127.0.0.1:9/${name};tcp`;

async function hold({control, log, legs}: HolderTask): Promise<void> {
  const file = openSync(log, 'a');
  const plane = createMediaPlane({
    control,
    owner: 'holder',
    clock: systemClock,
    log: silentLog,
    openMilliseconds: 20_000,
  });
  plane.onAvailability((available) => {
    if (!available) process.exit(3);
  });
  const paths: Record<string, string> = {};
  const open = async (name: string): Promise<Leg> => {
    const leg = await plane.openLeg({side: 'access', mode: 'hold', label: {}, maxMessageBytes: 1_000_000});
    leg.onMessage = (message) => {
      const note: HolderNote = {leg: name, id: message.messageId, text: Buffer.from(message.bytes).toString()};
      writeSync(file, `${JSON.stringify(note)}\n`);
      fdatasyncSync(file);
      return Promise.resolve('accepted');
    };
    leg.connect({path: [peerUri(name)], connection: 'passive', acceptTypes: ['*'], maxSize: undefined});
    paths[name] = leg.uri;
    return leg;
  };
  const opened = await Promise.all(legs.map(async (names) => Promise.all(names.map(open))));
  process.stdout.write(`${JSON.stringify({paths})}\n`);
  for (const [one, two] of opened) {
    await one?.bound(20_000);
    await two?.bound(20_000);
    if (one && two) (await one.pair(two)).open();
  }
  process.stdout.write('{"ready":true}\n');
}

if (process.argv[1]?.endsWith('media-holder.js') === true) {
  setInterval(() => undefined, 1000);
  await hold(JSON.parse(process.argv[2] ?? '{}') as HolderTask);
}
