/** The server that a scenario runs on: an embedded one of its own, a real one of its own, or a real one that runs already. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {connect} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {startEmbeddedServer} from '../../lib/embedded-drachtio/server.ts';
import {JumpClock} from './jump-clock.ts';
import {freePort} from '../../lib/demo/pf-process.ts';

/** What a scenario asks of its server. */
export interface Wanted {
  /** Where new requests of all methods go, instead of to connected applications. */
  readonly requestHandler?: string | undefined;
}

export interface Server {
  /** `127.0.0.1:port` for SIP over UDP and TCP. */
  readonly sip: string;
  readonly adminPort: number;
  readonly secret: string;
  readonly kind: 'real' | 'embedded';
  /** Ends it, with all its state; `restart` starts it once more on the same ports. */
  stop(): Promise<void>;
  restart(): Promise<void>;
  /** Lets its timers run for so long: a real server takes the time. */
  pass(seconds: number): Promise<void>;
  /** The end of the scenario. */
  close(): Promise<void>;
}

const {DRACHTIO_COMMAND, DRACHTIO_HOST, DRACHTIO_PORT = '9022', DRACHTIO_SECRET = 'cymru', DRACHTIO_SIP} = process.env;

/** Whether scenarios meet a real server, and whether each has one of its own. */
export const real = DRACHTIO_HOST !== undefined || DRACHTIO_COMMAND !== undefined;
export const own = DRACHTIO_HOST === undefined;

export function startServer(wanted: Wanted): Promise<Server> {
  if (DRACHTIO_COMMAND !== undefined) return startReal(DRACHTIO_COMMAND, wanted);
  return DRACHTIO_HOST === undefined ? startEmbedded(wanted) : Promise.resolve(running());
}

async function wait(seconds: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
}

function running(): Server {
  const refused = (): Promise<never> => Promise.reject(new Error('that server is not ours'));
  return {
    kind: 'real',
    sip: DRACHTIO_SIP ?? '127.0.0.1:5060',
    adminPort: Number(DRACHTIO_PORT),
    secret: DRACHTIO_SECRET,
    stop: refused,
    restart: refused,
    pass: wait,
    close: () => Promise.resolve(),
  };
}

async function startEmbedded({requestHandler}: Wanted): Promise<Server> {
  const clock = new JumpClock();
  const url = requestHandler;
  const start = (port: number, adminPort: number): ReturnType<typeof startEmbeddedServer> =>
    startEmbeddedServer({
      adminHost: '127.0.0.1',
      adminPort,
      secret: DRACHTIO_SECRET,
      contacts: [`udp:127.0.0.1:${port}`, `tcp:127.0.0.1:${port}`],
      requestHandlers: url === undefined ? [] : [{sipMethod: '*', httpMethod: 'GET', url, verifyPeer: false}],
      clock,
    });
  let server = await start(0, 0);
  const {adminPort, contacts} = server;
  const port = contacts[0]?.port ?? 0;
  return {
    kind: 'embedded',
    sip: `127.0.0.1:${port}`,
    adminPort,
    secret: DRACHTIO_SECRET,
    stop: () => server.close(),
    async restart() {
      server = await start(port, adminPort);
    },
    pass(seconds) {
      clock.jump(1000 * seconds);
      return Promise.resolve();
    },
    close: () => server.close(),
  };
}

async function startReal(command: string, wanted: Wanted): Promise<Server> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryReal(command, wanted);
    } catch (error) {
      // Somebody else may have taken a port meanwhile.
      if (attempt === 5) throw error;
    }
  }
}

async function tryReal(command: string, {requestHandler}: Wanted): Promise<Server> {
  const folder = await mkdtemp(path.join(tmpdir(), 'conformance-'));
  const file = path.join(folder, 'drachtio.conf.xml');
  const [port, adminPort] = [await freePort(), await freePort()];
  const handlers =
    requestHandler === undefined
      ? ''
      : `<request-handlers><request-handler sip-method="*">${requestHandler}</request-handler></request-handlers>`;
  await writeFile(
    file,
    `<drachtio><admin port="${adminPort}" secret="${DRACHTIO_SECRET}">127.0.0.1</admin><sip/>${handlers}` +
      '<logging><console/><sofia-loglevel>1</sofia-loglevel><loglevel>error</loglevel></logging></drachtio>',
  );
  const contact = `sip:127.0.0.1:${port};transport=udp,tcp`;
  const flags = ['-f', file, '--contact', contact, '--address', '127.0.0.1', '--port', `${adminPort}`];
  const start = async (): Promise<() => Promise<void>> => {
    const child = spawn(command, [...flags, '--secret', DRACHTIO_SECRET], {stdio: 'ignore'});
    const exit = once(child, 'exit');
    while (!(await answers(adminPort)) || !(await answers(port)))
      if (child.exitCode !== null) throw new Error('the server did not start');
    return async () => {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await exit;
    };
  };
  let end = await start();
  return {
    kind: 'real',
    sip: `127.0.0.1:${port}`,
    adminPort,
    secret: DRACHTIO_SECRET,
    stop: () => end(),
    async restart() {
      end = await start();
    },
    pass: wait,
    async close() {
      await end();
      await rm(folder, {recursive: true, force: true});
    },
  };
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const result = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'error').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  if (!result) await new Promise((resolve) => setTimeout(resolve, 20));
  return result;
}
