import test from 'ava';
import fc from 'fast-check';
import {CpmError} from '../../lib/errors.ts';
import {createFrameParser, formatFrame, parseCommand} from '../../lib/embedded-drachtio/admin-protocol.ts';
import {startApp, startBareApp, startPeer, startServer, within} from './support.ts';

test('drachtio admin protocol: the length of a frame counts UTF-8 bytes, and cutting the stream changes nothing', (t) => {
  const frames = [
    formatFrame(['a', 'ping']),
    formatFrame(['b', 'sip', '', ''], Buffer.from('MESSAGE sip:x@y SIP/2.0\r\n\r\nzwölf 😀')),
    formatFrame(['c', 'proxy', 't1', 'remainInDialog', 'fullResponse', '', 'serial', '2s', '500ms', 'sip:a', 'sip:b']),
  ];
  t.is(frames[0]?.toString(), '6#a|ping');
  const stream = Buffer.concat(frames);
  const whole = createFrameParser().push(stream);
  t.is(whole[1]?.message?.toString(), 'MESSAGE sip:x@y SIP/2.0\r\n\r\nzwölf 😀');
  const parser = createFrameParser();
  t.deepEqual(
    [...stream].flatMap((byte) => parser.push(Uint8Array.of(byte))),
    [...whole],
  );
  const proxy = whole[2] === undefined ? undefined : parseCommand(whole[2]);
  t.like(proxy, {
    kind: 'proxy',
    transactionId: 't1',
    recordRoute: true,
    simultaneous: false,
    provisionalMs: 2000,
    finalMs: 500,
    destinations: ['sip:a', 'sip:b'],
  });
});

test('drachtio admin protocol: whatever comes in, only a CpmError comes out', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({maxLength: 200}), fc.nat(300), (bytes, length) => {
      try {
        for (const chunk of [Buffer.from(`${length}#`), bytes]) createFrameParser().push(chunk).forEach(parseCommand);
      } catch (error) {
        if (!(error instanceof CpmError)) throw error;
      }
    }),
  );
  t.pass();
});

test('drachtio admin protocol: authentication tells addresses and version; a wrong secret is refused and the socket closed', async (t) => {
  const running = await startServer(t);
  const right = await startBareApp(t, running, false);
  right.send(['e2', 'authenticate', 'cymru', 'x']);
  const addresses = running.server.contacts
    .map(({protocol, port}) => `${protocol}/127.0.0.1:${port}`)
    .sort()
    .join(',');
  t.deepEqual((await right.reply('e2')).fields, ['OK', addresses, 'v0.9.10-embedded', addresses]);
  const wrong = await startBareApp(t, running, false);
  wrong.send(['e1', 'authenticate', 'wrong', 'tag1']);
  t.deepEqual((await wrong.reply('e1')).fields, ['NO', 'incorrect secret']);
  await within('end of the connection', wrong.closed);
  const silent = await startBareApp(t, running, false);
  silent.send(['e3', 'route', 'invite']);
  await within('end of the connection', silent.closed);
  t.deepEqual(silent.frames.left, []);
});

test('drachtio admin protocol: a frame that can not be read closes its own connection only', async (t) => {
  const running = await startServer(t);
  const good = await startBareApp(t, running);
  for (const bytes of ['no length at all', '123456#', '0#', '-3#a|b']) {
    const bad = await startBareApp(t, running);
    bad.bytes(bytes);
    await within('end of the connection', bad.closed);
  }
  const nonsense = await startBareApp(t, running);
  nonsense.send(['e13', 'nonsense', 'x']);
  t.deepEqual((await nonsense.reply('e13')).fields, ['NO', 'Unknown message type']);
  await within('end of the connection', nonsense.closed);
  good.send(['e12', 'ping']);
  t.deepEqual((await good.reply('e12')).fields, ['OK', 'pong']);
});

