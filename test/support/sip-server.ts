import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {createServer} from 'node:net';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';
import {freePort} from '../../lib/demo/pf-process.ts';

/** The SIP server that a test file uses. */
export interface SipServerForTest {
  /** A real drachtio server; otherwise the embedded one. */
  readonly real: boolean;
  /** Its admin interface. */
  readonly admin: {readonly host: string; readonly port: number; readonly secret: string};
  /** `host:port` on which it speaks SIP over UDP and TCP. */
  readonly sip: string;
  stop(): Promise<void>;
}

const {DRACHTIO_HOST, DRACHTIO_PORT = '9022', DRACHTIO_SECRET = 'cymru', DRACHTIO_SIP} = process.env;

/**
 * The real drachtio server that DRACHTIO_HOST, DRACHTIO_PORT, DRACHTIO_SECRET and DRACHTIO_SIP name, or an embedded one of this test file's own.
 * A server shares its requests out among all applications that are connected: test files take turns with the real one.
 */
export async function sipServer(): Promise<SipServerForTest> {
  if (DRACHTIO_HOST === undefined) return embedded();
  const unlock = await turn();
  return {
    real: true,
    admin: {host: DRACHTIO_HOST, port: Number(DRACHTIO_PORT), secret: DRACHTIO_SECRET},
    sip: DRACHTIO_SIP ?? '127.0.0.1:5060',
    stop: unlock,
  };
}

/** An abstract socket can be had by one process at a time, and is free again when that one has gone. */
async function turn(): Promise<() => Promise<void>> {
  for (;;) {
    const lock = createServer();
    const result = await new Promise<'mine' | 'taken'>((resolve) => {
      lock.once('error', () => {
        resolve('taken');
      });
      lock.listen(`\0drachtio-test-${DRACHTIO_PORT}`, () => {
        resolve('mine');
      });
    });
    if (result === 'mine') {
      return async () => {
        const closed = once(lock, 'close');
        lock.close();
        await closed;
      };
    }

    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** An embedded server of this test file's own, UDP and TCP on one port. */
async function embedded(attempts = 5): Promise<SipServerForTest> {
  const main = fileURLToPath(new URL('../../lib/embedded-drachtio/main.js', import.meta.url));
  const port = await freePort();
  const contacts = [`udp:127.0.0.1:${port}`, `tcp:127.0.0.1:${port}`];
  const options = JSON.stringify({adminPort: 0, secret: DRACHTIO_SECRET, contacts});
  const child = spawn(process.execPath, [main, options], {stdio: ['ignore', 'pipe', 'ignore']});
  const exited = once(child, 'exit');
  const [line] = (await Promise.race([once(createInterface(child.stdout), 'line'), exited])) as [unknown];
  if (typeof line !== 'string') {
    // Somebody else may have taken the port meanwhile.
    if (attempts > 1) return embedded(attempts - 1);
    throw new Error('the embedded SIP server did not start');
  }

  const {adminPort} = JSON.parse(line) as {adminPort: number};
  return {
    real: false,
    admin: {host: '127.0.0.1', port: adminPort, secret: DRACHTIO_SECRET},
    sip: `127.0.0.1:${port}`,
    async stop() {
      child.kill();
      await exited;
    },
  };
}
