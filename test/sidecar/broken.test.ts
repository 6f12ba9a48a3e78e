import test from 'ava';
import {once} from 'node:events';
import {answerText} from '../support/msrp-peer.ts';
import type {OfferedMessage} from '../../lib/ports/media-plane.ts';
import {
  boundLeg,
  carriedOut,
  messagesIn,
  relayedPair,
  startFixture,
  takesAll,
  undecided,
  type Bound,
  type Fixture,
} from './relay-fixture.ts';

let fixture: Fixture;
let hasty: Fixture;
test.before(async () => {
  fixture = await startFixture();
  hasty = await startFixture({nextHopSeconds: 0.3, transactionSeconds: 0.3, spool: {messageMemoryBytes: 5000}});
});
test.after.always(async () => {
  await fixture.close();
  await hasty.close();
});

const texts = (offered: readonly OfferedMessage[]) => offered.map((each) => Buffer.from(each.bytes).toString('latin1'));
const whys = (offered: readonly OfferedMessage[]) => offered.map((each) => each.why);

async function answered(bound: Bound, id: string): Promise<string> {
  await bound.peer.until(() => bound.peer.frames.some((each) => each.id === id), id);
  return bound.peer.frames.find((each) => each.id === id)?.what ?? '';
}

test('RFC 4975 §7.1.1: a far leg that dies in mid-message: the PF gets the message whole, then all later ones, in order', async (t) => {
  const [one, two] = await relayedPair(fixture.plane);
  one.send({id: 'midd0001', message: 'm', range: '1-*/12', body: 'abcd', flag: '+'});
  two.peer.write(answerText(await two.peer.next('SEND'), 200));
  one.send({id: 'midd0002', message: 'm', range: '5-*/12', body: 'efgh', flag: '+'});
  await two.peer.next('SEND');
  two.peer.destroy();
  t.is(await answered(one, 'midd0002'), '200');
  one.send({id: 'midd0003', message: 'm', range: '9-12/12', body: 'ijkl'});
  one.send({id: 'next0001', range: '1-4/4', body: 'next'});
  one.send({id: 'last0001', range: '1-4/4', body: 'last'});
  t.is(await answered(one, 'last0001'), '200');
  t.deepEqual(texts(one.offered), ['abcdefghijkl', 'next', 'last']);
  t.deepEqual(whys(one.offered), ['undelivered', 'held', 'held']);
  t.deepEqual(two.ends, ['connection-lost']);
  t.deepEqual(one.ends, []);
});

test('RFC 4975 §7.1.1: a far leg that dies while a chunk is being read: nothing of the chunk is lost', async (t) => {
  const [one, two] = await relayedPair(fixture.plane);
  const body = 'x'.repeat(200_000);
  const head = `MSRP midd0001 SEND\r\nTo-Path: ${one.leg.uri}\r\nFrom-Path: ${one.uri}\r\nMessage-ID: m\r\nByte-Range: 1-*/*\r\nContent-Type: text/plain\r\n\r\n`;
  one.peer.write(head + body.slice(0, 90_000));
  await two.peer.until(() => two.peer.bytes > 80_000, 'most of the first half');
  t.is(messagesIn(two.peer.frames).length, 0);
  two.peer.destroy();
  await fixture.plane.status();
  one.peer.write(`${body.slice(90_000)}\r\n-------midd0001$\r\n`);
  t.is(await answered(one, 'midd0001'), '200');
  t.true(texts(one.offered)[0] === body);
});

