import {createHash} from 'node:crypto';
import {once} from 'node:events';
import {rmSync, writeFileSync} from 'node:fs';
import type {AddressInfo} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {createServer} from 'node:tls';
import test, {type ExecutionContext} from 'ava';
import type {Leg} from '../../lib/ports/media-plane.ts';
import {certificate} from '../support/certificates.ts';
import {answerText, listeningPeer, MsrpPeer, sendText, type Listening, type RawFrame} from '../support/msrp-peer.ts';
import {temporaryFolder} from '../support/temporary-folder.ts';
import {startFixture, startRelay, type Fixture} from './relay-fixture.ts';

const password = 'c0rrect "horse" \\ battery';

/** A relay that a test plays, a sidecar whose access side goes through it. */
interface Through {
  readonly relay: Listening;
  readonly own: Fixture;
  /** Opens a leg, plays the relay for it with what the answers to its AUTHs are, and gives both. */
  readonly open: (...answers: readonly Answer[]) => Promise<{readonly leg: Promise<Leg>; readonly peer: MsrpPeer}>;
}

/** Status and header lines; or what to do instead. */
type Answer = Said | ((peer: MsrpPeer, auth: RawFrame) => void);
type Said = readonly [number, ...string[]];

const relayUri = 'msrp://relay.example:9/path1;tcp';
const granted = (...headers: readonly string[]): Said => [200, `Use-Path: ${relayUri}`, 'Expires: 600', ...headers];
const challenge = (nonce = 'n0nce', more = ''): Said => [
  401,
  `WWW-Authenticate: Digest realm="relay.example", nonce="${nonce}", qop="auth"${more}`,
];

async function through(t: ExecutionContext, options: object = {}, via: object = {}): Promise<Through> {
  const relay = await listeningPeer();
  const passwordFile = path.join(tmpdir(), `cpm-password-${process.pid}-${relay.uri.replace(/\D/g, '')}`);
  writeFileSync(passwordFile, `${password}\n`, {mode: 0o600});
  const uri = relay.uri.replace('/peer;', ';');
  const own = await startFixture({access: {via: {uri, username: 'pf', passwordFile, ...via}}, ...options});
  t.teardown(async () => {
    relay.close();
    rmSync(passwordFile);
    await own.close();
  });
  return {
    relay,
    own,
    async open(...answers) {
      const leg = own.plane.openLeg({side: 'access', mode: 'hold', label: {}, maxMessageBytes: 100_000});
      leg.catch(() => undefined);
      const peer = await relay.accepted();
      for (const answer of answers) {
        const auth = await peer.next('AUTH');
        if (typeof answer === 'function') answer(peer, auth);
        else peer.write(withHeaders(auth, answer));
      }
      return {leg, peer};
    },
  };
}

function withHeaders(auth: RawFrame, [status, ...headers]: Said): string {
  const lines = answerText(auth, status).split('\r\n');
  return [...lines.slice(0, 3), ...headers, ...lines.slice(3)].join('\r\n');
}

const md5 = (text: string) => createHash('md5').update(text).digest('hex');

/** Authorization read and checked by a reader of its own. */
function credentialsOf(t: ExecutionContext, auth: RawFrame): Readonly<Record<string, string>> {
  const header = auth.headers['authorization'] ?? '';
  const parameters = Object.fromEntries(
    [...header.matchAll(/(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\w[\w-]*))/g)].map(([, name, text, token]) => [
      name ?? '',
      text?.replace(/\\(.)/g, '$1') ?? token ?? '',
    ]),
  );
  const {realm, nonce, nc, cnonce, uri, response} = parameters;
  t.is(uri, auth.headers['to-path']);
  t.is(parameters['qop'], 'auth');
  t.is(parameters['username'], 'pf');
  const secret = md5(`pf:${realm}:${password}`);
  t.is(response, md5(`${secret}:${nonce}:${nc}:${cnonce}:auth:${md5(`AUTH:${uri}`)}`));
  return parameters;
}

const passive = {connection: 'passive' as const, acceptTypes: ['*'], maxSize: undefined};

