import test from 'ava';
import {answerText, listeningPeer, MsrpPeer, sendText} from '../support/msrp-peer.ts';
import {
  boundLeg,
  carriedOut,
  messagesIn,
  relayedPair,
  startFixture,
  takesAll,
  undecided,
  type Fixture,
} from './relay-fixture.ts';

let fixture: Fixture;
let strict: Fixture;
test.before(async () => {
  fixture = await startFixture();
  strict = await startFixture({
    limits: {
      unfinishedFrameSeconds: 0.3,
      unfinishedMessageSeconds: 0.3,
      unboundSeconds: 0.5,
      sessions: 20,
      messagesPerSession: 3,
    },
  });
});
test.after.always(async () => {
  await fixture.close();
  await strict.close();
});

const open = async (mode: 'hold' | 'send' | 'refuse' = 'hold') =>
  fixture.plane.openLeg({side: 'access', mode, label: {}, maxMessageBytes: 100_000});
const remote = {connection: 'passive' as const, acceptTypes: ['*'], maxSize: undefined};

test('RFC 4975 §5.4: the active side connects and sends an empty SEND at once; its 200 binds', async (t) => {
  const listening = await listeningPeer();
  const leg = await open();
  leg.connect({
    ...remote,
    path: ['msrp://127.0.0.1:1/far;tcp'].map(() => listening.uri).concat('msrp://far.example:2/end;tcp'),
    connection: 'active',
  });
  const peer = await listening.accepted();
  const hello = await peer.next('SEND');
  t.is(hello.headers['to-path'], `${listening.uri} msrp://far.example:2/end;tcp`);
  t.is(hello.headers['from-path'], leg.uri);
  t.is(hello.headers['byte-range'], '1-0/0');
  t.is(hello.body, undefined);
  await t.throwsAsync(leg.bound(50), {message: /did not open/});
  peer.write(answerText(hello, '200 OK'));
  await leg.bound(5000);
  t.deepEqual(peer.frames.length, 1);
  listening.close();
});

test('RFC 4975 §5.4: a peer that cannot be reached, or does not know the session, ends the leg', async (t) => {
  const listening = await listeningPeer();
  const away = await open();
  const gone = new Promise((resolve) => (away.onEnd = resolve));
  const unknown = await open();
  const refused = new Promise((resolve) => (unknown.onEnd = resolve));
  unknown.connect({...remote, path: [listening.uri], connection: 'active'});
  const peer = await listening.accepted();
  peer.write(answerText(await peer.next('SEND'), 481));
  t.is(await refused, 'protocol-error');
  listening.close();
  away.connect({...remote, path: ['msrp://127.0.0.1:1/x;tcp'], connection: 'active'});
  t.is(await gone, 'connect-failed');
  await t.throwsAsync(away.bound(1000));
});

test('RFC 4975 §5.4: the first SEND of a passive leg’s peer binds, empty or not, also before its description is there', async (t) => {
  const leg = await open();
  const offered: string[] = [];
  leg.onMessage = (message) => {
    offered.push(Buffer.from(message.bytes).toString());
    return Promise.resolve('accepted');
  };
  const peer = await MsrpPeer.to(leg.uri);
  const from = 'msrp://127.0.0.1:9/early;tcp';
  peer.write(sendText({id: 'earl0001', to: leg.uri, from, range: '1-2/2', body: 'hi'}));
  t.is((await peer.next()).what, '200');
  await leg.bound(5000);
  const sent = leg.send({contentType: 'text/plain', bytes: Buffer.from('to you')});
  leg.connect({...remote, path: [from]});
  takesAll(peer);
  t.deepEqual(await sent, {kind: 'answered', status: 200});
  t.deepEqual(offered, ['hi']);
});

test('E5 RFC 4975 §7.3: a session is found by its session-id, whatever host and port the path carries (T58)', async (t) => {
  const leg = await open();
  const peer = await MsrpPeer.to(leg.uri);
  const to = leg.uri.replace(/\/\/[^/]+\//, '//sbc.example.net:12345/');
  peer.write(sendText({id: 'sbc00001', to, from: 'msrp://[2001:db8::1]:7/x;tcp', range: '1-0/0'}));
  const answer = await peer.next();
  t.is(answer.what, '200');
  t.is(answer.headers['from-path'], to);
  await leg.bound(5000);
  t.regex(leg.uri, /^msrp:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32,};tcp$/);
});

