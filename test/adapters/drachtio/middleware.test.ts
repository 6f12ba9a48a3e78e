import {randomUUID} from 'node:crypto';
import {once, type EventEmitter} from 'node:events';
import Srf from 'drachtio-srf';
import test, {type ExecutionContext} from 'ava';
import {useServer} from '../../../lib/adapters/drachtio/connection.ts';
import {createSip, type DrachtioSip} from '../../../lib/adapters/drachtio/sip.ts';
import {systemClock} from '../../../lib/ports/clock.ts';
import {silentLog} from '../../../lib/ports/log.ts';
import {rawSip, type RawSip} from '../../support/raw-sip.ts';
import {sipServer} from '../../support/sip-server.ts';
import {answer, connected, nextInvite, nextRequest, offer, withBench} from './setup.ts';

/** In Call-IDs: a server takes what it has seen within the last minute for a retransmission. */
const run = randomUUID();

/** What a drachtio application usually touches. */
interface Application extends EventEmitter {
  connect(options: object): void;
  disconnect(): void;
  use(handler: (req: Req, res: Res, next: () => void) => void): void;
  options(handler: (req: Req, res: Res) => void): void;
  invite(handler: (req: Req, res: Res, next: () => void) => void): void;
  message(handler: (req: Req, res: Res) => void): void;
  createUAS(req: Req, res: Res, options: object, done: (error: unknown, dialog?: EventEmitter) => void): void;
}
interface Req {
  readonly method: string;
  get(name: string): string;
}
interface Res {
  send(status: number, options?: object): void;
}

interface AppBench {
  readonly app: Application;
  readonly sip: DrachtioSip;
  readonly alice: RawSip;
  readonly seen: string[];
}

let requests = 0;

/** An application with handlers of its own before and after the PF's; the PF serves what is for `chat@`. */
function withApplication(when: 'before' | 'after', run: (t: ExecutionContext, bench: AppBench) => Promise<void>) {
  return async (t: ExecutionContext): Promise<void> => {
    const server = await sipServer();
    const app = new Srf() as unknown as Application;
    const seen: string[] = [];
    const {host, port, secret} = server.admin;
    if (when === 'after') app.connect({host, port, secret});
    app.use((req, _res, next) => {
      seen.push(`before ${req.method}`);
      next();
    });
    const surroundings = {clock: systemClock, log: silentLog};
    const connection = useServer(app, 'the application', surroundings);
    const sip = createSip({servers: [connection], homeDomain: 'home.net', ...surroundings});
    await sip.attach(
      {
        async invite(invite) {
          if (!invite.uri.startsWith('sip:chat@')) return 'pass';
          await invite.respond(486);
          return 'handled';
        },
        async request(request) {
          if (!request.uri.startsWith('sip:chat@')) return 'pass';
          await request.respond(202);
          return 'handled';
        },
      },
      {fallback: 'next'},
    );
    app.invite((req, res) => {
      seen.push(`after ${req.method}`);
      app.createUAS(req, res, {localSdp: answer}, (_error, dialog) => {
        dialog?.on('destroy', () => app.emit('its BYE'));
      });
    });
    app.message((req, res) => {
      seen.push(`after ${req.method}`);
      res.send(403);
    });
    app.options((req, res) => {
      seen.push(`after ${req.method}`);
      res.send(200);
    });
    if (when === 'before') app.connect({host, port, secret});
    await connected(connection);
    const alice = await rawSip({server: server.sip});
    try {
      await run(t, {app, sip, alice, seen});
    } finally {
      await alice.close();
      const closed = once(app, 'close');
      app.disconnect();
      await closed;
      await server.stop();
    }
  };
}

