import {once} from 'node:events';
import test from 'ava';
import {headerOf, headersOf, type SipRequest} from '../../lib/codecs/sip-message.ts';
import {tagOf} from '../../lib/embedded-drachtio/sip-values.ts';
import {
  Mailbox,
  sdp,
  startApp,
  startBareApp,
  startPeer,
  startServer,
  within,
  type AppDialog,
  type AppMessage,
  type AppSrf,
} from './support.ts';

const withSdp = {'Content-Type': 'application/sdp'};
const named = {From: '<sip:alice@home.net>', To: '<sip:bob@home.net>'};

async function setUp(t: Parameters<typeof startServer>[0]) {
  const running = await startServer(t);
  const peer = await startPeer(t, running.port);
  const srf = await startApp(t, running);
  return {running, peer, srf, uri: `sip:bob@127.0.0.1:${peer.port}`};
}

function rejection(promise: Promise<unknown>): Promise<{readonly status?: number}> {
  return promise.then(
    () => Promise.reject(new Error('it was fulfilled')),
    (error: unknown) => error as {status?: number},
  );
}

test('drachtio requests: what the application leaves out is filled in, and the echo carries what was sent', async (t) => {
  const running = await startServer(t);
  const peer = await startPeer(t, running.port);
  const app = await startBareApp(t, running);
  app.send(
    ['q', 'sip', '', ''],
    [
      `INVITE sip:bob@127.0.0.1:${peer.port} SIP/2.0`,
      'Via: SIP/2.0/UDP dropped',
      'Route: <sip:dropped>',
      'Record-Route: <sip:dropped>',
      'Session-Expires: abc',
      'P-Asserted-Identity: <sip:pf@localhost>',
      'Conversation-ID: c-1',
      `Content-Length: 3\r\n\r\n${sdp}`,
    ].join('\r\n'),
  );
  const invite = await peer.takeRequest('INVITE');
  const own = `127.0.0.1:${running.port}`;
  t.deepEqual(
    invite.headers.map(({name, value}) => `${name}: ${value.replace(/(branch|tag)=.*/, '$1=?')}`),
    [
      `Via: SIP/2.0/UDP ${own};rport;branch=?`,
      'Max-Forwards: 70',
      `From: <sip:${own}>;tag=?`,
      `To: <sip:bob@127.0.0.1:${peer.port}>`,
      `Call-ID: ${headerOf(invite, 'Call-ID') ?? ''}`,
      `CSeq: ${headerOf(invite, 'CSeq') ?? ''}`,
      `Contact: <sip:${own}>`,
      `P-Asserted-Identity: <sip:pf@${own}>`,
      'Conversation-ID: c-1',
      'Content-Type: application/sdp',
      `Content-Length: ${sdp.length}`,
    ],
  );
  const echo = await app.reply('q');
  t.deepEqual(
    [...echo.fields.slice(0, 2), ...echo.fields.slice(3, 6), ...echo.fields.slice(8)],
    ['OK', 'application', 'udp', '127.0.0.1', String(running.port), 'Msg sent:', ''],
  );
  t.true(echo.message.includes(`Call-ID: ${headerOf(invite, 'Call-ID') ?? ''}\r\n`));
  peer.answer(invite, 100);
  peer.answer(invite, 180);
  const ringing = await app.frames.take('180', ({fields}) => fields[1] === 'sip');
  const dialogId = `${headerOf(invite, 'Call-ID') ?? ''};from-tag=${tagOf(invite, 'From') ?? ''}`;
  t.deepEqual(ringing.fields.slice(8), [echo.fields[7], dialogId, '']);
  t.true(ringing.message?.toString().startsWith('SIP/2.0 180 '));
});

