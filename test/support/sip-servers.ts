/**
 * SIP servers of a test's own, to be killed and started again: embedded ones, or, where DRACHTIO_PROGRAM names the program of a real drachtio
 * server, that.
 */
import {execFile, spawn, type ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {connect} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {promisify} from 'node:util';
import {setTimeout as wait} from 'node:timers/promises';
import type {ExecutionContext} from 'ava';
import {freePort} from '../../lib/demo/pf-process.ts';

const {DRACHTIO_PROGRAM} = process.env;
const secret = 'cymru';
const certFile = path.resolve('test/fixtures/relay-tls/node.pem');
const keyFile = path.resolve('test/fixtures/relay-tls/node-key.pem');
/** Who signed the certificate of the admin port. */
export const authorityFile = path.resolve('test/fixtures/relay-tls/authority.pem');

export interface OwnSipServer {
  /** Its admin interface, as the configuration names it. */
  readonly admin: {readonly host: string; readonly port: number; readonly secret: string};
  readonly adminTlsPort: number;
  /** `sip:127.0.0.1:port;transport=tcp`. */
  readonly uri: string;
  /** SIGKILL, and the wait for its end. */
  kill(): Promise<void>;
  /** Starts it again on its ports. */
  start(): Promise<void>;
}

export interface OwnSipServerOptions {
  /** Port of an application to which it connects for each request of these methods. */
  readonly outbound?: {readonly port: number; readonly methods: readonly string[]};
}

/** Starts one; it ends with the test. */
export async function ownSipServer(t: ExecutionContext, {outbound}: OwnSipServerOptions = {}): Promise<OwnSipServer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'cpm-sip-'));
  t.teardown(() => rm(folder, {recursive: true, force: true}));
  const ports = {admin: await freePort(), tls: await freePort(), sip: await freePort()};
  const handlers = (outbound?.methods ?? []).map((method) => ({method, url: `tcp://127.0.0.1:${outbound?.port ?? 0}`}));
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    child =
      DRACHTIO_PROGRAM === undefined
        ? embedded(ports, handlers)
        : spawn(DRACHTIO_PROGRAM, ['-f', await configuration(folder, ports, handlers)], {stdio: 'ignore'});
    await listening(ports.admin);
    await listening(ports.sip);
  }

  async function kill(): Promise<void> {
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  t.teardown(kill);
  await start();
  return {
    admin: {host: '127.0.0.1', port: ports.admin, secret},
    adminTlsPort: ports.tls,
    uri: `sip:127.0.0.1:${ports.sip};transport=tcp`,
    kill,
    start,
  };
}

interface Ports {
  readonly admin: number;
  readonly tls: number;
  readonly sip: number;
}

type Handlers = readonly {readonly method: string; readonly url: string}[];

function embedded(ports: Ports, handlers: Handlers): ChildProcess {
  const options = {
    adminPort: ports.admin,
    adminTls: {port: ports.tls, certFile, keyFile},
    secret,
    contacts: [`udp:127.0.0.1:${ports.sip}`, `tcp:127.0.0.1:${ports.sip}`],
    requestHandlers: handlers.map(({method, url}) => ({sipMethod: method, url})),
  };
  return spawn(process.execPath, ['dist/lib/embedded-drachtio/main.js', JSON.stringify(options)], {stdio: 'ignore'});
}

async function configuration(folder: string, ports: Ports, handlers: Handlers): Promise<string> {
  const dh = path.join(folder, 'dh.pem');
  await promisify(execFile)('openssl', ['dhparam', '-dsaparam', '-out', dh, '2048']);
  const file = path.join(folder, 'drachtio.xml');
  await writeFile(
    file,
    [
      '<drachtio>',
      `<admin port="${ports.admin}" tls-port="${ports.tls}" secret="${secret}">127.0.0.1</admin>`,
      '<request-handlers>',
      ...handlers.map(({method, url}) => `<request-handler sip-method="${method}">${url}</request-handler>`),
      '</request-handlers>',
      `<sip><contacts><contact>sip:127.0.0.1:${ports.sip};transport=udp,tcp</contact></contacts>`,
      `<tls><key-file>${keyFile}</key-file><cert-file>${certFile}</cert-file><dh-param>${dh}</dh-param></tls></sip>`,
      '<logging><console/><sofia-loglevel>1</sofia-loglevel><loglevel>notice</loglevel></logging>',
      '</drachtio>',
    ].join('\n'),
  );
  return file;
}

async function listening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const socket = connect(port, '127.0.0.1');
    const open = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (open) return;
    await wait(50);
  }

  throw new Error(`no SIP server listens on port ${port}`);
}
