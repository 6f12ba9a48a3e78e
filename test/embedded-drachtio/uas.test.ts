import {once} from 'node:events';
import test from 'ava';
import {sipUriOf} from '../../lib/embedded-drachtio/flow.ts';
import {createRequest, createResponse, headerOf, headersOf} from '../../lib/codecs/sip-message.ts';
import {tagOf} from '../../lib/embedded-drachtio/sip-values.ts';
import {createTransactionLayer} from '../../lib/embedded-drachtio/transactions.ts';
import {createTransport} from '../../lib/embedded-drachtio/transport.ts';
import {
  inDialog,
  Mailbox,
  sdp,
  startApp,
  startBareApp,
  startPeer,
  startServer,
  within,
  type AppDialog,
  type AppMessage,
} from './support.ts';

const withSdp = {'Content-Type': 'application/sdp'};

test('drachtio frames: an INVITE reaches the application with an empty dialog id, its 200 and ACK with the name of the dialog', async (t) => {
  const running = await startServer(t);
  const app = await startBareApp(t, running);
  const peer = await startPeer(t, running.port);
  app.send(['r', 'route', 'INVITE']);
  await app.reply('r');
  const invite = peer.request('INVITE', withSdp, sdp);
  await peer.takeResponse(100);
  const frame = await app.frames.take('INVITE', ({fields}) => fields[1] === 'sip');
  const [, , source, length, protocol, address, port, time, transactionId = '', ...rest] = frame.fields;
  t.deepEqual([source, protocol, address, port], ['network', 'udp', '127.0.0.1', String(peer.port)]);
  t.is(length, String(frame.message?.length));
  t.regex(time ?? '', /^\d\d:\d\d:\d\d\.\d{6}$/);
  t.deepEqual(rest, ['', '127.0.0.1', String(running.port), '']);
  t.true(frame.message?.toString().includes(`;rport=${peer.port}\r\n`));

  app.send(
    ['a', 'sip', transactionId, ''],
    `SIP/2.0 180 Ringing\r\nX-Note: a\r\nVia: dropped\r\nExpires: nonsense\r\n`,
  );
  const ringing = await peer.takeResponse(180);
  t.is(headerOf(ringing, 'X-Note'), 'a');
  t.is(headerOf(ringing, 'Expires'), undefined);
  t.is(headersOf(ringing, 'Via').length, 1);
  t.is(headerOf(ringing, 'Contact'), undefined);
  const dialogId = `${headerOf(invite, 'Call-ID') ?? ''};from-tag=ft1`;
  const echo = await app.reply('a');
  t.deepEqual(
    [...echo.fields.slice(0, 2), echo.fields[3], ...echo.fields.slice(7)],
    ['OK', 'application', 'udp', transactionId, dialogId, '', 'Msg sent:', ''],
  );

  app.send(['b', 'sip', transactionId, ''], `SIP/2.0 200 OK\r\nContent-Length: 999\r\n\r\n${sdp}`);
  const ok = await peer.takeResponse(200);
  t.is(tagOf(ok, 'To'), tagOf(ringing, 'To'));
  t.is(headerOf(ok, 'Contact'), `<sip:127.0.0.1:${running.port}>`);
  t.is(headerOf(ok, 'Content-Type'), 'application/sdp');
  t.is(ok.body.toString(), sdp);
  peer.request('ACK', inDialog(invite, ok, 1, 'ACK'));
  const ack = await app.frames.take('ACK', ({fields}) => fields[1] === 'sip');
  t.deepEqual([ack.fields[4], ...ack.fields.slice(8)], ['', transactionId, dialogId, '']);
  app.send(['c', 'sip', transactionId, ''], 'SIP/2.0 200 OK\r\n');
  await app.reply('b');
  t.deepEqual((await app.reply('c')).fields, ['NOK', 'Response not sent due to unknown transaction']);
});

