import {randomUUID} from 'node:crypto';
import test from 'ava';
import {answer, calledBy, callTo, nextInvite, offer, withBench} from './setup.ts';

/** In Call-IDs: a server takes what it has seen within the last minute for a retransmission. */
const run = randomUUID();

test.serial(
  'A11 RFC 4028 §9: an offered session timer is taken, and Require: timer says that the peer refreshes',
  withBench(async (t, bench) => {
    const {ok} = await calledBy(bench, await bench.peer(), ['Supported: timer', 'Session-Expires: 1800;refresher=uac']);
    t.is(ok.header('Session-Expires'), '1800;refresher=uac');
    t.is(ok.header('Require'), 'timer');
  }),
);

test.serial(
  'A11 RFC 4028 §9: a timer without refresher is refreshed by the peer; an offer without timer gets none',
  withBench(async (t, bench) => {
    const alice = await bench.peer();
    const timed = await calledBy(bench, alice, ['k: timer', 'x: 600']);
    t.is(timed.ok.header('Session-Expires'), '600;refresher=uac');
    t.is(timed.ok.header('Require'), 'timer');
    const untimed = await calledBy(bench, alice);
    t.is(untimed.ok.header('Session-Expires'), '');
    t.is(untimed.ok.header('Require'), '');
  }),
);

test.serial(
  'RFC 4028 §4: a session timer below 90 seconds is refused with 422 and Min-SE',
  withBench(async (t, bench) => {
    const alice = await bench.peer();
    const coming = nextInvite(bench);
    alice.send(
      `INVITE sip:bob@home.net SIP/2.0
      Via: SIP/2.0/UDP ${alice.address};branch=z9hG4bKshort${run};rport
      From: <sip:alice@home.net>;tag=a1
      To: <sip:bob@home.net>
      Call-ID: short-${run}
      CSeq: 1 INVITE
      Max-Forwards: 70
      Supported: timer
      Session-Expires: 30
      Contact: <sip:alice@${alice.address}>
      Content-Type: application/sdp`,
      offer,
    );
    const invite = await coming;
    await t.throwsAsync(invite.accept({headers: {'Content-Type': 'application/sdp'}, body: answer}), {
      code: 'CPM_SIP_SESSION_TIMER',
    });
    t.is((await alice.next('SIP/2.0 422')).header('Min-SE'), '90');
  }),
);

test.serial(
  'E6 RFC 4028 §9: a refreshing re-INVITE nobody listens to gets our session as it stands, and the timer goes on',
  withBench(async (t, bench) => {
    const {peer, send} = await calledBy(bench, await bench.peer());
    send('INVITE', ['Supported: timer', 'Session-Expires: 1800;refresher=uac', 'Content-Type: application/sdp'], offer);
    const ok = await peer.next('SIP/2.0 200');
    t.is(ok.header('CSeq'), '2 INVITE');
    t.is(ok.body.toString(), answer);
    t.is(ok.header('Content-Type'), 'application/sdp');
    t.is(ok.header('Session-Expires'), '1800;refresher=uac');
    t.is(ok.header('Require'), 'timer');
    t.regex(ok.header('Contact'), new RegExp(`^<sip:${bench.server.sip}`));
    send('ACK');
  }),
);

test.serial(
  'E6 RFC 4028 §9: a refreshing UPDATE without a body gets a 200 with the timer and no body',
  withBench(async (t, bench) => {
    const {peer, send} = await callTo(bench, await bench.peer());
    send('UPDATE', ['Supported: timer', 'Session-Expires: 1800;refresher=uac']);
    const ok = await peer.next('SIP/2.0 200');
    t.is(ok.header('CSeq'), '1 UPDATE');
    t.is(ok.body.length, 0);
    t.is(ok.header('Session-Expires'), '1800;refresher=uac');
    t.is(ok.header('Require'), 'timer');
  }),
);