test('drachtio requests: what the application may set is sent as it set it', async (t) => {
  const running = await startServer(t);
  const peer = await startPeer(t, running.port);
  const app = await startBareApp(t, running);
  const lines = [
    `MESSAGE sip:bob@127.0.0.1:${peer.port} SIP/2.0`,
    'from: "A" <sip:a@localhost>;tag=mine',
    'to: <sip:b@home.net>',
    'call-id: mine',
    'cseq: 7 MESSAGE',
    'max-forwards: 3',
    'contact: <sip:me@localhost>;x=1',
    'content-type: text/plain',
  ];
  app.send(['q', 'sip', '', ''], `${lines.join('\r\n')}\r\n\r\n😀`);
  const message = await peer.takeRequest('MESSAGE');
  const own = `127.0.0.1:${running.port}`;
  t.is(headerOf(message, 'From'), `"A" <sip:a@${own}>;tag=mine`);
  t.is(headerOf(message, 'Call-ID'), 'mine');
  t.is(headerOf(message, 'CSeq'), '7 MESSAGE');
  t.is(headerOf(message, 'Max-Forwards'), '3');
  t.is(headerOf(message, 'Contact'), `<sip:me@${own}>;x=1`);
  t.is(message.body.toString(), '😀');
  peer.answer(message, 404);
  const answer = await app.frames.take('404', ({fields}) => fields[1] === 'sip');
  t.deepEqual(answer.fields.slice(9), ['', '']);
});

test('drachtio requests: a call is answered, acknowledged by the application, and ended by either side', async (t) => {
  const {peer, srf, uri} = await setUp(t);
  const call = async (): Promise<{dialog: AppDialog; invite: SipRequest}> => {
    const provisional: number[] = [];
    const dialing = srf.createUAC(
      uri,
      {localSdp: sdp, headers: named},
      {
        cbProvisional: (response: AppMessage) => provisional.push(response.status),
      },
    );
    const invite = await peer.takeRequest('INVITE');
    peer.answer(invite, 180);
    peer.answer(invite, 200, withSdp, sdp);
    const dialog = await within('dialog', dialing);
    const ack = await peer.takeRequest('ACK');
    t.is(ack.uri, uri);
    t.is(headerOf(ack, 'CSeq'), headerOf(invite, 'CSeq')?.replace('INVITE', 'ACK'));
    t.is(tagOf(ack, 'To'), 'q');
    t.deepEqual(provisional, [180]);
    return {dialog, invite};
  };
  const first = await call();
  const destroyed = first.dialog.destroy();
  const bye = await peer.takeRequest('BYE');
  t.is(Number.parseInt(headerOf(bye, 'CSeq') ?? ''), Number.parseInt(headerOf(first.invite, 'CSeq') ?? '') + 1);
  peer.answer(bye, 200);
  await destroyed;

  const second = await call();
  const ended = once(second.dialog, 'destroy');
  peer.request('BYE', {
    From: `${named.To};tag=q`,
    To: headerOf(second.invite, 'From') ?? '',
    'Call-ID': headerOf(second.invite, 'Call-ID') ?? '',
    CSeq: '9 BYE',
  });
  await within('destroy', ended);
  await peer.takeResponse(200, 'BYE');
});

test('drachtio requests: a refused call rejects with its status; the ACK is the server’s, and drachtio-srf’s own is turned down', async (t) => {
  const running = await startServer(t);
  const peer = await startPeer(t, running.port);
  const srf = await startApp(t, running);
  const dialing = srf.createUAC(`sip:bob@127.0.0.1:${peer.port}`, {localSdp: sdp});
  const invite = await peer.takeRequest('INVITE');
  peer.answer(invite, 480);
  t.is((await rejection(dialing)).status, 480);
  const ack = await peer.takeRequest('ACK');
  t.is(headerOf(ack, 'Via'), headerOf(invite, 'Via'));
  t.deepEqual(peer.got.left, []);
});

/** Starts a call that is cancelled by `request.cancel`. */
async function dial(srf: AppSrf, uri: string): Promise<{calling: Promise<AppDialog>; sent: AppMessage}> {
  const requests = new Mailbox<AppMessage>();
  const calling = srf.createUAC(
    uri,
    {localSdp: sdp},
    {
      cbRequest: (error: unknown, request?: AppMessage) => {
        requests.put(request ?? (error as AppMessage));
      },
    },
  );
  calling.catch(() => undefined);
  return {calling, sent: await requests.take('request', () => true)};
}

