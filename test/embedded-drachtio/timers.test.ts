import test from 'ava';
import {
  createRequest,
  createResponse,
  headerOf,
  type SipMessage,
  type SipResponse,
} from '../../lib/codecs/sip-message.ts';
import {createTransactionLayer, type ServerTransaction} from '../../lib/embedded-drachtio/transactions.ts';
import type {Flow} from '../../lib/embedded-drachtio/flow.ts';
import type {SipAddress} from '../../lib/embedded-drachtio/sip-values.ts';
import type {Transport} from '../../lib/embedded-drachtio/transport.ts';
import {inDialog, ManualClock, sdp, startBareApp, startPeer, startServer, type BareApp, type Peer} from './support.ts';

/** A transport that records what is sent, with the time, and takes what the test says. */
function recording(protocol: 'udp' | 'tcp') {
  const clock = new ManualClock();
  const start = clock.now();
  const sent: {readonly at: number; readonly what: string; readonly message: SipMessage}[] = [];
  const local: SipAddress = {protocol, host: '192.0.2.1', port: 5060};
  const remote: SipAddress = {protocol, host: '192.0.2.2', port: 5060};
  let receive: (message: SipMessage, flow: Flow) => void = () => undefined;
  const transport: Transport = {
    contacts: [local],
    localAddress: () => local,
    isOwn: () => false,
    receive(receiver) {
      receive = receiver;
    },
    send(message) {
      const what = message.kind === 'request' ? message.method : String(message.status);
      sent.push({at: clock.now() - start, what, message});
      return Promise.resolve(1);
    },
    close: () => Promise.resolve(),
  };
  const flow: Flow = {remote, local, connectionId: undefined};
  return {
    clock,
    transport,
    remote,
    put: (message: SipMessage) => {
      receive(message, flow);
    },
    sent,
    log: () => sent.map(({at, what}) => `${at} ${what}`),
  };
}

const request = (method: string, via?: string, tag?: string) =>
  createRequest(method, 'sip:b@192.0.2.2', [
    ...(via === undefined ? [] : [['Via', via] as const]),
    ['From', '<sip:a@192.0.2.1>;tag=a'],
    ['To', tag === undefined ? '<sip:b@192.0.2.2>' : `<sip:b@192.0.2.2>;tag=${tag}`],
    ['Call-ID', 'c1'],
    ['CSeq', `1 ${method}`],
  ]);

function clientOf(method: string, protocol: 'udp' | 'tcp' = 'udp') {
  const network = recording(protocol);
  const layer = createTransactionLayer(network.transport, {onRequest: () => undefined}, {clock: network.clock});
  const statuses: number[] = [];
  const transaction = layer.request(request(method), network.remote, {
    onResponse: (response) => statuses.push(response.status),
  });
  const answer = (status: number, tag = 'b'): void => {
    const response = createResponse(transaction.request, status);
    network.put({
      ...response,
      headers: response.headers.map((header) =>
        header.name === 'To' ? {...header, value: `${header.value};tag=${tag}`} : header,
      ),
    });
  };
  return {...network, transaction, statuses, answer};
}

test('RFC 3261 §17.1.1.2: an INVITE over UDP is repeated in doubling steps until timer B, then it is a 408', (t) => {
  const {clock, log, statuses} = clientOf('INVITE');
  clock.advance(40_000);
  t.deepEqual(
    log(),
    [0, 500, 1500, 3500, 7500, 15_500, 31_500].map((at) => `${at} INVITE`),
  );
  t.deepEqual(statuses, [408]);
});

test('RFC 3261 §17.1.2.2: another request over UDP is repeated at most every T2, each T2 after a provisional response', (t) => {
  const {clock, log, statuses} = clientOf('MESSAGE');
  clock.advance(40_000);
  t.deepEqual(
    log(),
    [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500].map((at) => `${at} MESSAGE`),
  );
  t.deepEqual(statuses, [408]);
});

test('RFC 3261 §17.1: over TCP nothing is repeated, and the time of the transaction is the same', (t) => {
  const {clock, log, statuses} = clientOf('MESSAGE', 'tcp');
  clock.advance(31_999);
  t.deepEqual([log(), statuses], [['0 MESSAGE'], []]);
  clock.advance(1);
  t.deepEqual(statuses, [408]);
});

test('RFC 3261 §17.1.1.2: a provisional response ends repetition and timer B of an INVITE', (t) => {
  const {clock, log, statuses, answer} = clientOf('INVITE');
  answer(180);
  clock.advance(100_000);
  t.deepEqual([log(), statuses], [['0 INVITE'], [180]]);
});