/** A call of the peer, answered by a drachtio-srf application. */
async function callIn(t: Parameters<typeof startServer>[0], options: Parameters<typeof startServer>[1] = {}) {
  const running = await startServer(t, options);
  const peer = await startPeer(t, running.port);
  const dialogs = new Mailbox<AppDialog>();
  const srf = await startApp(t, running, {
    invite(request, response) {
      void srf.createUAS(request, response, {localSdp: sdp}).then((dialog) => {
        dialogs.put(dialog);
      });
    },
  });
  const invite = peer.request('INVITE', withSdp, sdp);
  const ok = await peer.takeResponse(200);
  peer.request('ACK', inDialog(invite, ok, 1, 'ACK'));
  const dialog = await dialogs.take('dialog', () => true);
  return {running, peer, srf, invite, ok, dialog};
}

test('drachtio dialogs: a call is answered and ended by the peer; a second BYE finds no dialog', async (t) => {
  const {peer, dialog, invite, ok} = await callIn(t);
  const destroyed = once(dialog, 'destroy');
  peer.request('BYE', {...inDialog(invite, ok, 2, 'BYE'), Reason: 'SIP;cause=200'});
  await peer.takeResponse(200, 'BYE');
  const [bye, reason] = (await within('destroy', destroyed)) as [AppMessage, string];
  t.is(bye.get('Reason'), 'SIP;cause=200');
  t.is(reason, 'normal release');
  peer.request('BYE', inDialog(invite, ok, 3, 'BYE'));
  await peer.takeResponse(481);
});

test('drachtio dialogs: the application ends a call; the BYE has the next CSeq, and a second one finds no dialog', async (t) => {
  const {peer, dialog, ok, invite} = await callIn(t);
  const destroyed = dialog.destroy({headers: {Reason: 'SIP;cause=503'}});
  const bye = await peer.takeRequest('BYE');
  t.is(bye.uri, `sip:alice@127.0.0.1:${peer.port}`);
  t.is(headerOf(bye, 'CSeq'), '2 BYE');
  t.is(headerOf(bye, 'From'), headerOf(ok, 'To'));
  t.is(headerOf(bye, 'To'), headerOf(invite, 'From'));
  t.is(headerOf(bye, 'Reason'), 'SIP;cause=503');
  t.is(headerOf(bye, 'Contact'), undefined);
  peer.answer(bye, 200);
  await destroyed;
  await t.throwsAsync(dialog.destroy(), {code: 'ENODIALOG'});
});

test('drachtio dialogs: a call over TCP has a Contact of TCP, and the BYE of the application finds the caller’s', async (t) => {
  const running = await startServer(t);
  const srf = await startApp(t, running, {
    invite(request, response) {
      void srf.createUAS(request, response, {localSdp: sdp}).then((dialog) => {
        dialog.once('ack', () => void dialog.destroy());
      });
    },
  });
  const transport = await createTransport({contacts: ['tcp:127.0.0.1:0']});
  t.teardown(() => transport.close());
  const byes = new Mailbox<string>();
  const layer = createTransactionLayer(transport, {
    onRequest(request, transaction) {
      transaction.respond(createResponse(request, 200));
      byes.put(`${request.method} ${request.uri}`);
    },
  });
  const [contact = ''] = transport.contacts.map((address) => sipUriOf(address, 'alice'));
  const target = running.server.contacts.find(({protocol}) => protocol === 'tcp');
  if (target === undefined) throw new Error('no TCP contact');
  const identity = [
    ['From', '<sip:alice@home.net>;tag=a'],
    ['Call-ID', 'tcp-call'],
    ['Contact', `<${contact}>`],
  ] as const;
  const headers = [...identity, ['To', '<sip:bob@home.net>'], ['CSeq', '1 INVITE']] as const;
  layer.request(createRequest('INVITE', sipUriOf(target), headers, Buffer.from(sdp)), target, {
    onResponse(response) {
      if (response.status !== 200) return;
      t.is(headerOf(response, 'Contact'), `<${sipUriOf(target)}>`);
      const to = headerOf(response, 'To') ?? '';
      layer.sendAck(createRequest('ACK', sipUriOf(target), [...identity, ['To', to], ['CSeq', '1 ACK']]), target);
    },
  });
  t.is(await byes.take('BYE', () => true), `BYE ${contact}`);
});

