import test, {type ExecutionContext} from 'ava';
import {createRelayPool} from '../../../lib/adapters/sidecar/relay-pool.ts';
import type {Leg} from '../../../lib/ports/media-plane.ts';
import {boundLeg, messagesIn, startFixture, takesAll, type Bound, type Fixture} from '../../sidecar/relay-fixture.ts';

const options = {side: 'access', mode: 'hold', label: {}, maxMessageBytes: 1000} as const;

async function threeRelays(t: ExecutionContext): Promise<readonly Fixture[]> {
  const relays = await Promise.all([startFixture(), startFixture(), startFixture()]);
  t.teardown(async () => {
    await Promise.all(relays.map(async (relay) => relay.close()));
  });
  // Those that are not connected yet are passed over.
  for (const {plane} of relays) await (await plane.openLeg(options)).release();
  return relays;
}

const loads = (relays: readonly Fixture[]): readonly number[] => relays.map(({plane}) => plane.legCount);

test('CPM-CF 5.2.1.4: of three relay processes a new session goes to the one with the fewest legs, and its second leg to the same', async (t) => {
  t.timeout(60_000);
  const relays = await threeRelays(t);
  const pool = createRelayPool(relays.map(({plane}) => plane));
  const pairs: (readonly [Leg, Leg])[] = [];
  const open = async (): Promise<void> => {
    const one = await pool.openLeg(options);
    pairs.push([one, await pool.openLeg({...options, side: 'core', near: one})]);
  };
  for (let number = 0; number < 9; number += 1) await open();
  t.deepEqual(loads(relays), [6, 6, 6]);
  for (const {plane} of relays) t.is((await plane.status())['sessions'], 6);

  // One of them loses what it has: what is new goes there until it has its share again.
  const [first] = relays;
  const homeOf = (leg: Leg): number => Number(/:(\d+)\//.exec(leg.uri)?.[1]);
  const port = homeOf(pairs[0]?.[0] ?? t.fail());
  const emptied = pairs.filter(([one]) => homeOf(one) === port).flat();
  t.is(emptied.length, 6);
  t.is(first?.plane.available, true);
  for (const leg of emptied) await leg.release();
  t.is(Math.min(...loads(relays)), 0);
  for (let number = 0; number < 3; number += 1) await open();
  t.deepEqual(loads(relays), [6, 6, 6]);
});

test('CPM-CF 5.2.1.4: sessions in three relay processes relay at the same time, and those of two go on when the third dies', async (t) => {
  t.timeout(60_000);
  const relays = await threeRelays(t);
  const pool = createRelayPool(relays.map(({plane}) => plane));
  const pairs: (readonly [Bound, Bound])[] = [];
  for (let number = 0; number < 3; number += 1) {
    const one = await boundLeg(pool);
    const two = await boundLeg(pool, {side: 'core', near: one.leg});
    (await one.leg.pair(two.leg)).open();
    takesAll(two.peer);
    pairs.push([one, two]);
  }
  t.deepEqual(loads(relays), [2, 2, 2]);

  const say = async (text: string, among: typeof pairs): Promise<void> => {
    for (const [one] of among)
      one.send({id: `said${text.length}`, range: `1-${text.length}/${text.length}`, body: text});
    for (const [one, two] of among) {
      await one.peer.until(() => one.peer.frames.some((frame) => frame.id === `said${text.length}`), 'the answer');
      t.true(messagesIn(two.peer.frames).includes(text));
    }
  };
  await say('all three', pairs);

  const [lost] = relays;
  lost?.child.process.kill('SIGKILL');
  await Promise.race(pairs.map(async ([one]) => one.peer.end()));
  await lost?.child.ended;
  const alive = pairs.filter(([one]) => !one.peer.closed);
  t.is(alive.length, 2);
  await say('two are left', alive);
  const more = await pool.openLeg(options);
  t.true(pool.available);
  await more.release();
});
