/** The Participating Function as a process of its own, started by its command line, for the demo and for tests that kill it. */
import {randomInt} from 'node:crypto';
import {spawn, type ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {closeSync, existsSync, openSync, readFileSync, readdirSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import path from 'node:path';
import {setTimeout as wait} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import {stringify} from 'yaml';
import {readPortFile} from '../adapters/http/port-file.ts';

/** The command `cpm-pf`. */
export const cli = fileURLToPath(new URL('../cli.js', import.meta.url));
const logName = 'cpm-pf.log';

export interface PfSettings {
  /** Everything that it writes goes here. */
  readonly folder: string;
  /** SIP URI of the core: next hop, and the only peer that is believed. */
  readonly core: string;
  readonly homeDomain: string;
  /** SIP port, UDP and TCP. It has to stay the same over a restart, or the core would not find it again. */
  readonly sipPort: number;
  /** Further keys of the configuration, by section. */
  readonly more?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface PfProcess {
  readonly pid: number;
  /** Name of its configuration file. */
  readonly config: string;
  /** SIGKILL: no chance to put anything in order. Resolves once it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with its exit status, or `undefined` where it had to be killed after `milliseconds`. */
  stop(milliseconds?: number): Promise<number | undefined>;
}

/** Writes the configuration file and gives its name. */
function writePfConfig(settings: PfSettings): string {
  const file = path.join(settings.folder, 'cpm-pf.yaml');
  const sections = {
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
    served: {domains: [settings.homeDomain], numberPrefixes: ['+1555']},
    relay: {access: {listenPort: 0}, core: {listenPort: 0}},
    admin: {port: 0},
  };
  const more = Object.entries(settings.more ?? {}).map(([name, section]) => [
    name,
    {...(sections as Record<string, object>)[name], ...section},
  ]);
  writeFileSync(file, stringify({...sections, ...Object.fromEntries(more)}));
  return file;
}

/** Starts it and waits until it says that it is ready. Rejects after `milliseconds`, or when it ended; `lastLogLines` tells why. */
export async function startPf(settings: PfSettings, milliseconds = 10_000): Promise<PfProcess> {
  const config = writePfConfig(settings);
  const log = openSync(path.join(settings.folder, logName), 'a');
  const child = spawn(process.execPath, [cli, 'start', '--config', config], {stdio: ['ignore', log, log]});
  closeSync(log);
  const {pid} = child;
  if (pid === undefined) throw new Error('the Participating Function could not be started');
  const gone = once(child, 'exit');

  const deadline = Date.now() + milliseconds;
  while (!(await isReady(path.join(settings.folder, 'run'), pid))) {
    if (Date.now() > deadline || ended(child)) {
      child.kill('SIGKILL');
      throw new Error('the Participating Function did not become ready');
    }
    await wait(25);
  }

  return {
    pid,
    config,
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

/** What the PF of this folder logged last; nothing where it never ran. */
export function lastLogLines(folder: string): readonly string[] {
  const file = path.join(folder, logName);
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n').slice(-8) : [];
}

/**
 * Ends whatever still runs of a PF that worked in this folder: itself, its SIP server, its relay. They write their process ids into files
 * there, and take them away when they end in an orderly way.
 */
export function endLeftovers(folder: string): void {
  const runtimeDirectory = path.join(folder, 'run');
  if (!existsSync(runtimeDirectory)) return;
  for (const file of readdirSync(runtimeDirectory).filter((name) => name.endsWith('.json'))) {
    const {pid} = JSON.parse(readFileSync(path.join(runtimeDirectory, file), 'utf8')) as {readonly pid?: number};
    if (pid !== undefined) killIfThere(pid);
  }
}

/**
 * A loopback port that is free at this moment, below the range from which the system hands out ports by itself: it is still free when a
 * PF that was killed is started again on it.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + randomInt(20_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => {
        resolve(false);
      });
      server.listen(port, '127.0.0.1', () => {
        resolve(true);
      });
    });
    if (!free) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
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