test('drachtio dialogs: the 200 to BYE may wait; the repeated BYE is absorbed meanwhile', async (t) => {
  const {peer, dialog, invite, ok} = await callIn(t);
  const byes = new Mailbox<AppMessage>();
  dialog.handle = (request, response) => {
    if (request.method === 'BYE') byes.put(response);
  };
  const bye = peer.request('BYE', inDialog(invite, ok, 2, 'BYE'));
  const response = await byes.take('BYE', () => true);
  peer.raw(bye);
  response.send(200, {headers: {'X-Late': 'yes'}});
  t.is(headerOf(await peer.takeResponse(200, 'BYE'), 'X-Late'), 'yes');
  t.deepEqual(byes.left, []);
});

test('drachtio dialogs: re-INVITE, UPDATE, MESSAGE and INFO within a call reach the application, and its answers the peer', async (t) => {
  const {peer, dialog, invite, ok} = await callIn(t);
  for (const method of ['update', 'message', 'info']) {
    dialog.on(method, (_request: AppMessage, response: AppMessage) => {
      response.send(200, {headers: {'X-Method': method}});
    });
    const name = method.toUpperCase();
    peer.request(name, {...inDialog(invite, ok, 2, name), 'Content-Type': 'text/plain'}, 'x');
    t.is(headerOf(await peer.takeResponse(200, name), 'X-Method'), method);
  }
  dialog.on('modify', (request: AppMessage, response: AppMessage) => {
    t.is(request.body, sdp);
    response.send(200, {body: sdp});
  });
  peer.request('INVITE', {...inDialog(invite, ok, 3, 'INVITE'), ...withSdp}, sdp);
  await peer.takeResponse(100);
  const again = await peer.takeResponse(200, 'INVITE');
  t.is(again.body.toString(), sdp);
  const acked = once(dialog, 'ack');
  peer.request('ACK', inDialog(invite, ok, 3, 'ACK'));
  await within('ACK', acked);
});

test('drachtio dialogs: a CANCEL gets 200, the INVITE 487, and the application is told', async (t) => {
  const running = await startServer(t);
  const peer = await startPeer(t, running.port);
  const cancelled = new Mailbox<AppMessage>();
  const rings = new Mailbox<AppMessage>();
  await startApp(t, running, {
    invite(request, response) {
      request.on('cancel', (cancel: AppMessage) => {
        cancelled.put(cancel);
      });
      rings.put(response);
      response.send(180);
    },
  });
  const invite = peer.request('INVITE', withSdp, sdp);
  const ringing = await peer.takeResponse(180);
  const via = headerOf(invite, 'Via') ?? '';
  const same = {Via: via, 'Call-ID': headerOf(invite, 'Call-ID') ?? ''};
  peer.request('CANCEL', {...same, Reason: 'SIP;cause=200;text="Call completed elsewhere"'});
  t.is(tagOf(await peer.takeResponse(200, 'CANCEL'), 'To'), tagOf(ringing, 'To'));
  const terminated = await peer.takeResponse(487, 'INVITE');
  peer.request('ACK', {...same, CSeq: '1 ACK', To: headerOf(terminated, 'To') ?? ''});
  const cancel = await cancelled.take('cancel', () => true);
  t.is(cancel.get('Reason'), 'SIP;cause=200;text="Call completed elsewhere"');
  const response = await rings.take('response', () => true);
  await new Promise<void>((resolve) => {
    response.send(200, {body: sdp}, (error) => {
      t.is(error, 'Response not sent due to unknown transaction');
      resolve();
    });
  });
  peer.request('CANCEL');
  await peer.takeResponse(481, 'CANCEL');
});

test('drachtio dialogs: a refusal goes out with its headers and is acknowledged without the application', async (t) => {
  const running = await startServer(t);
  const peer = await startPeer(t, running.port);
  await startApp(t, running, {
    invite: (_request, response) => {
      response.send(486, {headers: {'Retry-After': '5'}});
    },
    ack: () => {
      t.fail('the ACK to a failure is the transaction layer’s');
    },
  });
  const invite = peer.request('INVITE', withSdp, sdp);
  const busy = await peer.takeResponse(486);
  t.is(headerOf(busy, 'Retry-After'), '5');
  peer.request('ACK', {
    Via: headerOf(invite, 'Via') ?? '',
    'Call-ID': headerOf(invite, 'Call-ID') ?? '',
    To: headerOf(busy, 'To') ?? '',
  });
  peer.request('BYE', inDialog(invite, busy, 2, 'BYE'));
  await peer.takeResponse(481);
});

