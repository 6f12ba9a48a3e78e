import type {Random} from '../../ports/random.ts';

/** When what did not go through is tried again (row A18). Durations are milliseconds. */
export interface RetryPolicy {
  /** Pauses between attempts, at least one; the last one repeats. */
  readonly pauses: readonly number[];
  /** How much longer a pause may become by chance, as a part of it: those who failed together do not come back together. */
  readonly jitter: number;
  /** So many retries, then only a new trigger helps. */
  readonly attempts: number;
  /** No retry comes later than this after the first failure. */
  readonly age: number;
  /** Longest Retry-After that is believed. */
  readonly longestRetryAfter: number;
}

/** Failures in a row, and when the first of them was. */
export interface Failures {
  readonly count: number;
  readonly since: number;
}

/**
 * Milliseconds until the next attempt, after so many failures: never before `atLeast`, which a peer asked for (Retry-After); undefined when no
 * more attempts are due before the next trigger.
 * @clause CPM-CF 8.3.2.9.1.1 A18
 */
export function nextAttempt(
  {pauses, jitter, attempts, age, longestRetryAfter}: RetryPolicy,
  {count, since}: Failures,
  {now, atLeast, random}: {readonly now: number; readonly atLeast: number; readonly random: Random},
): number | undefined {
  const pause = pauses[Math.min(count, pauses.length) - 1] ?? 0;
  const wait = Math.ceil(Math.max(pause, Math.min(atLeast, longestRetryAfter)) * (1 + jitter * random()));
  return count > attempts || now + wait > since + age ? undefined : wait;
}