test('RFC 4975 §5.4: one connection carries many sessions, and outlives each of them', async (t) => {
  const legs = await Promise.all([open(), open(), open()]);
  const [one, two, three] = legs;
  const peer = await MsrpPeer.to(one.uri);
  const offered: string[] = [];
  for (const [index, leg] of legs.entries()) {
    leg.onMessage = (message) => {
      offered.push(`${index} ${Buffer.from(message.bytes).toString()}`);
      return Promise.resolve('accepted');
    };
    const from = `msrp://127.0.0.1:9/s${index};tcp`;
    leg.connect({...remote, path: [from]});
    peer.write(sendText({id: `mult000${index}`, to: leg.uri, from, range: '1-1/1', body: String(index)}));
    await peer.next('200');
  }
  await two.release();
  peer.write(sendText({id: 'gone0001', to: two.uri, from: 'msrp://127.0.0.1:9/s1;tcp', range: '1-1/1', body: 'x'}));
  t.is((await peer.next()).what, '481');
  peer.write(sendText({id: 'stay0001', to: three.uri, from: 'msrp://127.0.0.1:9/s2;tcp', range: '1-1/1', body: 'y'}));
  t.is((await peer.next()).what, '200');
  t.deepEqual(offered, ['0 0', '1 1', '2 2', '2 y']);
  await one.release();
  t.false(peer.closed);
  await three.release();
  await peer.end();
});

test('RFC 4975 §5.4: the loss of a connection ends every session on it, and only those', async (t) => {
  const legs = await Promise.all([open(), open()]);
  const other = await boundLeg(fixture.plane);
  const ends = legs.map((leg) => new Promise((resolve) => (leg.onEnd = resolve)));
  const peer = await MsrpPeer.to(legs[0].uri);
  for (const [index, leg] of legs.entries()) {
    peer.write(sendText({id: `lost000${index}`, to: leg.uri, from: 'msrp://127.0.0.1:9/s;tcp', range: '1-0/0'}));
    await peer.next('200');
  }
  peer.destroy();
  t.deepEqual(await Promise.all(ends), ['connection-lost', 'connection-lost']);
  other.send({id: 'othe0001', range: '1-1/1', body: 'x'});
  t.is((await other.peer.next()).what, '200');
});

test('E6 RFC 4975 §8: the same path said again keeps the session, another one makes a new connection', async (t) => {
  const [first, second] = [await listeningPeer(), await listeningPeer()];
  const leg = await open();
  const ends: string[] = [];
  leg.onEnd = (end) => ends.push(end);
  leg.connect({...remote, path: [first.uri], connection: 'active'});
  const peer = await first.accepted();
  peer.write(answerText(await peer.next('SEND'), 200));
  await leg.bound(5000);
  leg.connect({...remote, path: [first.uri], connection: 'active'});
  const sent = leg.send({contentType: 'text/plain', bytes: Buffer.from('same')});
  peer.write(answerText(await peer.next('SEND'), 200));
  t.deepEqual(await sent, {kind: 'answered', status: 200});

  leg.connect({...remote, path: [second.uri], connection: 'active'});
  const moved = await second.accepted();
  await peer.end();
  const again = leg.send({contentType: 'text/plain', bytes: Buffer.from('moved')});
  moved.write(answerText(await moved.next('SEND'), 200));
  moved.write(answerText(await moved.next('SEND'), 200));
  t.deepEqual(await again, {kind: 'answered', status: 200});
  t.deepEqual(ends, []);
  first.close();
  second.close();
});

test('RFC 4975 §7.1: a notification that was relayed is copied to the PF after its 200, bare or in CPIM, and no other message', async (t) => {
  const [one, two] = await relayedPair(fixture.plane);
  takesAll(two.peer);
  const copies: string[] = [];
  one.leg.onNotificationRelayed = ({contentType, bytes}) => copies.push(`${contentType} ${bytes.length}`);
  const cpim = (type: string) => `From: <sip:a@x>\r\nTo: <sip:b@x>\r\n\r\nContent-type: ${type}\r\n\r\n<imdn/>`;
  one.send({id: 'note0001', range: '1-*/*', type: 'message/imdn+xml', body: '<imdn/>'});
  one.send({id: 'note0002', range: '1-*/*', type: 'message/cpim', body: cpim('message/imdn+xml')});
  one.send({id: 'note0003', range: '1-*/*', type: 'message/cpim', body: cpim('text/plain')});
  one.send({id: 'note0004', range: '1-*/*', type: 'text/plain', body: 'message/imdn+xml'});
  for (let n = 1; n <= 4; n += 1) await one.peer.next('200');
  await carriedOut(fixture.plane);
  t.deepEqual(copies, ['message/imdn+xml 7', `message/cpim ${cpim('message/imdn+xml').length}`]);
});