test.serial(
  'RFC 3261 §14.2: a re-INVITE is answered as its procedure says, a failing procedure is a 500, and the session goes on',
  withBench(async (t, bench) => {
    const {dialog, peer, send} = await calledBy(bench, await bench.peer());
    const changed = offer.replace('o=- 1 1', 'o=- 1 2');
    dialog.onModify = (request) => {
      t.is(Buffer.from(request.body).toString(), changed);
      return Promise.resolve({
        status: 200,
        headers: {'Content-Type': 'application/sdp'},
        body: answer.replace('9 9', '9 10'),
      });
    };
    send('INVITE', ['Content-Type: application/sdp'], changed);
    const ok = await peer.next('SIP/2.0 200');
    t.is(ok.body.toString(), answer.replace('9 9', '9 10'));
    send('ACK');
    dialog.onModify = () => Promise.resolve({status: 488});
    send('INVITE', ['Content-Type: application/sdp'], changed);
    t.is((await peer.next('SIP/2.0 488')).header('CSeq'), '3 INVITE');
    send('ACK');
    dialog.onModify = () => Promise.reject(new Error('our mistake'));
    send('INVITE', ['Content-Type: application/sdp'], changed);
    await peer.next('SIP/2.0 500');
    send('ACK');
    dialog.onModify = undefined;
    send('INVITE', ['Content-Type: application/sdp'], changed);
    t.is((await peer.next('SIP/2.0 200')).body.toString(), answer.replace('9 9', '9 10'), 'what was answered last');
    send('ACK');
    t.false(dialog.ended);
  }),
);

test.serial(
  'RFC 3261 §14.1: our re-INVITEs go one after the other, with our Contact; a refused one leaves the dialog',
  withBench(async (t, bench) => {
    const {dialog, peer} = await callTo(bench, await bench.peer());
    const first = dialog.modify(offer.replace('1 1', '1 2'), {'Session-Expires': '1800;refresher=uac'});
    const second = dialog.modify(offer.replace('1 1', '1 3'));
    const one = await peer.next('INVITE');
    t.is(one.body.toString(), offer.replace('1 1', '1 2'));
    t.is(one.header('Session-Expires'), '1800;refresher=uac');
    t.regex(one.header('Contact'), new RegExp(`^<sip:${bench.server.sip}`));
    peer.answer(one, '200 OK', [`Contact: <sip:bob@${peer.address}>`, 'Content-Type: application/sdp'], answer);
    const response = await first;
    t.is(response.status, 200);
    t.is(Buffer.from(response.body).toString(), answer);
    await peer.next('ACK');
    const two = await peer.next('INVITE');
    peer.answer(two, '488 Not Acceptable Here');
    t.is((await second).status, 488);
    t.false(dialog.ended);
    const ending = dialog.bye();
    peer.answer(await peer.next('BYE'), '200 OK');
    t.is(await ending, 200);
    t.is((await dialog.modify(offer)).status, 481);
  }),
);

test.serial(
  'RFC 3261 §12.2.2: inside a dialog nobody listens to, INFO is a 200 and MESSAGE a 405',
  withBench(async (t, bench) => {
    const {dialog, peer, send} = await callTo(bench, await bench.peer());
    send('INFO');
    t.is((await peer.next('SIP/2.0 200')).header('CSeq'), '1 INFO');
    send('MESSAGE', ['Content-Type: text/plain'], 'hello');
    t.is((await peer.next('SIP/2.0 405')).header('CSeq'), '2 MESSAGE');
    dialog.onRequest = (request) =>
      Promise.resolve({status: 202, headers: {'Content-Type': 'text/plain'}, body: request.body});
    send('MESSAGE', ['Content-Type: text/plain'], 'grüße');
    t.is((await peer.next('SIP/2.0 202')).body.toString(), 'grüße');
  }),
);

test.serial(
  'RFC 3261 §14.2: a re-INVITE or UPDATE that crosses ours is refused with 491, the next one is not',
  withBench(async (t, bench) => {
    const {dialog, peer, send} = await callTo(bench, await bench.peer());
    const modifying = dialog.modify(offer);
    const ours = await peer.next('INVITE');
    send('INVITE', ['Content-Type: application/sdp'], answer);
    t.is((await peer.next('SIP/2.0 491')).header('CSeq'), '1 INVITE');
    send('ACK');
    send('UPDATE', ['Content-Type: application/sdp'], answer);
    t.is((await peer.next('SIP/2.0 491')).header('CSeq'), '2 UPDATE');
    peer.answer(ours, '491 Request Pending');
    t.is((await modifying).status, 491);
    send('INVITE', ['Content-Type: application/sdp'], answer);
    t.is((await peer.next('SIP/2.0 200')).header('CSeq'), '3 INVITE');
  }),
);
