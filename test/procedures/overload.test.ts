import test from 'ava';
import {createOverload} from '../../lib/procedures/overload.ts';
import type {IncomingRequest} from '../../lib/ports/sip.ts';
import type {LogFields} from '../../lib/ports/log.ts';

/** A node whose sessions, lateness and seconds are the test's. */
function node(limits: {sessions?: number; pendingPerUser?: number; eventLoopDelay?: number} = {}) {
  const log: {readonly level: string; readonly limit: unknown}[] = [];
  const note = (level: string) => (fields: LogFields) => log.push({level, limit: fields['limit']});
  const timers = new Set<() => void>();
  const load = {size: 0, delay: 0};
  const overload = createOverload({
    policy: {limits: {sessions: 0, pendingPerUser: 0, eventLoopDelay: 0, ...limits}, retryAfterSeconds: 9},
    sessions: load,
    eventLoopDelay: () => load.delay,
    clock: {
      now: () => 0,
      after(_, fire) {
        timers.add(fire);
        return {cancel: () => timers.delete(fire)};
      },
    },
    log: {debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error'), child: () => t0()},
  });
  const second = (): void => {
    for (const fire of [...timers]) {
      timers.delete(fire);
      fire();
    }
  };
  return {overload, load, log, second, timers};
}

const t0 = (): never => {
  throw new Error('nobody asks for a child');
};

test('RFC 3261 §21.5.4: at the limit of sessions a new one is refused; each change is logged once', (t) => {
  const {overload, load, log} = node({sessions: 10});
  load.size = 9;
  t.is(overload.refuses(), undefined);
  for (load.size = 10; load.size < 13; load.size++) t.is(overload.refuses(), 'sessions');
  t.deepEqual(overload.report().over, ['sessions']);
  // One below the limit there is room, and the next one is over it again: that is one state to the log.
  load.size = 9;
  t.is(overload.refuses(), undefined);
  load.size = 10;
  t.is(overload.refuses(), 'sessions');
  load.size = 8;
  t.is(overload.refuses(), undefined);
  t.deepEqual(overload.report().over, []);
  t.deepEqual(log, [
    {level: 'warn', limit: 'sessions'},
    {level: 'info', limit: 'sessions'},
  ]);
});

test('RFC 3261 §21.5.4: a process that gets late to its work refuses new sessions until it is in time again', (t) => {
  const {overload, load, log, second} = node({eventLoopDelay: 100});
  load.delay = 250;
  t.is(overload.refuses(), undefined);
  second();
  t.is(overload.refuses(), 'event-loop');
  t.like(overload.report(), {eventLoopDelayMilliseconds: 250, over: ['event-loop']});
  load.delay = 3;
  second();
  t.is(overload.refuses(), undefined);
  t.deepEqual(log.map(({level}) => level), ['warn', 'info']); // prettier-ignore
});

test('RFC 3261 §21.5.4: 0 is no limit', (t) => {
  const {overload, load, second} = node();
  load.size = 1e6;
  load.delay = 1e6;
  second();
  t.is(overload.refuses(), undefined);
  t.false(overload.isFull('tel:+15550102', 1e6));
});

test('RFC 3261 §21.5.4: what waits for one user keeps nobody else out, and is logged once', (t) => {
  const {overload, log} = node({pendingPerUser: 2});
  t.false(overload.isFull('tel:+15550102', 1));
  t.true(overload.isFull('tel:+15550102', 2));
  t.true(overload.isFull('tel:+15550102', 3));
  t.false(overload.isFull('tel:+15550103', 0));
  t.false(overload.isFull('tel:+15550102', 1));
  t.deepEqual(log, [
    {level: 'warn', limit: 'pending'},
    {level: 'info', limit: 'pending'},
  ]);
});

test('RFC 3261 §21.5.4: a refusal is 503 with Retry-After, counted by why; a node that drains refuses all', async (t) => {
  const {overload, timers} = node();
  const answers: unknown[] = [];
  const request = {
    respond: (...answer: unknown[]) => {
      answers.push(answer);
      return Promise.resolve();
    },
  } as unknown as IncomingRequest;
  overload.drain();
  t.is(overload.refuses(), 'draining');
  await overload.refuse(request, 'draining');
  await overload.refuse(request, 'media');
  t.deepEqual(
    answers,
    Array.from({length: 2}, () => [503, {headers: {'Retry-After': '9'}}]),
  );
  t.like(overload.report().refused, {draining: 1, media: 1, sessions: 0});
  overload.stop();
  t.is(timers.size, 0);
});
