import test, {type ExecutionContext} from 'ava';
import {newCounters} from '../../lib/sidecar/counters.ts';
import {Addresses, holderOf, Refusals, refusals, type Refusal} from '../../lib/sidecar/limits.ts';
import {silentLog, type LogFields} from '../../lib/ports/log.ts';
import {answerText, MsrpPeer, sendText} from '../support/msrp-peer.ts';
import {boundLeg, carriedOut, relayedPair, startFixture, undecided, type Fixture} from './relay-fixture.ts';

const limits = {
  headerBytes: 4096,
  startLineBytes: 100,
  refusedFrameBytes: 100_000,
  unreadBytes: 300_000,
  messagesPerSession: 3,
};

let fixture: Fixture;
test.before(async () => {
  fixture = await startFixture({limits});
});
test.after.always(async () => {
  await fixture.close();
});

/** Resolves when the relay has counted so many refusals; its log says one line of those from that address. */
async function counted(t: ExecutionContext, {plane, child}: Fixture, what: Refusal, count: number, address?: string) {
  for (;;) {
    const now = (await plane.status())[what] ?? Number.NaN;
    t.true(now <= count, `${what}: ${now}`);
    if (now === count) break;
  }
  await child.said(new RegExp(`"limit":"${what}"`));
  const records = child
    .output()
    .split('\n')
    .filter((line) => line.includes(`"limit":"${what}"`))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter((each) => each['address'] === address);
  t.is(records.length, 1);
  t.like(records[0], {level: 'warn', part: 'relay', msg: refusals[what], address});
  return records[0] ?? {};
}

/** Runs a test with a relay of its own. */
async function withRelay(t: ExecutionContext, options: object, run: (own: Fixture) => Promise<void>): Promise<void> {
  const own = await startFixture(options);
  t.teardown(() => own.close());
  await run(own);
}

const open = async ({plane}: Fixture) =>
  plane.openLeg({side: 'access', mode: 'hold', label: {}, maxMessageBytes: 1_000_000});

const local = '127.0.0.1';

test('RFC 4975 §14: requests for sessions that are not there get 481, and who goes on asking and serves none is closed', async (t) => {
  const leg = await open(fixture);
  const peer = await MsrpPeer.to(leg.uri);
  const to = leg.uri.replace(/\/[^/]+;/, '/nobody;');
  for (let n = 0; n < 101; n += 1)
    peer.write(sendText({id: `nobo${String(n).padStart(4, '0')}`, to, from: 'msrp://h:1/x;tcp', range: '1-0/0'}));
  await peer.end();
  t.is(peer.frames.length, 101);
  t.true(peer.frames.every((each) => each.what === '481'));
  await counted(t, fixture, 'unknownSession', 101, local);
  await leg.release();
});

test('RFC 4975 §14: a SEND whose From-Path is not the negotiated one gets 403, binds nothing and is kept nowhere', async (t) => {
  const leg = await open(fixture);
  const offered: string[] = [];
  leg.onMessage = async (message) => {
    offered.push(message.messageId);
    return Promise.resolve('accepted');
  };
  const uri = 'msrp://192.0.2.1:9/right;tcp';
  leg.connect({path: [uri], connection: 'passive', acceptTypes: ['*'], maxSize: undefined});
  await carriedOut(fixture.plane);
  const stranger = await MsrpPeer.to(leg.uri);
  const wrong = {to: leg.uri, from: 'msrp://192.0.2.1:9/wrong;tcp', range: '1-2/2', body: 'hi'};
  stranger.write(sendText({...wrong, id: 'wron0001'}));
  t.is((await stranger.next()).what, '403');
  stranger.write(sendText({...wrong, id: 'wron0002', headers: ['Failure-Report: no']}));

  const peer = await MsrpPeer.to(leg.uri);
  // Whatever hosts stand before it, and whatever relays it passed: the end of the path is the peer's.
  const from = 'msrp://relay.example:1/r;tcp msrp://198.51.100.7:1/right;tcp';
  peer.write(sendText({to: leg.uri, from, id: 'righ0001', message: 'right', range: '1-2/2', body: 'hi'}));
  t.is((await peer.next()).what, '200');
  peer.write(sendText({...wrong, id: 'wron0003'}));
  t.is((await peer.next()).what, '403');
  t.deepEqual(offered, ['right']);
  const record = await counted(t, fixture, 'wrongPeer', 3, local);
  t.is(record['leg'], leg.id);
  t.is(record['session'], /\/([^/;]+);tcp$/.exec(leg.uri)?.[1]);
});

