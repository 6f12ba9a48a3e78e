import test from 'ava';
import type {Leg} from '../../lib/ports/media-plane.ts';
import {answerText, listeningPeer, MsrpPeer, sendText} from '../support/msrp-peer.ts';
import {
  boundLeg,
  carriedOut,
  messagesIn,
  relayedPair,
  startFixture,
  takesAll,
  type Bound,
  type Fixture,
} from './relay-fixture.ts';

let fixture: Fixture;
test.before(async () => {
  fixture = await startFixture();
});
test.after.always(async () => {
  await fixture.close();
});

const passive = {connection: 'passive' as const, acceptTypes: ['*'], maxSize: undefined};
const moved = 'msrp://192.0.2.9:9/moved;tcp';

/** What a re-INVITE with another path does: the leg learns it, and its peer binds it with a connection of that path. */
async function move({leg}: Bound): Promise<MsrpPeer> {
  leg.connect({...passive, path: [moved]});
  await carriedOut(fixture.plane);
  const peer = await MsrpPeer.to(leg.uri);
  peer.write(sendText({id: 'move0001', to: leg.uri, from: moved, range: '1-0/0'}));
  await peer.next('200');
  return peer;
}

async function answered(peer: MsrpPeer, id: string): Promise<string> {
  await peer.until(() => peer.frames.some((each) => each.id === id), id);
  return peer.frames.find((each) => each.id === id)?.what ?? '';
}

test('E6 RFC 4975 §8: the near peer moves between the chunks of a message: the rest comes from its new connection, and the message is whole', async (t) => {
  const [one, two] = await relayedPair(fixture.plane);
  takesAll(two.peer);
  one.send({id: 'near0001', message: 'm', range: '1-2/4', body: 'ab', flag: '+'});
  t.is(await answered(one.peer, 'near0001'), '200');
  const peer = await move(one);
  await one.peer.end();
  peer.write(sendText({id: 'near0002', to: one.leg.uri, from: moved, message: 'm', range: '3-4/4', body: 'cd'}));
  t.is(await answered(peer, 'near0002'), '200');
  t.deepEqual(messagesIn(two.peer.frames), ['abcd']);
  t.deepEqual([one.ends, two.ends, one.offered], [[], [], []]);
});

test('E6 RFC 4975 §8: the near peer moves in the middle of a frame and sends that chunk again: nothing of it is there twice', async (t) => {
  const [one, two] = await relayedPair(fixture.plane);
  takesAll(two.peer);
  const head = `MSRP half0001 SEND\r\nTo-Path: ${one.leg.uri}\r\nFrom-Path: ${one.uri}\r\nMessage-ID: h\r\nByte-Range: 1-*/6\r\nContent-Type: text/plain\r\n\r\n`;
  one.peer.write(`${head}abc`);
  // Some of it may be with the next hop.
  await fixture.plane.status();
  const peer = await move(one);
  await one.peer.end();
  peer.write(sendText({id: 'half0002', to: one.leg.uri, from: moved, message: 'h', range: '1-6/6', body: 'abcdef'}));
  t.is(await answered(peer, 'half0002'), '200');
  const whole = Buffer.alloc(6);
  for (const frame of two.peer.frames.filter((each) => each.what === 'SEND')) {
    const start = Number.parseInt(frame.headers['byte-range'] ?? '', 10);
    whole.write(frame.body ?? '', start - 1, 'latin1');
  }
  t.is(whole.toString('latin1'), 'abcdef');
  t.deepEqual([one.ends, two.ends, one.offered], [[], [], []]);
});

test('E6 RFC 4975 §8: the far peer, passive or active, moves in the middle of a frame: it gets the message whole at its new place, once', async (t) => {
  for (const role of ['peer connects', 'we connect'] as const) {
    const [one, two] = await relayedPair(fixture.plane);
    const body = 'x'.repeat(150_000);
    const head = `MSRP midd0001 SEND\r\nTo-Path: ${one.leg.uri}\r\nFrom-Path: ${one.uri}\r\nMessage-ID: m\r\nByte-Range: 1-*/*\r\nContent-Type: text/plain\r\n\r\n`;
    one.peer.write(head + body.slice(0, 90_000));
    await two.peer.until(() => two.peer.bytes > 50_000, 'the begin of the frame');
    let peer: MsrpPeer;
    if (role === 'peer connects') peer = await move(two);
    else {
      const listening = await listeningPeer();
      t.teardown(() => {
        listening.close();
      });
      two.leg.connect({...passive, connection: 'active', path: [listening.uri]});
      peer = await listening.accepted();
      peer.write(answerText(await peer.next('SEND'), 200));
    }
    one.peer.write(`${body.slice(90_000)}\r\n-------midd0001$\r\n`);
    await peer.until(() => messagesIn(peer.frames).join('').length >= body.length, 'the message');
    for (const frame of peer.frames) if (frame.what === 'SEND') peer.write(answerText(frame, 200));
    t.is(await answered(one.peer, 'midd0001'), '200', role);
    t.deepEqual(messagesIn(peer.frames), [body]);
    t.deepEqual([one.ends, two.ends, one.offered], [[], [], []]);
    await two.peer.end();
  }
});