function request(alice: RawSip, method: string, user: string, body = ''): string {
  requests += 1;
  const callId = `app-${run}-${requests}`;
  alice.send(
    `${method} sip:${user}@home.net SIP/2.0
    Via: SIP/2.0/UDP ${alice.address};branch=z9hG4bK${callId};rport
    From: <sip:alice@home.net>;tag=a1
    To: <sip:${user}@home.net>
    Call-ID: ${callId}
    CSeq: 1 ${method}
    Max-Forwards: 70
    Contact: <sip:alice@${alice.address}>
    Content-Type: ${method === 'INVITE' ? 'application/sdp' : 'text/plain'}`,
    body,
  );
  return callId;
}

for (const when of ['before', 'after'] as const) {
  test.serial(
    `8.3.1: an application keeps its handlers before and after the PF's, which was attached ${when} it connected`,
    withApplication(when, async (t, {sip, alice, seen}) => {
      request(alice, 'MESSAGE', 'chat', 'for the PF');
      await alice.next('SIP/2.0 202');
      request(alice, 'MESSAGE', 'voice', 'for the application');
      await alice.next('SIP/2.0 403');
      request(alice, 'OPTIONS', 'chat');
      await alice.next('SIP/2.0 200');
      request(alice, 'INVITE', 'chat', offer);
      await alice.next('SIP/2.0 486');
      t.deepEqual(seen, [
        'before MESSAGE',
        'before MESSAGE',
        'after MESSAGE',
        'before OPTIONS',
        'after OPTIONS',
        'before INVITE',
      ]);
      t.true(sip.connected);
    }),
  );
}

test.serial(
  '8.3.1: a call of the application goes its whole way through the application',
  withApplication('after', async (t, {app, alice, seen}) => {
    const ended = once(app, 'its BYE');
    const callId = request(alice, 'INVITE', 'voice', offer);
    const ok = await alice.next('SIP/2.0 200');
    t.is(ok.body.toString(), answer);
    const lines = (method: string, cseq: number): string =>
      `${method} ${/<(.*?)>/.exec(ok.header('Contact'))?.[1] ?? ''} SIP/2.0
      Via: SIP/2.0/UDP ${alice.address};branch=z9hG4bK${callId}${method};rport
      From: <sip:alice@home.net>;tag=a1
      To: ${ok.header('To')}
      Call-ID: ${callId}
      CSeq: ${cseq} ${method}
      Max-Forwards: 70`;
    alice.send(lines('ACK', 1));
    alice.send(lines('BYE', 2));
    t.is((await alice.next('SIP/2.0 200')).header('CSeq'), '2 BYE');
    await ended;
    t.deepEqual(seen, ['before INVITE', 'after INVITE']);
  }),
);

test.serial(
  'RFC 3261 §16.6: alone, what the PF passes goes on along its Route: our own taken off, the rest as it was, INVITEs record-routed',
  withBench(async (t, bench) => {
    const alice = await bench.peer();
    const scscf = await bench.peer();
    const lines = (method: string): string =>
      `${method} tel:+15551234 SIP/2.0
      Via: SIP/2.0/UDP ${alice.address};branch=z9hG4bKroute${method};rport
      From: <sip:alice@home.net>;tag=a1
      To: <tel:+15551234>
      Call-ID: route-${method}-${run}
      CSeq: 1 ${method}
      Max-Forwards: 70
      Route: <sip:${bench.server.sip};lr;term>, <sip:${scscf.address};lr;odi=77>
      P-Served-User: <sip:bob@home.net>;sescase=term;regstate=reg
      Contact: <sip:alice@${alice.address}>
      Content-Type: application/sdp`;
    alice.send(lines('INVITE'), offer);
    const invite = await scscf.next('INVITE');
    t.is(invite.startLine, 'INVITE tel:+15551234 SIP/2.0');
    t.deepEqual(invite.headers('Route'), [`<sip:${scscf.address};lr;odi=77>`]);
    t.is(invite.header('P-Served-User'), '<sip:bob@home.net>;sescase=term;regstate=reg');
    t.is(invite.header('Max-Forwards'), '69');
    t.regex(invite.header('Record-Route'), new RegExp(`^<sip:${bench.server.sip};lr`));
    t.is(invite.body.toString(), offer);
    scscf.answer(invite, '480 Temporarily Unavailable');
    await alice.next('SIP/2.0 480');

    alice.send(lines('MESSAGE'), offer);
    const message = await scscf.next('MESSAGE');
    t.is(message.header('Record-Route'), '');
    scscf.answer(message, '202 Accepted');
    await alice.next('SIP/2.0 202');
  }),
);

