import {createBoundedMap} from '../cpm/bounded-map.ts';
import type {LoadReport, Refusal} from '../ports/app.ts';
import {refusals} from '../ports/app.ts';
import type {Clock, Timer} from '../ports/clock.ts';
import type {Log} from '../ports/log.ts';
import type {IncomingRequest} from '../ports/sip.ts';
import type {Policy} from './context.ts';

const sampleMilliseconds = 1000;
/** A limit counts as left only well below it: at its edge it would be entered and left with every session. */
const relief = 0.9;
/** Users over their limit whom the log has named; beyond so many one is named again. */
const mostUsers = 10_000;

/** Who is let in when there is too much of everything. New sessions are refused in time, so that those which run can go on. */
export interface Overload {
  /** Why this node takes no new session now; undefined: it does. */
  refuses(): Refusal | undefined;
  /** Whether the PF may not accept for this user, for whom so many messages wait already. */
  isFull(servedUser: string, waiting: number): boolean;
  /** 503 with Retry-After, counted. */
  refuse(request: IncomingRequest, why: Refusal): Promise<void>;
  /** From now on everything new is refused. */
  drain(): void;
  report(): LoadReport;
  /** Ends the sampling. */
  stop(): void;
}

export interface OverloadNeeds {
  readonly policy: Pick<Policy, 'limits' | 'retryAfterSeconds'>;
  readonly sessions: {readonly size: number};
  /** Mean lateness of the process since the last call, milliseconds. */
  readonly eventLoopDelay: () => number;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Watches the limits of a node. Entering and leaving one is logged once each; what is refused is counted by why.
 * @clause RFC 3261 §21.5.4
 */
export function createOverload({policy, sessions, eventLoopDelay, clock, log}: OverloadNeeds): Overload {
  const refused = Object.fromEntries(refusals.map((why) => [why, 0])) as Record<Refusal, number>;
  const over = new Set<Refusal>();
  const full = createBoundedMap<string, true>(mostUsers);
  let delay = 0;
  let draining = false;

  function enter(limit: Refusal): Refusal {
    if (!over.has(limit)) log.warn({clause, limit}, 'a limit is reached: new sessions get 503');
    over.add(limit);
    return limit;
  }

  function leave(limit: Refusal): void {
    if (over.delete(limit)) log.info({clause, limit}, 'below the limit again: new sessions are taken');
  }

  const isOver = (value: number, limit: number): boolean => limit > 0 && value >= limit;

  function look(): Refusal | undefined {
    const {limits} = policy;
    if (!isOver(sessions.size, limits.sessions * relief)) leave('sessions');
    if (!isOver(delay, limits.eventLoopDelay * relief)) leave('event-loop');
    if (isOver(sessions.size, limits.sessions)) return enter('sessions');
    return isOver(delay, limits.eventLoopDelay) ? enter('event-loop') : undefined;
  }

  let timer: Timer;
  const sample = (): void => {
    timer = clock.after(sampleMilliseconds, () => {
      delay = eventLoopDelay();
      look();
      sample();
    });
  };
  sample();

  return {
    refuses: () => (draining ? 'draining' : look()),
    isFull(servedUser, waiting) {
      const isNow = isOver(waiting, policy.limits.pendingPerUser);
      const was = full.get(servedUser) !== undefined;
      if (isNow && !was) {
        full.set(servedUser, true);
        log.warn({clause, limit: 'pending', waiting}, 'so much waits for a user that nothing more is accepted for him');
      } else if (was && !isNow) {
        full.delete(servedUser);
        log.info({clause, limit: 'pending', waiting}, 'less waits for a user: new sessions are accepted for him again');
      }

      return isNow;
    },
    async refuse(request, why) {
      refused[why] += 1;
      await request.respond(503, {headers: {'Retry-After': String(policy.retryAfterSeconds)}});
    },
    drain() {
      draining = true;
    },
    report: () => ({sessions: sessions.size, eventLoopDelayMilliseconds: Math.round(delay), over: [...over], refused}),
    stop() {
      timer.cancel();
    },
  };
}

const clause = 'RFC 3261 §21.5.4';
