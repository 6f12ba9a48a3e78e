import {once} from 'node:events';
import {createServer, type AddressInfo} from 'node:net';
import {networkInterfaces} from 'node:os';
import test from 'ava';
import type {Leg, RemoteMedia} from '../../lib/ports/media-plane.ts';
import {answerText, listeningPeer, MsrpPeer, sendText} from '../support/msrp-peer.ts';
import {carriedOut, startFixture, takesAll, type Fixture} from './relay-fixture.ts';

const hasV6 = Object.values(networkInterfaces()).some((each) => each?.some(({address}) => address === '::1'));
const withV6 = hasV6 ? test : test.skip;

let fixture: Fixture;
test.before(async () => {
  fixture = await startFixture(hasV6 ? {core: {listen: {host: '::1'}}} : {});
});
test.after.always(async () => fixture.close());

const open = async (side: 'access' | 'core' = 'access'): Promise<Leg> =>
  fixture.plane.openLeg({side, mode: 'hold', label: {}, maxMessageBytes: 100_000});
const to = (path: readonly string[], more: Partial<RemoteMedia> = {}): RemoteMedia => ({
  path,
  connection: 'active',
  acceptTypes: ['*'],
  maxSize: undefined,
  ...more,
});

test('RFC 4975 §6: peers are reached by IPv4, by IPv6 and by name', async (t) => {
  const peers: MsrpPeer[] = [];
  const server = createServer((socket) => {
    const peer = new MsrpPeer(socket);
    takesAll(peer);
    peers.push(peer);
  });
  server.listen(0, hasV6 ? '::' : '127.0.0.1');
  await once(server, 'listening');
  const {port} = server.address() as AddressInfo;
  const hosts = ['127.0.0.1', ...(hasV6 ? ['[::1]'] : []), 'localhost'];
  for (const host of hosts) {
    const leg = await open();
    leg.connect(to([`msrp://${host}:${port}/peer;tcp`]));
    await leg.bound(10_000);
    await leg.release();
  }
  t.is(peers.length, hosts.length);
  server.close();
});

withV6('RFC 4975 §6: by IPv6 a side listens, and says so in its path and address', async (t) => {
  const leg = await open('core');
  t.regex(leg.uri, /^msrp:\/\/\[::1\]:\d+\/[0-9a-f]+;tcp$/);
  t.like(leg.address, {host: '::1', family: 6});
  const peer = await MsrpPeer.to(leg.uri);
  peer.write(sendText({id: 'six00001', to: leg.uri, from: 'msrp://[::1]:9/peer;tcp', range: '1-0/0'}));
  t.is((await peer.next()).what, '200');
  await leg.bound(5000);
});

test('RFC 4975 §5.4: a name that leads nowhere, and a path that is none, end the leg and are counted', async (t) => {
  const {connectFailures = 0} = await fixture.plane.status();
  const paths = ['msrp://no-such-host.invalid:2855/x;tcp', 'nothing', 'msrps://127.0.0.1:1/x;tcp'];
  for (const path of paths) {
    const leg = await open();
    const ended = new Promise((resolve) => (leg.onEnd = resolve));
    leg.connect(to([path]));
    t.is(await ended, 'connect-failed', path);
  }
  t.is((await fixture.plane.status())['connectFailures'], connectFailures + paths.length);
});

test('RFC 6714 §4: where an anchor is named the connection goes there, and requests name the path all the same', async (t) => {
  const listening = await listeningPeer();
  const {port} = listening.server.address() as AddressInfo;
  const leg = await open();
  const uri = 'msrp://10.255.255.1:2855/far;tcp';
  leg.connect(to([uri], {address: {host: '127.0.0.1', port}}));
  const peer = await listening.accepted();
  const hello = await peer.next('SEND');
  t.is(hello.headers['to-path'], uri);
  peer.write(answerText(hello, '200 OK'));
  await leg.bound(5000);
  listening.close();
});

test('RFC 4976 §5, RFC 4975 §7.2: behind relays our requests name the whole path, answers go to the last hop, reports the whole way', async (t) => {
  const leg = await open();
  const offered: string[] = [];
  leg.onMessage = (message) => {
    offered.push(Buffer.from(message.bytes).toString());
    return Promise.resolve('accepted');
  };
  const path = [
    'msrp://near.example:2855/n;tcp',
    'msrp://far.example:2855/f;tcp',
    'msrp://[2001:db8::1]:7654/endpoint;tcp',
  ];
  leg.connect(to(path, {connection: 'passive', chunks: 'explicit'}));
  await carriedOut(fixture.plane);
  const peer = await MsrpPeer.to(leg.uri);
  const report = ['Success-Report: yes'];
  peer.write(
    sendText({id: 'path0001', to: leg.uri, from: path.join(' '), range: '1-2/2', headers: report, body: 'hi'}),
  );
  await peer.until(() => peer.frames.length === 2, 'an answer and a report');
  const came = (what: string) => peer.frames.find((frame) => frame.what === what)?.headers;
  t.like(came('200'), {'to-path': path[0], 'from-path': leg.uri});
  t.like(came('REPORT'), {'to-path': path.join(' '), 'from-path': leg.uri});

  takesAll(peer);
  const bytes = Buffer.alloc(5000, 'x');
  t.deepEqual(await leg.send({contentType: 'text/plain', bytes}), {kind: 'answered', status: 200});
  const sends = peer.frames.filter(({what}) => what === 'SEND');
  t.deepEqual(
    sends.map(({headers}) => headers['byte-range']),
    ['1-2048/5000', '2049-4096/5000', '4097-5000/5000'],
  );
  for (const {headers} of sends) {
    t.is(headers['to-path'], path.join(' '));
    t.is(headers['from-path'], leg.uri);
  }
  t.deepEqual(offered, ['hi']);
});

test('RFC 4976 §5: relayed from leg to leg, a message and its report name the whole path of each peer', async (t) => {
  const sides = await Promise.all(
    (['one', 'two'] as const).map(async (name) => {
      const leg = await open();
      const path = [`msrp://relay.example:2855/${name};tcp`, `msrp://127.0.0.1:9/${name};tcp`];
      leg.connect(to(path, {connection: 'passive', chunks: 'explicit'}));
      await carriedOut(fixture.plane);
      const peer = await MsrpPeer.to(leg.uri);
      peer.write(sendText({id: `bind-${name}`, to: leg.uri, from: path.join(' '), range: '1-0/0'}));
      await peer.next('200');
      await leg.bound(5000);
      return {leg, peer, path: path.join(' ')};
    }),
  );
  const [one, two] = sides;
  if (one === undefined || two === undefined) throw new Error('no legs');
  (await one.leg.pair(two.leg)).open();
  const headers = ['Success-Report: yes'];
  one.peer.write(
    sendText({id: 'live0001', to: one.leg.uri, from: one.path, message: 'm1', range: '1-2/2', headers, body: 'hi'}),
  );
  const sent = await two.peer.next('SEND');
  t.is(sent.headers['to-path'], two.path);
  two.peer.write(answerText(sent, '200 OK'));
  t.is((await one.peer.next('200')).headers['to-path'], one.path.split(' ')[0]);
  two.peer.write(
    `MSRP rep00001 REPORT\r\nTo-Path: ${two.leg.uri}\r\nFrom-Path: ${two.path}\r\nMessage-ID: ${sent.headers['message-id']}\r\nByte-Range: 1-2/2\r\nStatus: 000 200 OK\r\n-------rep00001$\r\n`,
  );
  t.is((await one.peer.next('REPORT')).headers['to-path'], one.path);
});