const cancelCall = (sent: AppMessage): Promise<AppMessage> =>
  new Promise((resolve, reject) => {
    sent.cancel({headers: {Reason: 'SIP;cause=200;text="Call completed elsewhere"'}}, (error, cancel) => {
      if (error instanceof Error) reject(error);
      else resolve(cancel);
    });
  });

test('drachtio requests: a CANCEL leaves with the branch of its INVITE and its Reason; the call ends with 487', async (t) => {
  const {peer, srf, uri} = await setUp(t);
  const {calling, sent} = await dial(srf, uri);
  const invite = await peer.takeRequest('INVITE');
  peer.answer(invite, 180);
  await cancelCall(sent).catch(() => undefined);
  const cancel = await peer.takeRequest('CANCEL');
  t.is(headerOf(cancel, 'Via'), headerOf(invite, 'Via'));
  t.is(headerOf(cancel, 'CSeq'), headerOf(invite, 'CSeq')?.replace('INVITE', 'CANCEL'));
  t.is(headerOf(cancel, 'Reason'), 'SIP;cause=200;text="Call completed elsewhere"');
  peer.answer(cancel, 200);
  peer.answer(invite, 487);
  t.is((await rejection(calling)).status, 487);
  await peer.takeRequest('ACK');
});

test('drachtio requests: a CANCEL before any provisional response waits for one', async (t) => {
  const {peer, srf, uri} = await setUp(t);
  const {calling, sent} = await dial(srf, uri);
  const invite = await peer.takeRequest('INVITE');
  await cancelCall(sent);
  t.deepEqual(peer.got.left, []);
  peer.answer(invite, 180);
  peer.answer(await peer.takeRequest('CANCEL'), 200);
  peer.answer(invite, 487);
  t.is((await rejection(calling)).status, 487);
});

test('drachtio requests: a 200 that crosses the CANCEL gives a dialog, which the server ends after the ACK', async (t) => {
  const {peer, srf, uri} = await setUp(t);
  const {calling, sent} = await dial(srf, uri);
  const invite = await peer.takeRequest('INVITE');
  peer.answer(invite, 180);
  await cancelCall(sent);
  const cancel = await peer.takeRequest('CANCEL');
  peer.answer(invite, 200, withSdp, sdp);
  peer.answer(cancel, 200);
  const dialog = await within('dialog', calling);
  const ended = once(dialog, 'destroy');
  await peer.takeRequest('ACK');
  const bye = await peer.takeRequest('BYE');
  t.is(headerOf(bye, 'Reason'), 'SIP;cause=200;text="ACK-BYE due to cancel race condition"');
  peer.answer(bye, 200);
  const [request, reason] = (await within('destroy', ended)) as [AppMessage, string];
  t.is(request.source, 'application');
  t.is(reason, 'ACK-BYE due to cancel race condition');
});

test('drachtio requests: forks share the dialog’s name; a second 200 gets the first one’s ACK again and is not surfaced', async (t) => {
  const {peer, srf, uri} = await setUp(t);
  const dialing = srf.createUAC(uri, {localSdp: sdp});
  const invite = await peer.takeRequest('INVITE');
  peer.answer(invite, 180, {tag: 'f1'});
  peer.answer(invite, 180, {tag: 'f2'});
  peer.answer(invite, 200, {...withSdp, tag: 'f1'}, sdp);
  const dialog = await within('dialog', dialing);
  const ack = await peer.takeRequest('ACK');
  peer.answer(invite, 200, {...withSdp, tag: 'f2'}, sdp);
  t.deepEqual((await peer.takeRequest('ACK')).headers, ack.headers);
  t.is(tagOf(ack, 'To'), 'f1');
  void dialog.destroy();
  const bye = await peer.takeRequest('BYE');
  t.is(tagOf(bye, 'To'), 'f1');
  peer.answer(bye, 200);
});