test.serial(
  'RFC 4976 §5.1: a session behind a relay asks for its path, proves who it is, and is offered with that path',
  async (t) => {
    const {own, open} = await through(t);
    const frames: RawFrame[] = [];
    const {leg: opening, peer} = await open(
      (relay, auth) => {
        frames.push(auth);
        relay.write(withHeaders(auth, challenge('n0nce', ', opaque="op\\"aque", algorithm=MD5')));
      },
      (relay, auth) => {
        frames.push(auth);
        relay.write(withHeaders(auth, granted()));
      },
    );
    const leg = await opening;
    t.deepEqual(leg.path, [relayUri, leg.uri]);
    t.is(frames[0]?.headers['from-path'], leg.uri);
    t.is(frames[0]?.headers['authorization'], undefined);
    t.regex(frames[0]?.headers['to-path'] ?? '', /^msrp:\/\/127\.0\.0\.1:\d+;tcp$/);
    const credentials = credentialsOf(t, frames[1] ?? ({} as RawFrame));
    t.like(credentials, {realm: 'relay.example', nonce: 'n0nce', nc: '00000001', opaque: 'op"aque'});

    // Frames of the peer come through the relay, ours go to him through it.
    const far = 'msrp://192.0.2.1:9/far;tcp';
    const offered: string[] = [];
    leg.onMessage = (message) => {
      offered.push(Buffer.from(message.bytes).toString());
      return Promise.resolve('accepted');
    };
    leg.connect({...passive, path: [far]});
    peer.write(sendText({id: 'come0001', to: leg.uri, from: `${relayUri} ${far}`, range: '1-2/2', body: 'hi'}));
    const answer = await peer.next('200');
    t.is(answer.headers['to-path'], relayUri);
    t.deepEqual(offered, ['hi']);
    peer.onSend = (frame) => answerText(frame, 200);
    const sent = await leg.send({contentType: 'text/plain', bytes: Buffer.alloc(5000, 'x')});
    t.deepEqual(sent, {kind: 'answered', status: 200});
    const sends = peer.frames.filter((each) => each.what === 'SEND');
    t.deepEqual(
      sends.map((each) => each.headers['byte-range']),
      ['1-2048/5000', '2049-4096/5000', '4097-5000/5000'],
    );
    t.true(sends.every((each) => each.headers['to-path'] === `${relayUri} ${far}`));
    t.is((await own.plane.status())['authorizations'], 1);
    await leg.release();
    await peer.end();
  },
);

test.serial('RFC 4976 §5.1: the active side says hello through its relay', async (t) => {
  const {open} = await through(t);
  const {leg: opening, peer} = await open(granted());
  const leg = await opening;
  const far = 'msrp://192.0.2.1:9/far;tcp';
  leg.connect({...passive, connection: 'active', path: [far]});
  const hello = await peer.next('SEND');
  t.is(hello.headers['to-path'], `${relayUri} ${far}`);
  t.is(hello.headers['from-path'], leg.uri);
  peer.write(answerText(hello, 200));
  await leg.bound(10_000);
});

test.serial('RFC 4976 §5.1: of several relays the nearest comes first in To-Path and last in a=path', async (t) => {
  const {open} = await through(t);
  const [near, outer] = ['msrp://near.example:1/n;tcp', 'msrps://outer.example:2/o;tcp'];
  const {leg: opening, peer} = await open([200, `Use-Path: ${near}  ${outer}`, 'Expires: 600']);
  const leg = await opening;
  t.deepEqual(leg.path, [outer, near, leg.uri]);
  leg.connect({...passive, connection: 'active', path: ['msrp://far.example:3/f;tcp']});
  t.is((await peer.next('SEND')).headers['to-path'], `${near} ${outer} msrp://far.example:3/f;tcp`);
});

