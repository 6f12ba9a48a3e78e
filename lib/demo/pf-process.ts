/** The Participating Function as a process of its own, started by its command line, for the demo and for tests that kill it. */
import {spawn, type ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {openSync, closeSync, readFileSync, writeFileSync} from 'node:fs';
import {createServer, type AddressInfo} from 'node:net';
import path from 'node:path';
import {setTimeout as wait} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import {stringify} from 'yaml';
import {readPortFile} from '../adapters/http/port-file.ts';

export interface PfSettings {
  /** Everything that it writes goes here. */
  readonly folder: string;
  /** SIP URI of the core: next hop, and the only peer that is believed. */
  readonly core: string;
  readonly homeDomain: string;
  /** SIP port, UDP and TCP. It has to stay the same over a restart, or the core would not find it again. */
  readonly sipPort: number;
  /** Sections of the configuration beside these, key by key. */
  readonly more?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface PfProcess {
  readonly pid: number;
  /** SIGKILL: no chance to put anything in order. Resolves once it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with its exit status, or `undefined` where it had to be killed after `milliseconds`. */
  stop(milliseconds?: number): Promise<number | undefined>;
}

/** Writes the configuration file and gives its name. */
export function writePfConfig(settings: PfSettings): string {
  const file = path.join(settings.folder, 'cpm-pf.yaml');
  const sections: Record<string, Record<string, unknown>> = {
    node: {
      runtimeDirectory: path.join(settings.folder, 'run'),
      stateDirectory: path.join(settings.folder, 'state'),
      drainSeconds: 1,
    },
    sip: {
      embedded: {host: '127.0.0.1', port: settings.sipPort, adminPort: 0},
      homeDomain: settings.homeDomain,
      outboundProxy: settings.core,
      trustedPeers: ['127.0.0.1'],
    },
    served: {domains: [settings.homeDomain]},
    relay: {access: {listenPort: 0}, core: {listenPort: 0}},
    admin: {port: 0},
  };
  for (const [name, keys] of Object.entries(settings.more ?? {})) sections[name] = {...sections[name], ...keys};
  writeFileSync(file, stringify(sections));
  return file;
}

/** Starts it and waits until it says that it is ready. Rejects with what it logged last, after `milliseconds` or when it ended. */
export async function startPf(settings: PfSettings, milliseconds = 10_000): Promise<PfProcess> {
  const config = writePfConfig(settings);
  const logFile = path.join(settings.folder, 'cpm-pf.log');
  const log = openSync(logFile, 'a');
  const cli = fileURLToPath(new URL('../cli.js', import.meta.url));
  // A process group of its own: whatever the PF leaves behind can be ended with it.
  const child = spawn(process.execPath, [cli, 'start', '--config', config], {
    stdio: ['ignore', log, log],
    detached: true,
  });
  closeSync(log);
  const {pid} = child;
  if (pid === undefined) throw new Error('the Participating Function could not be started');
  const gone = once(child, 'exit');
  groups.add(pid);

  const deadline = Date.now() + milliseconds;
  while (!(await isReady(path.join(settings.folder, 'run'), pid))) {
    if (Date.now() > deadline || ended(child)) {
      killGroup(pid);
      throw new Error(`the Participating Function is not ready; it said last:\n${lastLines(logFile)}`);
    }
    await wait(25);
  }

  return {
    pid,
    async kill() {
      if (!ended(child)) child.kill('SIGKILL');
      await gone;
    },
    async stop(patience = 10_000) {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), patience);
      await gone;
      clearTimeout(timer);
      return child.exitCode ?? undefined;
    },
  };
}

/** Ends what any process started here left behind: sidecars, SIP servers. To be called when no more of them are wanted. */
export function endLeftovers(): void {
  for (const pid of groups) killGroup(pid);
  groups.clear();
}

/** A loopback port that is free for UDP and TCP at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const {port} = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const groups = new Set<number>();

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function ended(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Its own port file, not the one of a process before it. */
async function isReady(runtimeDirectory: string, pid: number): Promise<boolean> {
  const file = readPortFile(runtimeDirectory);
  if (file?.pid !== pid) return false;
  try {
    return (await fetch(new URL('/ready', file.url), {signal: AbortSignal.timeout(2000)})).ok;
  } catch {
    return false;
  }
}

function lastLines(file: string): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-8).join('\n');
}
