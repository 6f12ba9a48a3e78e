/** Kamailio's `msrp` module as an MSRP relay (RFC 4976) on loopback. */
import {once} from 'node:events';
import {mkdtemp, rm} from 'node:fs/promises';
import {connect} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {setTimeout as wait} from 'node:timers/promises';
import type {ExecutionContext} from 'ava';
import {freePort} from '../../../lib/demo/pf-process.ts';
import {startProgram, type Program} from './programs.ts';

/** Starts one; gives the URI to which AUTH is sent: by anybody, or, with a password, by the user `pf` alone. It ends with the test. */
export async function startKamailio(t: ExecutionContext, password?: string): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'cpm-kamailio-'));
  t.teardown(() => rm(folder, {recursive: true, force: true}));
  const port = await freePort();
  const program = startProgram(t, 'kamailio', [
    ...['-f', path.resolve('test/fixtures/kamailio/kamailio.cfg'), '-A', `RELAY_PORT=${port}`],
    ...(password === undefined ? [] : ['-A', `RELAY_PASSWORD="${password}"`]),
    // In the foreground, messages on stderr, sockets and pid in our folder, little memory.
    ...['-DD', '-E', '-Y', folder, '-P', path.join(folder, 'pid'), '-m', '16', '-M', '4'],
  ]);
  await listening(port, program);
  return `msrp://127.0.0.1:${port};tcp`;
}

async function listening(port: number, program: Program): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const socket = connect(port, '127.0.0.1');
    const open = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (open) return;
    if (program.process.exitCode !== null) throw new Error(`Kamailio did not start:\n${program.output()}`);
    await wait(50);
  }
  throw new Error(`Kamailio does not listen:\n${program.output()}`);
}