test('drachtio admin protocol: what can not be sent is answered NOK with the reason', async (t) => {
  const running = await startServer(t);
  const app = await startBareApp(t, running);
  const refused = async (fields: readonly string[], message: string): Promise<string> => {
    app.send(['e', ...fields], message);
    const reply = await app.reply('e');
    t.is(reply.fields[0], 'NOK');
    return reply.fields[1] ?? '';
  };
  const fresh = ['sip', '', ''];
  t.is(
    await refused(['sip', '', 'nope;from-tag=1'], 'INFO sip:placeholder SIP/2.0\r\n'),
    'Server error: unable to find dialog for dialog id provided',
  );
  t.is(
    await refused(fresh, 'INVITE sip:bob@127.0.0.1:9 SIP/2.0\r\nContent-Length: 4\r\n\r\nxyz1'),
    'missing content-type',
  );
  t.is(await refused(fresh, `OPTIONS sip:127.0.0.1:${running.port} SIP/2.0\r\n`), 'can not send request to myself');
  t.is(await refused(fresh, 'OPTIONS bad uri SIP/2.0\r\n'), 'invalid request-uri: OPTIONS bad uri SIP/2.0');
  t.is(await refused(fresh, 'INVITE tel:+15551234 SIP/2.0\r\n'), 'invalid request-uri: INVITE tel:+15551234 SIP/2.0');
  t.is(await refused(['sip', 'no-such', ''], 'SIP/2.0 200 OK\r\n'), 'Response not sent due to unknown transaction');
  t.is(
    await refused(['sip', 'no-such', ''], 'CANCEL sip:bob@127.0.0.1:9 SIP/2.0\r\n'),
    'unable to cancel unknown transaction id: no-such',
  );
  t.is(
    await refused(['sip', '', 'nope;from-tag=1'], 'ACK sip:bob@127.0.0.1:9 SIP/2.0\r\n'),
    'Server error: ACK for non-success final response is automatically generated by server',
  );
  t.is(await refused(fresh, 'INVITE sip:a@b?Route=%3Csip%3A127.0.0.1%3A9%3E SIP/2.0\r\n'), 'Error creating leg');
  t.regex(
    await refused(['proxy', 'no-such', '', '', '', 'serial', '', '', 'sip:a@b'], 'INVITE sip:a SIP/2.0\r\n'),
    /unknown/,
  );
});

test('drachtio admin protocol: new requests go to the connected applications in turn, of those that serve the method', async (t) => {
  const running = await startServer(t);
  const peer = await startPeer(t, running.port);
  const counts = [0, 0, 0];
  for (const index of [0, 1]) {
    await startApp(t, running, {
      message: (_request, response) => {
        counts[index] = (counts[index] ?? 0) + 1;
        response.send(200);
      },
    });
  }
  await startApp(t, running, {
    options: (_request, response) => {
      response.send(200);
    },
  });
  for (let count = 0; count < 6; count++) {
    peer.request('MESSAGE');
    await peer.takeResponse(200);
  }
  t.deepEqual(counts, [3, 3, 0]);
});

test('drachtio admin protocol: without applications a request gets 503; a method none of them serves gets no answer', async (t) => {
  const running = await startServer(t);
  const peer = await startPeer(t, running.port);
  peer.request('INVITE');
  await peer.takeResponse(100);
  await peer.takeResponse(503, 'INVITE');
  peer.request('MESSAGE');
  await peer.takeResponse(503, 'MESSAGE');
  const app = await startBareApp(t, running);
  app.send(['r', 'route', 'options']);
  await app.reply('r');
  peer.request('REFER');
  peer.request('OPTIONS');
  const frame = await app.frames.take('OPTIONS', ({fields}) => fields[1] === 'sip');
  app.send(['a', 'sip', frame.fields[8] ?? '', ''], 'SIP/2.0 200 OK\r\n');
  await peer.takeResponse(200, 'OPTIONS');
  t.deepEqual(peer.got.left, []);
  app.send(['x', 'remove_route', 'invite']);
  t.deepEqual((await app.reply('x')).fields, ['OK']);
});
