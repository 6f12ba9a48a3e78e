import {randomUUID} from 'node:crypto';
import test from 'ava';
import {answer, calledBy, callTo, nextInvite, offer, withBench} from './setup.ts';

/** In Call-IDs: a server takes what it has seen within the last minute for a retransmission. */
const run = randomUUID();

const sdp = {'Content-Type': 'application/sdp'};

test.serial(
  'RFC 3261 §9.1: a CANCEL goes out with its Reason, and the INVITE comes out as refused 487',
  withBench(async (t, bench) => {
    const bob = await bench.peer();
    const out = bench.sip.invite({uri: `sip:bob@${bob.address}`, headers: sdp, body: offer});
    const ringing = new Promise<number>((resolve) => {
      out.onProvisional = ({status}) => {
        if (status > 100) resolve(status);
      };
    });
    const invite = await bob.next('INVITE');
    bob.answer(invite, '180 Ringing');
    t.is(await ringing, 180);
    out.cancel('SIP;cause=200;text="Call completed elsewhere"');
    const cancel = await bob.next('CANCEL');
    t.is(cancel.header('Reason'), 'SIP;cause=200;text="Call completed elsewhere"');
    t.is(cancel.header('CSeq').split(' ')[0], invite.header('CSeq').split(' ')[0]);
    bob.answer(cancel, '200 OK');
    bob.answer(invite, '487 Request Terminated');
    const outcome = await out.outcome;
    t.is(outcome.kind === 'refused' ? outcome.response.status : outcome.kind, 487);
    t.is((await bob.next('ACK')).header('CSeq').split(' ')[1], 'ACK');
  }),
);

test.serial(
  'RFC 3261 §9.1: a CANCEL before any provisional answer waits for one',
  withBench(async (t, bench) => {
    const bob = await bench.peer();
    const out = bench.sip.invite({uri: `sip:bob@${bob.address}`, headers: sdp, body: offer});
    out.cancel();
    const invite = await bob.next('INVITE');
    t.false(bob.received.some(({startLine}) => startLine.startsWith('CANCEL')));
    bob.answer(invite, '180 Ringing');
    const cancel = await bob.next('CANCEL');
    bob.answer(cancel, '200 OK');
    bob.answer(invite, '487 Request Terminated');
    t.is((await out.outcome).kind, 'refused');
  }),
);

test.serial(
  'RFC 3261 §9.1: a 200 that crosses the CANCEL is acknowledged, ended with a BYE, and comes out as refused 487',
  withBench(async (t, bench) => {
    const bob = await bench.peer();
    const out = bench.sip.invite({uri: `sip:bob@${bob.address}`, headers: sdp, body: offer});
    const invite = await bob.next('INVITE');
    bob.answer(invite, '180 Ringing');
    await new Promise<void>((resolve) => {
      out.onProvisional = ({status}) => {
        if (status > 100) resolve();
      };
    });
    out.cancel('SIP;cause=200;text="Call completed elsewhere"');
    const cancel = await bob.next('CANCEL');
    bob.answer(invite, '200 OK', [`Contact: <sip:bob@${bob.address}>`, 'Content-Type: application/sdp'], answer);
    bob.answer(cancel, '200 OK');
    const outcome = await out.outcome;
    t.is(outcome.kind === 'refused' ? outcome.response.status : outcome.kind, 487);
    await bob.next('ACK');
    const bye = await bob.next('BYE');
    t.regex(bye.header('Reason'), /^SIP\s*;cause=200/);
    bob.answer(bye, '200 OK');
    // Over UDP one that was not answered at once is repeated.
    const byes = bob.received.filter(({startLine}) => startLine.startsWith('BYE'));
    t.is(new Set(byes.map((each) => each.header('CSeq'))).size, 1);
  }),
);