test('RFC 4975 §14: with checkFromPath off any From-Path is the peer’s', async (t) => {
  await withRelay(t, {limits: {checkFromPath: false}}, async (own) => {
    const {leg, peer} = await boundLeg(own.plane);
    peer.write(sendText({to: leg.uri, from: 'msrp://h:1/other;tcp', id: 'othe0001', range: '1-2/2', body: 'hi'}));
    t.is((await peer.next()).what, '200');
  });
});

test('RFC 4975 §10.9: a second connection for a bound session is counted', async (t) => {
  const {leg, uri} = await boundLeg(fixture.plane);
  const second = await MsrpPeer.to(leg.uri);
  second.write(sendText({id: 'seco0001', to: leg.uri, from: uri, range: '1-0/0'}));
  t.is((await second.next()).what, '506');
  const record = await counted(t, fixture, 'wrongConnection', 1, local);
  t.is(record['leg'], leg.id);
  second.destroy();
});

test('RFC 4975 §9: a start line or headers beyond their size end the connection, and are told from what is no MSRP', async (t) => {
  const long = await boundLeg(fixture.plane);
  long.peer.write(`MSRP long0001 SEND\r\nTo-Path: ${'x'.repeat(limits.headerBytes)}`);
  await long.peer.end();
  const line = await boundLeg(fixture.plane);
  line.peer.write(`MSRP ${'x'.repeat(limits.startLineBytes)}`);
  await line.peer.end();
  await counted(t, fixture, 'headerTooLong', 2, local);
  const wild = await boundLeg(fixture.plane);
  wild.peer.write('GET / HTTP/1.1\r\n\r\n');
  await wild.peer.end();
  await counted(t, fixture, 'protocolErrors', 1, local);
  t.deepEqual([long.ends, line.ends, wild.ends].flat(), ['protocol-error', 'protocol-error', 'protocol-error']);
});

test('RFC 4975 §10.5: a message beyond its size is counted once, however many chunks it comes in', async (t) => {
  await withRelay(t, {}, async (own) => {
    const {peer, send} = await boundLeg(own.plane, {maxMessageBytes: 10});
    send({id: 'larg0001', message: 'a', range: '1-5/11', body: 'hello', flag: '+'});
    send({id: 'larg0002', message: 'a', range: '6-11/11', body: ' world'});
    t.deepEqual([(await peer.next()).what, (await peer.next()).what], ['413', '413']);
    await counted(t, own, 'tooLarge', 1, local);
  });
});

test('RFC 4975 §14: a frame that was refused and goes on is not read for ever', async (t) => {
  const frames = (to: string, from: string): string =>
    `MSRP endl0001 SEND\r\nTo-Path: ${to}\r\nFrom-Path: ${from}\r\nMessage-ID: e\r\nByte-Range: 1-*/*\r\nContent-Type: text/plain\r\n\r\n`;
  const body = 'x'.repeat(limits.refusedFrameBytes);
  // Too large, of a session that refuses, of no session: each is answered, read for a while, and then no more.
  const large = await boundLeg(fixture.plane, {maxMessageBytes: 10});
  large.peer.write(frames(large.leg.uri, large.uri) + body);
  t.is((await large.peer.next()).what, '413');
  t.false(large.peer.closed);
  large.peer.write(body);
  await large.peer.end();
  const refusing = await boundLeg(fixture.plane, {mode: 'refuse'});
  refusing.peer.write(`${frames(refusing.leg.uri, refusing.uri)}${body}more`);
  await refusing.peer.end();
  const unknown = await boundLeg(fixture.plane);
  unknown.peer.write(`${frames(unknown.leg.uri.replace(/\/[^/]+;/, '/none;'), unknown.uri)}${body}more`);
  await unknown.peer.end();
  await counted(t, fixture, 'endlessFrame', 3, local);
});

test('RFC 4975 §14: a peer who asks and never reads the answers loses his connection, not our memory', async (t) => {
  const {peer, send, ends} = await boundLeg(fixture.plane);
  peer.socket.pause();
  const ended = peer.end();
  const pings = Array.from({length: 1000}, (_, n) => `ping${String(n).padStart(4, '0')}`);
  for (let turn = 0; !peer.closed && turn < 200 && ends.length === 0; turn += 1) {
    for (const id of pings) send({id, range: '1-0/0'});
    await fixture.plane.status();
  }
  peer.socket.resume();
  await ended;
  t.deepEqual(ends, ['protocol-error']);
  await counted(t, fixture, 'unread', 1, local);
  t.true(((await fixture.plane.status())['queuedBytesMost'] ?? Infinity) < 2_000_000);
});

test('RFC 4975 §10.5: beyond the messages that may be unsettled a further one is counted and gets 413', async (t) => {
  const held = await boundLeg(fixture.plane);
  const {offered, decide} = undecided(held);
  for (let n = 1; n <= 4; n += 1) held.send({id: `many000${n}`, range: '1-1/1', body: String(n)});
  await offered;
  t.is((await held.peer.next()).what, '413');
  decide('accepted');
  t.is((await counted(t, fixture, 'tooManyMessages', 1, local))['leg'], held.leg.id);
});

