import {X509Certificate} from 'node:crypto';
import {once} from 'node:events';
import {copyFileSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {connect as connectTcp, type AddressInfo} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {setTimeout as wait} from 'node:timers/promises';
import {connect, createServer, type TLSSocket} from 'node:tls';
import test from 'ava';
import {parseMsrpUri} from '../../lib/codecs/msrp/uri.ts';
import type {Leg, RemoteMedia} from '../../lib/ports/media-plane.ts';
import {certificate, type TestCertificate} from '../support/certificates.ts';
import {answerText, MsrpPeer, sendText} from '../support/msrp-peer.ts';
import {carriedOut, startFixture, takesAll, type Fixture} from './relay-fixture.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'cpm-tls-'));
const authority = certificate(folder, 'authority');
const ours = certificate(folder, 'relay', authority);
const bob = certificate(folder, 'bob', authority);
const stranger = certificate(folder, 'stranger');
const {certificateFile, keyFile} = ours;

let fixture: Fixture;
let trusting: Fixture;
test.before(async () => {
  fixture = await startFixture({connectSeconds: 2, access: {tls: {certificateFile, keyFile}}});
  const authorityFile = authority.certificateFile;
  trusting = await startFixture({
    access: {tls: {certificateFile, keyFile, authorityFile, offer: 'msrp'}},
    core: {tls: {certificateFile, keyFile, require: true}},
  });
});
test.after.always(async () => {
  await fixture.close();
  await trusting.close();
  rmSync(folder, {recursive: true});
});

const from = 'msrps://127.0.0.1:9/peer;tcp';

const open = async (plane = fixture.plane, transports: readonly ('tcp' | 'tls')[] = []): Promise<Leg> =>
  plane.openLeg({side: 'access', mode: 'hold', label: {}, maxMessageBytes: 100_000, transports});

const remote = (fingerprints: readonly string[], more: Partial<RemoteMedia> = {}): RemoteMedia => ({
  path: [from],
  connection: 'passive',
  acceptTypes: ['*'],
  maxSize: undefined,
  fingerprints,
  ...more,
});

/** Connects to a leg's listener, when the relay knows all that it was told, and shows a certificate. */
async function peerTo(
  leg: Leg,
  shown: TestCertificate | undefined,
  {plane} = fixture,
): Promise<MsrpPeer & {readonly tls: TLSSocket}> {
  await carriedOut(plane);
  const {host, port} = parseMsrpUri(leg.uri);
  const pair = shown === undefined ? {} : {cert: shown.cert, key: shown.key};
  const tls = connect({host, port: port ?? 0, rejectUnauthorized: false, ...pair});
  await once(tls, 'secureConnect');
  return Object.assign(new MsrpPeer(tls), {tls});
}

const hello = (leg: Leg) => sendText({id: 'bind0001', to: leg.uri, from, range: '1-0/0'});
const status = async (relay = fixture): Promise<Readonly<Record<string, number>>> => relay.plane.status();
const endOf = async (leg: Leg): Promise<string> => new Promise((resolve) => (leg.onEnd = resolve));

test('RFC 4975 §14.4, RFC 8122 §5: a peer with the certificate that it announced binds, and messages go both ways', async (t) => {
  const leg = await open();
  const offered: string[] = [];
  leg.onMessage = (message) => {
    offered.push(Buffer.from(message.bytes).toString());
    return Promise.resolve('accepted');
  };
  t.regex(leg.uri, /^msrps:\/\/127\.0\.0\.1:\d+\/[0-9a-f]+;tcp$/);
  t.like(leg.terms, {transport: 'tls', fingerprint: ours.fingerprint, hasAuthority: false});
  leg.connect(remote([bob.fingerprint.toLowerCase()]));
  const peer = await peerTo(leg, bob);
  t.is(`SHA-256 ${peer.tls.getPeerCertificate().fingerprint256}`, ours.fingerprint);
  peer.write(hello(leg));
  t.is((await peer.next()).what, '200');
  await leg.bound(5000);
  peer.write(sendText({id: 'tell0001', to: leg.uri, from, range: '1-2/2', body: 'hi'}));
  t.is((await peer.next()).what, '200');
  takesAll(peer);
  t.deepEqual(await leg.send({contentType: 'text/plain', bytes: Buffer.alloc(90_000, 'x')}), {
    kind: 'answered',
    status: 200,
  });
  t.deepEqual(offered, ['hi']);
});

test('RFC 8122 §5: of several fingerprints those of the best hash count, and one of them has to fit', async (t) => {
  const sha1 = (of: TestCertificate) => `sha-1 ${certificateHash(of)}`;
  const good = [
    [stranger.fingerprint, bob.fingerprint],
    [sha1(bob)],
    [sha1(stranger), bob.fingerprint],
    ['MD5 00:11', bob.fingerprint],
  ];
  const bad = [[stranger.fingerprint], [sha1(bob), stranger.fingerprint], ['MD5 00:11'], ['sha-256 00:11']];
  const cases = [
    ...good.map((fingerprints) => ({fingerprints, answer: '200'})),
    ...bad.map((fingerprints) => ({fingerprints, answer: '403'})),
  ];
  for (const {fingerprints, answer} of cases) {
    const leg = await open();
    leg.connect(remote(fingerprints));
    const peer = await peerTo(leg, bob);
    peer.write(hello(leg));
    t.is((await peer.next()).what, answer, String(fingerprints));
    peer.destroy();
  }
});

test('RFC 8122 §6: another certificate than the announced one gets 403, and the session ends unbound', async (t) => {
  const {notAuthentic = 0} = await status();
  for (const shown of [stranger, undefined]) {
    const leg = await open();
    const ended = endOf(leg);
    const bound = leg.bound(5000);
    leg.connect(remote([bob.fingerprint]));
    const peer = await peerTo(leg, shown);
    peer.write(sendText({id: 'fake0001', to: leg.uri, from, range: '1-2/2', body: 'hi'}));
    t.is((await peer.next()).what, '403');
    await t.throwsAsync(bound, {code: 'CPM_MEDIA_NOT_AUTHENTIC'});
    t.is(await ended, 'not-authentic');
    await peer.end();
  }
  t.true(((await status())['notAuthentic'] ?? 0) >= notAuthentic + 2);
});

test('RFC 4975 §14.4: a session that was negotiated over TLS is bound by no connection without', async (t) => {
  const leg = await open();
  const plain = await open(fixture.plane, ['tcp']);
  const ended = endOf(leg);
  leg.connect(remote([bob.fingerprint]));
  await carriedOut(fixture.plane);
  const peer = await MsrpPeer.to(plain.uri);
  peer.write(hello(leg));
  t.is((await peer.next()).what, '403');
  t.is(await ended, 'not-authentic');
});

test('RFC 8122 §6: what a peer says before its description is there waits until it is known to be the peer', async (t) => {
  for (const [announced, answer] of [
    [bob, '200'],
    [stranger, undefined],
  ] as const) {
    const leg = await open();
    const offered: string[] = [];
    leg.onMessage = (message) => {
      offered.push(Buffer.from(message.bytes).toString());
      return Promise.resolve('accepted');
    };
    const ended = endOf(leg);
    const peer = await peerTo(leg, bob);
    peer.write(hello(leg));
    await peer.next('200');
    peer.write(sendText({id: 'earl0001', to: leg.uri, from, range: '1-2/2', body: 'hi'}));
    await t.throwsAsync(leg.bound(100), {code: 'CPM_MEDIA_NOT_BOUND'});
    t.deepEqual(offered, []);
    leg.connect(remote([announced.fingerprint]));
    if (answer === undefined) {
      t.is(await ended, 'not-authentic');
      await peer.end();
      t.deepEqual(offered, []);
    } else {
      await leg.bound(5000);
      t.is((await peer.next()).what, answer);
      t.deepEqual(offered, ['hi']);
    }
  }
});

test('RFC 4975 §14.4: where we connect the certificate is checked before a word is said', async (t) => {
  const peers: MsrpPeer[] = [];
  const server = createServer({cert: bob.cert, key: bob.key, requestCert: true, rejectUnauthorized: false}, (socket) =>
    peers.push(new MsrpPeer(socket)),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const {port} = server.address() as AddressInfo;
  const active = {connection: 'active' as const, path: [`msrps://127.0.0.1:${port}/peer;tcp`]};

  const leg = await open();
  leg.connect(remote([bob.fingerprint], active));
  const [socket] = (await once(server, 'secureConnection')) as [TLSSocket];
  t.is(`SHA-256 ${socket.getPeerCertificate().fingerprint256}`, ours.fingerprint);
  const [peer] = peers;
  if (peer === undefined) throw new Error('nobody connected');
  peer.write(answerText(await peer.next('SEND'), '200 OK'));
  await leg.bound(5000);
  await leg.release();

  const forged = await open();
  const ended = endOf(forged);
  forged.connect(remote([stranger.fingerprint], active));
  t.is(await ended, 'not-authentic');
  await new Promise((resolve) => server.close(resolve));
  t.is(
    peers.slice(1).reduce((sum, {bytes}) => sum + bytes, 0),
    0,
  );
});

test('RFC 4975 §14.4: a peer that announces no fingerprint is known by a certificate of an authority', async (t) => {
  const leg = await open(trusting.plane, ['tls']);
  t.true(leg.terms.hasAuthority);
  leg.connect(remote([]));
  const peer = await peerTo(leg, bob, trusting);
  peer.write(hello(leg));
  t.is((await peer.next()).what, '200');

  const other = await open(trusting.plane, ['tls']);
  other.connect(remote([]));
  const unknown = await peerTo(other, stranger, trusting);
  unknown.write(hello(other));
  t.is((await unknown.next()).what, '403');
});

test('RFC 4975 §14.4: where we connect, an authority’s certificate has to be made out to the name in the path', async (t) => {
  const server = createServer({cert: bob.cert, key: bob.key}, (socket) => {
    const peer = new MsrpPeer(socket);
    takesAll(peer);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const {port} = server.address() as AddressInfo;
  const to = (host: string) =>
    remote([], {
      connection: 'active',
      path: [`msrps://${host}:${port}/peer;tcp`],
      address: {host: '127.0.0.1', port},
    });
  const leg = await open(trusting.plane, ['tls']);
  leg.connect(to('localhost'));
  await leg.bound(5000);
  const misled = await open(trusting.plane, ['tls']);
  const ended = endOf(misled);
  misled.connect(to('phone.example'));
  t.is(await ended, 'not-authentic');
  await leg.release();
  server.close();
});

test('RFC 4975 §8.1: an offer is answered in kind, or with 488 where its transport is not to be had; ours is as configured', async (t) => {
  const openAt = async (relay: Fixture, side: 'access' | 'core', transports?: readonly ('tcp' | 'tls')[]) =>
    (
      await relay.plane.openLeg({
        side,
        mode: 'hold',
        label: {},
        maxMessageBytes: 1,
        ...(transports && {transports}),
      })
    ).terms.transport;
  t.is(await openAt(fixture, 'access'), 'tls');
  t.is(await openAt(fixture, 'access', ['tcp', 'tls']), 'tcp');
  t.is(await openAt(fixture, 'access', ['tls', 'tcp']), 'tls');
  t.is(await openAt(fixture, 'core'), 'tcp');
  t.is(await openAt(fixture, 'core', ['tls', 'tcp']), 'tcp');
  t.is(await openAt(trusting, 'access'), 'tcp');
  t.is(await openAt(trusting, 'core'), 'tls');
  t.is(await openAt(trusting, 'core', ['tcp', 'tls']), 'tls');
  const refused = {code: 'CPM_MSRP_TRANSPORT'};
  await t.throwsAsync(openAt(fixture, 'core', ['tls']), refused);
  await t.throwsAsync(openAt(trusting, 'core', ['tcp']), refused);
});

test('RFC 4975 §5.4: one TLS connection carries many sessions, each checked for itself', async (t) => {
  const [one, two, forged] = await Promise.all([open(), open(), open()]);
  one.connect(remote([bob.fingerprint]));
  two.connect(remote([bob.fingerprint]));
  forged.connect(remote([stranger.fingerprint]));
  const peer = await peerTo(one, bob);
  for (const [leg, answer] of [
    [one, '200'],
    [forged, '403'],
    [two, '200'],
  ] as const) {
    peer.write(hello(leg));
    t.is((await peer.next()).what, answer);
  }
  t.false(peer.closed);
});

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const)
  test(`RFC 8122 §6: by ${maxVersion} a peer who resumes his last TLS session is known by the certificate shown then`, async (t) => {
    const legs = [await open(), await open(), await open()] as const;
    const [first, again, other] = legs;
    for (const leg of legs) leg.connect(remote([leg === other ? stranger.fingerprint : bob.fingerprint]));
    await carriedOut(fixture.plane);
    const {host, port = 0} = parseMsrpUri(first.uri);
    const pair = {host, port, cert: bob.cert, key: bob.key, rejectUnauthorized: false, maxVersion};
    const tls = connect(pair);
    const given = new Promise<Buffer>((resolve) => tls.once('session', resolve));
    const peer = new MsrpPeer(tls);
    peer.write(hello(first));
    t.is((await peer.next()).what, '200');
    const resumed = connect({...pair, session: await given});
    const later = new MsrpPeer(resumed);
    later.write(hello(again));
    t.is((await later.next()).what, '200');
    t.true(resumed.isSessionReused());
    later.write(hello(other));
    t.is((await later.next()).what, '403');
  });

test('RFC 8122 §5: changed files are taken while sessions run; files that do not fit are not', async (t) => {
  const own = mkdtempSync(path.join(folder, 'own-'));
  const files = {certificateFile: path.join(own, 'cert.pem'), keyFile: path.join(own, 'key.pem')};
  const put = (of: TestCertificate) => {
    copyFileSync(of.keyFile, files.keyFile);
    copyFileSync(of.certificateFile, files.certificateFile);
  };
  put(ours);
  const relay = await startFixture({access: {tls: {...files, watchSeconds: 0.05}}});
  const counted = async (name: string, least: number): Promise<number> => {
    for (let attempt = 0; attempt < 400; attempt++) {
      const {[name]: count = 0} = await status(relay);
      if (count >= least) return count;
      await wait(25);
    }
    throw new Error(`${name} stayed below ${least}`);
  };
  const running = await open(relay.plane);
  running.connect(remote([bob.fingerprint]));
  const peer = await peerTo(running, bob, relay);
  peer.write(hello(running));
  await peer.next('200');

  writeFileSync(files.certificateFile, 'no certificate');
  await counted('certificateFailures', 1);
  t.is((await open(relay.plane)).terms.fingerprint, ours.fingerprint);
  const {certificateReloads = 0} = await status(relay);

  put(stranger);
  await counted('certificateReloads', certificateReloads + 1);
  const next = await open(relay.plane);
  t.is(next.terms.fingerprint, stranger.fingerprint);
  const late = await peerTo(next, bob, relay);
  t.is(`SHA-256 ${late.tls.getPeerCertificate().fingerprint256}`, stranger.fingerprint);

  // At once, by SIGHUP.
  const {certificateReloads: before = 0} = await status(relay);
  relay.child.process.kill('SIGHUP');
  await counted('certificateReloads', before + 1);

  running.onMessage = () => Promise.resolve('accepted');
  peer.write(sendText({id: 'stil0001', to: running.uri, from, range: '1-2/2', body: 'hi'}));
  t.is((await peer.next()).what, '200');
  await relay.close();
});

test('RFC 4975 §14: what is no handshake, or never ends, is closed and counted', async (t) => {
  const leg = await open();
  const {host, port = 0} = parseMsrpUri(leg.uri);
  const {handshakeFailed = 0} = await status();
  const talkative = new MsrpPeer(connectTcp(port, host));
  talkative.write(hello(leg));
  await talkative.end();
  const silent = new MsrpPeer(connectTcp(port, host));
  await silent.end();
  t.is((await status())['handshakeFailed'], handshakeFailed + 2);
});

test('RFC 4975 §14.1: a relay whose certificate cannot be used does not start, and says why', async (t) => {
  for (const [files, why] of [
    [
      {certificateFile, keyFile: stranger.keyFile},
      /stranger-key\.pem: expected the key of .*relay\.pem, found another one/,
    ],
    [{certificateFile: keyFile, keyFile}, /relay-key\.pem: expected a certificate in PEM, found something else/],
    [{certificateFile, keyFile: certificateFile}, /relay\.pem: expected a private key without a passphrase in PEM/],
    [{certificateFile: '/nowhere.pem', keyFile}, /nowhere\.pem: expected a certificate in PEM, ENOENT/],
  ] as const) {
    const error = await t.throwsAsync(startFixture({access: {tls: files}}));
    t.regex(String(error), why);
    t.regex(String(error), /CPM_CERTIFICATE/);
  }
});

function certificateHash({cert}: TestCertificate): string {
  return new X509Certificate(cert).fingerprint;
}
