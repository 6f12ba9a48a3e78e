import test from 'ava';
import {silentLog} from '../../../lib/ports/log.ts';
import {createDeliveries, type DeliveryOutcome, type Trigger} from '../../../lib/procedures/terminating/deliveries.ts';

const bob = 'sip:+15550102@home.example';

/** Deliveries whose each run the test ends itself. */
function scripted() {
  const pauses: number[] = [];
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
      after: (milliseconds: number) => {
        pauses.push(milliseconds);
        look();
        return {cancel: () => undefined};
      },
    },
    log: silentLog,
    policy: {node: 'n', deliveryRetry: [60_000], concurrentDeliveries: 4},
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
  };
}

test('8.3.2.9.1.1 A18: a registration that comes while a delivery fails is the next trigger, and not the retry', async (t) => {
  const {deliveries, run, pauses} = scripted();
  deliveries.trigger(bob, 'message');
  const first = await run(0);
  deliveries.trigger(bob, 'registration');
  deliveries.trigger(bob, 'message');
  first.end('try-again');
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
  first.end('try-again');
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