test('E6 RFC 4975 §8: a refresh with the same path in the middle of a message changes nothing, on either leg', async (t) => {
  const [one, two] = await relayedPair(fixture.plane);
  takesAll(two.peer);
  one.send({id: 'same0001', message: 'm', range: '1-2/6', body: 'ab', flag: '+'});
  t.is(await answered(one.peer, 'same0001'), '200');
  one.leg.connect({...passive, path: [one.uri]});
  await carriedOut(fixture.plane);
  one.send({id: 'same0002', message: 'm', range: '3-4/6', body: 'cd', flag: '+'});
  t.is(await answered(one.peer, 'same0002'), '200');
  two.leg.connect({...passive, path: [two.uri]});
  await carriedOut(fixture.plane);
  one.send({id: 'same0003', message: 'm', range: '5-6/6', body: 'ef'});
  t.is(await answered(one.peer, 'same0003'), '200');
  t.deepEqual(
    two.peer.frames.filter((each) => each.what === 'SEND').map((each) => each.body),
    ['ab', 'cd', 'ef'],
  );
  t.false(one.peer.closed || two.peer.closed);
});

test('RFC 4975 §10.9: before a session moves a second connection gets 506, and after it moved the first one is the stranger', async (t) => {
  const one = await boundLeg(fixture.plane);
  const second = await MsrpPeer.to(one.leg.uri);
  const ping = (id: string, from: string) => sendText({id, to: one.leg.uri, from, range: '1-0/0'});
  second.write(ping('seco0001', one.uri));
  t.is(await answered(second, 'seco0001'), '506');
  one.send({id: 'firs0001', range: '1-1/1', body: 'x'});
  t.is(await answered(one.peer, 'firs0001'), '200');
  const peer = await move(one);
  await one.peer.end();
  second.write(ping('seco0002', one.uri));
  t.is(await answered(second, 'seco0002'), '403');
  second.write(ping('seco0003', moved));
  t.is(await answered(second, 'seco0003'), '506');
  peer.write(ping('stay0001', moved));
  t.is(await answered(peer, 'stay0001'), '200');
  second.destroy();
});

test('E6 RFC 4975 §8: of many sessions on one connection one moves, and the others stay where they are', async (t) => {
  const legs: readonly Leg[] = await Promise.all(
    Array.from({length: 5}, () =>
      fixture.plane.openLeg({side: 'access', mode: 'hold', label: {}, maxMessageBytes: 1000}),
    ),
  );
  const [first] = legs;
  if (first === undefined) return;
  const peer = await MsrpPeer.to(first.uri);
  const offered: string[] = [];
  const from = (index: number): string => `msrp://192.0.2.1:9/s${index};tcp`;
  const hello = (leg: Leg, index: number, id: string): void => {
    peer.write(sendText({id, to: leg.uri, from: from(index), range: '1-1/1', body: String(index)}));
  };
  for (const [index, leg] of legs.entries()) {
    leg.onMessage = (message) => {
      offered.push(Buffer.from(message.bytes).toString());
      return Promise.resolve('accepted');
    };
    leg.connect({...passive, path: [from(index)]});
    hello(leg, index, `shar000${index}`);
    t.is(await answered(peer, `shar000${index}`), '200');
  }
  const other = await move({leg: first} as Bound);
  for (const [index, leg] of legs.entries()) hello(leg, index, `agai000${index}`);
  t.is(await answered(peer, 'agai0000'), '403');
  for (const index of [1, 2, 3, 4]) t.is(await answered(peer, `agai000${index}`), '200');
  other.write(sendText({id: 'gone0001', to: first.uri, from: moved, range: '1-1/1', body: 'm'}));
  t.is(await answered(other, 'gone0001'), '200');
  t.deepEqual([...offered].sort(), ['0', '1', '1', '2', '2', '3', '3', '4', '4', 'm']);
  await Promise.all(legs.map((leg) => leg.release()));
  await peer.end();
});
