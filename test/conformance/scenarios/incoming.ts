/** Calls that come: answered, refused, cancelled, repeated. */
import type {Scenario} from '../runner.ts';
import {answered, appEnds, isSdp, peerEnds, sdp} from './calls.ts';

export const incomingScenarios: readonly Scenario[] = [
  {
    name: 'uas-200-bye-from-peer',
    title: 'RFC 3261 §13.3: a call is answered and ended by the caller',
    async play(stage) {
      const {app, alice, dialog} = await answered(stage);
      await peerEnds(app, alice, dialog);
    },
  },
  {
    name: 'uas-200-bye-from-app',
    title: 'RFC 3261 §15: a call is answered and ended by the application',
    async play(stage) {
      const {app, alice, dialogId} = await answered(stage);
      await appEnds(app, alice, dialogId);
    },
  },
  {
    name: 'uas-tcp',
    title: 'RFC 3261 §18: a call over TCP is answered and ended over the same connection',
    async play(stage) {
      const {app, alice, dialog} = await answered(stage, {transport: 'tcp'});
      await peerEnds(app, alice, dialog);
    },
  },
  {
    name: 'uas-provisional',
    title: 'RFC 3261 §13.3.1.1: provisional responses carry one To-tag, and what the application gives them',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      const invite = alice.request('INVITE', {headers: isSdp, body: sdp});
      const handed = await app.sip('INVITE');
      await app.respond(handed, '180 Ringing');
      await app.respond(handed, '181 Call Is Being Forwarded', ['X-Note: a', 'Contact: <sip:me@localhost>']);
      await app.respond(handed, '183 Session Progress', [], sdp);
      await alice.next('SIP/2.0 183');
      await app.respond(handed, '486 Busy Here', ['Warning: 399 localhost "busy"', 'Retry-After: 30']);
      const busy = await alice.next('SIP/2.0 486');
      alice.same(invite, 'ACK', busy.header('To'));
    },
  },
  {
    name: 'uas-refused',
    title: 'RFC 3261 §17.2.1: the ACK to a refusal stays with the server; what the application says after it is NOK',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      const invite = alice.request('INVITE', {headers: isSdp, body: sdp});
      const handed = await app.sip('INVITE');
      await app.respond(handed, '603 Decline');
      const decline = await alice.next('SIP/2.0 603');
      await app.respond(handed, '200 OK', [], sdp);
      alice.same(invite, 'ACK', decline.header('To'));
    },
  },
  {
    name: 'uas-refusal-repeated',
    title: 'RFC 3261 §17.2.1: a refusal is repeated until its ACK comes, however late',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      const invite = alice.request('INVITE', {headers: isSdp, body: sdp});
      await app.respond(await app.sip('INVITE'), '404 Not Found');
      const missing = await alice.next('SIP/2.0 404');
      await alice.again(missing);
      alice.same(invite, 'ACK', missing.header('To'));
    },
  },
  {
    name: 'uas-200-repeated',
    title: 'RFC 3261 §13.3.1.4: a 200 is repeated until its ACK comes, which the application hears once',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      const invite = alice.request('INVITE', {headers: isSdp, body: sdp});
      await app.respond(await app.sip('INVITE'), '200 OK', [], sdp);
      const ok = await alice.next('SIP/2.0 200');
      await alice.again(ok);
      const dialog = alice.dialogOf(invite, ok);
      alice.repeat(alice.within(dialog, 'ACK'));
      await app.sip('ACK');
      await peerEnds(app, alice, dialog);
    },
  },
  {
    name: 'uas-invite-repeated',
    title: 'RFC 3261 §17.2.1: an INVITE that is repeated is handed on once and gets its last response again',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      const invite = alice.request('INVITE', {headers: isSdp, body: sdp});
      const handed = await app.sip('INVITE');
      await app.respond(handed, '180 Ringing');
      const ringing = await alice.next('SIP/2.0 180');
      alice.repeat(invite);
      await alice.again(ringing);
      await app.respond(handed, '480 Temporarily Unavailable');
      const failure = await alice.next('SIP/2.0 480');
      alice.same(invite, 'ACK', failure.header('To'));
    },
  },
  {
    name: 'uas-cancelled',
    title: 'RFC 3261 §9.2: a CANCEL gets 200, its INVITE 487, and the application is told',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      const invite = alice.request('INVITE', {headers: isSdp, body: sdp});
      const handed = await app.sip('INVITE');
      await app.respond(handed, '180 Ringing');
      await alice.next('SIP/2.0 180');
      alice.same(invite, 'CANCEL');
      await app.sip('CANCEL');
      const terminated = await alice.next('SIP/2.0 487');
      alice.same(invite, 'ACK', terminated.header('To'));
      await app.respond(handed, '200 OK', [], sdp);
    },
  },
  {
    name: 'uas-cancelled-at-once',
    title: 'RFC 3261 §9.2: a CANCEL before the application has said anything',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      const invite = alice.request('INVITE', {headers: isSdp, body: sdp});
      const handed = await app.sip('INVITE');
      alice.same(invite, 'CANCEL');
      await app.sip('CANCEL');
      const terminated = await alice.next('SIP/2.0 487');
      alice.same(invite, 'ACK', terminated.header('To'));
      await app.respond(handed, '180 Ringing');
    },
  },
  {
    name: 'uas-cancel-unknown',
    title: 'RFC 3261 §9.2: a CANCEL of nothing gets 481',
    async play({app: connect, peer}) {
      await connect();
      const alice = await peer('alice');
      alice.request('CANCEL');
      await alice.next('SIP/2.0 481');
    },
  },
  {
    name: 'uas-cancel-after-200',
    title: 'RFC 3261 §9.2: a CANCEL that comes after the 200',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      const invite = alice.request('INVITE', {headers: isSdp, body: sdp});
      await app.respond(await app.sip('INVITE'), '200 OK', [], sdp);
      const ok = await alice.next('SIP/2.0 200');
      alice.same(invite, 'CANCEL');
      await alice.next('SIP/2.0 481');
      alice.within(alice.dialogOf(invite, ok), 'ACK');
      await app.sip('ACK');
    },
  },
  {
    name: 'uas-reliable-183',
    title: 'RFC 3262 §3: a reliable 183 has an RSeq; its PRACK is handed on and answered by the application',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      const invite = alice.request('INVITE', {headers: {Supported: '100rel', ...isSdp}, body: sdp});
      const handed = await app.sip('INVITE');
      await app.respond(handed, '183 Session Progress', ['Require: 100rel'], sdp);
      const progress = await alice.next('SIP/2.0 183');
      const dialog = alice.dialogOf(invite, progress);
      alice.within(dialog, 'PRACK', {RAck: `${progress.header('RSeq')} 1 INVITE`});
      await app.respond(await app.sip('PRACK'), '200 OK');
      await alice.next('SIP/2.0 200');
      await app.respond(handed, '200 OK', [], sdp);
      const ok = await alice.next('SIP/2.0 200');
      alice.within({...dialog, cseq: 1}, 'ACK');
      await app.sip('ACK');
      await peerEnds(app, alice, {...dialog, to: ok.header('To')});
    },
  },
  {
    name: 'uas-reliable-repeated',
    title: 'RFC 3262 §3: a reliable 183 is repeated until its PRACK comes',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      const invite = alice.request('INVITE', {headers: {Supported: '100rel', ...isSdp}, body: sdp});
      const handed = await app.sip('INVITE');
      await app.respond(handed, '183 Session Progress', ['Require: 100rel'], sdp);
      const progress = await alice.next('SIP/2.0 183');
      await alice.again(progress);
      const dialog = alice.dialogOf(invite, progress);
      alice.within(dialog, 'PRACK', {RAck: `${progress.header('RSeq')} 1 INVITE`});
      await app.respond(await app.sip('PRACK'), '200 OK');
      await alice.next('SIP/2.0 200');
      await app.respond(handed, '486 Busy Here');
      const busy = await alice.next('SIP/2.0 486');
      alice.same(invite, 'ACK', busy.header('To'));
    },
  },
  {
    name: 'uas-two-reliable',
    title: 'RFC 3262 §3: the RSeq of a second reliable response is one more',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      const invite = alice.request('INVITE', {headers: {Supported: '100rel', ...isSdp}, body: sdp});
      const handed = await app.sip('INVITE');
      let dialog;
      for (const status of ['183 Session Progress', '180 Ringing']) {
        await app.respond(handed, status, ['Require: 100rel']);
        const progress = await alice.next(`SIP/2.0 ${status.slice(0, 3)}`);
        dialog ??= alice.dialogOf(invite, progress);
        alice.within(dialog, 'PRACK', {RAck: `${progress.header('RSeq')} 1 INVITE`});
        await app.respond(await app.sip('PRACK'), '200 OK');
        await alice.next('SIP/2.0 200');
      }
      await app.respond(handed, '486 Busy Here');
      const busy = await alice.next('SIP/2.0 486');
      alice.same(invite, 'ACK', busy.header('To'));
    },
  },
  {
    name: 'uas-prack-wrong',
    title: 'RFC 3262 §3: a PRACK that matches no reliable response is not handed on',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      const invite = alice.request('INVITE', {headers: {Supported: '100rel', ...isSdp}, body: sdp});
      const handed = await app.sip('INVITE');
      await app.respond(handed, '183 Session Progress', ['Require: 100rel'], sdp);
      const progress = await alice.next('SIP/2.0 183');
      const dialog = alice.dialogOf(invite, progress);
      alice.within(dialog, 'PRACK', {RAck: '1 1 INVITE'});
      alice.within(dialog, 'PRACK', {RAck: `${progress.header('RSeq')} 1 INVITE`});
      await app.respond(await app.sip('PRACK'), '200 OK');
      await alice.next('SIP/2.0 200');
      await app.respond(handed, '486 Busy Here');
      const busy = await alice.next('SIP/2.0 486');
      alice.same(invite, 'ACK', busy.header('To'));
    },
  },
  {
    name: 'uas-no-ack',
    title: 'RFC 3261 §13.3.1.4: a 200 that is never acknowledged is given up: BYE, of which the application is told',
    slow: true,
    async play({app: connect, peer, server}) {
      const app = await connect();
      const alice = await peer('alice');
      alice.request('INVITE', {headers: isSdp, body: sdp});
      await app.respond(await app.sip('INVITE'), '200 OK', [], sdp);
      await alice.next('SIP/2.0 200');
      await server.pass(33);
      alice.answer(await alice.next('BYE'), '200 OK');
      await app.sip('BYE');
    },
  },
  {
    name: 'uas-no-answer',
    title: 'drachtio: an application that answers nothing for long is told that the transaction is unknown',
    slow: true,
    async play({app: connect, peer, server}) {
      const app = await connect();
      const alice = await peer('alice');
      alice.request('MESSAGE');
      const handed = await app.sip('MESSAGE');
      await server.pass(66);
      await app.respond(handed, '200 OK');
    },
  },
  {
    name: 'uas-early-bye',
    title: 'RFC 3261 §15.1.2: a BYE before the 200',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      const invite = alice.request('INVITE', {headers: isSdp, body: sdp});
      const handed = await app.sip('INVITE');
      await app.respond(handed, '180 Ringing');
      const ringing = await alice.next('SIP/2.0 180');
      alice.within(alice.dialogOf(invite, ringing), 'BYE');
      await alice.next('SIP/2.0 481');
      await app.respond(handed, '487 Request Terminated');
    },
  },
  {
    name: 'uas-early-update',
    title: 'RFC 3311 §5.2: an UPDATE before the 200 is handed on',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      const invite = alice.request('INVITE', {headers: {Supported: '100rel', ...isSdp}, body: sdp});
      const handed = await app.sip('INVITE');
      await app.respond(handed, '183 Session Progress', ['Require: 100rel'], sdp);
      const progress = await alice.next('SIP/2.0 183');
      const dialog = alice.dialogOf(invite, progress);
      alice.within(dialog, 'PRACK', {RAck: `${progress.header('RSeq')} 1 INVITE`});
      await app.respond(await app.sip('PRACK'), '200 OK');
      await alice.next('SIP/2.0 200');
      alice.within(dialog, 'UPDATE', isSdp, sdp);
      await app.respond(await app.sip('UPDATE'), '200 OK', [], sdp);
      await alice.next('SIP/2.0 200');
      await app.respond(handed, '486 Busy Here');
      const busy = await alice.next('SIP/2.0 486');
      alice.same(invite, 'ACK', busy.header('To'));
    },
  },
  {
    name: 'uas-record-route',
    title: 'RFC 3261 §12.1.1: Record-Route is in the 200, and makes the route of what the application sends',
    async play(stage) {
      const proxy = await stage.peer('proxy');
      const headers = {'Record-Route': `<sip:${proxy.address};lr>, <sip:far.example;lr;x=1>`};
      const {app, dialogId} = await answered(stage, {headers});
      await app.send('BYE sip:placeholder', [], '', {dialogId});
      proxy.answer(await proxy.next('BYE'), '200 OK');
      await app.sip('SIP/2.0 200');
    },
  },
  {
    name: 'uas-contact-moved',
    title: 'drachtio: over UDP without a route, requests go where the peer sent from, whatever his Contact says',
    async play(stage) {
      const carol = await stage.peer('carol');
      const {app, alice, dialogId} = await answered(stage, {headers: {Contact: carol.contact}});
      await app.send('BYE sip:placeholder', [], '', {dialogId});
      alice.answer(await alice.next('BYE'), '200 OK');
      await app.sip('SIP/2.0 200');
    },
  },
  {
    name: 'uas-own-tag-and-contact',
    title: 'drachtio: an application chooses its To-tag, its Contact and @localhost in it',
    async play(stage) {
      const {app, alice, dialog} = await answered(stage, {
        ok: [
          'To: <sip:x@example.org>;tag=t-mine',
          'Contact: <sip:me@localhost;gr=1>;+g.3gpp.cpm',
          'P-Asserted-Identity: <sip:me@localhost>',
        ],
      });
      await peerEnds(app, alice, dialog);
    },
  },
];
