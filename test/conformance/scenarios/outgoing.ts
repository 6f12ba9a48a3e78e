/** Calls that applications place. */
import type {Scenario} from '../runner.ts';
import {appEnds, isSdp, peerEnds, placed, ring, sdp} from './calls.ts';

export const outgoingScenarios: readonly Scenario[] = [
  {
    name: 'uac-bye-from-app',
    title: 'RFC 3261 §13.2: a call is placed, rings, is answered, and ended by the application',
    async play(stage) {
      const {app, bob, dialogId} = await placed(stage);
      await appEnds(app, bob, dialogId);
    },
  },
  {
    name: 'uac-bye-from-peer',
    title: 'RFC 3261 §15: a call that was placed is ended by the peer',
    async play(stage) {
      const {app, bob, dialog} = await placed(stage);
      await peerEnds(app, bob, dialog);
    },
  },
  {
    name: 'uac-tcp',
    title: 'RFC 3261 §18.1.1: a call is placed over TCP where the URI says so',
    async play(stage) {
      const {app, bob, dialogId} = await placed(stage, {transport: 'tcp'});
      await appEnds(app, bob, dialogId);
    },
  },
  {
    name: 'uac-tcp-unreachable',
    title: 'drachtio: nobody listens at a TCP address: the application is told 503',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      await app.send(`OPTIONS sip:bob@${bob.address};transport=tcp`);
      await app.sip('SIP/2.0 503');
    },
  },
  {
    name: 'uac-headers',
    title: 'drachtio: which headers of the application leave, and which the server writes itself',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      const uri = bob.contact.slice(1, -1);
      await app.send(
        `INVITE ${uri}`,
        [
          'Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK-s-mine',
          'Route: <sip:192.0.2.1;lr>',
          'Record-Route: <sip:192.0.2.2;lr>',
          'Max-Forwards: 10',
          'From: "Zoë" <sip:me@localhost>;tag=t-mine',
          'To: <sip:bob@example.org>',
          'Call-ID: call-mine-1-00000000',
          'CSeq: 7 INVITE',
          'Contact: <sip:me@localhost>;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"',
          'P-Asserted-Identity: <sip:me@127.0.0.1>, <tel:+15550100>',
          'conversation-id: abc',
          'X-Unknown: 1',
          'x-unknown: 2',
          'Accept-Contact: *;+g.oma.sip-im',
          'Accept-Contact: *;language="en"',
          'Subject: one',
          'user-agent: x/1',
          'P-Charging-Vector: icid-value=1',
        ],
        sdp,
      );
      const invite = await bob.next('INVITE');
      bob.answer(invite, '486 Busy Here');
      await app.sip('SIP/2.0 486');
      await bob.next('ACK');
    },
  },
  {
    name: 'uac-contact-of-server',
    title: 'drachtio: a Contact with the address of the server, but another port',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      await app.send(`SUBSCRIBE ${bob.contact.slice(1, -1)}`, [
        'Event: reg',
        'Contact: <sip:me@127.0.0.1:7;gr=1>;+sip.x',
      ]);
      bob.answer(await bob.next('SUBSCRIBE'), '403 Forbidden');
      await app.sip('SIP/2.0 403');
    },
  },
  {
    name: 'uac-invalid-header',
    title: 'drachtio: a header that is not what its name says is dropped, and with it whatever comes after it',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      const lines = ['Subject: one', 'Session-Expires: abc', 'Supported: timer', 'X-After: 1', 'User-Agent: x/1'];
      await app.send(`OPTIONS ${bob.contact.slice(1, -1)}`, lines);
      bob.answer(await bob.next('OPTIONS'), '200 OK');
      await app.sip('SIP/2.0 200');
    },
  },
  {
    name: 'uac-reject',
    title: 'RFC 3261 §17.1.1.3: a refusal is acknowledged by the server; an ACK of the application is NOK',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      const {invite, ringing} = await ring(app, bob);
      bob.answer(invite, '480 Temporarily Unavailable', ['Retry-After: 5', 'Warning: 399 bob "away"']);
      await app.sip('SIP/2.0 480');
      await bob.next('ACK');
      await app.send('ACK sip:placeholder', [], '', {dialogId: ringing.dialogId});
    },
  },
  {
    name: 'uac-redirected',
    title: 'RFC 3261 §13.2.2.2: a redirection is handed on; where to go next is for the application',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      await app.send(`INVITE ${bob.contact.slice(1, -1)}`, [], sdp);
      bob.answer(await bob.next('INVITE'), '302 Moved Temporarily', [
        'Contact: <sip:other@127.0.0.1>, <sip:third@127.0.0.1>;q=0.5',
      ]);
      await app.sip('SIP/2.0 302');
      await bob.next('ACK');
    },
  },
  {
    name: 'uac-challenged',
    title: 'RFC 3261 §22: a challenge is handed on, and the second try may keep Call-ID and count on',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      const uri = bob.contact.slice(1, -1);
      const identity = ['From: <sip:me@127.0.0.1>;tag=t-me', 'Call-ID: call-mine-1-00000000'];
      await app.send(`MESSAGE ${uri}`, [...identity, 'CSeq: 1 MESSAGE', 'Content-Type: text/plain'], 'hi');
      bob.answer(await bob.next('MESSAGE'), '407 Proxy Authentication Required', [
        'Proxy-Authenticate: Digest realm="r", nonce="n", algorithm=MD5, qop="auth"',
      ]);
      await app.sip('SIP/2.0 407');
      await app.send(
        `MESSAGE ${uri}`,
        [
          ...identity,
          'CSeq: 2 MESSAGE',
          'Content-Type: text/plain',
          'Proxy-Authorization: Digest username="u", realm="r", nonce="n", uri="sip:x", response="0"',
        ],
        'hi',
      );
      bob.answer(await bob.next('MESSAGE'), '200 OK');
      await app.sip('SIP/2.0 200');
    },
  },
  {
    name: 'uac-cancelled',
    title: 'RFC 3261 §9.1: a CANCEL after a provisional response leaves at once; the 487 is handed on',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      const {invite, transactionId} = await ring(app, bob);
      await app.send('CANCEL sip:bob@127.0.0.1', ['Reason: SIP;cause=200;text="Call completed elsewhere"'], '', {
        transactionId,
      });
      bob.answer(await bob.next('CANCEL'), '200 OK');
      bob.answer(invite, '487 Request Terminated');
      await app.sip('SIP/2.0 487');
      await bob.next('ACK');
    },
  },
  {
    name: 'uac-cancelled-early',
    title: 'RFC 3261 §9.1: a CANCEL before any response is held until one comes',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      const {transactionId} = await app.send(`INVITE ${bob.contact.slice(1, -1)}`, [], sdp);
      const invite = await bob.next('INVITE');
      await app.send('CANCEL sip:bob@127.0.0.1', [], '', {transactionId});
      bob.answer(invite, '180 Ringing');
      bob.answer(await bob.next('CANCEL'), '200 OK');
      bob.answer(invite, '487 Request Terminated');
      await app.sip('SIP/2.0 487');
      await bob.next('ACK');
    },
  },
  {
    name: 'uac-cancel-crosses-200',
    title:
      'RFC 3261 §9.1: a CANCEL that crosses the 200: the call is acknowledged by the application and ended by the server',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      const {invite, transactionId} = await ring(app, bob);
      await app.send('CANCEL sip:bob@127.0.0.1', [], '', {transactionId});
      const cancel = await bob.next('CANCEL');
      bob.answer(invite, '200 OK', [`Contact: ${bob.contact}`, 'Content-Type: application/sdp'], sdp);
      bob.answer(cancel, '200 OK');
      const {dialogId} = await app.sip('SIP/2.0 200');
      await app.send('ACK sip:placeholder', [], '', {dialogId});
      await bob.next('ACK');
      bob.answer(await bob.next('BYE'), '200 OK');
      await app.sip('BYE');
    },
  },
  {
    name: 'uac-cancel-too-late',
    title: 'RFC 3261 §9.1: a CANCEL after the final response is NOK',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      const {invite, transactionId} = await ring(app, bob);
      bob.answer(invite, '486 Busy Here');
      await app.sip('SIP/2.0 486');
      await bob.next('ACK');
      await app.send('CANCEL sip:bob@127.0.0.1', [], '', {transactionId});
    },
  },
  {
    name: 'uac-forked',
    title: 'RFC 3261 §13.2.2.4: two forks ring, both accept; the application hears the first one',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      await app.send(`INVITE ${bob.contact.slice(1, -1)}`, [], sdp);
      const invite = await bob.next('INVITE');
      const fork = {
        ...invite,
        header: (name: string) => (name === 'To' ? `${invite.header('To')};tag=t-fork` : invite.header(name)),
      };
      const contact = `Contact: ${bob.contact}`;
      bob.answer(invite, '180 Ringing', [contact]);
      bob.answer(fork, '180 Ringing', [contact]);
      await app.sip('SIP/2.0 180');
      await app.sip('SIP/2.0 180');
      bob.answer(invite, '200 OK', [contact, 'Content-Type: application/sdp'], sdp);
      const {dialogId} = await app.sip('SIP/2.0 200');
      await app.send('ACK sip:placeholder', [], '', {dialogId});
      const ack = await bob.next('ACK');
      bob.answer(fork, '200 OK', [contact, 'Content-Type: application/sdp'], sdp);
      await bob.again(ack);
      await appEnds(app, bob, dialogId);
    },
  },
  {
    name: 'uac-late-ack',
    title: 'RFC 3261 §13.2.2.4: a 200 that is repeated before the application acknowledges, and after',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      const {invite} = await ring(app, bob);
      const accept = (): void => {
        bob.answer(invite, '200 OK', [`Contact: ${bob.contact}`, 'Content-Type: application/sdp'], sdp);
      };
      accept();
      const {dialogId} = await app.sip('SIP/2.0 200');
      accept();
      await app.ask(['ping']);
      await app.send('ACK sip:placeholder', [], '', {dialogId});
      const ack = await bob.next('ACK');
      accept();
      await bob.again(ack);
      await appEnds(app, bob, dialogId);
    },
  },
  {
    name: 'uac-reliable-183',
    title: 'RFC 3262 §4: a reliable 183 makes the dialog; the PRACK of the application goes out in it',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      await app.send(`INVITE ${bob.contact.slice(1, -1)}`, ['Supported: 100rel'], sdp);
      const invite = await bob.next('INVITE');
      const contact = `Contact: ${bob.contact}`;
      bob.answer(
        invite,
        '183 Session Progress',
        [contact, 'Require: 100rel', 'RSeq: 17', 'Content-Type: application/sdp'],
        sdp,
      );
      const progress = await app.sip('SIP/2.0 183');
      const number = invite.header('CSeq').split(' ')[0];
      await app.send('PRACK sip:placeholder', [`RAck: 17 ${number} INVITE`], '', {dialogId: progress.dialogId});
      bob.answer(await bob.next('PRACK'), '200 OK');
      await app.sip('SIP/2.0 200');
      bob.answer(invite, '200 OK', [contact]);
      const {dialogId} = await app.sip('SIP/2.0 200');
      await app.send('ACK sip:placeholder', [], '', {dialogId});
      await bob.next('ACK');
      await appEnds(app, bob, dialogId);
    },
  },
  {
    name: 'uac-route-in-uri',
    title: 'drachtio: Route as a header of the Request-URI leaves as Route, its first value is the next hop',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      const route = encodeURIComponent(`<sip:${bob.address};lr;odi=77>,<sip:far.example;lr>`);
      const lines = ['From: <sip:me@127.0.0.1>', 'To: <sip:bob@home.example>'];
      await app.send(`INVITE sip:bob@home.example;user=phone?Route=${route}&X-Also=1`, lines, sdp);
      const invite = await bob.next('INVITE');
      const routes = [`Record-Route: <sip:${bob.address};lr>`, `Contact: <sip:bob@10.0.0.1>`];
      bob.answer(invite, '200 OK', [...routes, 'Content-Type: application/sdp'], sdp);
      const {dialogId} = await app.sip('SIP/2.0 200');
      await app.send('ACK sip:placeholder', [], '', {dialogId});
      await bob.next('ACK');
      await appEnds(app, bob, dialogId);
      await app.send(`MESSAGE sip:bob@home.example?Route=${route}`, ['From: <sip:me@127.0.0.1>'], '');
    },
  },
  {
    name: 'uac-proxy-option',
    title: 'drachtio: the proxy of a command is the next hop, and nothing of it is seen on the wire',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      const lines = ['From: <sip:me@127.0.0.1>', 'To: <sip:bob@home.example>'];
      await app.send('OPTIONS sip:bob@home.example', lines, '', {proxy: `sip:${bob.address}`});
      bob.answer(await bob.next('OPTIONS'), '200 OK');
      await app.sip('SIP/2.0 200');
    },
  },
  {
    name: 'uac-timeout',
    title: 'RFC 3261 §17.1.1.2: an INVITE that nobody answers: the application is told 408',
    slow: true,
    async play({app: connect, peer, server}) {
      const app = await connect();
      const bob = await peer('bob');
      await app.send(`INVITE ${bob.contact.slice(1, -1)}`, [], sdp);
      await bob.next('INVITE');
      await server.pass(33);
      await app.sip('SIP/2.0 408');
    },
  },
  {
    name: 'uac-record-route',
    title: 'RFC 3261 §12.1.2: the route of a call that was placed is its Record-Route in reverse',
    async play(stage) {
      const app = await stage.app();
      const bob = await stage.peer('bob');
      const {invite} = await ring(app, bob);
      const routes = [`Record-Route: <sip:far.example;lr>`, `Record-Route: <sip:${bob.address};lr>`];
      bob.answer(
        invite,
        '200 OK',
        [...routes, 'Contact: <sip:bob@10.0.0.1:5070>', 'Content-Type: application/sdp'],
        sdp,
      );
      const {dialogId} = await app.sip('SIP/2.0 200');
      await app.send('ACK sip:placeholder', [], '', {dialogId});
      await bob.next('ACK');
      await app.send('INVITE sip:placeholder', [], sdp, {dialogId});
      const again = await bob.next('INVITE');
      bob.answer(again, '200 OK', ['Contact: <sip:bob@10.0.0.2:5070>', 'Content-Type: application/sdp'], sdp);
      await app.sip('SIP/2.0 200');
      await app.send('ACK sip:placeholder', [], '', {dialogId});
      await bob.next('ACK');
      await appEnds(app, bob, dialogId);
    },
  },
  {
    name: 'uac-contact-moved',
    title: 'RFC 3261 §12.2: where the Contact of the 200 names another address than it came from',
    async play(stage) {
      const app = await stage.app();
      const bob = await stage.peer('bob');
      const carol = await stage.peer('carol');
      const {invite} = await ring(app, bob);
      bob.answer(invite, '200 OK', [`Contact: ${carol.contact}`, 'Content-Type: application/sdp'], sdp);
      const {dialogId} = await app.sip('SIP/2.0 200');
      await app.send('ACK sip:placeholder', [], '', {dialogId});
      await carol.next('ACK');
      await app.send('BYE sip:placeholder', [], '', {dialogId});
      carol.answer(await carol.next('BYE'), '200 OK');
      await app.sip('SIP/2.0 200');
    },
  },
  {
    name: 'uac-no-sdp-answer',
    title: 'RFC 3261 §13.2.2.4: an INVITE without a body, whose ACK carries one',
    async play(stage) {
      const app = await stage.app();
      const bob = await stage.peer('bob');
      await app.send(`INVITE ${bob.contact.slice(1, -1)}`);
      const invite = await bob.next('INVITE');
      bob.answer(
        invite,
        '200 OK',
        [`Contact: ${bob.contact}`, ...Object.entries(isSdp).map((pair) => pair.join(': '))],
        sdp,
      );
      const {dialogId} = await app.sip('SIP/2.0 200');
      await app.send('ACK sip:placeholder', [], sdp, {dialogId});
      await bob.next('ACK');
      await appEnds(app, bob, dialogId);
    },
  },
];
