import {randomUUID} from 'node:crypto';
import test from 'ava';
import {outgoingHeaders, parseHeaders, requestUri, withDefaults} from '../../../lib/adapters/drachtio/headers.ts';
import {proxyTarget} from '../../../lib/adapters/drachtio/proxy-target.ts';
import {callTo, nextInvite, offer, withBench} from './setup.ts';

/** In Call-IDs: a server takes what it has seen within the last minute for a retransmission. */
const run = randomUUID();

test('RFC 3261 §7.3.1: headers are found without regard to case, several values joined in order', (t) => {
  const headers = parseHeaders(
    'OPTIONS sip:a@b SIP/2.0\r\nconversation-ID : X\r\nK: a\r\nSupported:b,c\r\n\r\nbody: no',
  );
  t.is(headers.get('conversation-id'), 'X');
  t.is(headers.get('supported'), 'a, b,c');
  t.is(headers.get('body'), undefined);
});

test('RFC 3261 §7.3.1: a value cannot bring a header of its own along', (t) => {
  t.deepEqual(outgoingHeaders({Subject: 'x\r\nP-Asserted-Identity: <sip:ceo@home.net>'}), {
    Subject: 'x P-Asserted-Identity: <sip:ceo@home.net>',
  });
});

test('RFC 3841 §5: repeated headers are joined to what is there already', (t) => {
  t.deepEqual(outgoingHeaders({'Accept-Contact': '*;a'}, {repeated: {'accept-contact': ['*;b', '*;c']}}), {
    'Accept-Contact': '*;a, *;b, *;c',
  });
  t.deepEqual(withDefaults({from: 'x'}, {From: 'y', To: 'z', Reason: undefined}), {from: 'x', To: 'z'});
});

test('RFC 3261 §19.1.1: Route goes as URI header, percent-encoded; headers of the URI itself are taken off', (t) => {
  t.is(
    requestUri('sip:bob@home.net;user=phone', ['<sip:scscf.home.net;lr>;orig', 'sip:next;lr']),
    'sip:bob@home.net;user=phone?Route=%3Csip%3Ascscf.home.net%3Blr%3E%3Borig%2C%3Csip%3Anext%3Blr%3E',
  );
  t.is(requestUri('sip:bob@192.0.2.7?Route=%3Csip%3Aevil%3E&Replaces=x'), 'sip:bob@192.0.2.7');
});

for (const uri of [
  'tel:+15551234',
  'TEL:+15551234',
  'sip:bob@home.net SIP/2.0\r\nX: y',
  'sip:a|b@home.net',
  'http://home.net/',
  '',
]) {
  test(`RFC 3261 §8.1.1.1: a request to "${uri.replace(/\s+/g, ' ')}" never reaches the server`, (t) => {
    t.throws(() => requestUri(uri), {code: 'CPM_SIP_URI_SCHEME'});
    t.throws(() => requestUri('sip:bob@home.net', [uri]), {code: 'CPM_SIP_URI_SCHEME'});
  });
}

test('RFC 3261 §16.6: a request goes on to the Route behind our own, else to its Request-URI', (t) => {
  const own = ['192.0.2.1:5060'];
  const target = (uri: string, route?: string): string | undefined => proxyTarget({uri, header: () => route}, own);
  t.is(target('sip:bob@home.net', '<sip:192.0.2.1;lr>, <sip:scscf.home.net;lr;odi=7>'), 'sip:scscf.home.net;lr;odi=7');
  t.is(target('tel:+15551234', '<sip:pf@192.0.2.1:5060;lr;term>,<sip:scscf.home.net;lr>'), 'sip:scscf.home.net;lr');
  t.is(target('sip:bob@home.net', '<sip:192.0.2.1:5060;lr>'), 'sip:bob@home.net');
  t.is(target('sip:bob@home.net', '<sip:scscf.home.net;lr>'), 'sip:scscf.home.net;lr');
  t.is(target('sip:bob@home.net'), 'sip:bob@home.net');
  t.is(target('tel:+15551234'), undefined);
  t.is(target('sip:pf@192.0.2.1'), undefined, 'it would come back at once');
});

test.serial(
  '8.3.2.1: Conversation-ID and Contribution-ID are written exactly so on requests, answers and in dialogs',
  withBench(async (t, bench) => {
    const bob = await bench.peer();
    const ids = {'Conversation-ID': 'conv-1', 'Contribution-ID': 'contr-1', 'InReplyTo-Contribution-ID': 'other'};
    const lines = ['Conversation-ID: conv-1', 'Contribution-ID: contr-1', 'InReplyTo-Contribution-ID: other'];
    const out = bench.sip.invite({
      uri: `sip:bob@${bob.address}`,
      headers: {...ids, 'Content-Type': 'application/sdp'},
      body: offer,
    });
    const invite = await bob.next('INVITE');
    for (const line of lines) t.true(invite.headerLines.includes(line), line);
    bob.answer(invite, '486 Busy Here', ['conversation-id: conv-1']);
    const outcome = await out.outcome;
    t.is(outcome.kind === 'refused' ? outcome.response.header('Conversation-ID') : undefined, 'conv-1');
    await bob.next('ACK');

    const coming = nextInvite(bench);
    bob.send(
      `INVITE sip:alice@home.net SIP/2.0
      Via: SIP/2.0/UDP ${bob.address};branch=z9hG4bKids${run};rport
      From: <sip:bob@home.net>;tag=b1
      To: <sip:alice@home.net>
      Call-ID: ids-${run}
      CSeq: 1 INVITE
      Max-Forwards: 70
      CONVERSATION-ID: conv-2
      Contact: <sip:bob@${bob.address}>
      Content-Type: application/sdp`,
      offer,
    );
    const incoming = await coming;
    await incoming.respond(480, {headers: {...ids, 'Conversation-ID': incoming.header('Conversation-ID') ?? ''}});
    const refusal = await bob.next('SIP/2.0 480');
    t.true(refusal.headerLines.includes('Conversation-ID: conv-2'));
    for (const line of lines.slice(1)) t.true(refusal.headerLines.includes(line), line);

    const call = await callTo(bench, bob);
    call.dialog.onRequest = () => Promise.resolve({status: 200, headers: ids});
    call.send('MESSAGE', ['Content-Type: text/plain'], 'hello');
    const ok = await bob.next('SIP/2.0 200');
    for (const line of lines) t.true(ok.headerLines.includes(line), line);
    const ending = call.dialog.bye(ids);
    const bye = await bob.next('BYE');
    for (const line of lines) t.true(bye.headerLines.includes(line), line);
    bob.answer(bye, '200 OK');
    await ending;
  }),
);
