/** Requests outside of calls: MESSAGE, OPTIONS, REGISTER, PUBLISH, their timeouts, and the proxy. */
import type {Scenario} from '../runner.ts';
import {isSdp, sdp} from './calls.ts';

const plain = {'Content-Type': 'text/plain'};

export const messageScenarios: readonly Scenario[] = [
  {
    name: 'message-in',
    title: 'RFC 3428 §7: a MESSAGE is handed on and answered; repeated, it gets the same answer',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      const message = alice.request('MESSAGE', {headers: plain, body: 'hello'});
      const handed = await app.sip('MESSAGE');
      await app.respond(handed, '202 Accepted', ['X-Note: one', 'P-Asserted-Identity: <sip:me@localhost>']);
      const accepted = await alice.next('SIP/2.0 202');
      alice.repeat(message);
      await alice.again(accepted);
      await app.respond(handed, '200 OK');
    },
  },
  {
    name: 'message-in-repeated-before-answer',
    title: 'RFC 3261 §17.2.2: a MESSAGE that is repeated before it has its answer is handed on once',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      const message = alice.request('MESSAGE', {headers: plain, body: 'hello'});
      const handed = await app.sip('MESSAGE');
      alice.repeat(message);
      alice.repeat(message);
      await app.respond(handed, '200 OK');
      await alice.next('SIP/2.0 200');
    },
  },
  {
    name: 'message-in-tcp',
    title: 'RFC 3261 §18.3: two messages in one segment over TCP are two requests',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice', 'tcp');
      alice.request('OPTIONS');
      await app.respond(await app.sip('OPTIONS'), '200 OK');
      await alice.next('SIP/2.0 200');
      const raw = (number: number): string =>
        [
          'MESSAGE sip:x@127.0.0.1 SIP/2.0',
          `Via: SIP/2.0/TCP ${alice.address};branch=z9hG4bK-s-raw-${number}-00000000`,
          'From: <sip:alice@127.0.0.1>;tag=t-alice',
          'To: <sip:x@127.0.0.1>',
          `Call-ID: call-raw-${number}-00000000`,
          'CSeq: 1 MESSAGE',
          'Content-Type: text/plain',
          'Content-Length: 3',
          '',
          'abc',
        ].join('\r\n');
      alice.write(`${raw(1)}${raw(2)}`);
      for (let count = 0; count < 2; count++) {
        await app.respond(await app.sip('MESSAGE'), '200 OK');
        await alice.next('SIP/2.0 200');
      }
    },
  },
  {
    name: 'message-out',
    title: 'RFC 3428 §4: a MESSAGE of the application, its answer, and no 100 of anybody',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      await app.send(
        `MESSAGE ${bob.contact.slice(1, -1)}`,
        ['Content-Type: text/plain', 'From: <sip:me@localhost>'],
        'hello',
      );
      const message = await bob.next('MESSAGE');
      bob.answer(message, '100 Trying');
      bob.answer(message, '202 Accepted', ['X-Note: 1', 'x-other: 2']);
      await app.sip('SIP/2.0 202');
    },
  },
  {
    name: 'message-out-repeated',
    title: 'RFC 3261 §17.1.2: a MESSAGE over UDP is repeated until it is answered',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      await app.send(`MESSAGE ${bob.contact.slice(1, -1)}`, ['Content-Type: text/plain'], 'hello');
      const message = await bob.next('MESSAGE');
      await bob.again(message);
      bob.answer(message, '200 OK');
      await app.sip('SIP/2.0 200');
    },
  },
  {
    name: 'message-out-timeout',
    title: 'RFC 3261 §17.1.2: a MESSAGE that nobody answers: the application is told 408',
    slow: true,
    async play({app: connect, peer, server}) {
      const app = await connect();
      const bob = await peer('bob');
      await app.send(`MESSAGE ${bob.contact.slice(1, -1)}`, ['Content-Type: text/plain'], 'hello');
      await bob.next('MESSAGE');
      await server.pass(33);
      await app.sip('SIP/2.0 408');
    },
  },
  {
    name: 'message-out-late-answer',
    title: 'RFC 3261 §17.1.2: an answer that comes twice is heard once',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      await app.send(`MESSAGE ${bob.contact.slice(1, -1)}`, ['Content-Type: text/plain'], 'hello');
      const message = await bob.next('MESSAGE');
      bob.answer(message, '200 OK');
      await app.sip('SIP/2.0 200');
      bob.answer(message, '200 OK');
      bob.answer(message, '500 Internal Server Error');
      await app.ask(['ping']);
    },
  },
  {
    name: 'options-in',
    title: 'RFC 3261 §11: OPTIONS is handed on and answered',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      alice.request('OPTIONS', {headers: {Accept: 'application/sdp'}});
      await app.respond(
        await app.sip('OPTIONS'),
        '200 OK',
        ['Allow: INVITE, ACK', 'Contact: <sip:me@localhost>;+sip.x'],
        sdp,
      );
      await alice.next('SIP/2.0 200');
    },
  },
  {
    name: 'register-multipart',
    title: 'drachtio: a third-party REGISTER with a multipart body passes as it is',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      const body = [
        '--b1',
        'Content-Type: message/sip',
        '',
        'REGISTER sip:home.example SIP/2.0',
        'Contact: <sip:ue@10.0.0.1>',
        '',
        '--b1',
        'Content-Type: message/sip',
        '',
        'SIP/2.0 200 OK',
        'Service-Route: <sip:scscf.home.example;lr>',
        '',
        '--b1--',
        '',
      ].join('\r\n');
      const headers = {
        'Content-Type': 'multipart/mixed;boundary=b1',
        Expires: '600',
        Path: '<sip:pcscf;lr>',
        'P-Access-Network-Info': 'IEEE-802.11',
      };
      alice.request('REGISTER', {headers, body});
      await app.respond(await app.sip('REGISTER'), '200 OK', ['Contact: *', 'Service-Route: <sip:a;lr>']);
      await alice.next('SIP/2.0 200');
    },
  },
  {
    name: 'publish-in',
    title: 'RFC 3903: PUBLISH is handed on; SIP-ETag goes back',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      alice.request('PUBLISH', {headers: {Event: 'presence', Expires: '60', 'SIP-If-Match': 'abc'}});
      await app.respond(await app.sip('PUBLISH'), '200 OK', ['SIP-ETag: def', 'Expires: 60']);
      await alice.next('SIP/2.0 200');
    },
  },
  {
    name: 'proxy-invite',
    title: 'RFC 3261 §16: an application proxies a call, and what follows by Record-Route passes without it',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      const bob = await peer('bob');
      const invite = alice.request('INVITE', {headers: {...isSdp, Route: ''}, body: sdp});
      const {transactionId} = await app.sip('INVITE');
      const id = app.command(
        ['proxy', transactionId, 'remainInDialog', 'fullResponse', '', 'serial', '', '', `sip:bob@${bob.address}`],
        'INVITE sip:x SIP/2.0\r\nX-Added: 1\r\n\r\n',
      );
      const proxied = await bob.next('INVITE');
      bob.answer(proxied, '180 Ringing', [`Contact: ${bob.contact}`]);
      await alice.next('SIP/2.0 180');
      bob.answer(proxied, '200 OK', [`Contact: ${bob.contact}`, 'Content-Type: application/sdp'], sdp);
      const ok = await alice.next('SIP/2.0 200');
      await app.reply(id);
      const route = {Route: ok.headers('Record-Route').join(', ')};
      const dialog = alice.dialogOf(invite, ok);
      alice.within(dialog, 'ACK', route);
      await bob.next('ACK');
      alice.within(dialog, 'BYE', route);
      bob.answer(await bob.next('BYE'), '200 OK');
      await alice.next('SIP/2.0 200');
    },
  },
  {
    name: 'proxy-failover',
    title: 'RFC 3261 §16.7: destinations are tried in turn; the application hears each final response',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      const bob = await peer('bob');
      const carol = await peer('carol');
      const invite = alice.request('INVITE', {headers: isSdp, body: sdp});
      const {transactionId} = await app.sip('INVITE');
      const id = app.command(
        [
          'proxy',
          transactionId,
          '',
          'fullResponse',
          '',
          'serial',
          '',
          '',
          `sip:bob@${bob.address}`,
          `sip:carol@${carol.address}`,
        ],
        'INVITE sip:x SIP/2.0\r\n\r\n',
      );
      bob.answer(await bob.next('INVITE'), '486 Busy Here');
      await bob.next('ACK');
      carol.answer(await carol.next('INVITE'), '480 Temporarily Unavailable');
      await carol.next('ACK');
      const failure = await alice.next('SIP/2.0 48');
      alice.same(invite, 'ACK', failure.header('To'));
      await app.reply(id);
      await app.reply(id);
      await app.reply(id);
    },
  },
  {
    name: 'proxy-parallel',
    title: 'RFC 3261 §16.7: all destinations ring at once; the others are cancelled when one accepts',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      const bob = await peer('bob');
      const carol = await peer('carol');
      alice.request('INVITE', {headers: isSdp, body: sdp});
      const {transactionId} = await app.sip('INVITE');
      app.command(
        [
          'proxy',
          transactionId,
          '',
          'fullResponse',
          '',
          'simultaneous',
          '',
          '',
          `sip:bob@${bob.address}`,
          `sip:carol@${carol.address}`,
        ],
        'INVITE sip:x SIP/2.0\r\n\r\n',
      );
      const [atBob, atCarol] = [await bob.next('INVITE'), await carol.next('INVITE')];
      carol.answer(atCarol, '180 Ringing');
      await alice.next('SIP/2.0 180');
      bob.answer(atBob, '200 OK', [`Contact: ${bob.contact}`]);
      await alice.next('SIP/2.0 200');
      carol.answer(await carol.next('CANCEL'), '200 OK');
      carol.answer(atCarol, '487 Request Terminated');
      await carol.next('ACK');
    },
  },
  {
    name: 'proxy-message',
    title: 'RFC 3261 §16: a MESSAGE is proxied along its Route, less our own, its Request-URI as it was',
    async play({app: connect, peer, server}) {
      const app = await connect();
      const alice = await peer('alice');
      const bob = await peer('bob');
      const route = {
        Route: `<sip:${server.sip};lr>, <sip:${bob.address};lr;odi=77>`,
        'P-Served-User': '<sip:u@home>;sescase=term',
      };
      alice.request('MESSAGE', {uri: 'tel:+15550100', headers: {...plain, ...route}, body: 'hello'});
      const {transactionId} = await app.sip('MESSAGE');
      const id = app.command(
        ['proxy', transactionId, 'remainInDialog', 'fullResponse', '', 'serial', '', '', `sip:${bob.address}`],
        'MESSAGE sip:x SIP/2.0\r\n\r\n',
      );
      bob.answer(await bob.next('MESSAGE'), '202 Accepted');
      await alice.next('SIP/2.0 202');
      await app.reply(id);
    },
  },
];