test('RFC 4975 §7.1.1: messages that are unanswered when the far leg dies are offered in the order in which they were whole', async (t) => {
  const [one, two] = await relayedPair(fixture.plane);
  for (let n = 1; n <= 20; n += 1)
    one.send({id: `many${String(n).padStart(4, '0')}`, range: '1-2/2', body: String(n).padStart(2, '0')});
  for (let n = 1; n <= 5; n += 1) {
    const send = await two.peer.next('SEND');
    if (n <= 3) two.peer.write(answerText(send, 200));
  }
  t.is(await answered(one, 'many0003'), '200');
  two.peer.destroy();
  t.is(await answered(one, 'many0020'), '200');
  t.deepEqual(
    texts(one.offered),
    Array.from({length: 17}, (_, index) => String(index + 4).padStart(2, '0')),
  );
  t.true(one.offered.every((each) => each.why === 'undelivered'));
});

for (const status of [408, 481, 506]) {
  test(`RFC 4975 §7.2: ${status} of the next hop ends its leg, and the message is the PF's`, async (t) => {
    const [one, two] = await relayedPair(fixture.plane);
    one.send({id: 'gone0001', range: '1-2/2', body: 'hi'});
    const ended = new Promise((resolve) => (two.leg.onEnd = resolve));
    two.peer.write(answerText(await two.peer.next('SEND'), status));
    t.is(await answered(one, 'gone0001'), '200');
    t.deepEqual(
      one.offered.map((each) => [each.why, each.status]),
      [['undelivered', status]],
    );
    t.is(await ended, 'protocol-error');
  });
}

test('E3 RFC 4975 §7.1.1: a next hop that is silent until its deadline is ended, and the message is the PF’s (T56)', async (t) => {
  const [one, two] = await relayedPair(hasty.plane);
  const body = 'q'.repeat(20_000);
  const ended = new Promise((resolve) => (two.leg.onEnd = resolve));
  one.send({id: 'sile0001', range: '1-*/20000', body});
  await two.peer.next('SEND');
  t.is(await answered(one, 'sile0001'), '200');
  t.true(texts(one.offered)[0] === body);
  t.deepEqual(whys(one.offered), ['undelivered']);
  t.is(await ended, 'silent');
  await two.peer.end();
});

test('RFC 4975 §7.1.1: a far leg that nobody has bound by the deadline is silent', async (t) => {
  const one = await boundLeg(hasty.plane);
  const two = await hasty.plane.openLeg({side: 'core', mode: 'hold', label: {}, maxMessageBytes: 1000});
  const ended = new Promise((resolve) => (two.onEnd = resolve));
  const pairing = await one.leg.pair(two);
  pairing.open();
  await carriedOut(hasty.plane);
  one.send({id: 'unbo0001', range: '1-2/2', body: 'hi'});
  t.is(await answered(one, 'unbo0001'), '200');
  t.deepEqual(whys(one.offered), ['held']);
  t.is(await ended, 'silent');
});

test('RFC 4975 §7.1.1: a message sent for the PF that is not answered in time is silent, the one before it is not', async (t) => {
  const {leg, peer} = await boundLeg(hasty.plane);
  peer.onSend = (frame) => (frame.body === 'two' ? undefined : answerText(frame, frame.body === 'one' ? 200 : 415));
  const send = (text: string) => leg.send({contentType: 'text/plain', bytes: Buffer.from(text)});
  t.deepEqual(await Promise.all([send('one'), send('two'), send('three')]), [
    {kind: 'answered', status: 200},
    {kind: 'silent'},
    {kind: 'answered', status: 415},
  ]);
});

test('RFC 4975 §10.5: 413 to a chunk stops that message with #, and the next one is sent', async (t) => {
  const {leg, peer} = await boundLeg(fixture.plane, {}, {chunks: 'explicit'});
  peer.onSend = (frame) => answerText(frame, frame.body?.startsWith('big') ? 413 : 200);
  const send = (text: string) => leg.send({contentType: 'text/plain', bytes: Buffer.from(text)});
  const big = `big${'x'.repeat(1_000_000)}`;
  t.deepEqual(await Promise.all([send(big), send('small')]), [
    {kind: 'answered', status: 413},
    {kind: 'answered', status: 200},
  ]);
  const sends = peer.frames.filter((each) => each.what === 'SEND');
  t.is(sends[0]?.headers['byte-range'], '1-2048/1000003');
  t.is(sends.at(-2)?.flag, '#');
  t.true(sends.length < 100);
});

