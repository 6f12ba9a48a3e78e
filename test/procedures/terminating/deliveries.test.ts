import test from 'ava';
import {silentLog} from '../../../lib/ports/log.ts';
import {alone} from '../../../lib/ports/peers.ts';
import {createDeliveries, type DeliveryOutcome, type Trigger} from '../../../lib/procedures/terminating/deliveries.ts';

const bob = 'sip:+15550102@home.example';

/** Deliveries whose each run the test ends itself. */
function scripted({attempts = 10} = {}) {
  const pauses: number[] = [];
  const timers: {readonly milliseconds: number; readonly fire: () => void}[] = [];
  const runs: {readonly trigger: Trigger; readonly end: (outcome: DeliveryOutcome) => void}[] = [];
  let look: () => void = () => undefined;
  const lease = {key: bob, token: 't', holder: {node: 'n', address: undefined}, expiresAt: 0};
  const context = {
    store: {
      leases: {
        claim: () => Promise.resolve(lease),
        renew: () => Promise.resolve(true),
        release: () => Promise.resolve(),
      },
    },
    clock: {
      now: () => 0,
      after: (milliseconds: number, fire: () => void) => {
        pauses.push(milliseconds);
        timers.push({milliseconds, fire});
        look();
        return {cancel: () => undefined};
      },
    },
    log: silentLog,
    peers: alone(),
    random: () => 0,
    policy: {
      node: 'n',
      retry: {pauses: [60_000, 90_000], jitter: 0.5, attempts, age: 3_600_000, longestRetryAfter: 200_000},
      concurrentDeliveries: 4,
    },
  };
  const deliveries = createDeliveries(
    () => context as never,
    (_, trigger) =>
      new Promise((end) => {
        runs.push({trigger, end});
        look();
      }),
  );
  const until = async <T>(found: () => T | undefined): Promise<T> => {
    for (;;) {
      const it = found();
      if (it !== undefined) return it;
      await new Promise<void>((resolve) => (look = resolve));
    }
  };
  return {
    deliveries,
    runs,
    pauses,
    run: async (index: number) => until(() => runs[index]),
    paused: async (milliseconds: number) => until(() => pauses.find((pause) => pause === milliseconds)),
    /** Lets the time of a pause pass. */
    pass: async (milliseconds: number) => {
      const timer = await until(() => timers.find((each) => each.milliseconds === milliseconds));
      timers.splice(timers.indexOf(timer), 1);
      timer.fire();
    },
  };
}

test('8.3.2.9.1.1 A18: a registration that comes while a delivery fails is the next trigger, and not the retry', async (t) => {
  const {deliveries, run, pauses} = scripted();
  deliveries.trigger(bob, 'message');
  const first = await run(0);
  deliveries.trigger(bob, 'registration');
  deliveries.trigger(bob, 'message');
  first.end({againAfter: 0});
  const second = await run(1);
  t.is(second.trigger, 'registration');
  t.false(pauses.includes(60_000));
  second.end('settled');
  await deliveries.drain();
});

test('8.3.2.9.1.1 A18: a message that comes while a delivery fails waits for the retry', async (t) => {
  const {deliveries, run, runs, paused} = scripted();
  deliveries.trigger(bob, 'registration');
  const first = await run(0);
  deliveries.trigger(bob, 'message');
  deliveries.later(bob);
  first.end({againAfter: 0});
  t.is(await paused(60_000), 60_000);
  t.is(runs.length, 1);
});

test('8.3.2.9.1.1 A18 T36: a registration that comes while the lease is waited for belongs to the delivery that follows', async (t) => {
  const {deliveries, run, runs, paused} = scripted();
  deliveries.trigger(bob, 'message');
  deliveries.trigger(bob, 'registration');
  const first = await run(0);
  t.is(first.trigger, 'registration');
  first.end({againAfter: 0});
  t.is(await paused(60_000), 60_000);
  t.is(runs.length, 1);
});

test('8.3.2.9.1.1 A0 T36: triggers that come while a delivery runs make one more run', async (t) => {
  const {deliveries, run, runs} = scripted();
  deliveries.trigger(bob, 'registration');
  const first = await run(0);
  for (let count = 0; count < 5; count += 1) deliveries.trigger(bob, 'message');
  first.end('settled');
  (await run(1)).end('settled');
  await deliveries.drain();
  t.is(runs.length, 2);
});

test('8.3.2.9.1.1 A18: each retry that fails waits as long as the list says, not less than a Retry-After; then what is left is parked', async (t) => {
  const {deliveries, run, pass, runs} = scripted({attempts: 3});
  deliveries.trigger(bob, 'message');
  (await run(0)).end({againAfter: 0});
  await pass(60_000);
  t.like(deliveries.report(), {retrying: 0, parked: 0});
  (await run(1)).end({againAfter: 0});
  await pass(90_000);
  (await run(2)).end({againAfter: 150_000});
  await pass(150_000);
  const last = await run(3);
  t.is(last.trigger, 'retry');
  last.end({againAfter: 0});
  await deliveries.idle(bob, 1000);
  t.deepEqual(deliveries.report(), {running: 0, queued: 0, retrying: 0, parked: 1});
  deliveries.trigger(bob, 'message');
  deliveries.later(bob);
  t.is(runs.length, 4);
  deliveries.trigger(bob, 'registration');
  (await run(4)).end('settled');
  await deliveries.drain();
  t.deepEqual(deliveries.report(), {running: 0, queued: 0, retrying: 0, parked: 0});
});

test('8.3.2.9.1.1 A18 A20: a notification goes at once to a user whose messages wait for their retry, and changes nothing for them', async (t) => {
  const {deliveries, run, pass} = scripted();
  deliveries.trigger(bob, 'registration');
  (await run(0)).end({againAfter: 0});
  await deliveries.idle(bob, 1000);
  deliveries.trigger(bob, 'notification');
  const notification = await run(1);
  t.is(notification.trigger, 'notification');
  notification.end({againAfter: 0});
  await deliveries.idle(bob, 1000);
  t.like(deliveries.report(), {retrying: 1});
  await pass(60_000);
  t.is((await run(2)).trigger, 'retry');
});
