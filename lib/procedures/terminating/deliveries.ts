import {CpmError} from '../../errors.ts';
import type {DeliveryReport} from '../../ports/app.ts';
import type {Timer} from '../../ports/clock.ts';
import type {Context} from '../context.ts';
import {createTurns} from '../turns.ts';
import {nextAttempt, type Failures} from './retry.ts';
import {createUserLeases, type UserLease, type UserLeases} from './user-leases.ts';

/**
 * What a delivery left: nothing to wait for, or something that a later attempt may bring over, not before so many milliseconds
 * (Retry-After; 0 where nobody asked for a pause).
 */
export type DeliveryOutcome = 'settled' | {readonly againAfter: number};

export type Trigger = 'registration' | 'message' | 'notification' | 'retry' | 'start' | 'store-back';

export interface Deliveries extends UserLeases {
  /** Starts a delivery for the user, or lets the running one look once more (T36). Never throws, never waits. */
  trigger(servedUser: string, trigger: Trigger): void;
  /** Lets the next attempt come after the pause that the policy sets, unless one is due already. */
  later(servedUser: string): void;
  report(): DeliveryReport;
  /** Lets running work end, starts nothing new; resolves when all is quiet. */
  drain(): Promise<void>;
}

interface Agenda {
  running: Promise<unknown> | undefined;
  /** Came while a delivery was running. */
  again: Trigger | undefined;
  /** Failures in a row, and when the first of them was. */
  failures: Failures | undefined;
  retry: Timer | undefined;
  /** All retries are used up: what is left waits for news. */
  parked: boolean;
}

/** A trigger stands for those before it, too. */
const weight: Readonly<Record<Trigger, number>> = {
  notification: 0,
  message: 1,
  retry: 2,
  start: 2,
  'store-back': 2,
  registration: 3,
};

/** What failed may succeed now: a new trigger in the meaning of row A18. Another message, or notification, gives no reason to think so. */
const isNews = (trigger: Trigger | undefined): boolean => trigger !== undefined && weight[trigger] >= weight.retry;

/** After these, what failed before counts no more. */
const isFresh = (trigger: Trigger): boolean => isNews(trigger) && trigger !== 'retry';

const isWaiting = ({retry, parked}: Agenda): boolean => retry !== undefined || parked;

/** A message waits with those before it, where they wait. */
const isDue = (agenda: Agenda, trigger: Trigger | undefined): trigger is Trigger =>
  trigger !== undefined && (trigger !== 'message' || !isWaiting(agenda));

function unpark(agenda: Agenda): void {
  agenda.retry?.cancel();
  agenda.retry = undefined;
  agenda.parked = false;
}

const clause = 'CPM-CF 8.3.2.9.1.1';
const failed: DeliveryOutcome = {againAfter: 0};
/** Who asked for a lease has it by then, and a delivery that gave way goes on. */
const handOverMilliseconds = 1000;
/** A running splice or delivery of the same user is short as a rule: wait so long for it rather than for the next retry. */
export const turnMilliseconds = 5000;

/**
 * One delivery at a time per user: triggers are coalesced here, and a lease keeps other nodes out (T36).
 * @clause CPM-CF 8.3.2.9.1.1 A0
 */
