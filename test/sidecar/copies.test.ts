import test from 'ava';
import type {OutgoingMessage} from '../../lib/ports/media-plane.ts';
import {boundLeg, carriedOut, relayedPair, startFixture, takesAll, type Fixture} from './relay-fixture.ts';

let fixture: Fixture;
test.before(async () => {
  fixture = await startFixture({spool: {messageMemoryBytes: 65_536}});
});
test.after.always(async () => {
  await fixture.close();
});

const text = ({bytes}: OutgoingMessage): string => Buffer.from(bytes).toString();

test('8.5.2: what is relayed from a leg of a recorded session is copied to the PF, in order, whole and octet for octet, after its 200', async (t) => {
  const [one, two] = await relayedPair(fixture.plane, {copies: true});
  takesAll(two.peer);
  takesAll(one.peer);
  const copies: OutgoingMessage[] = [];
  one.leg.onRelayed = (message) => {
    copies.push(message);
    return Promise.resolve();
  };
  const back: OutgoingMessage[] = [];
  two.leg.onRelayed = (message) => {
    back.push(message);
    return Promise.resolve();
  };
  const large = 'z'.repeat(1_500_000);
  one.send({id: 'copy0001', message: 'a', range: '1-2/4', type: 'message/cpim', body: 'gr', flag: '+'});
  one.send({id: 'copy0002', message: 'a', range: '3-4/4', type: 'message/cpim', body: '\xc3\xbc'});
  one.send({id: 'copy0003', message: 'b', range: `1-${large.length}/${large.length}`, body: large});
  one.send({id: 'copy0004', message: 'c', range: '1-5/5', body: 'third'});
  two.send({id: 'back0001', message: 'd', range: '1-4/4', body: 'back'});
  for (const id of ['copy0001', 'copy0002', 'copy0003', 'copy0004']) t.is((await one.peer.next('200')).id, id);
  await two.peer.next('200');
  await Promise.all([one.leg.copied(), two.leg.copied()]);
  t.deepEqual(copies.map(text), ['grü', large, 'third']);
  t.deepEqual(copies[0]?.contentType, 'message/cpim');
  t.deepEqual(back.map(text), ['back']);
  await Promise.all([one.leg.release(), two.leg.release()]);
});

test('8.5.2: a leg that asks for no copies is given none, and has nothing to wait for', async (t) => {
  const [one, two] = await relayedPair(fixture.plane);
  takesAll(two.peer);
  const copies: OutgoingMessage[] = [];
  one.leg.onRelayed = (message) => {
    copies.push(message);
    return Promise.resolve();
  };
  one.send({id: 'none0001', range: '1-2/2', body: 'no'});
  await one.peer.next('200');
  await one.leg.copied();
  await carriedOut(fixture.plane);
  t.deepEqual(copies, []);
});

test('8.5.2: one copy at a time is with the PF; a session that ends has its other copies told before its end', async (t) => {
  const [one, two] = await relayedPair(fixture.plane, {copies: true});
  takesAll(two.peer);
  const copies: string[] = [];
  let go: () => void = () => undefined;
  const first = new Promise<void>((resolve) => (go = resolve));
  one.leg.onRelayed = async (message) => {
    copies.push(text(message));
    await first;
  };
  for (const [index, body] of ['first', 'second', 'third'].entries())
    one.send({id: `wait000${index}`, message: body, range: `1-${body.length}/${body.length}`, body});
  for (let index = 0; index < 3; index += 1) await one.peer.next('200');
  let toldBeforeEnd: readonly string[] = [];
  const ended = new Promise((resolve) => {
    one.leg.onEnd = (end) => {
      toldBeforeEnd = [...copies];
      resolve(end);
    };
  });
  one.peer.destroy();
  await carriedOut(fixture.plane);
  t.deepEqual(copies, ['first']);
  go();
  t.is(await ended, 'connection-lost');
  t.deepEqual(toldBeforeEnd, ['first', 'second', 'third']);
});

test('8.5.2: copies that the PF does not take are bounded: the sender gets 413', async (t) => {
  const small = await startFixture({limits: {messagesPerSession: 4}});
  t.teardown(() => small.close());
  const one = await boundLeg(small.plane, {copies: true});
  const two = await boundLeg(small.plane, {side: 'core'});
  (await one.leg.pair(two.leg)).open();
  takesAll(two.peer);
  let go: () => void = () => undefined;
  const stuck = new Promise<void>((resolve) => (go = resolve));
  one.leg.onRelayed = async () => stuck;
  for (let index = 0; index < 4; index += 1) {
    one.send({id: `full000${index}`, message: `m${index}`, range: '1-2/2', body: 'ab'});
    await one.peer.next('200');
  }
  one.send({id: 'full0009', message: 'm9', range: '1-2/2', body: 'ab'});
  t.is((await one.peer.next('413')).id, 'full0009');
  go();
  await one.leg.copied();
  one.send({id: 'full0010', message: 'm10', range: '1-2/2', body: 'ab'});
  t.is((await one.peer.next('200')).id, 'full0010');
  await one.leg.copied();
  t.is((await small.plane.status())['spoolBytes'], 0);
});

test('8.5.2: what was relayed while the PF is gone is kept for nobody', async (t) => {
  const own = await startFixture();
  t.teardown(() => own.close());
  const [one, two] = await relayedPair(own.plane, {copies: true});
  takesAll(two.peer);
  one.leg.onRelayed = async () => new Promise(() => undefined);
  one.send({id: 'gone0001', range: '1-2/2', body: 'ab'});
  await one.peer.next('200');
  const copied = one.leg.copied();
  await own.plane.close();
  await copied;
  one.send({id: 'gone0002', message: 'later', range: '1-2/2', body: 'ab'});
  t.is((await one.peer.next('200')).id, 'gone0002');
});
