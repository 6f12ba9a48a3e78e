import test from 'ava';
import {nextAttempt, type RetryPolicy} from '../../../lib/procedures/terminating/retry.ts';

const policy: RetryPolicy = {pauses: [1000, 5000], jitter: 0.5, attempts: 4, age: 60_000, longestRetryAfter: 8000};

const after = (count: number, {atLeast = 0, random = 0, now = 0} = {}): number | undefined =>
  nextAttempt(policy, {count, since: 0}, {now, atLeast, random: () => random});

test('8.3.2.9.1.1 A18: the pauses follow one another, and the last one repeats', (t) => {
  t.deepEqual(
    [1, 2, 3, 4].map((count) => after(count)),
    [1000, 5000, 5000, 5000],
  );
});

test('8.3.2.9.1.1 A18: chance makes a pause longer, never shorter', (t) => {
  t.is(after(1, {random: 0.5}), 1250);
  t.is(after(1, {atLeast: 2000, random: 0.999}), 2999);
});

test('RFC 3261 §20.33 A18: no retry comes before the Retry-After, up to the longest that is believed', (t) => {
  t.is(after(1, {atLeast: 7000}), 7000);
  t.is(after(2, {atLeast: 1000}), 5000);
  t.is(after(1, {atLeast: 1e12}), 8000);
});

test('8.3.2.9.1.1 A18: after so many failures, or so long, there is no retry', (t) => {
  t.is(after(5), undefined);
  t.is(after(2, {now: 55_000}), 5000);
  t.is(after(2, {now: 55_001}), undefined);
});
