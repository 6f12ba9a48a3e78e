/** The admin side: authentication, routes, and which of several applications is given a request. */
import {setImmediate} from 'node:timers/promises';
import type {Scenario} from '../runner.ts';
import {answered, appEnds, isSdp, sdp} from './calls.ts';

export const adminScenarios: readonly Scenario[] = [
  {
    name: 'connect',
    title:
      'drachtio admin: authentication, routes, ping and tags are answered, a wrong secret and an unknown command end the connection',
    async play(stage) {
      const wrong = await stage.silentApp('wrong');
      await wrong.ask(['authenticate', 'not-the-secret', '']);
      await wrong.closed;
      const app = await stage.silentApp('app');
      await app.authenticate(stage.server.secret, ['invite', 'message'], 'one,two');
      await app.ask(['ping']);
      await app.ask(['remove_route', 'message']);
      await app.ask(['nonsense', 'x']);
      await app.closed;
    },
  },
  {
    name: 'errors',
    title: 'drachtio admin: what cannot be sent is answered NOK with a sentence',
    async play({app: connect, server}) {
      const app = await connect();
      await app.send('INFO sip:placeholder', [], '', {dialogId: 'nope;from-tag=1'});
      await app.send('BYE sip:placeholder', [], '', {dialogId: 'nope;from-tag=1'});
      await app.ask(['sip', '', ''], 'INVITE sip:bob@127.0.0.1:9 SIP/2.0\r\nContent-Length: 4\r\n\r\nxyz1');
      await app.send(`OPTIONS sip:${server.sip}`);
      await app.ask(['sip', '', ''], 'OPTIONS bad uri SIP/2.0\r\n\r\n');
      await app.ask(['sip', 'no-such-transaction', ''], 'SIP/2.0 200 OK\r\n\r\n');
      await app.ask(['sip', '', ''], 'SIP/2.0 200 OK\r\n\r\n');
    },
  },
  {
    name: 'cancel-unknown',
    title: 'drachtio admin: a CANCEL of an unknown transaction is answered NOK',
    async play({app: connect}) {
      const app = await connect();
      await app.send('CANCEL sip:bob@127.0.0.1:9', [], '', {transactionId: 'no-such-transaction'});
    },
  },
  {
    name: 'malformed-frame',
    title: 'drachtio admin: a length that is no number ends the connection, and only that one',
    async play({app: connect}) {
      const app = await connect('app');
      const other = await connect('other');
      app.write('abc#xyz');
      await app.closed;
      await other.ask(['ping']);
    },
  },
  {
    name: 'frames-in-pieces',
    title: 'drachtio admin: a frame may come in pieces, and several may come at once',
    async play({app: connect}) {
      const app = await connect();
      for (const piece of ['1', '2', '#pie', 'ce-1|', 'ping12#piece-2|ping']) {
        app.write(piece);
        await setImmediate();
      }
      await app.reply('piece-1');
      await app.reply('piece-2');
      await app.ask(['ping']);
    },
  },
  {
    name: 'no-app',
    title: 'drachtio: while no application is connected, new requests get 503 and requests of unknown dialogs 481',
    async play({peer}) {
      const alice = await peer('alice');
      const invite = alice.request('INVITE', {headers: isSdp, body: sdp});
      const failure = await alice.next('SIP/2.0 503');
      alice.same(invite, 'ACK', failure.header('To'));
      for (const method of ['MESSAGE', 'OPTIONS', 'REGISTER', 'SUBSCRIBE', 'PUBLISH', 'INFO', 'NOTIFY']) {
        alice.request(method);
        await alice.next('SIP/2.0 503');
      }
      for (const method of ['BYE', 'UPDATE']) {
        alice.request(method, {headers: {To: `<sip:x@127.0.0.1>;tag=t-other`}});
        await alice.next('SIP/2.0 481');
      }
    },
  },
  {
    name: 'no-route',
    title: 'drachtio: a method that no connected application routes gets 503',
    async play({app: connect, peer}) {
      await connect('app', ['invite']);
      const alice = await peer('alice');
      alice.request('MESSAGE');
      await alice.next('SIP/2.0 503');
      alice.request('OPTIONS');
      await alice.next('SIP/2.0 503');
    },
  },
  {
    name: 'unknown-methods',
    title: 'drachtio: a new REFER, or a method nobody knows, is neither answered nor handed on, whatever is routed',
    async play({app: connect, peer}) {
      const app = await connect('app', ['refer', 'dance', 'message']);
      const alice = await peer('alice');
      alice.request('REFER', {headers: {'Refer-To': '<sip:y@127.0.0.1>'}});
      alice.request('DANCE');
      alice.request('MESSAGE');
      await app.respond(await app.sip('MESSAGE'), '200 OK');
      await alice.next('SIP/2.0 200');
    },
  },
  {
    name: 'route-verbs',
    title: 'drachtio: each method goes to the application that routes it; removing one route removes all of them',
    async play({app: connect, peer}) {
      const messages = await connect('messages', ['message', 'info']);
      const options = await connect('options', ['options']);
      const alice = await peer('alice');
      alice.request('MESSAGE');
      await messages.respond(await messages.sip('MESSAGE'), '200 OK');
      await alice.next('SIP/2.0 200');
      alice.request('OPTIONS');
      await options.respond(await options.sip('OPTIONS'), '200 OK');
      await alice.next('SIP/2.0 200');
      await messages.ask(['remove_route', 'info']);
      alice.request('MESSAGE');
      await alice.next('SIP/2.0 503');
    },
  },
  {
    name: 'two-apps',
    title: 'drachtio: requests are shared out in turn; what belongs to a dialog stays with its application',
    async play({app: connect, peer}) {
      const one = await connect('one');
      const two = await connect('two');
      const alice = await peer('alice');
      const invite = alice.request('INVITE', {headers: isSdp, body: sdp});
      await one.respond(await one.sip('INVITE'), '200 OK', [], sdp);
      const dialog = alice.dialogOf(invite, await alice.next('SIP/2.0 200'));
      alice.within(dialog, 'ACK');
      await one.sip('ACK');
      for (const app of [one, two, one]) {
        alice.request('MESSAGE');
        await app.respond(await app.sip('MESSAGE'), '200 OK');
        await alice.next('SIP/2.0 200');
      }
      for (const app of [one, one]) {
        alice.within(dialog, 'INFO');
        await app.respond(await app.sip('INFO'), '200 OK');
        await alice.next('SIP/2.0 200');
      }
      await appEnds(one, alice, `${dialog.callId};from-tag=t-alice`);
    },
  },
  {
    name: 'app-gone-in-mid-call',
    title: "drachtio: an application that is gone leaves its dialog; the peer's BYE gets 481",
    async play(stage) {
      const {app, alice, dialog} = await answered(stage);
      await app.close();
      const next = await stage.app('next');
      await next.ask(['ping']);
      alice.within(dialog, 'BYE');
      await alice.next('SIP/2.0 481');
    },
  },
  {
    name: 'app-gone-info',
    title: 'drachtio: an application that is gone leaves its dialog; an INFO in it gets 481, and the dialog stays',
    async play(stage) {
      const {app, alice, dialog, dialogId} = await answered(stage);
      await app.close();
      const next = await stage.app('next');
      await next.ask(['ping']);
      alice.within(dialog, 'INFO');
      await alice.next('SIP/2.0 481');
      await appEnds(next, alice, dialogId);
    },
  },
  {
    name: 'new-app-ends-old-dialog',
    title: 'drachtio: an application that comes later ends the dialog of one that is gone, by its recorded name',
    async play(stage) {
      const {app, alice, dialogId} = await answered(stage);
      await app.close();
      await appEnds(await stage.app('next'), alice, dialogId);
    },
  },
  {
    name: 'app-gone-before-answer',
    title: 'drachtio: the transaction of an application that is gone is answered by another one',
    async play(stage) {
      const app = await stage.app();
      const alice = await stage.peer('alice');
      alice.request('MESSAGE');
      const handed = await app.sip('MESSAGE');
      await app.close();
      const next = await stage.app('next');
      await next.respond(handed, '202 Accepted');
      await alice.next('SIP/2.0 202');
    },
  },
  {
    name: 'server-restarts',
    title: 'drachtio: a server that starts anew knows no dialog; applications connect again and are served',
    ownServer: true,
    async play(stage) {
      const {app, alice, dialog, dialogId} = await answered(stage);
      await stage.server.stop();
      await app.closed;
      await stage.server.restart();
      const again = await stage.app('again');
      await again.send('BYE sip:placeholder', [], '', {dialogId});
      alice.within(dialog, 'BYE');
      await alice.next('SIP/2.0 481');
      alice.request('MESSAGE');
      await again.respond(await again.sip('MESSAGE'), '200 OK');
      await alice.next('SIP/2.0 200');
    },
  },
  {
    name: 'cdr-routes',
    title:
      'drachtio: an application that routes call detail records hears of none unless the server is configured to write them',
    async play(stage) {
      const records = await stage.app('records', ['cdr:attempt', 'cdr:start', 'cdr:stop']);
      const {app, alice, dialogId} = await answered(stage);
      await appEnds(app, alice, dialogId);
      await records.ask(['ping']);
    },
  },
];
