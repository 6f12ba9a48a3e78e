/** Requests within calls, and the timers of sessions. */
import type {Scenario} from '../runner.ts';
import {answered, appEnds, isSdp, peerEnds, placed, sdp} from './calls.ts';

export const inDialogScenarios: readonly Scenario[] = [
  {
    name: 'reinvite-from-peer',
    title: 'RFC 3261 §14.2: a re-INVITE is handed on, answered, and its ACK heard',
    async play(stage) {
      const {app, alice, dialog, dialogId} = await answered(stage);
      alice.within(dialog, 'INVITE', isSdp, sdp);
      await app.respond(await app.sip('INVITE'), '200 OK', [], sdp);
      await alice.next('SIP/2.0 200');
      alice.within(dialog, 'ACK');
      await app.sip('ACK');
      await appEnds(app, alice, dialogId);
    },
  },
  {
    name: 'reinvite-refused',
    title: 'RFC 3261 §14.2: a re-INVITE that the application refuses leaves the call as it was',
    async play(stage) {
      const {app, alice, dialog} = await answered(stage);
      const invite = alice.within(dialog, 'INVITE', isSdp, sdp);
      await app.respond(await app.sip('INVITE'), '488 Not Acceptable Here');
      const refusal = await alice.next('SIP/2.0 488');
      alice.same(invite, 'ACK', refusal.header('To'));
      await peerEnds(app, alice, dialog);
    },
  },
  {
    name: 'reinvite-cancelled',
    title: 'RFC 3261 §9.2: a CANCEL of a re-INVITE',
    async play(stage) {
      const {app, alice, dialog} = await answered(stage);
      const invite = alice.within(dialog, 'INVITE', isSdp, sdp);
      await app.sip('INVITE');
      alice.same(invite, 'CANCEL', invite.header('To'));
      await alice.next('SIP/2.0 487');
    },
  },
  {
    name: 'reinvite-from-app',
    title: 'RFC 3261 §14.1: a re-INVITE of the application has the Contact of the call, or the one that it is given',
    async play(stage) {
      const {app, bob, dialog, dialogId} = await placed(stage, {lines: ['Contact: <sip:me@pf.example:7;gr=1>;+sip.x']});
      for (const lines of [[], ['Contact: <sip:me@pf.example:8>']]) {
        await app.send('INVITE sip:placeholder', lines, sdp, {dialogId});
        const invite = await bob.next('INVITE');
        bob.answer(invite, '200 OK', [`Contact: ${bob.contact}`, 'Content-Type: application/sdp'], sdp);
        await app.sip('SIP/2.0 200');
        await app.send('ACK sip:placeholder', [], '', {dialogId});
        await bob.next('ACK');
      }
      await peerEnds(app, bob, dialog);
    },
  },
  {
    name: 'reinvite-contact-localhost',
    title: 'drachtio: a Contact with @localhost in a re-INVITE',
    async play(stage) {
      const {app, bob, dialog, dialogId} = await placed(stage);
      await app.send('INVITE sip:placeholder', ['Contact: <sip:me@localhost>;x=1'], sdp, {dialogId});
      const invite = await bob.next('INVITE');
      bob.answer(invite, '200 OK', [`Contact: ${bob.contact}`, 'Content-Type: application/sdp'], sdp);
      await app.sip('SIP/2.0 200');
      await app.send('ACK sip:placeholder', [], '', {dialogId});
      await bob.next('ACK');
      await peerEnds(app, bob, dialog);
    },
  },
  {
    name: 'reinvite-glare',
    title: 'RFC 3261 §14.1: re-INVITEs that cross: each is handed on, 491 is the application’s and the peer’s to say',
    async play(stage) {
      const {app, alice, dialog, dialogId} = await answered(stage);
      await app.send('INVITE sip:placeholder', [], sdp, {dialogId});
      const theirs = await alice.next('INVITE');
      const ours = alice.within(dialog, 'INVITE', isSdp, sdp);
      const handed = await app.sip('INVITE');
      alice.answer(theirs, '491 Request Pending');
      await app.sip('SIP/2.0 491');
      await alice.next('ACK');
      await app.respond(handed, '491 Request Pending');
      const pending = await alice.next('SIP/2.0 491');
      alice.same(ours, 'ACK', pending.header('To'));
      await peerEnds(app, alice, dialog);
    },
  },
  {
    name: 'update-from-peer',
    title: 'RFC 3311 §5.2: an UPDATE is handed on and answered',
    async play(stage) {
      const {app, alice, dialog} = await answered(stage);
      alice.within(dialog, 'UPDATE', isSdp, sdp);
      await app.respond(await app.sip('UPDATE'), '200 OK', [], sdp);
      await alice.next('SIP/2.0 200');
      await peerEnds(app, alice, dialog);
    },
  },
  {
    name: 'update-from-app',
    title: 'RFC 3311 §5.1: an UPDATE of the application',
    async play(stage) {
      const {app, bob, dialog, dialogId} = await placed(stage);
      await app.send('UPDATE sip:placeholder', ['Session-Expires: 1800;refresher=uac', 'Supported: timer'], '', {
        dialogId,
      });
      bob.answer(await bob.next('UPDATE'), '200 OK', [
        'Session-Expires: 1800;refresher=uac',
        `Contact: ${bob.contact}`,
      ]);
      await app.sip('SIP/2.0 200');
      await peerEnds(app, bob, dialog);
    },
  },
  {
    name: 'info-both-ways',
    title: 'RFC 6086: INFO goes both ways within a call, with its body',
    async play(stage) {
      const {app, alice, dialog, dialogId} = await answered(stage);
      alice.within(dialog, 'INFO', {'Info-Package': 'x', 'Content-Type': 'text/plain'}, 'hello');
      await app.respond(await app.sip('INFO'), '200 OK', ['Content-Type: text/plain'], 'and hello');
      await alice.next('SIP/2.0 200');
      await app.send('INFO sip:placeholder', ['Content-Type: text/plain'], 'back', {dialogId});
      alice.answer(await alice.next('INFO'), '415 Unsupported Media Type', ['Accept: text/x']);
      await app.sip('SIP/2.0 415');
      await peerEnds(app, alice, dialog);
    },
  },
  {
    name: 'message-in-dialog',
    title: 'RFC 3428 §4: MESSAGE and OPTIONS go within a call, too',
    async play(stage) {
      const {app, alice, dialog, dialogId} = await answered(stage);
      alice.within(dialog, 'MESSAGE', {'Content-Type': 'text/plain'}, 'hello');
      await app.respond(await app.sip('MESSAGE'), '200 OK');
      await alice.next('SIP/2.0 200');
      await app.send('OPTIONS sip:placeholder', [], '', {dialogId});
      alice.answer(await alice.next('OPTIONS'), '200 OK', ['Accept: application/sdp']);
      await app.sip('SIP/2.0 200');
      await peerEnds(app, alice, dialog);
    },
  },
  {
    name: 'refer-in-dialog',
    title: 'RFC 3515: a REFER within a call is handed on; its NOTIFYs go back in the same dialog',
    async play(stage) {
      const {app, alice, dialog, dialogId} = await answered(stage);
      alice.within(dialog, 'REFER', {'Refer-To': '<sip:carol@example.org>', 'Referred-By': '<sip:alice@127.0.0.1>'});
      await app.respond(await app.sip('REFER'), '202 Accepted');
      await alice.next('SIP/2.0 202');
      const lines = [
        'Event: refer',
        'Subscription-State: terminated;reason=noresource',
        'Content-Type: message/sipfrag',
      ];
      await app.send('NOTIFY sip:placeholder', lines, 'SIP/2.0 200 OK', {dialogId});
      alice.answer(await alice.next('NOTIFY'), '200 OK');
      await app.sip('SIP/2.0 200');
      await peerEnds(app, alice, dialog);
    },
  },
  {
    name: 'refer-from-app',
    title: 'RFC 3515: a REFER of the application within a call; the NOTIFYs of the peer come to it',
    async play(stage) {
      const {app, bob, dialog, dialogId} = await placed(stage);
      await app.send('REFER sip:placeholder', ['Refer-To: <sip:carol@example.org>'], '', {dialogId});
      bob.answer(await bob.next('REFER'), '202 Accepted', [`Contact: ${bob.contact}`]);
      await app.sip('SIP/2.0 202');
      const headers = {Event: 'refer', 'Subscription-State': 'active;expires=60', 'Content-Type': 'message/sipfrag'};
      bob.within(dialog, 'NOTIFY', headers, 'SIP/2.0 100 Trying');
      await app.respond(await app.sip('NOTIFY'), '200 OK');
      await bob.next('SIP/2.0 200');
      bob.within(
        dialog,
        'NOTIFY',
        {...headers, 'Subscription-State': 'terminated;reason=noresource'},
        'SIP/2.0 200 OK',
      );
      await app.respond(await app.sip('NOTIFY'), '200 OK');
      await bob.next('SIP/2.0 200');
      await peerEnds(app, bob, dialog);
    },
  },
  {
    name: 'refer-out-of-dialog',
    title: 'RFC 3515: a REFER of the application outside of any dialog',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      await app.send(`REFER ${bob.contact.slice(1, -1)}`, ['Refer-To: <sip:carol@example.org>']);
      bob.answer(await bob.next('REFER'), '202 Accepted', [`Contact: ${bob.contact}`]);
      await app.sip('SIP/2.0 202');
    },
  },
  {
    name: 'byes-cross',
    title: 'RFC 3261 §15.1.2: BYEs that cross: the peer’s is handed on, and both are answered',
    async play(stage) {
      const {app, alice, dialog, dialogId} = await answered(stage);
      await app.send('BYE sip:placeholder', [], '', {dialogId});
      const ours = await alice.next('BYE');
      alice.within(dialog, 'BYE');
      await app.respond(await app.sip('BYE'), '200 OK');
      await alice.next('SIP/2.0 200');
      alice.answer(ours, '200 OK');
      await app.sip('SIP/2.0 200');
    },
  },
  {
    name: 'bye-twice',
    title: 'drachtio: a call ends once: the second BYE of the application is NOK, that of the peer gets 481',
    async play(stage) {
      const {app, alice, dialog, dialogId} = await answered(stage);
      await appEnds(app, alice, dialogId);
      await app.send('BYE sip:placeholder', [], '', {dialogId});
      alice.within(dialog, 'BYE');
      await alice.next('SIP/2.0 481');
    },
  },
  {
    name: 'bye-answered-late',
    title: 'drachtio: a BYE waits for the application; repeated meanwhile it is not handed on again',
    async play(stage) {
      const {app, alice, dialog, dialogId} = await answered(stage);
      const bye = alice.within(dialog, 'BYE');
      const handed = await app.sip('BYE');
      alice.repeat(bye);
      await app.send('INFO sip:placeholder', [], '', {dialogId});
      await app.respond(handed, '200 OK', ['X-Late: yes', 'Reason: SIP;cause=200']);
      const ok = await alice.next('SIP/2.0 200');
      alice.repeat(bye);
      await alice.again(ok);
    },
  },
  {
    name: 'bye-unanswered',
    title: 'drachtio: a BYE that the application never answers gets 500',
    slow: true,
    async play(stage) {
      const {app, alice, dialog} = await answered(stage);
      alice.within(dialog, 'BYE');
      await app.sip('BYE');
      await stage.server.pass(33);
      await alice.next('SIP/2.0 500');
    },
  },
  {
    name: 'bye-fails',
    title: 'RFC 3261 §15.1.1: whatever the peer answers to a BYE, the call is over',
    async play(stage) {
      const {app, bob, dialogId} = await placed(stage);
      await app.send('BYE sip:placeholder', ['Reason: SIP;cause=480;text="x"'], '', {dialogId});
      bob.answer(await bob.next('BYE'), '481 Call/Transaction Does Not Exist');
      await app.sip('SIP/2.0 481');
      await app.send('INFO sip:placeholder', [], '', {dialogId});
    },
  },
  {
    name: 'bye-with-pending-reinvite',
    title: 'drachtio: a BYE while a re-INVITE waits for the application',
    async play(stage) {
      const {app, alice, dialog} = await answered(stage);
      alice.within(dialog, 'INVITE', isSdp, sdp);
      await app.sip('INVITE');
      alice.within(dialog, 'BYE');
      await app.respond(await app.sip('BYE'), '200 OK');
      await alice.next('SIP/2.0 200');
    },
  },
  {
    name: 'old-cseq',
    title: 'RFC 3261 §12.2.2: a request whose CSeq has been used up is handed on all the same',
    async play(stage) {
      const {app, alice, dialog} = await answered(stage);
      dialog.cseq = 10;
      alice.within(dialog, 'INFO');
      await app.respond(await app.sip('INFO'), '200 OK');
      await alice.next('SIP/2.0 200');
      dialog.cseq = 4;
      alice.within(dialog, 'INFO');
      await app.respond(await app.sip('INFO'), '500 Server Internal Error');
      await alice.next('SIP/2.0 500');
    },
  },
  {
    name: 'unknown-dialog',
    title: 'RFC 3261 §12.2.2: requests with a To-tag that belong to no dialog',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      const headers = {To: '<sip:x@127.0.0.1>;tag=t-other'};
      for (const method of ['BYE', 'UPDATE', 'INVITE']) {
        alice.request(method, {headers});
        await alice.next('SIP/2.0 481');
      }
      for (const method of ['INFO', 'MESSAGE', 'OPTIONS', 'NOTIFY', 'SUBSCRIBE']) {
        alice.request(method, {headers: {...headers, Event: 'presence', 'Subscription-State': 'active'}});
        await app.respond(await app.sip(method), '481 Subscription Does Not Exist');
        await alice.next('SIP/2.0 481');
      }
    },
  },
  {
    name: 'session-timer-offered',
    title: 'RFC 4028 §9: an interval offered with a refresher is in the 200 that the application sends',
    async play(stage) {
      const headers = {Supported: 'timer', 'Session-Expires': '600;refresher=uac', 'Min-SE': '90'};
      const {app, alice, dialog} = await answered(stage, {headers});
      alice.within(dialog, 'UPDATE', {Supported: 'timer', 'Session-Expires': '600;refresher=uac'});
      await app.respond(await app.sip('UPDATE'), '200 OK');
      await alice.next('SIP/2.0 200');
      await peerEnds(app, alice, dialog);
    },
  },
  {
    name: 'session-timer-plain',
    title: 'RFC 4028 §9: an interval offered without a refresher is left to the application',
    async play(stage) {
      const headers = {Supported: 'timer', 'Session-Expires': '600'};
      const {app, alice, dialog} = await answered(stage, {
        headers,
        ok: ['Session-Expires: 300;refresher=uas', 'Require: timer'],
      });
      await peerEnds(app, alice, dialog);
    },
  },
  {
    name: 'session-timer-too-small',
    title: 'RFC 4028 §6: too small an interval is raised in the first 200, and refused in a re-INVITE',
    async play(stage) {
      const headers = {Supported: 'timer', 'Session-Expires': '30;refresher=uac'};
      const {app, alice, dialog} = await answered(stage, {headers});
      const invite = alice.within(
        dialog,
        'INVITE',
        {...isSdp, Supported: 'timer', 'Session-Expires': '30;refresher=uac'},
        sdp,
      );
      const refusal = await alice.next('SIP/2.0 422');
      alice.same(invite, 'ACK', refusal.header('To'));
      alice.within(dialog, 'UPDATE', {Supported: 'timer', 'Session-Expires': '30;refresher=uac'});
      await alice.next('SIP/2.0 422');
      await peerEnds(app, alice, dialog);
    },
  },
  {
    name: 'session-timer-refresh',
    title: 'RFC 4028 §10: where the refresh is ours the server sends the re-INVITE by itself',
    slow: true,
    async play(stage) {
      const headers = {Supported: 'timer', 'Session-Expires': '90;refresher=uas'};
      const {app, alice, dialog} = await answered(stage, {headers});
      await stage.server.pass(46);
      alice.answer(
        await alice.next('INVITE'),
        '200 OK',
        [`Contact: ${alice.contact}`, 'Session-Expires: 90;refresher=uac', 'Content-Type: application/sdp'],
        sdp,
      );
      await alice.next('ACK');
      await peerEnds(app, alice, dialog);
    },
  },
  {
    name: 'session-timer-refresh-fails',
    title: 'RFC 4028 §10: a refresh that is refused ends the call, and the application is told',
    slow: true,
    async play(stage) {
      const {app, bob} = await placed(stage, {
        lines: ['Supported: timer', 'Session-Expires: 90;refresher=uac'],
        ok: ['Session-Expires: 90;refresher=uac', 'Require: timer'],
      });
      await stage.server.pass(46);
      bob.answer(await bob.next('INVITE'), '488 Not Acceptable Here');
      await bob.next('ACK');
      bob.answer(await bob.next('BYE'), '200 OK');
      await app.sip('BYE');
    },
  },
  {
    name: 'session-timer-expires',
    title: 'RFC 4028 §10: a peer that does not refresh: BYE, of which the application is told',
    slow: true,
    async play(stage) {
      const headers = {Supported: 'timer', 'Session-Expires': '90;refresher=uac'};
      const {app, alice} = await answered(stage, {headers});
      await stage.server.pass(61);
      alice.answer(await alice.next('BYE'), '200 OK');
      await app.sip('BYE');
    },
  },
];