export function createDeliveries(
  context: () => Pick<Context, 'store' | 'clock' | 'log' | 'policy' | 'random' | 'peers'>,
  deliver: (servedUser: string, trigger: Trigger, lease: UserLease) => Promise<DeliveryOutcome>,
): Deliveries {
  const agendas = new Map<string, Agenda>();
  const leases = createUserLeases(context);
  let draining = false;
  /** A storm of registrations must not become a storm of deliveries. */
  const turns = createTurns(() => context().policy.concurrentDeliveries);

  const agendaOf = (servedUser: string): Agenda => {
    let agenda = agendas.get(servedUser);
    if (agenda === undefined) {
      agenda = {running: undefined, again: undefined, failures: undefined, retry: undefined, parked: false};
      agendas.set(servedUser, agenda);
    }

    return agenda;
  };

  // Changes while a delivery is awaited.
  const isDraining = (): boolean => draining;

  function retryLater(servedUser: string, agenda: Agenda, againAfter: number): void {
    const {clock, policy, log, random} = context();
    if (draining) return;
    const now = clock.now();
    const failures = {count: (agenda.failures?.count ?? 0) + 1, since: agenda.failures?.since ?? now};
    const wait = nextAttempt(policy.retry, failures, {now, atLeast: againAfter, random});
    const where = {clause, failures: failures.count};
    agenda.failures = failures;
    if (wait === undefined) {
      agenda.parked = true;
      log.warn(where, 'what waits for a user is parked: it is tried again when he registers, or the PF starts');
      return;
    }

    log.info({...where, milliseconds: wait}, 'what waits for a user is tried again later');
    agenda.retry = clock.after(wait, () => {
      agenda.retry = undefined;
      trigger(servedUser, 'retry');
    });
  }

  /** What came while the lease was waited for is answered by the delivery that begins now. */
  function absorb(agenda: Agenda, why: Trigger): Trigger {
    const {again = why} = agenda;
    agenda.again = undefined;
    return weight[again] > weight[why] ? again : why;
  }

  async function once(servedUser: string, agenda: Agenda, why: Trigger): Promise<DeliveryOutcome | 'gave-way'> {
    try {
      // Another node that holds the lease is delivering: look again when it had time to end.
      const outcome = await leases.exclusive(servedUser, turnMilliseconds, async (lease) => {
        const result = await deliver(servedUser, absorb(agenda, why), lease);
        return result !== 'settled' && lease.givesWay ? 'gave-way' : result;
      });
      return outcome ?? failed;
    } catch (error) {
      const code = error instanceof CpmError ? error.code : 'CPM_INTERNAL';
      context().log.warn({clause, code, error}, 'a delivery was broken off');
      return failed;
    }
  }

  /** Whoever needed the lease has it for a moment; then what is left has its turn. That is no failure. */
  function goOnLater(servedUser: string, why: Trigger): void {
    context().clock.after(handOverMilliseconds, () => {
      trigger(servedUser, why === 'registration' ? 'retry' : why);
    });
  }

  async function run(servedUser: string, agenda: Agenda, why: Trigger): Promise<void> {
    let outcome: DeliveryOutcome | 'gave-way' = 'settled';
    let last = why;
    for (let next: Trigger | undefined = why; isDue(agenda, next) && !isDraining();) {
      if (isNews(next)) unpark(agenda);
      agenda.again = undefined;
      last = next;
      outcome = await once(servedUser, agenda, next);
      next = outcome === 'settled' || isNews(agenda.again) ? agenda.again : undefined;
    }

    const how = typeof outcome === 'string' ? outcome : 'try-again';
    context().log.debug({clause, outcome: how}, 'a delivery run has ended');
    agenda.running = undefined;
    if (outcome === 'gave-way') {
      goOnLater(servedUser, last);
      return;
    }

    // A look at the notifications alone changes nothing for what has failed before.
    if (isWaiting(agenda)) return;
    if (outcome === 'settled') agendas.delete(servedUser);
    else retryLater(servedUser, agenda, outcome.againAfter);
  }

  function trigger(servedUser: string, why: Trigger): void {
    if (draining) return;
    const agenda = agendaOf(servedUser);
    if (isFresh(why)) agenda.failures = undefined;
    if (agenda.running !== undefined) {
      if (agenda.again === undefined || weight[why] > weight[agenda.again]) agenda.again = why;
      return;
    }

    if (isDue(agenda, why)) agenda.running = turns.take(async () => run(servedUser, agenda, why));
  }

  return {
    ...leases,
    trigger,
    later(servedUser) {
      const agenda = agendaOf(servedUser);
      if (agenda.running !== undefined) agenda.again ??= 'message';
      else if (!isWaiting(agenda)) retryLater(servedUser, agenda, 0);
    },
    report: () => ({
      running: turns.running,
      queued: turns.waiting,
      retrying: [...agendas.values()].filter(({retry}) => retry !== undefined).length,
      parked: [...agendas.values()].filter(({parked}) => parked).length,
    }),
    async drain() {
      draining = true;
      for (const agenda of agendas.values()) agenda.retry?.cancel();
      await Promise.all([...agendas.values()].flatMap(({running: work}) => work ?? []));
    },
  };
}