test('RFC 4975 §7.1.1: what is sent when the leg is lost, or after, is lost', async (t) => {
  const {leg, peer} = await boundLeg(fixture.plane);
  const before = leg.send({contentType: 'text/plain', bytes: Buffer.from('one')});
  await peer.next('SEND');
  const ended = new Promise((resolve) => (leg.onEnd = resolve));
  peer.destroy();
  t.deepEqual(await before, {kind: 'lost'});
  t.is(await ended, 'connection-lost');
  t.deepEqual(await leg.send({contentType: 'text/plain', bytes: Buffer.from('two')}), {kind: 'lost'});
  await t.throwsAsync(leg.bound(1000), {message: /did not open/});
  await leg.release();
});

test('RFC 4975 §7.1.1: undo gives back what is unanswered, in order, and both legs hold', async (t) => {
  const one = await boundLeg(fixture.plane);
  const two = await boundLeg(fixture.plane);
  const pairing = await one.leg.pair(two.leg);
  pairing.open();
  await carriedOut(fixture.plane);
  one.send({id: 'undo0001', range: '1-3/3', body: 'one'});
  one.send({id: 'undo0002', message: 'p', range: '1-*/6', body: 'two', flag: '+'});
  await two.peer.next('SEND');
  const partial = await two.peer.next('SEND');
  two.send({id: 'back0001', range: '1-4/4', body: 'back'});
  await one.peer.next('SEND');
  pairing.undo();
  pairing.undo();
  t.is(await answered(one, 'undo0001'), '200');
  t.is(await answered(two, 'back0001'), '200');
  t.is(await answered(one, 'undo0002'), '200');
  two.peer.write(answerText(partial, 415));
  one.send({id: 'undo0003', message: 'p', range: '4-6/6', body: 'TWO'});
  one.send({id: 'undo0004', range: '1-5/5', body: 'three'});
  t.is(await answered(one, 'undo0004'), '200');
  t.deepEqual(texts(one.offered), ['one', 'twoTWO', 'three']);
  t.deepEqual(whys(one.offered), ['undelivered', 'undelivered', 'held']);
  t.deepEqual(texts(two.offered), ['back']);
});

test('RFC 4975 §7.3: what comes between pairing and opening waits, unanswered where whole, and follows what was sent before', async (t) => {
  const one = await boundLeg(fixture.plane);
  const two = await boundLeg(fixture.plane);
  takesAll(two.peer);
  one.send({id: 'befo0001', range: '1-6/6', body: 'before'});
  t.is(await answered(one, 'befo0001'), '200');
  one.send({id: 'half0001', message: 'h', range: '1-*/8', body: 'half', flag: '+'});
  t.is(await answered(one, 'half0001'), '200');

  const pairing = await one.leg.pair(two.leg);
  one.send({id: 'half0002', message: 'h', range: '5-8/8', body: 'HALF'});
  one.send({id: 'wait0001', range: '1-4/4', body: 'wait'});
  one.send({id: 'part0001', message: 'w', range: '1-*/4', body: 'pa', flag: '+'});
  t.is(await answered(one, 'part0001'), '200');
  t.false(one.peer.frames.some((each) => each.id === 'wait0001' || each.id === 'half0002'));
  const backlog = two.leg.send({contentType: 'text/plain', bytes: Buffer.from('backlog')});
  pairing.open();
  one.send({id: 'part0002', message: 'w', range: '3-4/4', body: 'rt'});
  one.send({id: 'live0001', range: '1-4/4', body: 'live'});
  t.deepEqual(await backlog, {kind: 'answered', status: 200});
  t.is(await answered(one, 'live0001'), '200');
  t.is(await answered(one, 'half0002'), '200');
  t.deepEqual(messagesIn(two.peer.frames), ['backlog', 'halfHALF', 'wait', 'part', 'live']);
  t.deepEqual(texts(one.offered), ['before']);
});