test('RFC 3261 §17.1.1.3: a failure is acknowledged each time it comes, and told once', (t) => {
  const {clock, log, sent, statuses, answer} = clientOf('INVITE');
  answer(486);
  answer(486);
  clock.advance(32_000);
  answer(486);
  t.deepEqual(log(), ['0 INVITE', '0 ACK', '0 ACK']);
  t.deepEqual(statuses, [486]);
  const ack = sent[1]?.message;
  t.is(ack === undefined ? undefined : headerOf(ack, 'CSeq'), '1 ACK');
  t.regex((ack === undefined ? undefined : headerOf(ack, 'To')) ?? '', /;tag=b$/);
});

test('RFC 6026 §8.4: each 2xx of an INVITE is told for 64·T1, also of other forks', (t) => {
  const {clock, statuses, answer, log} = clientOf('INVITE');
  answer(200);
  answer(200, 'fork');
  clock.advance(32_000);
  answer(200);
  t.deepEqual(statuses, [200, 200]);
  t.deepEqual(log(), ['0 INVITE']);
});

test('RFC 3261 §9.1: a CANCEL waits for a provisional response; an INVITE that stays silent after it is a 408', (t) => {
  const {clock, statuses, answer, log, transaction} = clientOf('INVITE');
  t.not(transaction.cancel(), undefined);
  t.is(transaction.cancel(), undefined);
  t.deepEqual(log(), ['0 INVITE']);
  answer(180);
  t.deepEqual(log(), ['0 INVITE', '0 CANCEL']);
  clock.advance(32_000);
  t.deepEqual(statuses, [180, 408]);
  t.is(transaction.cancel(), undefined);
});

const via = 'SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKx;rport';

function serverOf(protocol: 'udp' | 'tcp' = 'udp') {
  const network = recording(protocol);
  const events: string[] = [];
  const transactions: ServerTransaction[] = [];
  createTransactionLayer(
    network.transport,
    {
      onRequest(message, transaction) {
        events.push(message.method);
        transactions.push(transaction);
      },
      onAck: (_ack, transaction) => events.push(transaction === undefined ? 'stray ACK' : 'ACK'),
      onAckTimeout: () => events.push('no ACK'),
    },
    {clock: network.clock, newToken: () => 'token'},
  );
  const respond = (status: number): SipResponse | undefined => {
    const transaction = transactions[0];
    return transaction?.respond(createResponse(transaction.request, status));
  };
  return {...network, events, respond, transactions};
}

test('RFC 3261 §17.2.1: an INVITE has its 100 at once; repeated, it gets the last response again and is told once', (t) => {
  const {put, log, events, respond} = serverOf();
  put(request('INVITE', via));
  put(request('INVITE', via));
  respond(180);
  put(request('INVITE', via));
  t.deepEqual(log(), ['0 100', '0 100', '0 180', '0 180']);
  t.deepEqual(events, ['INVITE']);
});

test('RFC 3261 §13.3.1.4: a 200 to INVITE is repeated up to T2 until its ACK, also over TCP', (t) => {
  const {clock, put, log, events, respond} = serverOf('tcp');
  put(request('INVITE', via));
  t.regex(headerOf(respond(200) ?? request('x'), 'To') ?? '', /;tag=token$/);
  clock.advance(9000);
  put(request('ACK', 'SIP/2.0/TCP 192.0.2.2;branch=z9hG4bKack', 'token'));
  put(request('ACK', 'SIP/2.0/TCP 192.0.2.2;branch=z9hG4bKack', 'token'));
  clock.advance(60_000);
  t.deepEqual(log(), ['0 100', '0 200', '500 200', '1500 200', '3500 200', '7500 200']);
  t.deepEqual(events, ['INVITE', 'ACK', 'ACK']);
});

test('RFC 3261 §13.3.1.4: a 200 that nobody acknowledges is given up after 64·T1', (t) => {
  const {clock, put, events, respond} = serverOf();
  put(request('INVITE', via));
  respond(200);
  clock.advance(31_999);
  t.deepEqual(events, ['INVITE']);
  clock.advance(1);
  t.deepEqual(events, ['INVITE', 'no ACK']);
  put(request('ACK', 'SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKack', 'token'));
  t.deepEqual(events, ['INVITE', 'no ACK', 'stray ACK']);
});

