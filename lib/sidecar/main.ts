/**
 * The relay process: `node main.js '{"control":"unix:/run/relay.sock", …}'` (options.ts). One line of JSON on stdout says that it listens, one on
 * stderr why it does not; SIGTERM ends it with 0. It outlives the PF that started it, and whoever read its output.
 */
import {existsSync, rmSync} from 'node:fs';
import {connect} from 'node:net';
import {CpmError} from '../errors.ts';
import {createLog} from '../log.ts';
import {systemClock} from '../ports/clock.ts';
import {randomIds} from '../ports/ids.ts';
import type {Log} from '../ports/log.ts';
import {Control} from './control.ts';
import {Exchange} from './exchange.ts';
import {relayOptions} from './options.ts';

/** Runs a relay process until it is told to end; it logs to standard error, or where it is told. Rejects with a CpmError when it cannot listen. */
export async function runRelay(input: unknown, givenLog?: Log): Promise<void> {
  // Nobody may be reading any more: that is no reason to end.
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  const options = relayOptions(input);
  // A file that the PF opened for it, beside its other own processes' (docs/operations.md).
  const base = {node: options.node, part: 'relay'};
  const log = givenLog ?? createLog({level: 'info', base, destination: process.stderr});
  const exchange = new Exchange({options, clock: systemClock, ids: randomIds, log});
  const welcome = {version: options.version, pid: process.pid};
  const control = new Control({exchange, welcome, onOrphaned: () => void shutdown()});
  let ending = false;
  const shutdown = async (): Promise<void> => {
    if (ending) return;
    ending = true;
    log.info({}, 'the relay ends');
    control.close();
    await exchange.close();
    // Connections get a moment to take what is queued for them.
    setTimeout(() => process.exit(0), 300);
  };
  process.on('SIGTERM', () => void shutdown());
  process.on('SIGINT', () => void shutdown());
  process.on('SIGHUP', () => {
    exchange.readCertificates();
  });

  await removeStaleSocket(options.control);
  const port = await control.listen();
  const {access, core} = await exchange.listen();
  const address = options.control.startsWith('unix:') ? options.control : options.control.replace(/\d+$/, String(port));
  const ready = {event: 'listening', pid: process.pid, control: address, access, core};
  process.stdout.write(`${JSON.stringify(ready)}\n`);
  log.info({control: address, access: hostPorts(access), core: hostPorts(core)}, 'the relay listens');
}

const hostPorts = (listeners: Readonly<Record<string, {readonly host: string; readonly port: number}>>): string =>
  Object.entries(listeners)
    .map(([transport, {host, port}]) => `${transport} ${host} port ${port}`)
    .join(', ');

/** A unix socket that nobody listens on any more is what a killed process left. */
async function removeStaleSocket(control: string): Promise<void> {
  const path = control.startsWith('unix:') ? control.slice('unix:'.length) : undefined;
  if (path === undefined || !existsSync(path)) return;
  const alive = await new Promise<boolean>((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      resolve(true);
      socket.destroy();
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
  if (alive) throw new CpmError('CPM_RELAY_CONTROL', 503, `another relay listens on ${control}`);
  rmSync(path, {force: true});
}

if (process.argv[1] !== undefined && /[\\/]sidecar[\\/]main\.[jt]s$/.test(process.argv[1])) {
  runRelay(JSON.parse(process.argv[2] ?? '{}')).catch((error: unknown) => {
    const code = error instanceof CpmError ? error.code : 'CPM_RELAY';
    process.stderr.write(`${JSON.stringify({event: 'failed', code, why: String(error)})}\n`);
    process.exitCode = 1;
    setTimeout(() => process.exit(1), 100);
  });
}
