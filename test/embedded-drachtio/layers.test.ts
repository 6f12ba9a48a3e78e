import {once} from 'node:events';
import {connect} from 'node:net';
import test from 'ava';
import {createRequest, createResponse, headerOf, type SipResponse} from '../../lib/codecs/sip-message.ts';
import {createTransactionLayer} from '../../lib/embedded-drachtio/transactions.ts';
import {createTransport} from '../../lib/embedded-drachtio/transport.ts';
import {ManualClock, Mailbox, within} from './support.ts';

for (const protocol of ['udp', 'tcp'] as const) {
  test(`RFC 3261 §17: two user agents exchange MESSAGE, INVITE, ACK and CANCEL over ${protocol}`, async (t) => {
    const contacts = [`${protocol}:127.0.0.1:0`];
    const [here, there] = await Promise.all([createTransport({contacts}), createTransport({contacts})]);
    t.teardown(() => Promise.all([here.close(), there.close()]));
    const target = there.contacts[0];
    if (target === undefined) throw new Error('no contact');
    const log: string[] = [];
    const acknowledged = new Promise<void>((resolve) => {
      createTransactionLayer(there, {
        onRequest(request, transaction) {
          log.push(request.method);
          const ringing = request.uri.startsWith('sip:ringing');
          transaction.respond(createResponse(request, ringing ? 180 : 200, {body: request.body}));
        },
        onAck(ack, transaction) {
          log.push(`ACK ${transaction === undefined ? 'unknown' : 'known'}`);
          resolve();
        },
      });
    });
    const layer = createTransactionLayer(here, {onRequest: () => undefined});
    t.teardown(() => {
      layer.close();
    });
    const send = (method: string, user: string, body = ''): Promise<SipResponse> =>
      new Promise((resolve) => {
        const request = createRequest(
          method,
          `sip:${user}@127.0.0.1`,
          [
            ['From', '<sip:a@b>;tag=1'],
            ['To', '<sip:c@d>'],
            ['Call-ID', `${method}-${user}`],
            ['CSeq', `7 ${method}`],
            ['Max-Forwards', '70'],
          ],
          Buffer.from(body),
        );
        const transaction = layer.request(request, target, {
          onResponse(response) {
            if (response.status === 180) transaction.cancel([['Reason', 'SIP;cause=200']]);
            if (response.status >= 200) resolve(response);
          },
        });
      });

    const large = 'x'.repeat(30_000);
    const answer = await send('MESSAGE', 'bob', large);
    t.is(answer.body.toString(), large);
    const ok = await send('INVITE', 'bob');
    layer.sendAck(
      createRequest('ACK', 'sip:bob@127.0.0.1', [
        ['From', headerOf(ok, 'From') ?? ''],
        ['To', headerOf(ok, 'To') ?? ''],
        ['Call-ID', 'INVITE-bob'],
        ['CSeq', '7 ACK'],
      ]),
      target,
    );
    await acknowledged;
    t.is((await send('INVITE', 'ringing')).status, 487);
    t.deepEqual(log, ['MESSAGE', 'INVITE', 'ACK known', 'INVITE']);
  });
}

test('RFC 3261 §17.1.4: a TCP connection that is refused is a 503 made here', async (t) => {
  const gone = await createTransport({contacts: ['tcp:127.0.0.1:0']});
  const target = gone.contacts[0];
  if (target === undefined) throw new Error('no contact');
  await gone.close();
  const transport = await createTransport({contacts: ['tcp:127.0.0.1:0']});
  t.teardown(() => transport.close());
  const layer = createTransactionLayer(transport, {onRequest: () => undefined});
  const headers = [
    ['From', '<sip:a@b>;tag=1'],
    ['To', '<sip:c@d>'],
    ['Call-ID', 'x'],
    ['CSeq', '1 OPTIONS'],
  ] as const;
  const [response, flow] = await new Promise<readonly [SipResponse, unknown]>((resolve) => {
    layer.request(createRequest('OPTIONS', 'sip:x@y', headers), target, {
      onResponse: (answer, from) => {
        resolve([answer, from]);
      },
    });
  });
  t.is(response.status, 503);
  t.is(flow, undefined);
});

test('RFC 5626 §4.4.1: a double CRLF on a connection is answered by one CRLF; a malformed message closes it', async (t) => {
  const transport = await createTransport({contacts: ['tcp:127.0.0.1:0']});
  t.teardown(() => transport.close());
  const socket = connect(transport.contacts[0]?.port ?? 0, '127.0.0.1');
  socket.write('\r\n\r\n');
  const [pong] = (await once(socket, 'data')) as [Buffer];
  t.is(pong.toString(), '\r\n');
  socket.write('this is not SIP\r\n\r\n');
  await within('end of the connection', once(socket, 'close'));
  t.pass();
});

