import test from 'ava';
import type {Leg} from '../../lib/ports/media-plane.ts';
import {answerText, listeningPeer, type Listening, type MsrpPeer, type RawFrame} from '../support/msrp-peer.ts';
import {startFixture, type Fixture} from './relay-fixture.ts';

let sharing: Fixture;
let apart: Fixture;
test.before(async () => {
  sharing = await startFixture({limits: {sessionsPerConnection: 3}});
  apart = await startFixture();
});
test.after.always(async () => {
  await sharing.close();
  await apart.close();
});

/** A leg towards a session of its own at a peer. */
async function active({plane}: Fixture, {uri}: Listening, session: string): Promise<Leg> {
  const leg = await plane.openLeg({side: 'core', mode: 'hold', label: {}, maxMessageBytes: 1000});
  const path = [uri.replace('/peer;', `/${session};`)];
  leg.connect({path, connection: 'active', acceptTypes: ['*'], maxSize: undefined});
  return leg;
}

const sessionOf = (frame: RawFrame): string => /\/([^/;]+);/.exec(frame.headers['to-path'] ?? '')?.[1] ?? '';
const takes = (peer: MsrpPeer): void => {
  peer.onSend = (frame) => answerText(frame, 200);
};
const send = (leg: Leg, text: string) => leg.send({contentType: 'text/plain', bytes: Buffer.from(text)});
const ok = {kind: 'answered', status: 200};

test('RFC 4975 §5.4: sessions towards the same host and port share a connection up to the bound, each with its own messages', async (t) => {
  const listening = await listeningPeer();
  // Also those that begin while it is being made.
  const [one, two, three, four] = await Promise.all(['s1', 's2', 's3', 's4'].map((s) => active(sharing, listening, s)));
  if (!one || !two || !three || !four) return;
  const [first, second] = [await listening.accepted(), await listening.accepted()];
  for (const peer of [first, second]) {
    takes(peer);
    for (const frame of peer.frames) peer.write(answerText(frame, 200));
  }
  await Promise.all([one, two, three, four].map((leg) => leg.bound(10_000)));
  for (const [index, leg] of [one, two, three, four].entries()) t.deepEqual(await send(leg, `m${index + 1}`), ok);
  const seen = [first, second].map((peer) => peer.frames.filter((each) => each.body !== undefined));
  t.deepEqual(seen.map((frames) => frames.length).sort(), [1, 3]);
  for (const frame of seen.flat()) t.is(frame.body, sessionOf(frame).replace('s', 'm'));
  // It lasts as long as one of its sessions does.
  const [full, other] = seen[0]?.length === 3 ? [first, second] : [second, first];
  const on = new Set(full.frames.map(sessionOf));
  const legs = [one, two, three, four].map((leg, index) => ({leg, session: `s${index + 1}`}));
  const [last, ...rest] = legs.filter(({session}) => on.has(session));
  for (const {leg} of rest) await leg.release();
  t.deepEqual(last && (await send(last.leg, 'still')), ok);
  await last?.leg.release();
  await full.end();
  t.false(other.closed);
  listening.close();
  other.destroy();
});

for (const [what, refuse] of Object.entries<(peer: MsrpPeer, frame: RawFrame) => void>({
  'answers 506': (peer, frame) => {
    peer.write(answerText(frame, 506));
  },
  'answers 481': (peer, frame) => {
    peer.write(answerText(frame, 481));
  },
})) {
  test(`RFC 4975 §5.4: a peer that ${what} to a second session on a connection gets it on one of its own, and so all later ones`, async (t) => {
    const listening = await listeningPeer();
    const one = await active(sharing, listening, 's1');
    const first = await listening.accepted();
    first.write(answerText(await first.next('SEND'), 200));
    await one.bound(10_000);
    const two = await active(sharing, listening, 's2');
    refuse(first, await first.next('SEND'));
    const second = await listening.accepted();
    takes(second);
    second.write(answerText(await second.next('SEND'), 200));
    await two.bound(10_000);
    t.deepEqual(await send(two, 'x'), ok);
    await active(sharing, listening, 's3');
    const third = await listening.accepted();
    t.is(sessionOf(await third.next('SEND')), 's3');
    const sent = send(one, 'y');
    first.write(answerText(await first.next('SEND'), 200));
    t.deepEqual(await sent, ok);
    listening.close();
    for (const peer of [first, second, third]) peer.destroy();
  });
}

test('RFC 4975 §5.4: a peer that closes a connection because of a second session keeps that one, on a connection of its own', async (t) => {
  const listening = await listeningPeer();
  const one = await active(sharing, listening, 's1');
  const ended = new Promise((resolve) => (one.onEnd = resolve));
  const first = await listening.accepted();
  first.write(answerText(await first.next('SEND'), 200));
  await one.bound(10_000);
  const two = await active(sharing, listening, 's2');
  await first.next('SEND');
  first.destroy();
  t.is(await ended, 'connection-lost');
  const second = await listening.accepted();
  second.write(answerText(await second.next('SEND'), 200));
  await two.bound(10_000);
  listening.close();
  second.destroy();
});

test('RFC 4975 §5.4: as it is configured by default, each session has a connection of its own', async (t) => {
  const listening = await listeningPeer();
  await active(apart, listening, 's1');
  const first = await listening.accepted();
  t.is(sessionOf(await first.next('SEND')), 's1');
  await active(apart, listening, 's2');
  const second = await listening.accepted();
  t.is(sessionOf(await second.next('SEND')), 's2');
  listening.close();
  first.destroy();
  second.destroy();
});

test('RFC 4975 §5.4: sessions that wait for a connection that cannot be made all hear of it', async (t) => {
  const listening = await listeningPeer();
  listening.close();
  const legs = await Promise.all(['s1', 's2'].map((session) => active(sharing, listening, session)));
  const ends = await Promise.all(legs.map((leg) => new Promise((resolve) => (leg.onEnd = resolve))));
  t.deepEqual(ends, ['connect-failed', 'connect-failed']);
});