test('drachtio requests: a re-INVITE has the next CSeq and a Contact; a refused one leaves the dialog as it was', async (t) => {
  const {peer, srf, uri} = await setUp(t);
  const dialing = srf.createUAC(uri, {localSdp: sdp});
  const invite = await peer.takeRequest('INVITE');
  peer.answer(invite, 200, withSdp, sdp);
  const dialog = await within('dialog', dialing);
  await peer.takeRequest('ACK');
  const changed = dialog.modify(sdp);
  const again = await peer.takeRequest('INVITE');
  t.is(Number.parseInt(headerOf(again, 'CSeq') ?? ''), Number.parseInt(headerOf(invite, 'CSeq') ?? '') + 1);
  t.truthy(headerOf(again, 'Contact'));
  peer.answer(again, 200, withSdp, sdp);
  t.is(await changed, sdp);
  t.is(headerOf(await peer.takeRequest('ACK'), 'CSeq'), headerOf(again, 'CSeq')?.replace('INVITE', 'ACK'));
  const refused = rejection(dialog.modify(sdp));
  peer.answer(await peer.takeRequest('INVITE'), 488);
  t.is((await refused).status, 488);
  await peer.takeRequest('ACK');
  const info = dialog.request({method: 'INFO', headers: {'Content-Type': 'text/plain'}, body: 'x'});
  peer.answer(await peer.takeRequest('INFO'), 200);
  t.is((await info).status, 200);
});

test('drachtio requests: Route headers in the Request-URI lead the way and stand on the wire; the dialog follows Record-Route', async (t) => {
  const {peer, srf} = await setUp(t);
  const route = `<sip:127.0.0.1:${peer.port};lr;odi=7>,<sip:next.home.net;lr>`;
  const dialing = srf.createUAC(`sip:bob@home.net;user=phone?Route=${encodeURIComponent(route)}`, {
    localSdp: sdp,
    headers: named,
  });
  const invite = await peer.takeRequest('INVITE');
  t.is(invite.uri, 'sip:bob@home.net;user=phone');
  t.deepEqual(headersOf(invite, 'Route'), route.split(','));
  const recordRoute = `<sip:127.0.0.1:${peer.port};lr;rr>`;
  peer.answer(invite, 200, {...withSdp, 'Record-Route': recordRoute}, sdp);
  const dialog = await within('dialog', dialing);
  t.deepEqual(headersOf(await peer.takeRequest('ACK'), 'Route'), [recordRoute]);
  void dialog.destroy();
  const bye = await peer.takeRequest('BYE');
  t.deepEqual(headersOf(bye, 'Route'), [recordRoute]);
  peer.answer(bye, 200);
});

test('drachtio requests: a subscription is notified within its dialog; the last NOTIFY gets 500 from the server and is told all the same', async (t) => {
  const {peer, srf, uri} = await setUp(t);
  const subscribing = srf.createUAC(uri, {method: 'SUBSCRIBE', headers: {...named, Event: 'reg', Expires: '600'}});
  const subscribe = await peer.takeRequest('SUBSCRIBE');
  t.truthy(headerOf(subscribe, 'Contact'));
  peer.answer(subscribe, 200, {Expires: '600'});
  const dialog = await within('subscription', subscribing);
  const states = new Mailbox<string>();
  dialog.on('notify', (request: AppMessage, response: AppMessage) => {
    states.put(request.get('Subscription-State'));
    response.send(200);
  });
  const notify = (cseq: number, state: string): void => {
    peer.request(
      'NOTIFY',
      {
        From: `${named.To};tag=q`,
        To: headerOf(subscribe, 'From') ?? '',
        'Call-ID': headerOf(subscribe, 'Call-ID') ?? '',
        CSeq: `${cseq} NOTIFY`,
        Event: 'reg',
        'Subscription-State': state,
        'Content-Type': 'application/reginfo+xml',
      },
      '<reginfo/>',
    );
  };
  notify(1, 'active;expires=600');
  await peer.takeResponse(200, 'NOTIFY');
  notify(2, 'terminated;reason=timeout');
  await peer.takeResponse(500, 'NOTIFY');
  await states.take('active', (state) => state.startsWith('active'));
  await states.take('terminated', (state) => state.startsWith('terminated'));
  notify(3, 'active');
  await peer.takeResponse(503, 'NOTIFY');
  t.pass();
});

test('drachtio requests: a next hop that refuses the TCP connection is a 503 to the application', async (t) => {
  const {running, srf} = await setUp(t);
  const gone = await startServer(t);
  const tcp = gone.server.contacts.find(({protocol}) => protocol === 'tcp')?.port ?? 0;
  await gone.server.close();
  t.is((await rejection(srf.createUAC(`sip:bob@127.0.0.1:${tcp};transport=tcp`, {localSdp: sdp}))).status, 503);
  t.truthy(running);
});

