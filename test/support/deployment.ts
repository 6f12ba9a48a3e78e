/** A whole deployment of one test: a stand-in for the core, phones, and the PF as a process that can be killed and started again. */
import {spawn, type ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {createInterface} from 'node:readline';
import {stringify} from 'yaml';
import {freePort} from '../../lib/demo/pf-process.ts';
import {startCore, type Core, type CoreOptions} from '../../lib/phone/core.ts';
import {Inbox} from '../../lib/phone/inbox.ts';
import {startPhone, type Phone, type PhoneOptions} from '../../lib/phone/phone.ts';
import type {Aim} from './aimed-pf.ts';
import {sipServer, type SipServerForTest} from './sip-server.ts';

export const aliceAddress = 'sip:+15550101@home.example;user=phone';
export const bobAddress = 'sip:+15550102@home.example;user=phone';

export interface LogRecord {
  readonly level: string;
  readonly msg: string;
  readonly [key: string]: unknown;
}

/** What a trigger has set off for a user is over: all of it, nothing, or until later. */
export const runHasEnded = ({msg}: Pick<LogRecord, 'msg'>): boolean => msg === 'a delivery run has ended';

export interface PfProcess {
  readonly process: ChildProcess;
  readonly log: Inbox<LogRecord>;
  /** Resolves with the exit status, or the name of the signal. */
  readonly ended: Promise<number | string>;
}

export interface DeploymentOptions {
  readonly core?: CoreOptions;
  /** Another deployment, whose core this one shares. `core.pf` says to whom of them it turns. */
  readonly beside?: Deployment;
  /** Sections of the configuration, laid over what the deployment needs. */
  readonly config?: Readonly<Record<string, Readonly<Record<string, unknown>> | readonly unknown[]>>;
}

export interface Deployment {
  readonly core: Core;
  /** SIP URI of the PF. */
  readonly uri: string;
  readonly folder: string;
  readonly pf: PfProcess;
  /** SIGKILL, and the wait for the end. */
  kill(): Promise<void>;
  /** Starts the PF (again), perhaps one that kills itself (aimed-pf.ts); resolves when it is ready. */
  start(aim?: Aim): Promise<void>;
  /** Other sections for the next start, over those of this one. */
  configure(config: DeploymentOptions['config']): Promise<void>;
  /** SIGTERM; resolves with the exit status. */
  stop(): Promise<number | string>;
  alice(options?: Partial<PhoneOptions>): Promise<Phone>;
  bob(options?: Partial<PhoneOptions>): Promise<Phone>;
  /** Anybody else of the home network. */
  phone(address: string, options?: Partial<PhoneOptions>): Promise<Phone>;
  /** Registers the phone, and waits until the PF has answered the core's word about it. */
  register(phone: Phone): Promise<void>;
  status(): Promise<Record<string, unknown>>;
  /** Processes of the PF's own, by name: `sip-server`, `relay`. */
  pidOf(name: string): Promise<number>;
}

const {MONGODB_URI} = process.env;

/** A test, or whoever else ends what was started. */
export interface DeploymentOwner {
  readonly passed: boolean;
  log(...lines: unknown[]): void;
  teardown(work: () => Promise<void>): void;
}

/** Starts the core and the PF; all of it goes away with the test. */
export async function deployment(t: DeploymentOwner, options: DeploymentOptions = {}): Promise<Deployment> {
  const folder = await mkdtemp(path.join(tmpdir(), 'cpm-flow-'));
  const core = options.beside?.core ?? (await startCore({cases: ['term'], ...options.core}));
  const server = process.env['DRACHTIO_HOST'] === undefined ? undefined : await sipServer();
  const port = await freePort();
  const file = path.join(folder, 'pf.yaml');
  const configure = async (config: DeploymentOptions['config'] = {}): Promise<void> =>
    writeFile(file, stringify(laidOver(configuration(folder, core, server, port, options), config)));
  await configure();
  const uri = `sip:${server?.sip ?? `127.0.0.1:${port}`};transport=tcp`;
  core.pf ??= uri;
  const phones: Phone[] = [];
  let pf: PfProcess | undefined;

  async function phone(address: string, more: Partial<PhoneOptions> = {}): Promise<Phone> {
    const started = await startPhone({core: core.uri, address, ...more});
    phones.push(started);
    return started;
  }

  const running = (): PfProcess => {
    if (pf === undefined) throw new Error('the PF was not started');
    return pf;
  };

  const theDeployment: Deployment = {
    core,
    uri,
    folder,
    get pf() {
      return running();
    },
    async start(aim) {
      pf = startPf(file, aim);
      await Promise.race([
        pf.log.first(({msg}) => msg === 'the Participating Function runs', 20_000),
        pf.ended.then((status) => {
          throw new Error(`the PF ended with ${status}: ${JSON.stringify(pf?.log.items.slice(-5))}`);
        }),
      ]);
    },
    configure,
    async kill() {
      running().process.kill('SIGKILL');
      await running().ended;
    },
    async stop() {
      running().process.kill('SIGTERM');
      return running().ended;
    },
    phone,
    alice: async (more) => phone(aliceAddress, more),
    bob: async (more) => phone(bobAddress, more),
    async register(phone) {
      const before = core.told.items.length;
      await phone.register();
      await core.told.atLeast(before + 1);
    },
    async status() {
      const {url} = JSON.parse(await readFile(path.join(folder, 'run', 'admin.json'), 'utf8')) as {url: string};
      const response = await fetch(new URL('/status', url));
      return (await response.json()) as Record<string, unknown>;
    },
    async pidOf(name) {
      const {pid} = JSON.parse(await readFile(path.join(folder, 'run', `${name}.json`), 'utf8')) as {pid: number};
      return pid;
    },
  };

  t.teardown(async () => {
    if (!t.passed)
      t.log(
        pf?.log.items
          .slice(-40)
          .map((record) => JSON.stringify(record))
          .join('\n'),
      );
    await Promise.all(phones.map(async (each) => each.close()));
    // How it ends in an orderly way has tests of its own; a server that it shares with the next test is left in order.
    if (server !== undefined) pf?.process.kill('SIGTERM');
    const late = setTimeout(() => pf?.process.kill('SIGKILL'), server === undefined ? 0 : 10_000);
    await pf?.ended;
    clearTimeout(late);
    await Promise.all(['sip-server', 'relay'].map(async (name) => killOwn(theDeployment, name)));
    if (options.beside === undefined) await core.close();
    await server?.stop();
    await rm(folder, {recursive: true, force: true});
  });
  await theDeployment.start();
  return theDeployment;
}

function configuration(
  folder: string,
  core: Core,
  server: SipServerForTest | undefined,
  port: number,
  {config = {}}: DeploymentOptions,
): object {
  const needed = {
    node: {
      name: `pf-${path.basename(folder)}`,
      runtimeDirectory: path.join(folder, 'run'),
      stateDirectory: path.join(folder, 'state'),
      drainSeconds: 1,
    },
    sip: {
      ...(server === undefined ? {embedded: {host: '127.0.0.1', port, adminPort: 0}} : {drachtio: [server.admin]}),
      homeDomain: 'home.example',
      outboundProxy: core.uri,
      trustedPeers: ['127.0.0.1'],
      inviteSeconds: 5,
      byeAnswerSeconds: 3,
    },
    cpm: {deliveryRetrySeconds: [1]},
    // A machine that is busy with other tests is no reason to refuse a call.
    overload: {eventLoopDelayMilliseconds: 0},
    served: {users: [{identities: [bobAddress, 'sip:bob@home.example']}], domains: [], numberPrefixes: ['+1555']},
    relay: {access: {listenPort: 0}, core: {listenPort: 0}, bindSeconds: 5},
    store:
      MONGODB_URI === undefined
        ? {kind: 'embedded'}
        : {kind: 'mongodb', uri: MONGODB_URI, database: path.basename(folder).replaceAll(/[^A-Za-z0-9]/g, '_')},
    admin: {port: 0},
    log: {level: 'debug'},
  };
  return laidOver(needed, config);
}

/** The second one's values win, key by key. */
function laidOver(below: object, above: object): object {
  const result: Record<string, unknown> = {...below};
  for (const [key, value] of Object.entries(above)) {
    const former = result[key];
    const bothSections = [former, value].every(
      (each) => typeof each === 'object' && each !== null && !Array.isArray(each),
    );
    result[key] = bothSections ? laidOver(former as object, value as object) : (value as unknown);
  }

  return result;
}

function startPf(file: string, aim?: Aim): PfProcess {
  const args = aim === undefined ? ['lib/cli.js', 'start', '--config', file] : ['test/support/aimed-pf.js', file, aim];
  const [script = '', ...rest] = args;
  const child = spawn(process.execPath, [path.join('dist', script), ...rest], {stdio: ['ignore', 'pipe', 'pipe']});
  const log = new Inbox<LogRecord>('log record');
  const take = (line: string): void => {
    try {
      log.push(JSON.parse(line) as LogRecord);
    } catch {
      log.push({level: 'stderr', msg: line});
    }
  };
  createInterface({input: child.stdout}).on('line', take);
  createInterface({input: child.stderr}).on('line', take);
  const ended = once(child, 'close').then(([code, signal]: unknown[]) => (code ?? signal) as number | string);
  return {process: child, log, ended};
}

async function killOwn(running: Deployment, name: string): Promise<void> {
  try {
    process.kill(await running.pidOf(name), 'SIGKILL');
  } catch {
    // It ended with its PF, which the test has stopped in an orderly way.
  }
}
