import {randomUUID} from 'node:crypto';
import test from 'ava';
import {answer, nextInvite, offer, withBench} from './setup.ts';

test.serial(
  'RFC 3261 §13.3: an INVITE is accepted, its dialog is there after the ACK, and our BYE ends it',
  withBench(async (t, bench) => {
    const alice = await bench.peer();
    const callId = `accept-${randomUUID()}`;
    const coming = nextInvite(bench);
    alice.send(
      `INVITE sip:bob@home.net SIP/2.0
      Via: SIP/2.0/UDP ${alice.address};branch=z9hG4bK1${callId};rport
      From: <sip:alice@home.net>;tag=a1
      To: <sip:bob@home.net>
      Call-ID: ${callId}
      CSeq: 1 INVITE
      Max-Forwards: 70
      Contact: <sip:alice@${alice.address}>
      Conversation-ID: f81d4fae-7dec
      Content-Type: application/sdp`,
      offer,
    );
    const invite = await coming;
    t.is(invite.header('conversation-id'), 'f81d4fae-7dec');
    t.is(invite.callId, callId);
    t.is(Buffer.from(invite.body).toString(), offer);
    const accepting = invite.accept({
      headers: {
        'Content-Type': 'application/sdp',
        'Conversation-ID': 'f81d4fae-7dec',
        Contact: `<${bench.sip.contactUri}>`,
      },
      body: answer,
    });
    const ok = await alice.next('SIP/2.0 200');
    t.is(ok.body.toString(), answer);
    t.true(ok.headerLines.includes('Conversation-ID: f81d4fae-7dec'));
    alice.send(
      `ACK sip:${bench.server.sip} SIP/2.0
      Via: SIP/2.0/UDP ${alice.address};branch=z9hG4bK2${callId};rport
      From: <sip:alice@home.net>;tag=a1
      To: ${ok.header('To')}
      Call-ID: ${callId}
      CSeq: 1 ACK
      Max-Forwards: 70`,
    );
    const dialog = await accepting;
    t.is(dialog.callId, callId);
    t.is(dialog.id, `${callId};from-tag=a1`);
    const ending = dialog.bye({Reason: 'SIP;cause=200;text="Call completed elsewhere"'});
    const bye = await alice.next('BYE');
    t.is(bye.header('Reason'), 'SIP;cause=200;text="Call completed elsewhere"');
    alice.answer(bye, '200 OK');
    t.is(await ending, 200);
    t.true(dialog.ended);
  }),
);

test.serial(
  'RFC 3261 §13.2: our INVITE is accepted and the peer ends it',
  withBench(async (t, bench) => {
    const bob = await bench.peer({tag: 'b1'});
    const out = bench.sip.invite({
      uri: `sip:bob@${bob.address}`,
      headers: {
        To: '<tel:+15551234>',
        From: '<sip:alice@home.net>',
        'Content-Type': 'application/sdp',
        'Contribution-ID': 'abc',
      },
      repeated: {'Accept-Contact': ['*;+g.oma.sip-im', '*;+sip.instance="<urn:gsma:imei:1>";require;explicit']},
      body: offer,
    });
    const invite = await bob.next('INVITE');
    bob.answer(invite, '180 Ringing', [`Contact: <sip:bob@${bob.address}>`]);
    bob.answer(invite, '200 OK', [`Contact: <sip:bob@${bob.address}>`, 'Content-Type: application/sdp'], answer);
    const outcome = await out.outcome;
    if (outcome.kind !== 'accepted') return t.fail(JSON.stringify(outcome));
    t.is(Buffer.from(outcome.response.body).toString(), answer);
    const ack = await bob.next('ACK');
    t.is(ack.header('CSeq').split(' ')[1], 'ACK');
    let by: string | undefined;
    outcome.dialog.onBye = (_bye, who) => {
      by = who;
      return Promise.resolve({headers: {'Contribution-ID': 'abc'}});
    };
    bob.send(
      `BYE sip:${bench.server.sip} SIP/2.0
      Via: SIP/2.0/UDP ${bob.address};branch=z9hG4bKbye${invite.header('Call-ID')};rport
      From: ${invite.header('To')};tag=b1
      To: ${invite.header('From')}
      Call-ID: ${invite.header('Call-ID')}
      CSeq: 1 BYE
      Max-Forwards: 70`,
    );
    const ok = await bob.next('SIP/2.0 200');
    t.is(by, 'peer');
    t.true(ok.headerLines.includes('Contribution-ID: abc'));
  }),
);
