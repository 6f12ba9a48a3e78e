/** The timer values of RFC 3261 §17, and timers that end together with their owner. */
import type {Clock, Timer} from '../ports/clock.ts';

/** The values of RFC 3261 table 4, in milliseconds. Tests make them small or drive them by hand. */
export interface TimerValues {
  /** Estimated round trip: the first retransmission comes after it. */
  readonly t1Ms: number;
  /** The longest time between retransmissions of a non-INVITE request or a final response to INVITE. */
  readonly t2Ms: number;
  /** The longest time a message lives in the network. */
  readonly t4Ms: number;
  /** Timer D, how long an ACK to a failure is repeated over UDP. */
  readonly dMs: number;
}

/** The defaults of RFC 3261 table 4. */
export const rfc3261Timers: TimerValues = {t1Ms: 500, t2Ms: 4000, t4Ms: 5000, dMs: 32_000};

/** The timers of one thing that lives: they are started one by one and stopped together. */
export class TimerSet {
  readonly #clock: Clock;
  readonly #running = new Set<Timer>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `run` once after `ms` milliseconds. */
  after(ms: number, run: () => void): Timer {
    const timer = this.#clock.after(ms, () => {
      this.#running.delete(timer);
      run();
    });
    this.#running.add(timer);
    return timer;
  }

  /** Stops what still runs. */
  stop(): void {
    for (const timer of this.#running) timer.cancel();
    this.#running.clear();
  }
}