test.serial(
  'RFC 4976 §9.1: a nonce goes again with its count, nextnonce replaces it, and a stale one is renewed',
  async (t) => {
    const {open} = await through(t);
    const seen: (readonly (string | undefined)[])[] = [];
    const see =
      (answer: Said): Answer =>
      (peer, auth) => {
        const {nonce, nc} = credentialsOf(t, auth);
        seen.push([nonce, nc]);
        peer.write(withHeaders(auth, answer));
      };
    await (
      await open(challenge('one'), see(granted()))
    ).leg;
    await (
      await open(see(granted('Authentication-Info: nextnonce="two"')))
    ).leg;
    await (
      await open(see(granted()))
    ).leg;
    await (
      await open(see(challenge('three')), see(granted()))
    ).leg;
    await (
      await open(see(challenge('four', ', stale=TRUE')), see(challenge('five', ', stale=true')), see(granted()))
    ).leg;
    t.deepEqual(seen, [
      ['one', '00000001'],
      ['one', '00000002'],
      ['two', '00000001'],
      ['two', '00000002'],
      ['three', '00000001'],
      ['three', '00000002'],
      ['four', '00000001'],
      ['five', '00000001'],
    ]);
  },
);

test.serial('RFC 7616 §3.4: SHA-256 is answered where the relay asks for it', async (t) => {
  const {open} = await through(t);
  const {leg} = await open(challenge('n', ', algorithm=SHA-256'), (peer, auth) => {
    const header = auth.headers['authorization'] ?? '';
    const [cnonce = '', response = ''] = ['cnonce', 'response'].map(
      (name) => new RegExp(` ${name}="([^"]+)"`).exec(header)?.[1],
    );
    const sha = (text: string) => createHash('sha256').update(text).digest('hex');
    const uri = auth.headers['to-path'] ?? '';
    t.is(response, sha(`${sha(`pf:relay.example:${password}`)}:n:00000001:${cnonce}:auth:${sha(`AUTH:${uri}`)}`));
    peer.write(withHeaders(auth, granted()));
  });
  await leg;
});

test.serial('RFC 4976 §9.1: 423 says for how long a path may be had, and it is asked for that', async (t) => {
  const {open} = await through(t, {}, {expiresSeconds: 10});
  const asked: (string | undefined)[] = [];
  const {leg} = await open(
    (peer, auth) => {
      asked.push(auth.headers['expires']);
      peer.write(withHeaders(auth, [423, 'Min-Expires: 60']));
    },
    (peer, auth) => {
      asked.push(auth.headers['expires']);
      peer.write(withHeaders(auth, granted()));
    },
  );
  await leg;
  t.deepEqual(asked, ['10', '60']);
});

const refused: Readonly<Record<string, readonly Answer[]>> = {
  '401 to the credentials': [challenge('a'), challenge('b')],
  '401 with ever staler nonces': [challenge('a'), ...['b', 'c', 'd'].map((nonce) => challenge(nonce, ', stale=true'))],
  '401 that asks for nothing we can give': [[401, 'WWW-Authenticate: Basic realm="x"']],
  '401 without a challenge': [[401]],
  '403 to the credentials': [challenge('a'), [403]],
  '423 without a bound': [[423]],
  '501, which is no relay': [[501]],
  '200 without Use-Path': [[200, 'Expires: 600']],
  '200 with a path that is none': [[200, 'Use-Path: sip:relay.example']],
  '200 of a relay that does not know the password': [
    challenge('a'),
    granted('Authentication-Info: rspauth="00000000000000000000000000000000"'),
  ],
};

test.serial(
  'RFC 4976 §5.1: a relay that gives no path: no session is opened, it is counted and told, the password is not',
  async (t) => {
    const {own, open} = await through(t);
    for (const [what, answers] of Object.entries(refused)) {
      const {leg, peer} = await open(...answers);
      await t.throwsAsync(leg, {code: 'CPM_MEDIA_AWAY'}, what);
      await peer.end();
    }
    const counters = await own.plane.status();
    t.is(counters['relayRefused'], Object.keys(refused).length);
    t.is(counters['sessions'], 0);
    await own.child.said(/"limit":"relayRefused".*"status":401,"why":"the credentials are not right"/);
    t.false(own.child.output().includes('horse'));
  },
);

