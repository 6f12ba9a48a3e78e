import {randomUUID} from 'node:crypto';
import type {ExecutionContext} from 'ava';
import {connectServer, type SipServer} from '../../../lib/adapters/drachtio/connection.ts';
import {createSip, type DrachtioSip} from '../../../lib/adapters/drachtio/sip.ts';
import {systemClock} from '../../../lib/ports/clock.ts';
import {silentLog} from '../../../lib/ports/log.ts';
import type {IncomingInvite, IncomingRequest, SipDialog, SipHandlers} from '../../../lib/ports/sip.ts';
import {rawSip, type RawMessage, type RawSip, type RawSipOptions} from '../../support/raw-sip.ts';
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
      await sip.close();
      await server.stop();
    },
  };
  await sip.attach(
    {invite: (invite) => result.handlers.invite(invite), request: (request) => result.handlers.request(request)},
    {fallback: 'proxy'},
  );
  await connected(connection).catch(async (error: unknown) => {
    await result.close();
    throw error;
  });
  return result;
}

export const passEverything: SipHandlers = {
  invite: () => Promise.resolve('pass'),
  request: () => Promise.resolve('pass'),
};

/** Resolves once the routes are acknowledged. */
export function connected(connection: SipServer): Promise<void> {
  return soon((resolve) => {
    connection.whenConnected(() => {
      resolve();
    });
  });
}

/** What does not come within ten seconds does not come. */
export function soon<T>(run: (resolve: (value: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error('what the test waits for has not come'));
    }, 10_000);
    run((value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}

/** Resolves with the next INVITE; the procedures leave it to the test. */
export function nextInvite(bench: Bench): Promise<IncomingInvite> {
  return soon((resolve) => {
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
  return soon((resolve) => {
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

/** A session that a peer began: our dialog, and what the peer needs to go on. */
export interface Call {
  readonly dialog: SipDialog;
  readonly peer: RawSip;
  /** Sends a request of the peer inside the dialog. */
  readonly send: (method: string, headerLines?: readonly string[], body?: string) => void;
}

/** alice calls, we accept. */
export async function calledBy(
  bench: Bench,
  alice: RawSip,
  headerLines: readonly string[] = [],
): Promise<Call & {ok: RawMessage}> {
  // A server takes what it has seen within the last minute for a retransmission.
  const id = `called-${randomUUID()}`;
  const coming = nextInvite(bench);
  let cseq = 1;
  let to = '<sip:bob@home.net>';
  const send = (method: string, lines: readonly string[] = [], body = ''): void => {
    const uri = method === 'INVITE' && cseq === 1 ? 'sip:bob@home.net' : `sip:${bench.server.sip}`;
    const fixed = [
      `${method} ${uri} SIP/2.0`,
      `Via: SIP/2.0/UDP ${alice.address};branch=z9hG4bK${id}${method}${cseq};rport`,
      'From: <sip:alice@home.net>;tag=a1',
      `To: ${to}`,
      `Call-ID: ${id}`,
      `CSeq: ${method === 'ACK' ? cseq - 1 : cseq} ${method}`,
      'Max-Forwards: 70',
      `Contact: <sip:alice@${alice.address}>`,
    ];
    if (method !== 'ACK') cseq += 1;
    alice.send([...fixed, ...lines].join('\n'), body);
  };
  send('INVITE', ['Content-Type: application/sdp', ...headerLines], offer);
  const invite = await coming;
  const accepting = invite.accept({headers: {'Content-Type': 'application/sdp'}, body: answer});
  const ok = await alice.next('SIP/2.0 200');
  to = ok.header('To');
  send('ACK');
  return {dialog: await accepting, peer: alice, send, ok};
}

/** We call bob, he accepts. */
export async function callTo(
  bench: Bench,
  bob: RawSip,
  headerLines: readonly string[] = [],
): Promise<Call & {invite: RawMessage}> {
  const out = bench.sip.invite({
    uri: `sip:bob@${bob.address}`,
    headers: {'Content-Type': 'application/sdp'},
    body: offer,
  });
  const invite = await bob.next('INVITE');
  const contact = `Contact: <sip:bob@${bob.address}>`;
  bob.answer(invite, '200 OK', [contact, 'Content-Type: application/sdp', ...headerLines], answer);
  await bob.next('ACK');
  const outcome = await out.outcome;
  if (outcome.kind !== 'accepted') throw new Error(`not accepted: ${JSON.stringify(outcome)}`);
  let cseq = 0;
  const send = (method: string, lines: readonly string[] = [], body = ''): void => {
    if (method !== 'ACK') cseq += 1;
    bob.send(
      [
        `${method} sip:${bench.server.sip} SIP/2.0`,
        `Via: SIP/2.0/UDP ${bob.address};branch=z9hG4bK${invite.header('Call-ID')}${method}${cseq};rport`,
        `From: ${invite.header('To')};tag=${bob.tag}`,
        `To: ${invite.header('From')}`,
        `Call-ID: ${invite.header('Call-ID')}`,
        `CSeq: ${cseq} ${method}`,
        'Max-Forwards: 70',
        contact,
        ...lines,
      ].join('\n'),
      body,
    );
  };
  return {dialog: outcome.dialog, peer: bob, send, invite};
}