test('RFC 4975 §14: connections beyond the bound of one address are closed, others are accepted; one that ends makes room', async (t) => {
  await withRelay(t, {limits: {connectionsPerAddress: 2}}, async (own) => {
    const [one, two] = [await boundLeg(own.plane), await boundLeg(own.plane)];
    const leg = await open(own);
    await (await MsrpPeer.to(leg.uri)).end();
    await (await MsrpPeer.to(leg.uri)).end();
    const other = await MsrpPeer.to(leg.uri, '127.0.0.2');
    other.write(sendText({id: 'othe0001', to: leg.uri, from: 'msrp://h:1/o;tcp', range: '1-0/0'}));
    t.is((await other.next()).what, '200');
    await counted(t, own, 'connectionsPerAddress', 2, local);
    one.peer.destroy();
    while (((await own.plane.status())['connections'] ?? 0) > 2);
    const third = await boundLeg(own.plane);
    t.deepEqual([two.ends, third.ends], [[], []]);
  });
});

test('RFC 4975 §14: connections beyond all that there may be are closed, and none is made; those that are there go on', async (t) => {
  await withRelay(t, {limits: {connections: 2}}, async (own) => {
    const [one] = [await boundLeg(own.plane), await boundLeg(own.plane)];
    const leg = await open(own);
    await (await MsrpPeer.to(leg.uri)).end();
    const ended = new Promise((resolve) => (leg.onEnd = resolve));
    leg.connect({path: ['msrp://127.0.0.1:9/x;tcp'], connection: 'active', acceptTypes: ['*'], maxSize: undefined});
    t.is(await ended, 'connect-failed');
    one.send({id: 'stay0001', range: '1-1/1', body: 'x'});
    t.is((await one.peer.next()).what, '200');
    await counted(t, own, 'tooManyConnections', 2, local);
  });
});

test('RFC 4975 §14: sessions beyond the bound are not opened, and counted', async (t) => {
  await withRelay(t, {limits: {sessions: 1}}, async (own) => {
    const leg = await open(own);
    await t.throwsAsync(open(own), {code: 'CPM_MEDIA_AWAY'});
    await counted(t, own, 'tooManySessions', 1, undefined);
    await leg.release();
    await (await open(own)).release();
  });
});

test('RFC 4975 §14: idle connections, idle sessions and connections without any end, each by its own clock', async (t) => {
  await withRelay(t, {limits: {idleConnectionSeconds: 0.4, unboundSeconds: 0.2}}, async (own) => {
    const {peer, ends} = await boundLeg(own.plane);
    await peer.end();
    while (ends.length === 0) await own.plane.status();
    t.deepEqual(ends, ['idle']);
    await counted(t, own, 'idleConnection', 1, local);
    const leg = await open(own);
    await (await MsrpPeer.to(leg.uri)).end();
    await counted(t, own, 'unboundConnection', 1, local);
  });
  await withRelay(t, {limits: {idleSessionSeconds: 0.4}}, async (own) => {
    const busy = await boundLeg(own.plane);
    const idle = await boundLeg(own.plane);
    // Who answers is not idle, be it that he never asks.
    busy.peer.onSend = (frame) => answerText(frame, 200);
    while (idle.ends.length === 0)
      t.deepEqual(await busy.leg.send({contentType: 'text/plain', bytes: Buffer.from('x')}), {
        kind: 'answered',
        status: 200,
      });
    t.deepEqual([idle.ends, busy.ends], [['idle'], []]);
    t.is((await counted(t, own, 'idleSession', 1, local))['leg'], idle.leg.id);
  });
});

test('RFC 4975 §9: frames and messages that stop are counted apart', async (t) => {
  await withRelay(t, {limits: {unfinishedFrameSeconds: 0.3, unfinishedMessageSeconds: 0.3}}, async (own) => {
    const frame = await boundLeg(own.plane);
    frame.peer.write('MSRP slow0001 SEND\r\nTo-Path: ');
    await frame.peer.end();
    await counted(t, own, 'unfinished', 1, local);
    const message = await boundLeg(own.plane);
    message.send({id: 'frag0001', message: 'f', range: '1-*/*', body: 'abc', flag: '+'});
    t.is((await counted(t, own, 'unfinishedMessage', 1, local))['leg'], message.leg.id);
    t.deepEqual(message.ends, []);
  });
});