test('RFC 4975 §7.3: a message offered before the pairing is the PF’s, those behind it are relayed: none in both hands, none in neither', async (t) => {
  const one = await boundLeg(fixture.plane);
  const two = await boundLeg(fixture.plane);
  takesAll(two.peer);
  const {offered, decide} = undecided(one);
  for (const n of [1, 2, 3]) one.send({id: `race000${n}`, range: '1-1/1', body: String(n)});
  await offered;
  const pairing = await one.leg.pair(two.leg);
  t.deepEqual(texts(one.offered), ['1']);
  decide('accepted');
  pairing.open();
  t.is(await answered(one, 'race0001'), '200');
  t.is(await answered(one, 'race0003'), '200');
  t.deepEqual(messagesIn(two.peer.frames), ['2', '3']);
  t.deepEqual(texts(one.offered), ['1']);
});

test('RFC 4975 §7.3: what the second leg of a pair offered before the pairing is not overtaken by what follows it there', async (t) => {
  const one = await boundLeg(fixture.plane);
  const two = await boundLeg(fixture.plane);
  takesAll(one.peer);
  const {offered, decide} = undecided(two);
  for (const n of [1, 2, 3]) two.send({id: `back000${n}`, range: '1-1/1', body: String(n)});
  const first = await offered;
  await one.leg.pair(two.leg);
  await carriedOut(fixture.plane);
  t.deepEqual(messagesIn(one.peer.frames), []);
  t.deepEqual(await one.leg.send(first), {kind: 'answered', status: 200});
  decide('accepted');
  t.is(await answered(two, 'back0003'), '200');
  t.deepEqual(messagesIn(one.peer.frames), ['1', '2', '3']);
});

test('RFC 4975 §7.3: the sender leaves while his whole message is on its way: it still arrives, or is the PF’s', async (t) => {
  const [one, two] = await relayedPair(fixture.plane);
  const ended = new Promise((resolve) => (one.leg.onEnd = resolve));
  one.send({id: 'bye00001', range: '1-4/4', body: 'last', headers: ['Failure-Report: no']});
  const send = await two.peer.next('SEND');
  one.peer.destroy();
  await once(one.peer.socket, 'close');
  two.peer.write(answerText(send, 481));
  t.is(await ended, 'connection-lost');
  t.deepEqual(texts(one.offered), ['last']);
});

test('RFC 4975 §7.2: answers to what was taken back change nothing, also when the legs are paired again', async (t) => {
  const one = await boundLeg(fixture.plane);
  const two = await boundLeg(fixture.plane);
  const pairing = await one.leg.pair(two.leg);
  pairing.open();
  await carriedOut(fixture.plane);
  one.send({id: 'agai0001', message: 'm', range: '1-2/4', body: 'ab', flag: '+'});
  const first = await two.peer.next('SEND');
  pairing.undo();
  t.is(await answered(one, 'agai0001'), '200');
  (await one.leg.pair(two.leg)).open();
  await carriedOut(fixture.plane);
  const again = await two.peer.next('SEND');
  t.is(again.body, 'ab');
  two.peer.write(answerText(first, 200));
  one.send({id: 'agai0002', message: 'm', range: '3-4/4', body: 'cd'});
  two.peer.write(answerText(await two.peer.next('SEND'), 200));
  one.send({id: 'ping0001', range: '1-0/0'});
  t.is(await answered(one, 'ping0001'), '200');
  // One part of it is still unanswered.
  t.false(one.peer.frames.some((each) => each.id === 'agai0002'));
  two.peer.write(answerText(again, 200));
  t.is(await answered(one, 'agai0002'), '200');
  t.deepEqual(one.offered, []);
});