test('RFC 4975 §9: a frame that is not finished in time ends its connection', async (t) => {
  const {peer, ends} = await boundLeg(strict.plane);
  peer.write('MSRP slow0001 SEND\r\nTo-Path: ');
  await peer.end();
  await carriedOut(strict.plane);
  t.deepEqual(ends, ['idle']);
  t.true(((await strict.plane.status())['unfinished'] ?? 0) > 0);
});

test('RFC 4975 §7.3.1: a message whose chunks stop coming is forgotten', async (t) => {
  const bound = await boundLeg(strict.plane);
  bound.send({id: 'frag0001', message: 'f', range: '1-*/*', body: 'abc', flag: '+'});
  await bound.peer.next('200');
  for (;;) {
    const counters = await strict.plane.status();
    if (counters['spoolBytes'] === 0) break;
  }
  bound.send({id: 'anew0001', message: 'f', range: '1-*/*', body: 'whole'});
  t.is((await bound.peer.next()).what, '200');
  t.deepEqual(
    bound.offered.map((each) => Buffer.from(each.bytes).toString()),
    ['whole'],
  );
});

test('RFC 4975 §5.4: a connection that binds no session in time is closed', async (t) => {
  const leg = await strict.plane.openLeg({side: 'core', mode: 'hold', label: {}, maxMessageBytes: 10});
  const peer = await MsrpPeer.to(leg.uri);
  await peer.end();
  t.deepEqual(peer.frames, []);
});

test('RFC 4975 §14: beyond the bound of sessions no leg is opened, and one is when another has gone', async (t) => {
  const legs = [];
  let refused: unknown;
  while (refused === undefined) {
    try {
      legs.push(await strict.plane.openLeg({side: 'core', mode: 'hold', label: {}, maxMessageBytes: 10}));
    } catch (error) {
      refused = error;
    }
  }
  t.like(refused, {code: 'CPM_MEDIA_AWAY', status: 503});
  t.true(legs.length <= 20);
  await Promise.all(legs.map((leg) => leg.release()));
  await (await strict.plane.openLeg({side: 'core', mode: 'hold', label: {}, maxMessageBytes: 10})).release();
});

test('RFC 4975 §9: a head that only trickles in ends its connection, too', async (t) => {
  const {peer, ends} = await boundLeg(strict.plane);
  const trickle = setInterval(() => {
    peer.write('x');
  }, 20);
  peer.write('MSRP slow0001 SEND\r\nTo-Path: ');
  await peer.end();
  clearInterval(trickle);
  await carriedOut(strict.plane);
  t.deepEqual(ends, ['idle']);
});

test('RFC 4975 §10.5: beyond the bound of unsettled messages further ones get 413', async (t) => {
  const held = await boundLeg(strict.plane);
  const {offered, decide} = undecided(held);
  for (let n = 1; n <= 5; n += 1) held.send({id: `many000${n}`, range: '1-1/1', body: String(n)});
  await offered;
  t.deepEqual([(await held.peer.next('413')).id, (await held.peer.next('413')).id], ['many0004', 'many0005']);
  decide('accepted');
  for (let n = 1; n <= 3; n += 1) t.is((await held.peer.next('200')).id, `many000${n}`);
  held.send({id: 'many0006', range: '1-1/1', body: '6'});
  t.is((await held.peer.next()).what, '200');
});

test('E6 RFC 4975 §8: what was relayed and not answered goes again, whole, to a peer that has moved', async (t) => {
  const [first, second] = [await listeningPeer(), await listeningPeer()];
  const one = await boundLeg(fixture.plane);
  const two = await open();
  two.connect({...remote, path: [first.uri], connection: 'active'});
  const before = await first.accepted();
  before.write(answerText(await before.next('SEND'), 200));
  await two.bound(5000);
  (await one.leg.pair(two)).open();
  await carriedOut(fixture.plane);
  one.send({id: 'move0001', message: 'm', range: '1-2/4', body: 'ab', flag: '+'});
  one.send({id: 'move0002', message: 'm', range: '3-4/4', body: 'cd'});
  await before.next('SEND');
  await before.next('SEND');
  two.connect({...remote, path: [second.uri], connection: 'active'});
  const after = await second.accepted();
  takesAll(after);
  after.write(answerText(await after.next('SEND'), 200));
  await one.peer.until(() => one.peer.frames.some((each) => each.id === 'move0002'));
  t.deepEqual(messagesIn(after.frames), ['abcd']);
  t.deepEqual(one.offered, []);
  one.send({id: 'move0003', range: '1-1/1', body: 'e'});
  await one.peer.until(() => one.peer.frames.some((each) => each.id === 'move0003'));
  t.deepEqual(messagesIn(after.frames), ['abcd', 'e']);
  first.close();
  second.close();
});