test('RFC 3261 §17.2.1: a failure is repeated until its ACK, which is not told', (t) => {
  const {clock, put, log, events, respond} = serverOf();
  put(request('INVITE', via));
  respond(486);
  clock.advance(2000);
  put(request('ACK', via, 'token'));
  clock.advance(40_000);
  t.deepEqual(log(), ['0 100', '0 486', '500 486', '1500 486']);
  t.deepEqual(events, ['INVITE']);
  t.throws(() => respond(200), {code: 'CPM_SIP_TRANSACTION'});
});

test('RFC 3261 §17.2.2: another request is answered again for 64·T1 over UDP, and is new after it', (t) => {
  const {clock, put, log, events, respond} = serverOf();
  put(request('MESSAGE', via));
  put(request('MESSAGE', via));
  respond(200);
  clock.advance(31_999);
  put(request('MESSAGE', via));
  clock.advance(1);
  put(request('MESSAGE', via));
  t.deepEqual(log(), ['0 200', '31999 200']);
  t.deepEqual(events, ['MESSAGE', 'MESSAGE']);
});

test('RFC 3261 §9.2: a CANCEL without user is 200 and 487; without INVITE it is 481', (t) => {
  const {put, log} = serverOf();
  put(request('INVITE', via));
  put(request('CANCEL', via));
  put(request('CANCEL', `${via}2`.replace(';rport2', '2')));
  t.deepEqual(log(), ['0 100', '0 200', '0 487', '0 481']);
});

test('RFC 3261 §8.1.1: a request without what it must have is 400, and an ACK like that is nothing', (t) => {
  const {put, log, events} = serverOf();
  put({...request('MESSAGE', via), method: 'INFO'});
  put({...request('ACK', via), method: 'ACK', headers: [{name: 'Via', value: via}]});
  t.deepEqual([log(), events], [['0 400'], []]);
});

/** A server on a clock of the test, an application of bare frames that serves INVITE and MESSAGE, and a peer. */
async function timed(t: Parameters<typeof startServer>[0]) {
  const clock = new ManualClock();
  const running = await startServer(t, {clock});
  const peer = await startPeer(t, running.port);
  const app = await startBareApp(t, running);
  for (const verb of ['invite', 'message']) {
    app.send([verb, 'route', verb]);
    await app.reply(verb);
  }
  return {clock, running, peer, app};
}

/** The peer calls and the application accepts with these headers. */
async function accepted(peer: Peer, app: BareApp, offer: Record<string, string>, answer = '') {
  const invite = peer.request('INVITE', {'Content-Type': 'application/sdp', ...offer}, sdp);
  const frame = await app.frames.take('INVITE', ({fields}) => fields[1] === 'sip');
  app.send(['ok', 'sip', frame.fields[8] ?? '', ''], `SIP/2.0 200 OK\r\n${answer}\r\n${sdp}`);
  const ok = await peer.takeResponse(200);
  await app.reply('ok');
  return {invite, ok, dialogId: `${headerOf(invite, 'Call-ID') ?? ''};from-tag=ft1`};
}

async function acknowledge(peer: Peer, app: BareApp, invite: SipMessage, ok: SipMessage): Promise<void> {
  if (invite.kind !== 'request') return;
  peer.request('ACK', inDialog(invite, ok, 1, 'ACK'));
  await app.frames.take('ACK', ({message}) => message?.toString().startsWith('ACK ') === true);
}

const unsolicited = async (app: BareApp, reason: string): Promise<string | undefined> => {
  const frame = await app.frames.take('BYE', ({fields}) => fields[8] === 'unsolicited');
  return frame.message?.toString().includes(`text="${reason}"`) === true ? frame.fields[9] : undefined;
};

test('drachtio: a 200 that the peer does not acknowledge ends in a BYE of the server, which the application is told', async (t) => {
  const {clock, peer, app} = await timed(t);
  const {dialogId} = await accepted(peer, app, {});
  clock.advance(32_000);
  const bye = await peer.takeRequest('BYE');
  t.is(headerOf(bye, 'Reason'), 'SIP;cause=200;text="ACK timeout"');
  t.is(await unsolicited(app, 'ACK timeout'), dialogId);
});

test('drachtio: an unanswered request of the application is a 408 from the network without an address', async (t) => {
  const {clock, peer, app} = await timed(t);
  app.send(['m', 'sip', '', ''], `MESSAGE sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n`);
  const sent = await app.reply('m');
  await peer.takeRequest('MESSAGE');
  clock.advance(32_000);
  const answer = await app.frames.take('408', ({fields}) => fields[1] === 'sip');
  t.deepEqual(
    [...answer.fields.slice(2, 7), ...answer.fields.slice(8)],
    ['network', '0', 'udp', '', '0', sent.fields[7], '', ''],
  );
  t.regex(answer.message?.toString() ?? '', /^SIP\/2\.0 408 Request Timeout\r\n[^]*\r\nTo: [^\r]*;tag=/);
});