test('drachtio dialogs: BYE, UPDATE and re-INVITE without a dialog get 481, another method 503', async (t) => {
  const running = await startServer(t);
  await startApp(t, running, {invite: () => t.fail('an in-dialog INVITE is no new call')});
  const peer = await startPeer(t, running.port);
  for (const method of ['BYE', 'UPDATE', 'INVITE']) {
    peer.request(method, {To: '<sip:x@127.0.0.1>;tag=zzz', CSeq: `5 ${method}`});
    await peer.takeResponse(481, method);
  }
  peer.request('INFO', {To: '<sip:x@127.0.0.1>;tag=zzz', CSeq: '5 INFO'});
  await peer.takeResponse(503, 'INFO');
  t.pass();
});

test('drachtio dialogs: when the application is lost the peer’s BYE gets 481; until then a new one ends the call by its name', async (t) => {
  const {running, peer, srf, dialog, invite, ok} = await callIn(t);
  const {id} = dialog;
  srf.disconnect();
  await running.apps.take('loss of the application', (count) => count === 0);
  const heir = await startBareApp(t, running);
  heir.send(['b', 'sip', '', id], 'BYE sip:placeholder SIP/2.0\r\nReason: SIP;cause=503\r\n');
  const bye = await peer.takeRequest('BYE');
  t.is(headerOf(bye, 'Reason'), 'SIP;cause=503');
  t.is(headerOf(bye, 'Call-ID'), headerOf(invite, 'Call-ID'));
  peer.answer(bye, 200);
  t.is((await heir.reply('b')).fields[0], 'OK');
  const answer = await heir.frames.take('200', ({fields}) => fields[1] === 'sip');
  t.is(answer.fields[9], id);
  peer.request('BYE', inDialog(invite, ok, 2, 'BYE'));
  await peer.takeResponse(481);
});

test('drachtio dialogs: the peer’s BYE in a call whose application is lost gets 481', async (t) => {
  const {running, peer, srf, invite, ok} = await callIn(t);
  srf.disconnect();
  await running.apps.take('loss of the application', (count) => count === 0);
  peer.request('BYE', inDialog(invite, ok, 2, 'BYE'));
  await peer.takeResponse(481);
  t.pass();
});

test('drachtio dialogs: a subscription is accepted with a Contact, notified, and over with the NOTIFY that says so', async (t) => {
  const running = await startServer(t);
  const peer = await startPeer(t, running.port);
  const dialogs = new Mailbox<AppDialog>();
  const srf = await startApp(t, running, {
    subscribe(request, response) {
      void srf.createUAS(request, response, {headers: {Expires: '600'}}).then((dialog) => {
        dialogs.put(dialog);
      });
    },
  });
  const subscribe = peer.request('SUBSCRIBE', {Event: 'conference', Expires: '600'});
  const ok = await peer.takeResponse(202);
  t.is(headerOf(ok, 'Expires'), '600');
  t.is(headerOf(ok, 'Contact'), `<sip:127.0.0.1:${running.port}>`);
  const dialog = await dialogs.take('subscription', () => true);
  for (const state of ['active;expires=600', 'terminated;reason=timeout']) {
    const notified = dialog.request({
      method: 'NOTIFY',
      headers: {Event: 'conference', 'Subscription-State': state, 'Content-Type': 'text/plain'},
      body: 'state',
    });
    const notify = await peer.takeRequest('NOTIFY');
    t.is(headerOf(notify, 'Subscription-State'), state);
    t.is(headerOf(notify, 'Contact'), undefined);
    t.is(notify.body.toString(), 'state');
    peer.answer(notify, 200);
    t.is((await notified).status, 200);
  }
  peer.request('SUBSCRIBE', {...inDialog(subscribe, ok, 2, 'SUBSCRIBE'), Event: 'conference', Expires: '0'});
  // The dialog is gone: the application is asked as if it were a new one.
  await peer.takeResponse(202, 'SUBSCRIBE');
});

