/** The relay of ours, in its own process as in production, and pairs of legs in it, opened over its control contract. */
import {spawn, type ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {closeSync, mkdtempSync, openSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {createMediaPlane, type SidecarMediaPlane} from '../lib/adapters/sidecar/media-plane.ts';
import {systemClock} from '../lib/ports/clock.ts';
import {silentLog} from '../lib/ports/log.ts';
import type {Leg} from '../lib/ports/media-plane.ts';
import type {Session} from './msrp/frames.ts';
import {endOf, pidOf} from './worker.ts';

export interface BenchRelay {
  readonly pid: number;
  readonly plane: SidecarMediaPlane;
  stop(): Promise<void>;
}

/** Starts `lib/sidecar/main.ts`, with these arguments for Node. */
export async function startRelay(execArgv: readonly string[] = []): Promise<BenchRelay> {
  const folder = mkdtempSync(path.join(tmpdir(), 'cpm-bench-'));
  const control = `unix:${path.join(folder, 'control.sock')}`;
  const main = fileURLToPath(new URL('../lib/sidecar/main.js', import.meta.url));
  const logFile = path.join(folder, 'relay.log');
  const log = openSync(logFile, 'a');
  const child = spawn(process.execPath, [...execArgv, main, JSON.stringify({control})], {
    stdio: ['ignore', 'pipe', log],
  });
  closeSync(log);
  await listening(child).catch((error: unknown) => {
    throw new Error(readFileSync(logFile, 'utf8'), {cause: error});
  });
  const plane = createMediaPlane({control, owner: 'bench', clock: systemClock, log: silentLog});
  return {
    pid: pidOf(child),
    plane,
    async stop() {
      await plane.close();
      await endOf(child);
      rmSync(folder, {recursive: true, force: true});
    },
  };
}

async function listening(child: ChildProcess): Promise<void> {
  const {stdout} = child;
  if (stdout === null) throw new Error('the relay has no output');
  await Promise.race([
    once(stdout, 'data'),
    once(child, 'exit').then(() => {
      throw new Error('the relay did not start');
    }),
  ]);
}

/** Two paired legs: senders come to the first, the second one connects to a receiver on that port. Both gates are open. */
export async function relayedSession(plane: SidecarMediaPlane, index: number, receiverPort: number): Promise<Session> {
  const options = {mode: 'hold', label: {}, maxMessageBytes: 1e9} as const;
  const from = `msrp://127.0.0.1:9/sender${index};tcp`;
  const access = await plane.openLeg({...options, side: 'access'});
  const core = await plane.openLeg({...options, side: 'core', near: access});
  const described = {acceptTypes: ['*'], maxSize: undefined} as const;
  access.connect({...described, path: [from], connection: 'passive'});
  core.connect({...described, path: [receiverUri(index, receiverPort)], connection: 'active'});
  await core.bound(10_000);
  (await access.pair(core)).open();
  return {...addressOf(access), toPath: access.path.join(' '), fromPath: from};
}

/** The MSRP URI of a receiver of the load. */
export const receiverUri = (index: number, port: number): string => `msrp://127.0.0.1:${port}/receiver${index};tcp`;

function addressOf({address}: Leg): {readonly host: string; readonly port: number} {
  return {host: address.host, port: address.port};
}