test.serial(
  'RFC 4976 §5.1: a relay that is away, silent or lost: no session is opened, and it is counted',
  async (t) => {
    const {own, relay, open} = await through(t, {connectSeconds: 0.3});
    const silent = await open(() => undefined);
    await t.throwsAsync(silent.leg, {code: 'CPM_MEDIA_AWAY'});
    const lost = await open((peer) => {
      peer.destroy();
    });
    await t.throwsAsync(lost.leg, {code: 'CPM_MEDIA_AWAY'});
    relay.close();
    for (const peer of [silent.peer, lost.peer]) peer.destroy();
    const away = own.plane.openLeg({side: 'access', mode: 'hold', label: {}, maxMessageBytes: 1});
    await t.throwsAsync(away, {code: 'CPM_MEDIA_AWAY'});
    t.is((await own.plane.status())['relayAway'], 3);
    // The other side goes through none.
    await (await own.plane.openLeg({side: 'core', mode: 'hold', label: {}, maxMessageBytes: 1})).release();
  },
);

test.serial(
  'RFC 4976 §5.1: a path is renewed before its time is over, on its connection; the session goes on',
  async (t) => {
    const {own, open} = await through(t);
    const {leg: opening, peer} = await open([200, `Use-Path: ${relayUri}`, 'Expires: 1']);
    const leg = await opening;
    for (let n = 0; n < 2; n += 1)
      peer.write(withHeaders(await peer.next('AUTH'), [200, `Use-Path: ${relayUri}`, 'Expires: 1']));
    const sent = sendText({id: 'stil0001', to: leg.uri, from: `${relayUri} msrp://h:1/x;tcp`, range: '1-0/0'});
    peer.write(sent);
    t.is((await peer.next('200')).id, 'stil0001');
    t.is((await own.plane.status())['authorizations'], 3);
    t.is((await own.plane.status())['relayExpired'], 0);
  },
);

for (const [what, renewal] of Object.entries<Answer>({
  'a relay that refuses': [403],
  'a relay that gives another path': [200, 'Use-Path: msrp://relay.example:9/path2;tcp', 'Expires: 600'],
  'a relay that is silent': () => undefined,
})) {
  test.serial(`RFC 4976 §5.1: ${what} to renew: the session ends with the time of its path`, async (t) => {
    const {own, open} = await through(t, {connectSeconds: 1});
    const {leg: opening} = await open([200, `Use-Path: ${relayUri}`, 'Expires: 1'], renewal);
    const leg = await opening;
    t.is(await new Promise((resolve) => (leg.onEnd = resolve)), 'connection-lost');
    await carriedOutOn(own);
    t.is((await own.plane.status())['relayExpired'], 1);
  });
}

test.serial('RFC 4976 §5.1: the loss of the relay’s connection ends its session, and only that', async (t) => {
  const {own, open} = await through(t);
  const one = await open(granted());
  const leg = await one.leg;
  const ended = new Promise((resolve) => (leg.onEnd = resolve));
  const other = await open(granted());
  const stays = await other.leg;
  one.peer.destroy();
  t.is(await ended, 'connection-lost');
  other.peer.write(sendText({id: 'stay0001', to: stays.uri, from: `${relayUri} msrp://h:1/x;tcp`, range: '1-0/0'}));
  t.is((await other.peer.next('200')).id, 'stay0001');
  t.is((await own.plane.status())['sessions'], 1);
});

test.serial(
  'E6 RFC 4976 §5.1: another path of the peer: the connection to the relay stays, what was not answered goes again',
  async (t) => {
    const {own, open} = await through(t);
    const {leg: opening, peer} = await open(granted());
    const leg = await opening;
    const [before, after] = ['msrp://192.0.2.1:9/before;tcp', 'msrp://192.0.2.2:9/after;tcp'];
    leg.connect({...passive, connection: 'active', path: [before]});
    peer.write(answerText(await peer.next('SEND'), 200));
    await leg.bound(10_000);
    const from = await own.plane.openLeg({side: 'core', mode: 'hold', label: {}, maxMessageBytes: 1000});
    const sender = await MsrpPeer.to(from.uri);
    const uri = 'msrp://127.0.0.1:9/sender;tcp';
    from.connect({...passive, path: [uri]});
    (await from.pair(leg)).open();
    sender.write(sendText({id: 'once0001', to: from.uri, from: uri, range: '1-2/2', body: 'hi'}));
    t.is((await peer.next('SEND')).headers['to-path'], `${relayUri} ${before}`);
    leg.connect({...passive, connection: 'active', path: [after]});
    const hello = await peer.next('SEND');
    t.is(hello.headers['to-path'], `${relayUri} ${after}`);
    peer.write(answerText(hello, 200));
    const again = await peer.next('SEND');
    t.deepEqual([again.headers['to-path'], again.body], [`${relayUri} ${after}`, 'hi']);
    peer.write(answerText(again, 200));
    t.is((await sender.next('200')).id, 'once0001');
  },
);