test('drachtio requests: a MESSAGE of 60 KB and a burst of frames reach the application whole', async (t) => {
  const running = await startServer(t);
  const peer = await startPeer(t, running.port);
  const bodies: string[] = [];
  await startApp(t, running, {
    message: (request, response) => {
      bodies.push(request.body);
      response.send(200);
    },
  });
  const large = `${'x'.repeat(98)}\r\n`.repeat(600);
  peer.request('MESSAGE', {'Content-Type': 'text/plain'}, large);
  await peer.takeResponse(200);
  for (let count = 0; count < 40; count++) peer.request('MESSAGE', {'Content-Type': 'text/plain'}, 'y'.repeat(3000));
  for (let count = 0; count < 40; count++) await peer.takeResponse(200);
  t.is(bodies[0], large);
  t.is(bodies.length, 41);
});

test('drachtio requests: an ACK where there is nothing to acknowledge is NOK, in every state of a call', async (t) => {
  const running = await startServer(t);
  const peer = await startPeer(t, running.port);
  const app = await startBareApp(t, running);
  const reason = 'Server error: ACK for non-success final response is automatically generated by server';
  const ack = async (dialogId: string): Promise<readonly string[]> => {
    app.send(['a', 'sip', '', dialogId], 'ACK sip:x SIP/2.0\r\n');
    return (await app.reply('a')).fields.slice(0, 2);
  };
  app.send(['i', 'sip', '', ''], `INVITE sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n\r\n${sdp}`);
  const invite = await peer.takeRequest('INVITE');
  const dialogId = `${headerOf(invite, 'Call-ID') ?? ''};from-tag=${tagOf(invite, 'From') ?? ''}`;
  peer.answer(invite, 180);
  await app.frames.take('180', ({fields}) => fields[1] === 'sip');
  t.deepEqual(await ack(dialogId), ['NOK', reason]);
  peer.answer(invite, 200, withSdp, sdp);
  await app.frames.take('200', ({fields}) => fields[1] === 'sip');
  t.deepEqual(await ack(dialogId), ['OK', 'application']);
  t.deepEqual(await ack(dialogId), ['NOK', reason]);
});

test('drachtio requests: a new request that names the Call-ID of a dialog goes within it', async (t) => {
  const running = await startServer(t);
  const peer = await startPeer(t, running.port);
  const app = await startBareApp(t, running);
  app.send(['i', 'sip', '', ''], `INVITE sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\nCall-ID: shared\r\n\r\n${sdp}`);
  const invite = await peer.takeRequest('INVITE');
  peer.answer(invite, 200, withSdp, sdp);
  await app.frames.take('200', ({fields}) => fields[1] === 'sip');
  app.send(['m', 'sip', '', ''], `INFO sip:elsewhere.invalid SIP/2.0\r\nCall-ID: shared\r\n`);
  const info = await peer.takeRequest('INFO');
  t.is(tagOf(info, 'To'), 'q');
  t.is(info.uri, `sip:bob@127.0.0.1:${peer.port}`);
});

test('drachtio requests: a NOTIFY that is faster than the answer to its SUBSCRIBE gets 500 and is told outside of a dialog', async (t) => {
  const running = await startServer(t);
  const peer = await startPeer(t, running.port);
  const app = await startBareApp(t, running);
  app.send(['r', 'route', 'notify']);
  await app.reply('r');
  app.send(['s', 'sip', '', ''], `SUBSCRIBE sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\nEvent: reg\r\n`);
  const subscribe = await peer.takeRequest('SUBSCRIBE');
  peer.request('NOTIFY', {To: headerOf(subscribe, 'From') ?? '', 'Call-ID': headerOf(subscribe, 'Call-ID') ?? ''});
  await peer.takeResponse(500, 'NOTIFY');
  const {fields} = await app.frames.take('NOTIFY', (frame) => frame.fields[1] === 'sip');
  t.is(fields[9], '');
});
