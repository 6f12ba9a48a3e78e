import {spawn, type ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';
import test, {type ExecutionContext} from 'ava';
import {headerOf} from '../../lib/codecs/sip-message.ts';
import {inDialog, Mailbox, sdp, startBareApp, startPeer, within, type Peer, type Running} from './support.ts';

const main = fileURLToPath(new URL('../../lib/embedded-drachtio/main.js', import.meta.url));

interface Process {
  readonly child: ChildProcess;
  readonly lines: Mailbox<string>;
  readonly errors: Mailbox<string>;
  readonly exit: Promise<number | null>;
}

function start(t: ExecutionContext, args: readonly string[]): Process {
  const child = spawn(process.execPath, args, {stdio: ['ignore', 'pipe', 'pipe']});
  t.teardown(() => child.kill('SIGKILL'));
  const lines = new Mailbox<string>();
  const errors = new Mailbox<string>();
  createInterface(child.stdout).on('line', (line) => {
    lines.put(line);
  });
  createInterface(child.stderr).on('line', (line) => {
    errors.put(line);
  });
  const exit = once(child, 'exit').then(([code]) => code as number | null);
  return {child, lines, errors, exit};
}

async function startMain(t: ExecutionContext, options: object = {}): Promise<Process & {readonly running: Running}> {
  const config = {adminPort: 0, contacts: ['udp:127.0.0.1:0', 'tcp:127.0.0.1:0'], ...options};
  const started = start(t, [main, JSON.stringify(config)]);
  const line = JSON.parse(await started.lines.take('listening', () => true)) as {
    readonly event: string;
    readonly adminPort: number;
    readonly contacts: readonly string[];
  };
  t.is(line.event, 'listening');
  const port = Number(/^udp:127\.0\.0\.1:(\d+)$/.exec(line.contacts[0] ?? '')?.[1]);
  const server = {adminPort: line.adminPort, adminTlsPort: undefined, contacts: [], close: () => Promise.resolve()};
  return {...started, running: {server, port, apps: new Mailbox<number>()}};
}

test('drachtio process: it says what it is for, serves, and ends with 0 on SIGTERM', async (t) => {
  const {child, errors, exit, running} = await startMain(t);
  t.regex(await errors.take('warning', () => true), /for evaluation and tests/);
  const app = await startBareApp(t, running);
  child.kill('SIGTERM');
  t.is(await within('exit', exit), 0);
  await within('end of the connection', app.closed);
});

test('drachtio process: without an application it ends by itself, with one it stays', async (t) => {
  const lonely = await startMain(t, {exitWhenIdleSeconds: 0.2});
  t.is(await within('exit', lonely.exit), 0);
  const left = await startMain(t, {exitWhenIdleSeconds: 1});
  const app = await startBareApp(t, left.running);
  app.close();
  t.is(await within('exit', left.exit), 0);
});

test('drachtio process: nobody reading its output does not end it', async (t) => {
  const {child, running} = await startMain(t);
  child.stdout?.destroy();
  child.stderr?.destroy();
  const app = await startBareApp(t, running);
  const bad = await startBareApp(t, running);
  bad.bytes('nonsense');
  await within('end of the connection', bad.closed);
  app.send(['p', 'ping']);
  t.deepEqual((await app.reply('p')).fields, ['OK', 'pong']);
});

test('drachtio process: a configuration with a mistake ends it with 1 and says where', async (t) => {
  for (const [config, said] of [
    ['{"contacts":["udp:127.0.0.1:0"],"adminPrt":1}', /adminPrt/],
    ['{"contacts":["sctp:127.0.0.1:0"],"adminPort":0}', /CPM_SIP_LISTEN/],
    ['nonsense', /JSON/],
  ] as const) {
    const {exit, errors} = start(t, [main, config]);
    await errors.take('sentence', (line) => said.test(line));
    t.is(await within('exit', exit), 1);
  }
});

const application = (port: number): string => `
  import Srf from 'drachtio-srf';
  const srf = new Srf();
  srf.on('error', () => {});
  srf.invite((req, res) => srf.createUAS(req, res, {localSdp: req.body}).then((dialog) => console.log(dialog.id)));
  srf.connect({host: '127.0.0.1', port: ${port}, secret: 'cymru'});
  srf.on('connect', () => console.log('connected'));
`;

async function call(peer: Peer) {
  const invite = peer.request('INVITE', {'Content-Type': 'application/sdp'}, sdp);
  const ok = await peer.takeResponse(200);
  peer.request('ACK', inDialog(invite, ok, 1, 'ACK'));
  return {invite, ok};
}

test('drachtio process: an application is killed in a call; the next one ends the dialog by its recorded name', async (t) => {
  const {running} = await startMain(t);
  const peer = await startPeer(t, running.port);
  const app = start(t, ['--input-type=module', '-e', application(running.server.adminPort)]);
  await app.lines.take('connection', (line) => line === 'connected');
  const {invite} = await call(peer);
  const dialogId = await app.lines.take('dialog', () => true);
  t.is(dialogId, `${headerOf(invite, 'Call-ID') ?? ''};from-tag=ft1`);
  app.child.kill('SIGKILL');
  await app.exit;

  const heir = await startBareApp(t, running);
  heir.send(['b', 'sip', '', dialogId], 'BYE sip:placeholder SIP/2.0\r\nReason: SIP;cause=503;text="restart"\r\n');
  const bye = await peer.takeRequest('BYE');
  t.is(headerOf(bye, 'Reason'), 'SIP;cause=503;text="restart"');
  peer.answer(bye, 200);
  t.is((await heir.reply('b')).fields[0], 'OK');
  await heir.frames.take('the answer', ({fields}) => fields[1] === 'sip' && fields[2] === 'network');
  heir.send(['again', 'sip', '', dialogId], 'BYE sip:placeholder SIP/2.0\r\n');
  t.regex((await heir.reply('again')).fields[1] ?? '', /unable to find dialog/);
});
