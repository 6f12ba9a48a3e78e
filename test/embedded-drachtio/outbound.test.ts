import {once} from 'node:events';
import {readFile} from 'node:fs/promises';
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import type {ExecutionContext} from 'ava';
import test from 'ava';
import Srf from 'drachtio-srf';
import {headerOf} from '../../lib/codecs/sip-message.ts';
import {
  Mailbox,
  secret,
  startBareApp,
  startPeer,
  startServer,
  within,
  type AppMessage,
  type AppSrf,
} from './support.ts';
import {freePort} from '../../lib/demo/pf-process.ts';

const cert = await readFile('test/fixtures/relay-tls/node.pem', 'utf8');
const key = await readFile('test/fixtures/relay-tls/node-key.pem', 'utf8');

/** An application that waits for the server to connect, and answers every MESSAGE. */
async function listeningApp(
  t: ExecutionContext,
  tls?: object,
): Promise<{readonly port: number; readonly uris: Mailbox<string>}> {
  const srf = new Srf() as unknown as AppSrf & {
    listen(options: object): void;
    readonly _app: {readonly client: {close(): void}};
    endSession(message: AppMessage): void;
  };
  const uris = new Mailbox<string>();
  srf.on('error', () => undefined);
  srf.use('message', (request, response) => {
    uris.put(request.uri);
    response.send(202, {}, () => {
      srf.endSession(request);
    });
  });
  const port = await freePort();
  srf.listen({port, host: '127.0.0.1', secret, ...(tls === undefined ? {} : {tls})});
  await within('listening', once(srf, 'listening'));
  t.teardown(() => {
    srf._app.client.close();
  });
  return {port, uris};
}

/** A web service that answers the queries one after the other. */
async function webService(
  t: ExecutionContext,
  answers: readonly object[],
): Promise<{readonly url: string; readonly queries: URL[]}> {
  const queries: URL[] = [];
  const server = createServer((request, response) => {
    queries.push(new URL(request.url ?? '', 'http://localhost'));
    response.end(JSON.stringify(answers[queries.length - 1] ?? {}));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return {url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, queries};
}

for (const tls of [false, true]) {
  test(`drachtio outbound: each new request brings a connection of its own to the application that listens, over ${tls ? 'TLS' : 'TCP'}`, async (t) => {
    const app = await listeningApp(t, tls ? {cert, key} : undefined);
    const running = await startServer(t, {
      requestHandlers: [
        {sipMethod: '*', httpMethod: 'GET', url: `${tls ? 'tls' : 'tcp'}://127.0.0.1:${app.port}`, verifyPeer: false},
      ],
    });
    const peer = await startPeer(t, running.port);
    for (const uri of ['sip:one@127.0.0.1', 'sip:two@127.0.0.1']) {
      peer.request('MESSAGE', {uri});
      t.is(
        await within(
          'the request',
          app.uris.take('uri', () => true),
        ),
        uri,
      );
      await peer.takeResponse(202);
    }
    await running.apps.take('no application any more', (count) => count === 0);
  });
}

test('drachtio outbound: a web service says what becomes of a request: rejected, redirected, proxied, or routed', async (t) => {
  const app = await listeningApp(t);
  const answers: object[] = [
    {action: 'reject', data: {status: 404, reason: 'Nobody Here'}},
    {action: 'redirect', data: {contact: ['<sip:a@127.0.0.1>', '<sip:b@127.0.0.1>']}},
    {action: 'route', data: {uri: `127.0.0.1:${app.port}`}},
    {action: 'route', data: {tag: 'nobody-has-it'}},
    {action: 'route', data: {tag: 'chat'}},
    {action: 'route', data: {uri: `127.0.0.1:${await freePort()}`}},
    {action: 'dance', data: {}},
  ];
  const {url, queries} = await webService(t, answers);
  const running = await startServer(t, {
    requestHandlers: [{sipMethod: 'MESSAGE', httpMethod: 'GET', url, verifyPeer: false}],
  });
  const peer = await startPeer(t, running.port);
  const behind = await startPeer(t, running.port);
  answers.push({action: 'proxy', data: {destination: `sip:b@127.0.0.1:${behind.port}`}});
  const tagged = await startBareApp(t, running, false);
  tagged.send(['auth', 'authenticate', secret, 'voice,chat']);
  await tagged.reply('auth');
  tagged.send(['route', 'route', 'message']);
  await tagged.reply('route');

  peer.request('MESSAGE', {uri: 'sip:bob@127.0.0.1;x=1', 'Content-Type': 'text/plain'}, 'hello');
  const rejected = await peer.takeResponse(404);
  t.is(rejected.kind === 'response' ? rejected.reason : '', 'Nobody Here');
  t.deepEqual(
    [...(queries[0]?.searchParams ?? [])],
    [
      ['method', 'MESSAGE'],
      ['domain', '127.0.0.1'],
      ['protocol', 'udp'],
      ['source_address', '127.0.0.1'],
      ['fromUser', 'alice'],
      ['toUser', 'bob'],
      ['uriUser', 'bob'],
      ['contentType', 'text/plain'],
      ['uri', 'sip:bob@127.0.0.1;x=1'],
      ['x', '1'],
    ],
  );
  peer.request('MESSAGE');
  t.is(headerOf(await peer.takeResponse(302), 'Contact'), '<sip:a@127.0.0.1>');
  peer.request('MESSAGE');
  await peer.takeResponse(202);
  peer.request('MESSAGE');
  await peer.takeResponse(480);
  peer.request('MESSAGE');
  const frame = await tagged.frames.take('the request', ({fields}) => fields[1] === 'sip');
  tagged.send(['answer', 'sip', frame.fields[8] ?? '', ''], 'SIP/2.0 200 OK\r\n\r\n');
  await peer.takeResponse(200);
  peer.request('MESSAGE');
  await peer.takeResponse(480);
  peer.request('MESSAGE');
  await peer.takeResponse(500);
  peer.request('MESSAGE');
  behind.answer(await behind.takeRequest('MESSAGE'), 200);
  await peer.takeResponse(200);
});

test('drachtio outbound: a method without handler goes to the applications that are connected', async (t) => {
  const running = await startServer(t, {
    requestHandlers: [{sipMethod: 'INVITE', httpMethod: 'GET', url: 'tcp://127.0.0.1:1', verifyPeer: false}],
  });
  const peer = await startPeer(t, running.port);
  peer.request('MESSAGE');
  await peer.takeResponse(503);
  peer.request('INVITE');
  await peer.takeResponse(480);
  t.pass();
});

test('drachtio admin TLS: applications connect over TLS on a port of its own, and over TCP on the other', async (t) => {
  const running = await startServer(t, {adminTls: {port: 0, cert, key}});
  const port = running.server.adminTlsPort;
  const srf = new Srf() as unknown as AppSrf;
  srf.on('error', () => undefined);
  srf.connect({host: '127.0.0.1', port, secret, tls: {rejectUnauthorized: false}});
  t.teardown(() => {
    srf.disconnect();
  });
  await within('connection over TLS', once(srf, 'connect'));
  await startBareApp(t, running);
  await running.apps.take('two applications', (count) => count === 2);
  t.pass();
});