test('drachtio dialogs: an unsubscription reaches the application in the dialog', async (t) => {
  const running = await startServer(t);
  const peer = await startPeer(t, running.port);
  const subscriptions = new Mailbox<AppDialog>();
  const srf = await startApp(t, running, {
    subscribe(request, response) {
      void srf.createUAS(request, response, {headers: {Expires: '600'}}).then((dialog) => {
        subscriptions.put(dialog);
      });
    },
  });
  const subscribe = peer.request('SUBSCRIBE', {Event: 'conference', Expires: '600'});
  const ok = await peer.takeResponse(202);
  const gone = once(await subscriptions.take('subscription', () => true), 'unsubscribe');
  peer.request('SUBSCRIBE', {...inDialog(subscribe, ok, 2, 'SUBSCRIBE'), Event: 'conference', Expires: '0'});
  await within('unsubscribe', gone);
  await peer.takeResponse(202);
  t.pass();
});

test('drachtio dialogs: MESSAGE, OPTIONS and REGISTER outside of dialogs are answered by the application, bodies untouched', async (t) => {
  const running = await startServer(t);
  const peer = await startPeer(t, running.port);
  const bodies = new Mailbox<string>();
  const serve = (request: AppMessage, response: AppMessage): void => {
    bodies.put(request.body);
    response.send(request.method === 'MESSAGE' ? 202 : 200, {headers: {expires: '600'}});
  };
  await startApp(t, running, {message: serve, options: serve, register: serve});
  const multipart = '--bx\r\nContent-Type: message/sip\r\n\r\nREGISTER sip:home.net SIP/2.0\r\n\r\n\r\n--bx--\r\n';
  peer.request('MESSAGE', {'Content-Type': 'text/plain', 'Conversation-ID': 'c-1'}, 'zwölf 😀');
  await peer.takeResponse(202, 'MESSAGE');
  peer.request('OPTIONS');
  await peer.takeResponse(200, 'OPTIONS');
  peer.request('REGISTER', {'Content-Type': 'multipart/mixed;boundary=bx'}, multipart);
  t.is(headerOf(await peer.takeResponse(200, 'REGISTER'), 'Expires'), '600');
  t.deepEqual(bodies.left, ['zwölf 😀', '', multipart]);
});

test('RFC 3262 §3: a provisional response that requires 100rel has RSeq and Contact, and its PRACK reaches the application', async (t) => {
  const running = await startServer(t);
  const app = await startBareApp(t, running);
  const peer = await startPeer(t, running.port);
  app.send(['r', 'route', 'invite']);
  await app.reply('r');
  const invite = peer.request('INVITE', {...withSdp, Supported: '100rel'}, sdp);
  const {fields} = await app.frames.take('INVITE', (frame) => frame.fields[1] === 'sip');
  app.send(['p', 'sip', fields[8] ?? '', ''], `SIP/2.0 183 Session Progress\r\nRequire: 100rel\r\n\r\n${sdp}`);
  const progress = await peer.takeResponse(183);
  t.regex(headerOf(progress, 'RSeq') ?? '', /^[1-9]\d*$/);
  t.truthy(headerOf(progress, 'Contact'));
  peer.request('PRACK', {
    ...inDialog(invite, progress, 2, 'PRACK'),
    RAck: `${headerOf(progress, 'RSeq') ?? ''} 1 INVITE`,
  });
  const prack = await app.frames.take('PRACK', (frame) => frame.message?.toString().startsWith('PRACK ') === true);
  t.is(prack.fields[9], `${headerOf(invite, 'Call-ID') ?? ''};from-tag=ft1`);
  app.send(['q', 'sip', prack.fields[8] ?? '', ''], 'SIP/2.0 200 OK\r\n');
  await peer.takeResponse(200, 'PRACK');
  app.send(['x', 'sip', fields[8] ?? '', ''], 'SIP/2.0 480 Temporarily Unavailable\r\n');
  const refused = await peer.takeResponse(480);
  t.is(tagOf(refused, 'To'), tagOf(progress, 'To'));
  peer.request('UPDATE', inDialog(invite, progress, 3, 'UPDATE'));
  await peer.takeResponse(481, 'UPDATE');
});
