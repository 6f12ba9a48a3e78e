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

for (const [said, goesOn] of [
  ['1800;refresher=uas', '1800;refresher=uas'],
  ['1200;refresher=uac', '1200;refresher=uac'],
  ['600', '600;refresher=uac'],
  [undefined, ''],
] as const)
  test.serial(
    `RFC 4028 §7.4: agreed on «${said ?? 'no timer'}» in the 200 of a call of ours, our re-INVITE goes on with it`,
    withBench(async (t, bench) => {
      const {dialog, peer} = await callTo(
        bench,
        await bench.peer(),
        said === undefined ? [] : [`Session-Expires: ${said}`],
      );
      const modifying = dialog.modify(offer.replace('1 1', '1 2'));
      const again = await peer.next('INVITE');
      t.is(again.header('Session-Expires').replaceAll(' ', ''), goesOn);
      t.is(again.header('Supported'), said === undefined ? '' : 'timer');
      peer.answer(again, '200 OK', [`Contact: <sip:bob@${peer.address}>`, 'Content-Type: application/sdp'], answer);
      t.is((await modifying).status, 200);
    }),
  );

test.serial(
  'RFC 4028 §7.4: in a call of the peer our re-INVITE leaves the refreshing to whom it was agreed with, as his last refresh says',
  withBench(async (t, bench) => {
    const timed = ['Supported: timer', 'Session-Expires: 1800;refresher=uac'];
    const {dialog, peer, send} = await calledBy(bench, await bench.peer(), timed);
    const contact = [`Contact: <sip:alice@${peer.address}>`, 'Content-Type: application/sdp'];
    const first = dialog.modify(answer);
    const theirs = await peer.next('INVITE');
    t.is(theirs.header('Session-Expires').replaceAll(' ', ''), '1800;refresher=uas');
    peer.answer(theirs, '200 OK', contact, offer);
    t.is((await first).status, 200);
    await peer.next('ACK');
    send('UPDATE', ['Supported: timer', 'Session-Expires: 900;refresher=uas']);
    t.is((await peer.next('SIP/2.0 200')).header('Session-Expires'), '900;refresher=uas');
    const second = dialog.modify(answer);
    const ours = await peer.next('INVITE');
    t.is(ours.header('Session-Expires').replaceAll(' ', ''), '900;refresher=uac');
    peer.answer(ours, '200 OK', contact, offer);
    t.is((await second).status, 200);
  }),
);

test.serial(
  'RFC 4028 §7.3: a 422 is tried once more with the timer that it asks for; a second one is a refusal',
  withBench(async (t, bench) => {
    const bob = await bench.peer();
    const call = () =>
      bench.sip.invite({
        uri: `sip:bob@${bob.address}`,
        headers: {'Content-Type': 'application/sdp', 'Session-Expires': '1800', Supported: 'timer'},
        body: offer,
      });
    const taken = call();
    const first = await bob.next('INVITE');
    bob.answer(first, '422 Session Interval Too Small', ['Min-SE: 3600']);
    const again = await bob.next('INVITE');
    t.is(again.header('Session-Expires'), '3600');
    t.is(again.header('Min-SE'), '3600');
    t.is(again.body.toString(), first.body.toString());
    bob.answer(
      again,
      '200 OK',
      [`Contact: <sip:bob@${bob.address}>`, 'Session-Expires: 3600;refresher=uas', 'Content-Type: application/sdp'],
      answer,
    );
    await bob.next('ACK');
    t.is((await taken.outcome).kind, 'accepted');

    const refused = call();
    bob.answer(await bob.next('INVITE'), '422 Session Interval Too Small', ['Min-SE: 3600']);
    bob.answer(await bob.next('INVITE'), '422 Session Interval Too Small', ['Min-SE: 7200']);
    const outcome = await refused.outcome;
    t.is(outcome.kind === 'refused' && outcome.response.status, 422);

    const without = call();
    bob.answer(await bob.next('INVITE'), '422 Session Interval Too Small');
    t.is((await without.outcome).kind, 'refused');
  }),
);

test.serial(
  'RFC 3261 §14: while a re-INVITE of the peer has no answer another of his gets 500 with Retry-After, and ours is a 491 at once',
  withBench(async (t, bench) => {
    const {dialog, peer, send} = await calledBy(bench, await bench.peer());
    let decide: () => void = () => undefined;
    const decided = new Promise<void>((resolve) => {
      decide = resolve;
    });
    const asked = new Promise<void>((resolve) => {
      dialog.onModify = async () => {
        resolve();
        await decided;
        return {status: 200};
      };
    });
    send('UPDATE', ['Content-Type: application/sdp'], offer);
    await asked;
    send('UPDATE', ['Content-Type: application/sdp'], offer);
    const refused = await peer.next('SIP/2.0 500');
    t.is(refused.header('CSeq'), '3 UPDATE');
    t.regex(refused.header('Retry-After'), /^\d$/);
    t.is((await dialog.modify(answer)).status, 491);
    t.false(peer.received.some(({startLine}) => startLine.startsWith('INVITE')));
    decide();
    t.is((await peer.next('SIP/2.0 200')).header('CSeq'), '2 UPDATE');
  }),
);

test.serial(
  'RFC 4028 §10: a peer that does not refresh in time has gone: BYE to it, and the owner of the dialog hears that nobody said it',
  withBench(async (t, bench) => {
    const {dialog, peer} = await callTo(bench, await bench.peer(), ['Session-Expires: 3;refresher=uas']);
    const by = new Promise<string>((resolve) => {
      dialog.onBye = (_bye, who) => {
        resolve(who);
        return Promise.resolve(undefined);
      };
    });
    peer.answer(await peer.next('BYE'), '200 OK');
    t.is(await by, 'server');
    t.true(dialog.ended);
  }),
);
