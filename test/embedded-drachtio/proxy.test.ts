import test from 'ava';
import {headerOf, headersOf, type SipMessage, type SipRequest} from '../../lib/codecs/sip-message.ts';
import {
  inDialog,
  Mailbox,
  ManualClock,
  sdp,
  startApp,
  startBareApp,
  startPeer,
  startServer,
  type Peer,
} from './support.ts';

const withSdp = {'Content-Type': 'application/sdp'};

/** Alice calls, the application proxies to what `destinations` says, bob answers. */
async function setUp(
  t: Parameters<typeof startServer>[0],
  options: object,
  destinations: (bob: Peer) => readonly string[],
) {
  const running = await startServer(t);
  const alice = await startPeer(t, running.port);
  const bob = await startPeer(t, running.port);
  const results = new Mailbox<unknown>();
  const srf = await startApp(t, running, {
    invite: (request) => {
      srf.proxyRequest(request, [...destinations(bob)], options).then(
        (result) => {
          results.put(result.finalStatus ?? 'nothing');
        },
        (error: unknown) => {
          results.put(error);
        },
      );
    },
  });
  return {running, alice, bob, results, own: `sip:127.0.0.1:${running.port};lr`};
}

const branch = (message: SipMessage): string => headerOf(message, 'Via') ?? '';

test('RFC 3261 §16: a proxied INVITE keeps its tel: URI and the Routes behind ours; ACK and BYE follow the Record-Route', async (t) => {
  const {alice, bob, results, own} = await setUp(t, {recordRoute: true}, (peer) => [`sip:127.0.0.1:${peer.port}`]);
  const next = `<sip:127.0.0.1:${bob.port};lr;odi=77>`;
  const served = '<sip:bob@home.net>;sescase=term;regstate=reg';
  const invite = alice.request(
    'INVITE',
    {uri: 'tel:+15551234', Route: `<${own}>, ${next}`, 'P-Served-User': served, ...withSdp},
    sdp,
  );
  const passed = await bob.takeRequest('INVITE');
  t.is(passed.uri, 'tel:+15551234');
  t.deepEqual(headersOf(passed, 'Route'), [next]);
  t.deepEqual(headersOf(passed, 'Record-Route'), [`<${own}>`]);
  t.is(headersOf(passed, 'Via').length, 2);
  t.is(headerOf(passed, 'Max-Forwards'), '69');
  t.is(headerOf(passed, 'P-Served-User'), served);
  t.is(headerOf(passed, 'Contact'), headerOf(invite, 'Contact'));
  t.is(passed.body.toString(), sdp);

  bob.answer(passed, 180);
  bob.answer(passed, 200, withSdp, sdp);
  t.is(headersOf(await alice.takeResponse(180), 'Via').length, 1);
  const ok = await alice.takeResponse(200);
  t.is(await results.take('result', () => true), 200);
  const uri = `sip:bob@127.0.0.1:${bob.port}`;
  alice.request('ACK', {uri, ...inDialog(invite, ok, 1, 'ACK'), Route: `<${own}>`});
  const ack = await bob.takeRequest('ACK');
  t.is(ack.uri, uri);
  bob.answer(passed, 200, withSdp, sdp);
  await alice.takeResponse(200);
  alice.request('ACK', {uri, ...inDialog(invite, ok, 1, 'ACK'), Route: `<${own}>`});
  await bob.takeRequest('ACK');
  t.deepEqual(headersOf(ack, 'Route'), []);
  alice.request('BYE', {uri, ...inDialog(invite, ok, 2, 'BYE'), Route: `<${own}>`});
  bob.answer(await bob.takeRequest('BYE'), 200);
  t.is(headersOf(await alice.takeResponse(200, 'BYE'), 'Via').length, 1);
  const back = {From: `${headerOf(invite, 'To') ?? ''};tag=q`, To: headerOf(invite, 'From') ?? ''};
  bob.request('INFO', {
    uri: `sip:alice@127.0.0.1:${alice.port}`,
    ...back,
    'Call-ID': headerOf(invite, 'Call-ID') ?? '',
    Route: `<${own}>`,
  });
  t.is((await alice.takeRequest('INFO')).uri, `sip:alice@127.0.0.1:${alice.port}`);
});

test('RFC 3261 §16.7: destinations are tried in turn until one accepts', async (t) => {
  const {alice, bob, results} = await setUp(t, {}, (peer) => [
    `sip:127.0.0.1:${peer.port}`,
    `sip:b2@127.0.0.1:${peer.port}`,
  ]);
  alice.request('INVITE', {uri: 'sip:bob@home.net', ...withSdp}, sdp);
  const first = await bob.takeRequest('INVITE');
  bob.answer(first, 480);
  await bob.takeRequest('ACK');
  const second = await bob.takeRequest('INVITE');
  t.not(branch(second), branch(first));
  t.is(second.uri, 'sip:bob@home.net');
  t.is(headerOf(second, 'Record-Route'), undefined);
  bob.answer(second, 200, withSdp, sdp);
  await alice.takeResponse(200);
  t.is(await results.take('result', () => true), 200);
});

