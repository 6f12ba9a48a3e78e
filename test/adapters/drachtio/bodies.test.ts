import {randomUUID} from 'node:crypto';
import {createSocket} from 'node:dgram';
import test from 'ava';
import {nextRequest, withBench} from './setup.ts';

/** In Call-IDs: a server takes what it has seen within the last minute for a retransmission. */
const run = randomUUID();

const binary = Buffer.from([0x68, 0xe9, 0xff, 0x80, 0x0d, 0x0a, 0x0d, 0x0a, 0x01, 0x21]);
const multipart = [
  '--boundary1',
  'Content-Type: application/sdp',
  '',
  'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n',
  '--boundary1',
  'Content-Type: message/sip',
  '',
  'REGISTER sip:home.net SIP/2.0\r\nContact: <sip:bob@192.0.2.7>\r\nContent-Length: 0\r\n\r\n',
  '--boundary1--',
  '',
].join('\r\n');

test.serial(
  'RFC 3261 §7.4: UTF-8, binary and multipart bodies leave octet for octet, with their Content-Type',
  withBench(async (t, bench) => {
    const bob = await bench.peer();
    const bodies: [string, string | Uint8Array][] = [
      ['text/plain;charset=UTF-8', '\uFEFFGrüße, 😀 — ɏ'],
      ['application/octet-stream', binary],
      ['multipart/mixed;boundary=boundary1', multipart],
    ];
    for (const [type, body] of bodies) {
      const done = bench.sip.request('MESSAGE', {uri: `sip:bob@${bob.address}`, headers: {'Content-Type': type}, body});
      const message = await bob.next('MESSAGE');
      bob.answer(message, '200 OK');
      t.deepEqual(message.body, Buffer.from(body), type);
      t.is(message.header('Content-Type').replace(/;\s*/, ';'), type);
      t.is((await done).status, 200);
    }
  }),
);

test.serial(
  'RFC 3261 §7.4: UTF-8, binary and multipart bodies come in octet for octet, and so do those of answers',
  withBench(async (t, bench) => {
    const alice = await bench.peer();
    let cseq = 0;
    for (const body of [Buffer.from('\uFEFFGrüße, 😀'), binary, Buffer.from(multipart)]) {
      cseq += 1;
      const coming = nextRequest(bench);
      alice.send(
        `MESSAGE sip:bob@home.net SIP/2.0
        Via: SIP/2.0/UDP ${alice.address};branch=z9hG4bKbody${cseq};rport
        From: <sip:alice@home.net>;tag=a1
        To: <sip:bob@home.net>
        Call-ID: bodies-${run}
        CSeq: ${cseq} MESSAGE
        Max-Forwards: 70
        Content-Type: multipart/mixed;boundary=boundary1`,
        body,
      );
      const request = await coming;
      t.deepEqual(Buffer.from(request.body), body);
      await request.respond(200, {headers: {'Content-Type': 'application/octet-stream'}, body: binary});
      t.deepEqual((await alice.next('SIP/2.0 200')).body, binary);
    }
  }),
);

test.serial(
  'RFC 3261 §7.3.3: compact forms, folded lines and repeated headers are read under their full names; no Content-Length means to the end of the datagram',
  withBench(async (t, bench) => {
    const alice = await bench.peer();
    const coming = nextRequest(bench);
    const socket = createSocket('udp4');
    const [host, port] = bench.server.sip.split(':');
    socket.send(
      [
        'MESSAGE sip:bob@home.net SIP/2.0',
        `v: SIP/2.0/UDP ${alice.address};branch=z9hG4bKcompact${run};rport`,
        'f: <sip:alice@home.net>;tag=a1',
        't: <sip:bob@home.net>',
        `i: compact-${run}`,
        'CSeq: 1 MESSAGE',
        'Max-Forwards: 70',
        'x: 1800;refresher=uac',
        'a: *;+g.oma.sip-im',
        'b: <sip:referrer@home.net>',
        'Subject: in two',
        '  lines',
        'P-Asserted-Identity: <sip:alice@home.net>',
        'P-Asserted-Identity: <tel:+15551234>',
        'c: text/plain',
        '',
        'one\r\n\r\ntwo',
      ].join('\r\n'),
      Number(port),
      host,
    );
    const request = await coming;
    socket.close();
    t.is(request.callId, `compact-${run}`);
    t.is(request.header('Session-Expires'), '1800;refresher=uac');
    t.is(request.header('Accept-Contact'), '*;+g.oma.sip-im');
    t.is(request.header('referred-by'), '<sip:referrer@home.net>');
    t.is(request.header('Subject'), 'in two lines');
    t.is(request.header('P-Asserted-Identity'), '<sip:alice@home.net>, <tel:+15551234>');
    t.is(request.header('Content-Type'), 'text/plain');
    t.is(Buffer.from(request.body).toString(), 'one\r\n\r\ntwo');
    t.is(request.header('Nothing'), undefined);
    await request.respond(200);
  }),
);

test.serial(
  'RFC 3261 §20.15: a body without Content-Type, or with a NUL that the server would cut it at, does not leave',
  withBench(async (t, bench) => {
    const uri = 'sip:bob@home.net';
    t.is((await bench.sip.request('MESSAGE', {uri, headers: {}, body: 'what is it'})).status, 500);
    const headers = {'Content-Type': 'application/octet-stream'};
    t.is((await bench.sip.request('MESSAGE', {uri, headers, body: Buffer.from([1, 0, 2])})).status, 415);
    const out = await bench.sip.invite({uri, headers, body: 'a\0b'}).outcome;
    t.like(out, {kind: 'failed', status: 415});
  }),
);