test('drachtio: a request which the application never answers is forgotten, one within a dialog gets 500', async (t) => {
  const {clock, peer, app} = await timed(t);
  peer.request('MESSAGE');
  const first = await app.frames.take('MESSAGE', ({fields}) => fields[1] === 'sip');
  clock.advance(64_000);
  app.send(['late', 'sip', first.fields[8] ?? '', ''], 'SIP/2.0 200 OK\r\n');
  t.deepEqual((await app.reply('late')).fields, ['NOK', 'Response not sent due to unknown transaction']);
  const {invite, ok} = await accepted(peer, app, {});
  await acknowledge(peer, app, invite, ok);
  peer.request('INFO', inDialog(invite, ok, 2, 'INFO'));
  await app.frames.take('INFO', ({message}) => message?.toString().startsWith('INFO ') === true);
  clock.advance(32_000);
  await peer.takeResponse(500, 'INFO');
});

test('RFC 4028 §9: an offered interval with a refresher is echoed, raised to 90 s; the peer who does not refresh is ended', async (t) => {
  const {clock, peer, app} = await timed(t);
  const {invite, ok, dialogId} = await accepted(peer, app, {'Session-Expires': '60;refresher=uac', Supported: 'timer'});
  t.is(headerOf(ok, 'Session-Expires'), '90;refresher=uac');
  t.is(headerOf(ok, 'Require'), undefined);
  await acknowledge(peer, app, invite, ok);
  clock.advance(59_000);
  peer.request('UPDATE', inDialog(invite, ok, 2, 'UPDATE'));
  const update = await app.frames.take('UPDATE', ({message}) => message?.toString().startsWith('UPDATE ') === true);
  app.send(['u', 'sip', update.fields[8] ?? '', ''], 'SIP/2.0 200 OK\r\n');
  await peer.takeResponse(200, 'UPDATE');
  clock.advance(59_000);
  peer.request('INVITE', {...inDialog(invite, ok, 3, 'INVITE'), 'Session-Expires': '60'});
  t.is(headerOf(await peer.takeResponse(422), 'Min-SE'), '90');
  clock.advance(1000);
  t.is(headerOf(await peer.takeRequest('BYE'), 'Reason'), 'SIP;cause=200;text="Session timer expired"');
  t.is(await unsolicited(app, 'Session timer expired'), dialogId);
});

test('RFC 4028 §9: without a refresher in the offer nothing is echoed', async (t) => {
  const {peer, app} = await timed(t);
  const {ok} = await accepted(peer, app, {'Session-Expires': '600', Supported: 'timer'});
  t.is(headerOf(ok, 'Session-Expires'), undefined);
});

test('RFC 4028 §10: when we are the refresher the server re-INVITEs at half time with the same body; a refusal ends the call', async (t) => {
  const {clock, running, peer, app} = await timed(t);
  app.send(
    ['i', 'sip', '', ''],
    `INVITE sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\nSession-Expires: 1800\r\nSupported: timer\r\n\r\n${sdp}`,
  );
  const invite = await peer.takeRequest('INVITE');
  peer.answer(invite, 200, {'Session-Expires': '1800;refresher=uac', 'Content-Type': 'application/sdp'}, sdp);
  const ok = await app.frames.take('200', ({fields}) => fields[1] === 'sip');
  const dialogId = ok.fields[9] ?? '';
  app.send(['a', 'sip', '', dialogId], 'ACK sip:x SIP/2.0\r\n');
  await peer.takeRequest('ACK');
  await app.reply('a');
  for (const last of [false, true]) {
    clock.advance(900_000);
    const refresh = await peer.takeRequest('INVITE');
    t.is(refresh.body.toString(), sdp);
    t.is(headerOf(refresh, 'Session-Expires'), '1800;refresher=uac');
    t.is(headerOf(refresh, 'Contact'), `<sip:127.0.0.1:${running.port}>`);
    if (last) peer.answer(refresh, 481);
    else peer.answer(refresh, 200, {'Session-Expires': '1800;refresher=uac'}, sdp);
    await peer.takeRequest('ACK');
  }
  await peer.takeRequest('BYE');
  t.is(await unsolicited(app, 'Session timer expired'), dialogId);
  t.deepEqual(
    app.frames.left.filter(({fields}) => fields[1] === 'sip'),
    [],
  );
});
