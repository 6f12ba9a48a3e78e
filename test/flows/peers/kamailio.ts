/** Kamailio on loopback: its `msrp` module as an MSRP relay (RFC 4976), and an S-CSCF. */
import {once} from 'node:events';
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {connect} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {setTimeout as wait} from 'node:timers/promises';
import type {ExecutionContext} from 'ava';
import {freePort} from '../../../lib/demo/pf-process.ts';
import {startProgram, type Program} from './programs.ts';

/** Starts the relay; gives the URI to which AUTH is sent: by anybody, or, with a password, by the user `pf` alone. It ends with the test. */
export async function startKamailio(t: ExecutionContext, password?: string): Promise<string> {
  const folder = await folderFor(t);
  const port = await freePort();
  const program = start(t, folder, path.resolve('test/fixtures/kamailio/kamailio.cfg'), [
    ...['-A', `RELAY_PORT=${port}`],
    ...(password === undefined ? [] : ['-A', `RELAY_PASSWORD="${password}"`]),
  ]);
  await listening(port, program);
  return `msrp://127.0.0.1:${port};tcp`;
}

export interface Scscf {
  /** `sip:127.0.0.1:port;transport=tcp`: registrar and next hop of phones and PF. */
  readonly uri: string;
  /** What it says of requests that it hands to the PF, and of those that come back: method and dialog identifier, in order. */
  handed(way: 'to the PF' | 'back'): readonly {readonly method: string; readonly odi: string}[];
}

/** Starts the S-CSCF with the PF at `host:port` as its application server. It ends with the test. */
export async function startScscf(t: ExecutionContext, port: number, pf: string): Promise<Scscf> {
  const folder = await folderFor(t);
  const template = await readFile('test/fixtures/kamailio/scscf.cfg', 'utf8');
  const file = path.join(folder, 'scscf.cfg');
  await writeFile(file, template.replaceAll('SIP_PORT', String(port)).replaceAll('PF_ADDRESS', pf));
  const program = start(t, folder, file);
  await listening(port, program);
  await answering(port);
  return {
    uri: `sip:127.0.0.1:${port};transport=tcp`,
    handed: (way) =>
      [...program.output().matchAll(new RegExp(`scscf: ${way} (\\w+) (\\S+)`, 'g'))].map(
        ([, method = '', odi = '']) => ({method, odi}),
      ),
  };
}

async function folderFor(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'cpm-kamailio-'));
  t.teardown(() => rm(folder, {recursive: true, force: true}));
  return folder;
}

/** In the foreground, messages on stderr, sockets and pid in its folder, little memory. */
const start = (t: ExecutionContext, folder: string, file: string, more: readonly string[] = []): Program =>
  startProgram(t, 'kamailio', [
    ...['-f', file, ...more],
    ...['-DD', '-E', '-Y', folder, '-P', path.join(folder, 'pid'), '-m', '16', '-M', '4'],
  ]);

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

/** It listens before its processes are there that answer. */
async function answering(port: number): Promise<void> {
  const options = [
    `OPTIONS sip:127.0.0.1:${port} SIP/2.0`,
    'Via: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKstart',
    'Max-Forwards: 1',
    'From: <sip:start@127.0.0.1>;tag=1',
    'To: <sip:start@127.0.0.1>',
    'Call-ID: start',
    'CSeq: 1 OPTIONS',
    'Content-Length: 0',
  ];
  for (let attempt = 0; attempt < 50; attempt++) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined).write(`${options.join('\r\n')}\r\n\r\n`);
    const answered = await Promise.race([once(socket, 'data').then(() => true), wait(300).then(() => false)]).catch(
      () => false,
    );
    socket.destroy();
    if (answered) return;
  }
  throw new Error('Kamailio does not answer');
}