test('RFC 4975 §10.5: a message for which the spool has no room gets 413, is counted, and one that fits is taken', async (t) => {
  const spool = {memoryBytes: 4000, messageMemoryBytes: 2000, diskBytes: 4000};
  await withRelay(t, {spool}, async (own) => {
    const {peer, send} = await boundLeg(own.plane, {maxMessageBytes: 100_000});
    send({id: 'full0001', range: '1-*/*', body: 'x'.repeat(9000)});
    t.is((await peer.next()).what, '413');
    send({id: 'fits0001', range: '1-*/*', body: 'x'.repeat(900)});
    t.is((await peer.next()).what, '200');
    await counted(t, own, 'spoolFull', 1, local);
  });
});

test('RFC 4975 §14: at the bound of memory new messages get 413 and no session is opened; what is there goes on, and all does when there is room', async (t) => {
  await withRelay(t, {limits: {memoryBytes: 100_000}}, async (own) => {
    const [one, two] = await relayedPair(own.plane);
    const held = await boundLeg(own.plane);
    const {offered, decide} = undecided(held);
    held.send({id: 'fill0001', range: '1-*/*', body: 'x'.repeat(100_000)});
    await offered;
    one.send({id: 'full0001', range: '1-2/2', body: 'hi'});
    t.is((await one.peer.next()).what, '413');
    await t.throwsAsync(open(own), {code: 'CPM_MEDIA_AWAY'});
    t.is((await counted(t, own, 'memoryFull', 2, local))['leg'], one.leg.id);
    decide('accepted');
    t.is((await held.peer.next()).what, '200');
    one.send({id: 'goes0001', range: '1-2/2', body: 'hi'});
    const relayed = await two.peer.next('SEND');
    t.is(relayed.body, 'hi');
    two.peer.write(answerText(relayed, 200));
    t.is((await one.peer.next()).what, '200');
    await (await open(own)).release();
  });
});

test('RFC 4975 §14: what the PF sends counts as memory until it is answered', async (t) => {
  const {leg, peer} = await boundLeg(fixture.plane);
  const sent = leg.send({contentType: 'text/plain', bytes: Buffer.alloc(5000, 'x')});
  const chunk = await peer.next('SEND');
  t.is((await fixture.plane.status())['sendingBytes'], 5000);
  peer.write(answerText(chunk, 200));
  t.deepEqual(await sent, {kind: 'answered', status: 200});
  t.is((await fixture.plane.status())['sendingBytes'], 0);
});

test('RFC 4975 §14: each refusal is counted, the first of a minute from each address is told, and never more than a log can take', (t) => {
  const counters = newCounters();
  const told: LogFields[] = [];
  let now = 0;
  const clock = {now: () => now, after: () => ({cancel: () => undefined})};
  const log = {...silentLog, warn: (fields: LogFields) => told.push(fields)};
  const list = new Refusals(counters, {clock, log});
  for (let n = 0; n < 5; n += 1) list.add('unknownSession', {address: '192.0.2.1'});
  list.add('wrongPeer', {address: '192.0.2.1', session: 's', leg: 'l/1'});
  list.add('unknownSession', {address: '192.0.2.2'});
  t.deepEqual(
    told.map(({limit, address, count}) => [limit, address, count]),
    [
      ['unknownSession', '192.0.2.1', 1],
      ['wrongPeer', '192.0.2.1', 1],
      ['unknownSession', '192.0.2.2', 6],
    ],
  );
  now = 60_000;
  list.add('unknownSession', {address: '192.0.2.1'});
  t.is(told.at(-1)?.['count'], 7);
  for (let n = 0; n < 5000; n += 1) list.add('unknownSession', {address: `host${n}`});
  t.is(told.length, 3 + 1000);
  t.is(counters.unknownSession, 5007);
});

test('RFC 4975 §14: one host counts as one address, be it IPv4, IPv4 in IPv6, or any of a network of IPv6', (t) => {
  t.is(holderOf('192.0.2.1'), '192.0.2.1');
  t.is(holderOf('::ffff:192.0.2.1'), '192.0.2.1');
  t.is(holderOf('2001:db8::1'), '2001:db8:0:0::/64');
  t.is(holderOf('2001:DB8:0:0:ffff::9'), '2001:db8:0:0::/64');
  t.is(holderOf('2001:db8:0:1::9'), '2001:db8:0:1::/64');
  t.is(holderOf('fe80::1%eth0'), 'fe80:0:0:0::/64');
  t.is(holderOf('::1'), '0:0:0:0::/64');
  const addresses = new Addresses();
  t.true(addresses.take('2001:db8::1', 1));
  t.false(addresses.take('2001:db8::2', 1));
  t.true(addresses.take('2001:db8:1::2', 1));
  addresses.give('2001:db8::2');
  t.true(addresses.take('2001:db8::3', 1));
});
