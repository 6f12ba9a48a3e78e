/** Time for the SIP layers: a way to start a timer, and the values of RFC 3261 §17. */

/** Starts a timer: `run` is called once after `ms` milliseconds unless the returned function was called before. */
export type StartTimer = (ms: number, run: () => void) => () => void;

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

/** Timers of the process. They do not keep it alive: its sockets do. */
export const startSystemTimer: StartTimer = (ms, run) => {
  const timer = setTimeout(run, ms);
  timer.unref();
  return () => {
    clearTimeout(timer);
  };
};
