/** Kamailio's `msrp` module as an MSRP relay on loopback, as kamailio.cfg says. */
import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {connect} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {setTimeout as wait} from 'node:timers/promises';
import {freePort} from '../../lib/demo/pf-process.ts';
import {endOf, pidOf} from '../worker.ts';

export interface Kamailio {
  readonly pid: number;
  readonly port: number;
  readonly version: string;
  stop(): Promise<void>;
}

/** Its version; undefined where it is not installed. */
export function kamailioVersion(): string | undefined {
  const {stdout, error} = spawnSync('kamailio', ['-v'], {encoding: 'utf8'});
  return error ? undefined : /kamailio ([\d.]+)/.exec(stdout)?.[1];
}

/** Starts one; `open`: it relays for anybody, instead of looking each session up. */
export async function startKamailio({open: isOpen = false} = {}): Promise<Kamailio> {
  const version = kamailioVersion();
  if (version === undefined) throw new Error('Kamailio is not installed (Debian: apt install kamailio)');
  const folder = mkdtempSync(path.join(tmpdir(), 'cpm-bench-'));
  const port = await freePort();
  const child = spawn(
    'kamailio',
    [
      ...['-f', path.resolve('bench/peers/kamailio.cfg'), '-A', `RELAY_PORT=${port}`],
      ...(isOpen ? ['-A', 'OPEN_RELAY'] : []),
      ...['-DD', '-E', '-Y', folder, '-P', path.join(folder, 'pid'), '-m', '256', '-M', '16'],
    ],
    {stdio: 'ignore'},
  );
  const stop = async () => {
    await endOf(child);
    rmSync(folder, {recursive: true, force: true});
  };
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const socket = connect(port, '127.0.0.1');
    const open = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (open) return {pid: pidOf(child), port, version, stop};
    if (child.exitCode !== null) break;
    await wait(50);
  }
  await stop();
  throw new Error('Kamailio does not listen');
}
