import test from 'ava';
import {CpmError} from '../../../lib/errors.ts';
import {manualClock} from '../../../lib/hooks/test-kit.ts';
import {silentLog} from '../../../lib/ports/log.ts';
import type {Sip, Subscription} from '../../../lib/ports/sip.ts';
import {watchConference} from '../../../lib/procedures/group/conference-events.ts';
import type {Membership} from '../../../lib/procedures/group/membership.ts';
import {newGroup} from '../../support/group-sessions.ts';

/** A focus that answers each SUBSCRIBE as it is told. */
function watched(answer: () => number) {
  const clock = manualClock();
  const given: Subscription[] = [];
  const asked: number[] = [];
  const subscribe = (): Promise<Subscription> => {
    asked.push(clock.now());
    const status = answer();
    if (status >= 300) return Promise.reject(new CpmError('CPM_SIP_SUBSCRIPTION', status, 'refused'));
    const subscription: Subscription = {
      onNotify: undefined,
      onEnd: undefined,
      end: () => Promise.resolve(),
      refresh: () => Promise.resolve(),
    };
    given.push(subscription);
    return Promise.resolve(subscription);
  };
  const sip = {subscribe} as unknown as Sip;
  const policy = {outboundProxy: undefined} as Parameters<typeof watchConference>[0]['policy'];
  const ids = {token: () => 'token'};
  const membership = {record: newGroup(), label: {}} as unknown as Membership;
  const events = watchConference({sip, policy, log: silentLog, clock, ids}, membership, () => undefined);
  return {clock, given, asked, events};
}

const hour = 3_600_000;

for (const status of [403, 404, 489])
  test(`RFC 6665 §4.1.2.1: a focus that refuses its events for good, ${status}, is asked a few times, then once an hour`, async (t) => {
    const {clock, asked} = watched(() => status);
    await clock.advance(60_000);
    t.is(asked.length, 3);
    await clock.advance(hour - 60_000);
    t.is(asked.length, 3);
    await clock.advance(60_000);
    t.is(asked.length, 4);
  });

test('RFC 6665 §4.1.2.1: a focus that cannot answer now is asked on and on', async (t) => {
  const {clock, asked} = watched(() => 503);
  await clock.advance(10 * 60_000);
  t.true(asked.length > 15);
});

test('RFC 6665 §4.1.2.2: a subscription that has lasted and is lost is followed by another one at once; one that was ended at once, after a pause', async (t) => {
  const {clock, given, asked} = watched(() => 200);
  await clock.advance(2000);
  given[0]?.onEnd?.('not refreshed, 503', true);
  await clock.advance(0);
  t.is(asked.length, 2);
  given[1]?.onEnd?.('terminated', false);
  await clock.advance(0);
  t.is(asked.length, 2);
  await clock.advance(5000);
  t.is(asked.length, 3);
});

test('RFC 4575 §4: nobody is asked any more once the group is left', async (t) => {
  const {clock, asked, events} = watched(() => 503);
  await clock.advance(0);
  await events.end();
  await clock.advance(hour);
  t.is(asked.length, 1);
});