test.serial(
  'RFC 4976 §5.1: a password comes from a file or the environment, and without it the relay does not start',
  async (t) => {
    const via = {uri: 'msrp://127.0.0.1:9;tcp', username: 'pf'};
    const start = (more: object) => startRelay('127.0.0.1:0', {access: {via: {...via, ...more}}});
    await t.throwsAsync(start({passwordFile: '/nowhere/password'}), {message: /CPM_RELAY_VIA.*\/nowhere\/password/s});
    await t.throwsAsync(start({passwordVariable: 'CPM_NO_SUCH_VARIABLE'}), {message: /CPM_NO_SUCH_VARIABLE/});
    const child = await start({passwordVariable: 'PATH'});
    child.process.kill();
    await child.ended;
  },
);

async function carriedOutOn({plane}: Fixture): Promise<void> {
  await (await plane.openLeg({side: 'core', mode: 'refuse', label: {}, maxMessageBytes: 1})).release();
}

test.serial(
  'RFC 4976 §5.1, RFC 4975 §14: an msrps: relay is believed for a certificate of our authority, and for no other',
  async (t) => {
    const folder = await temporaryFolder(t);
    const authority = certificate(folder, 'authority');
    const ours = certificate(folder, 'ours', authority);
    let shown = certificate(folder, 'relay', authority);
    const accepted: MsrpPeer[] = [];
    const server = createServer({cert: shown.cert, key: shown.key}, (socket) => {
      const peer = new MsrpPeer(socket);
      accepted.push(peer);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const uri = `msrps://127.0.0.1:${(server.address() as AddressInfo).port};tcp`;
    const tls = {certificateFile: ours.certificateFile, keyFile: ours.keyFile};
    const via = {uri, username: 'pf'};
    await t.throwsAsync(startRelay('127.0.0.1:0', {access: {via, tls}}), {message: /CPM_RELAY_VIA.*authorityFile/s});

    const own = await startFixture({access: {via, tls: {...tls, authorityFile: authority.certificateFile}}});
    t.teardown(async () => {
      server.close();
      for (const peer of accepted) peer.destroy();
      await own.close();
    });
    const open = async (): Promise<Leg> =>
      own.plane.openLeg({side: 'access', mode: 'hold', label: {}, maxMessageBytes: 1000});
    const opening = open();
    while (accepted.length === 0) await once(server, 'secureConnection');
    const usePath = uri.replace(';tcp', '/path;tcp');
    accepted[0]?.write(withHeaders(await accepted[0].next('AUTH'), [200, `Use-Path: ${usePath}`, 'Expires: 600']));
    const leg = await opening;
    t.deepEqual(leg.path, [usePath, leg.uri]);
    t.true(leg.uri.startsWith('msrps:'));
    t.like(leg.terms, {transport: 'tls', fingerprint: undefined, hasAuthority: true, cema: false});
    accepted[0]?.write(sendText({id: 'come0001', to: leg.uri, from: `${usePath} msrps://h:1/far;tcp`, range: '1-0/0'}));
    await leg.bound(10_000);

    shown = certificate(folder, 'stranger');
    server.setSecureContext({cert: shown.cert, key: shown.key});
    await t.throwsAsync(open(), {code: 'CPM_MEDIA_AWAY'});
    await own.child.said(/"limit":"relayAway".*"why":"its certificate/);
    t.is(accepted[1]?.frames.length ?? 0, 0);
  },
);