test('RFC 3261 §18: port 0 for UDP and TCP on one host is one port for both', async (t) => {
  const contacts = ['udp:127.0.0.1:0', 'tcp:127.0.0.1:0', 'tcp:127.0.0.1:0'];
  const transport = await createTransport({contacts});
  t.teardown(() => transport.close());
  const [udp, tcp, other] = transport.contacts;
  t.is(udp?.port, tcp?.port);
  t.not(other?.port, tcp?.port);
});

test('RFC 3261 §18: a contact that is taken is one error and leaves nothing open', async (t) => {
  const first = await createTransport({contacts: ['tcp:127.0.0.1:0']});
  t.teardown(() => first.close());
  const taken = `tcp:127.0.0.1:${first.contacts[0]?.port ?? 0}`;
  await t.throwsAsync(createTransport({contacts: ['udp:127.0.0.1:0', taken]}), {code: 'CPM_SIP_LISTEN'});
  await t.throwsAsync(createTransport({contacts: ['sctp:127.0.0.1:0']}), {code: 'CPM_SIP_LISTEN'});
});

test('RFC 3261 §18: a connection on which nothing moves is closed after its idle time, a busy one is not', async (t) => {
  const clock = new ManualClock();
  const transport = await createTransport({contacts: ['tcp:127.0.0.1:0'], clock, idleSeconds: 60});
  t.teardown(() => transport.close());
  const open = async () => {
    const socket = connect(transport.contacts[0]?.port ?? 0, '127.0.0.1');
    socket.write('\r\n\r\n');
    await once(socket, 'data');
    return socket;
  };
  const idle = await open();
  clock.advance(59_000);
  const busy = await open();
  clock.advance(1000);
  await within('end of the idle connection', once(idle, 'close'));
  busy.write('\r\n\r\n');
  await once(busy, 'data');
  t.false(busy.destroyed);
  busy.destroy();
});

test('RFC 3261 §18: a peer that does not read costs bounded memory, then its connection', async (t) => {
  const errors = new Mailbox<string>();
  const transport = await createTransport({
    contacts: ['tcp:127.0.0.1:0'],
    maxUnsentBytes: 100_000,
    maxConnections: 1,
    onPeerError: (error) => {
      errors.put(error.code);
    },
  });
  t.teardown(() => transport.close());
  const socket = connect(transport.contacts[0]?.port ?? 0, '127.0.0.1').pause();
  await once(socket, 'connect');
  const refused = connect(transport.contacts[0]?.port ?? 0, '127.0.0.1').on('error', () => undefined);
  await within('end of the second connection', once(refused.resume(), 'close'));
  await errors.take('refusal', (code) => code === 'CPM_SIP_BUSY');
  const remote = {protocol: 'tcp', host: '127.0.0.1', port: socket.localPort ?? 0} as const;
  const message = createRequest('MESSAGE', 'sip:x', [], Buffer.alloc(200_000));
  const sends = Array.from({length: 100}, () => transport.send(message, remote));
  await errors.take('end', (code) => code === 'CPM_SIP_SLOW_PEER');
  const failed = (await Promise.allSettled(sends)).filter(({status}) => status === 'rejected');
  t.true(failed.length > 0);
  socket.destroy();
});

test('RFC 3261 §17: beyond the bound of transactions a request gets 503, and may come again later', async (t) => {
  const [here, there] = await Promise.all([1, 2].map(() => createTransport({contacts: ['udp:127.0.0.1:0']})));
  if (here === undefined || there?.contacts[0] === undefined) throw new Error('no contact');
  t.teardown(() => Promise.all([here.close(), there.close()]));
  createTransactionLayer(there, {onRequest: () => undefined}, {maxTransactions: 1});
  const layer = createTransactionLayer(here, {onRequest: () => undefined});
  t.teardown(() => {
    layer.close();
  });
  const answers = new Mailbox<string>();
  for (const id of ['first', 'second']) {
    const headers = [
      ['From', '<sip:a@b>;tag=1'],
      ['To', '<sip:c@d>'],
      ['Call-ID', id],
      ['CSeq', '1 OPTIONS'],
    ] as const;
    layer.request(createRequest('OPTIONS', 'sip:x@y', headers), there.contacts[0], {
      onResponse(response) {
        answers.put(`${headerOf(response, 'Call-ID') ?? ''} ${response.status}`);
      },
    });
  }
  t.is(await answers.take('answer', () => true), 'second 503');
});