test('RFC 3261 §16.7: when all fail the best failure goes back, after the last one', async (t) => {
  const {alice, bob, results} = await setUp(t, {forking: 'simultaneous'}, (peer) => [
    `sip:a@127.0.0.1:${peer.port}`,
    `sip:b@127.0.0.1:${peer.port}`,
  ]);
  alice.request('INVITE', {uri: 'sip:bob@home.net', ...withSdp}, sdp);
  const one = await bob.takeRequest('INVITE');
  const other = await bob.takeRequest('INVITE');
  bob.answer(one, 503);
  await bob.takeRequest('ACK');
  bob.answer(other, 486);
  await alice.takeResponse(486);
  t.is(await results.take('result', () => true), 486);
});

test('RFC 3261 §16.7: the first that accepts wins, the others are cancelled', async (t) => {
  const {alice, bob, results} = await setUp(t, {forking: 'simultaneous'}, (peer) => [
    `sip:a@127.0.0.1:${peer.port}`,
    `sip:b@127.0.0.1:${peer.port}`,
  ]);
  alice.request('INVITE', {uri: 'sip:bob@home.net', ...withSdp}, sdp);
  const one = await bob.takeRequest('INVITE');
  const other = await bob.takeRequest('INVITE');
  bob.answer(other, 180);
  await alice.takeResponse(180);
  bob.answer(one, 200, withSdp, sdp);
  const cancel = await bob.takeRequest('CANCEL');
  t.is(branch(cancel), branch(other));
  bob.answer(cancel, 200);
  bob.answer(other, 487);
  await alice.takeResponse(200, 'INVITE');
  t.is(await results.take('result', () => true), 200);
});

test('RFC 3261 §16.10: a CANCEL of the caller is passed on, and the 487 comes from where the call was', async (t) => {
  const {alice, bob} = await setUp(t, {}, (peer) => [`sip:127.0.0.1:${peer.port}`]);
  const invite = alice.request('INVITE', {uri: 'sip:bob@home.net', ...withSdp}, sdp);
  const passed = await bob.takeRequest('INVITE');
  bob.answer(passed, 180);
  await alice.takeResponse(180);
  alice.request('CANCEL', {uri: invite.uri, Via: branch(invite), 'Call-ID': headerOf(invite, 'Call-ID') ?? ''});
  await alice.takeResponse(200, 'CANCEL');
  bob.answer(await bob.takeRequest('CANCEL'), 200);
  bob.answer(passed, 487, {tag: 'from-bob'});
  t.regex(headerOf(await alice.takeResponse(487), 'To') ?? '', /tag=from-bob/);
});

test('RFC 3261 §16.3: a request whose Max-Forwards is used up goes no further', async (t) => {
  const {alice, results} = await setUp(t, {}, (peer) => [`sip:127.0.0.1:${peer.port}`]);
  const invite: SipRequest = alice.request('INVITE', {uri: 'sip:bob@home.net', 'Max-Forwards': '0'});
  await alice.takeResponse(483);
  t.is(invite.method, 'INVITE');
  await results.take('result', () => true);
});

test('drachtio proxy: a destination that leads nowhere is answered NOK, and the application may still answer itself', async (t) => {
  const running = await startServer(t);
  const alice = await startPeer(t, running.port);
  const srf = await startApp(t, running, {
    invite: (request, response) => {
      srf.proxyRequest(request, ['tel:+15551234'], {}).catch((error: unknown) => {
        response.send(404, {headers: {Reason: String(error)}});
      });
    },
  });
  alice.request('INVITE', {uri: 'sip:bob@home.net'});
  t.regex(headerOf(await alice.takeResponse(404), 'Reason') ?? '', /leads nowhere/);
});

test('drachtio proxy: a destination that stays silent for its time is given up for the next one', async (t) => {
  const clock = new ManualClock();
  const running = await startServer(t, {clock});
  const alice = await startPeer(t, running.port);
  const bob = await startPeer(t, running.port);
  const app = await startBareApp(t, running);
  app.send(['r', 'route', 'invite']);
  await app.reply('r');
  alice.request('INVITE', {uri: 'sip:bob@home.net'});
  const {fields} = await app.frames.take('INVITE', (frame) => frame.fields[1] === 'sip');
  const destination = `sip:127.0.0.1:${bob.port}`;
  app.send(
    ['p', 'proxy', fields[8] ?? '', '', 'fullResponse', '', 'serial', '2s', '5s', destination, destination],
    'INVITE sip:x SIP/2.0\r\n',
  );
  const first = await bob.takeRequest('INVITE');
  clock.advance(2000);
  let second = await bob.takeRequest('INVITE');
  while (branch(second) === branch(first)) second = await bob.takeRequest('INVITE');
  bob.answer(second, 180);
  await alice.takeResponse(180);
  clock.advance(5000);
  bob.answer(await bob.takeRequest('CANCEL'), 200);
  await alice.takeResponse(408);
  const statuses: string[] = [];
  for (let reply = await app.reply('p'); reply.fields[1] !== 'done'; reply = await app.reply('p')) {
    statuses.push(reply.message.slice(0, 11));
    t.is(reply.fields[9], 'continue');
  }
  t.deepEqual(statuses, ['SIP/2.0 408', 'SIP/2.0 408']);
});
