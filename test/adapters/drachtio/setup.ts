import type {ExecutionContext} from 'ava';
import {connectServer, type SipServer} from '../../../lib/adapters/drachtio/connection.ts';
import {createSip, type DrachtioSip} from '../../../lib/adapters/drachtio/sip.ts';
import {systemClock} from '../../../lib/ports/clock.ts';
import {silentLog} from '../../../lib/ports/log.ts';
import type {IncomingInvite, IncomingRequest, SipHandlers} from '../../../lib/ports/sip.ts';
import {rawSip, type RawSip, type RawSipOptions} from '../../support/raw-sip.ts';
import {sipServer, type SipServerForTest} from '../../support/sip-server.ts';

/** The adapter on a server, and what came in through it. */
export interface Bench {
  readonly server: SipServerForTest;
  readonly connection: SipServer;
  readonly sip: DrachtioSip;
  /** What the procedures do; each test sets its own. */
  handlers: SipHandlers;
  peer(options?: Partial<RawSipOptions>): Promise<RawSip>;
  close(): Promise<void>;
}

/** Connects the adapter, alone (`proxy`), and waits until requests arrive. */
export async function bench(): Promise<Bench> {
  const server = await sipServer();
  const surroundings = {clock: systemClock, log: silentLog};
  const connection = connectServer(server.admin, surroundings);
  const sip = createSip({servers: [connection], homeDomain: 'home.net', byeAnswerMilliseconds: 1500, ...surroundings});
  const peers: RawSip[] = [];
  const result: Bench = {
    server,
    connection,
    sip,
    handlers: passEverything,
    async peer(options = {}) {
      const peer = await rawSip({server: server.sip, ...options});
      peers.push(peer);
      return peer;
    },
    async close() {
      for (const peer of peers) await peer.close();
      sip.close();
      await server.stop();
    },
  };
  await sip.attach(
    {invite: (invite) => result.handlers.invite(invite), request: (request) => result.handlers.request(request)},
    {fallback: 'proxy'},
  );
  await connected(connection);
  return result;
}

export const passEverything: SipHandlers = {
  invite: () => Promise.resolve('pass'),
  request: () => Promise.resolve('pass'),
};

/** Resolves once the routes are acknowledged. */
export function connected(connection: SipServer): Promise<void> {
  return new Promise((resolve) => {
    connection.whenConnected(resolve);
  });
}

/** Resolves with the next INVITE; the procedures leave it to the test. */
export function nextInvite(bench: Bench): Promise<IncomingInvite> {
  return new Promise((resolve) => {
    bench.handlers = {
      ...bench.handlers,
      invite(invite) {
        resolve(invite);
        return Promise.resolve('handled');
      },
    };
  });
}

/** Resolves with the next request outside a dialog; the procedures leave it to the test. */
export function nextRequest(bench: Bench): Promise<IncomingRequest> {
  return new Promise((resolve) => {
    bench.handlers = {
      ...bench.handlers,
      request(request) {
        resolve(request);
        return Promise.resolve('handled');
      },
    };
  });
}

/** Runs with a bench of the test's own. */
export function withBench(run: (t: ExecutionContext, bench: Bench) => Promise<void>) {
  return async (t: ExecutionContext): Promise<void> => {
    const own = await bench();
    try {
      await run(t, own);
    } finally {
      await own.close();
    }
  };
}

export const offer =
  'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=message 7654 TCP/MSRP *\r\na=path:msrp://127.0.0.1:7654/s111;tcp\r\n';
export const answer =
  'v=0\r\no=- 9 9 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=message 7655 TCP/MSRP *\r\na=path:msrp://127.0.0.1:7655/s222;tcp\r\n';