test.serial(
  'RFC 3261 §13.2.2.4: a second 200 with another tag leaves the session of the first as it is',
  withBench(async (t, bench) => {
    const bob = await bench.peer({tag: 'b1'});
    const call = await callTo(bench, bob);
    const contact = `Contact: <sip:other@${bob.address}>`;
    bob.send(
      [
        'SIP/2.0 200 OK',
        `Via: ${call.invite.header('Via')}`,
        `From: ${call.invite.header('From')}`,
        `To: ${call.invite.header('To')};tag=b2`,
        `Call-ID: ${call.invite.header('Call-ID')}`,
        `CSeq: ${call.invite.header('CSeq')}`,
        contact,
        'Content-Type: application/sdp',
      ].join('\n'),
      answer,
    );
    call.send('INFO', ['Content-Type: text/plain'], 'still there');
    t.is((await bob.next('SIP/2.0 200')).header('CSeq'), '1 INFO');
    t.false(call.dialog.ended);
    const ending = call.dialog.bye();
    const bye = await bob.next('BYE');
    t.regex(bye.header('To'), /tag=b1$/);
    bob.answer(bye, '200 OK');
    t.is(await ending, 200);
  }),
);

test.serial(
  'RFC 3261 §13.2.2.3: a refusal comes out with its status and headers',
  withBench(async (t, bench) => {
    const bob = await bench.peer();
    const out = bench.sip.invite({uri: `sip:bob@${bob.address}`, headers: sdp, body: offer});
    bob.answer(await bob.next('INVITE'), '480 Temporarily Unavailable', [
      'Retry-After: 7',
      'Warning: 399 home.net "asleep"',
    ]);
    const outcome = await out.outcome;
    if (outcome.kind !== 'refused') return t.fail(outcome.kind);
    t.is(outcome.response.status, 480);
    t.is(outcome.response.header('retry-after'), '7');
    t.is(outcome.response.header('Warning'), '399 home.net "asleep"');
    out.cancel();
    await bob.next('ACK');
  }),
);

test.serial(
  'RFC 3261 §9.2: the inviter gives up: onCancel tells its Reason, later answers go nowhere, accept is refused with 487',
  withBench(async (t, bench) => {
    const alice = await bench.peer();
    const coming = nextInvite(bench);
    const lines = (method: string): string =>
      `${method} sip:bob@home.net SIP/2.0
      Via: SIP/2.0/UDP ${alice.address};branch=z9hG4bKgiveup;rport
      From: <sip:alice@home.net>;tag=a1
      To: <sip:bob@home.net>
      Call-ID: give-up-${run}
      CSeq: 1 ${method}
      Max-Forwards: 70`;
    alice.send(`${lines('INVITE')}\nContact: <sip:alice@${alice.address}>\nContent-Type: application/sdp`, offer);
    const invite = await coming;
    const reason = new Promise<string | undefined>((resolve) => {
      invite.onCancel = resolve;
    });
    alice.send(`${lines('CANCEL')}\nReason: SIP;cause=200;text="Call completed elsewhere"`);
    t.is(await reason, 'SIP;cause=200;text="Call completed elsewhere"');
    t.true(invite.cancelled);
    await alice.next('SIP/2.0 487');
    await invite.respond(480);
    await t.throwsAsync(invite.accept({headers: sdp, body: answer}), {name: 'CpmError', code: 'CPM_SIP_CANCELLED'});
    let late = 0;
    invite.onCancel = () => {
      late += 1;
    };
    t.is(late, 1, 'told at once when it has happened');
  }),
);

test.serial(
  'RFC 3261 §17.2.1: a second final answer is dropped',
  withBench(async (t, bench) => {
    const alice = await bench.peer();
    const coming = nextInvite(bench);
    alice.send(
      `INVITE sip:bob@home.net SIP/2.0
      Via: SIP/2.0/UDP ${alice.address};branch=z9hG4bKtwice;rport
      From: <sip:alice@home.net>;tag=a1
      To: <sip:bob@home.net>
      Call-ID: twice-${run}
      CSeq: 1 INVITE
      Max-Forwards: 70
      Contact: <sip:alice@${alice.address}>
      Content-Type: application/sdp`,
      offer,
    );
    const invite = await coming;
    await invite.respond(180, {headers: {'Conversation-ID': 'only-here'}});
    const ringing = await alice.next('SIP/2.0 180');
    t.true(ringing.headerLines.includes('Conversation-ID: only-here'));
    await invite.respond(603, {reason: 'Decline'});
    await invite.respond(200);
    await t.throwsAsync(invite.accept({}), {code: 'CPM_SIP_ANSWERED'});
    const declined = await alice.next('SIP/2.0 603');
    t.is(declined.header('Conversation-ID'), '');
    const {dialog} = await calledBy(bench, alice);
    t.false(dialog.ended);
  }),
);