test.serial(
  'RFC 3261 §16.3: alone, what has nowhere to go is refused: 416 for a tel: without Route, 404 for what names the PF itself',
  withBench(async (t, bench) => {
    const alice = await bench.peer();
    const send = (uri: string, cseq: number): void => {
      alice.send(
        `MESSAGE ${uri} SIP/2.0
        Via: SIP/2.0/UDP ${alice.address};branch=z9hG4bKnowhere${cseq};rport
        From: <sip:alice@home.net>;tag=a1
        To: <tel:+15551234>
        Call-ID: nowhere-${run}
        CSeq: ${cseq} MESSAGE
        Max-Forwards: 70
        Route: <sip:${bench.server.sip};lr>`,
      );
    };
    send('tel:+15551234', 1);
    await alice.next('SIP/2.0 416');
    send(`sip:pf@${bench.server.sip}`, 2);
    await alice.next('SIP/2.0 404');
    t.true(bench.sip.isOwn(`sip:pf@${bench.server.sip};lr`));
    t.false(bench.sip.isOwn('sip:pf@home.net'));
  }),
);

test.serial(
  'RFC 3261 §11.2: OPTIONS, REGISTER and any other method come to the procedures',
  withBench(async (t, bench) => {
    const alice = await bench.peer();
    for (const [index, method] of ['OPTIONS', 'REGISTER', 'PUBLISH', 'SUBSCRIBE', 'INFO'].entries()) {
      const coming = nextRequest(bench);
      alice.send(
        `${method} sip:${bench.server.sip} SIP/2.0
        Via: SIP/2.0/UDP ${alice.address};branch=z9hG4bKany${method};rport
        From: <sip:scscf@home.net>;tag=a1
        To: <sip:bob@home.net>
        Call-ID: any-${method}-${run}
        CSeq: ${index + 1} ${method}
        Max-Forwards: 70
        Contact: <sip:${alice.address}>
        Event: presence
        Expires: 600`,
      );
      const request = await coming;
      t.is(request.method, method);
      t.is(request.header('Expires'), '600');
      t.deepEqual(request.source, {address: '127.0.0.1', port: Number(alice.address.split(':')[1]), protocol: 'udp'});
      await request.respond(method === 'REGISTER' ? 200 : 403, {headers: {Contact: `<sip:${bench.server.sip}>`}});
      t.is((await alice.next('SIP/2.0')).header('CSeq'), `${index + 1} ${method}`);
    }
  }),
);

test.serial(
  'RFC 3261 §21.5.1: a procedure that fails is a 500, and the next request is served',
  withBench(async (t, bench) => {
    const alice = await bench.peer();
    bench.handlers = {...bench.handlers, invite: () => Promise.reject(new Error('our mistake'))};
    const send = (cseq: number): void => {
      alice.send(
        `INVITE sip:bob@home.net SIP/2.0
        Via: SIP/2.0/UDP ${alice.address};branch=z9hG4bKfails${cseq};rport
        From: <sip:alice@home.net>;tag=a1
        To: <sip:bob@home.net>
        Call-ID: fails-${run}-${cseq}
        CSeq: ${cseq} INVITE
        Max-Forwards: 70
        Contact: <sip:alice@${alice.address}>`,
      );
    };
    send(1);
    await alice.next('SIP/2.0 500');
    const coming = nextInvite(bench);
    send(2);
    await (await coming).respond(486);
    await alice.next('SIP/2.0 486');
    t.pass();
  }),
);
