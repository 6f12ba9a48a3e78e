/** Time as a port: the system's in production, the test's own in tests. */
export interface Timer {
  /** Stops the timer; saying it twice, or after it fired, changes nothing. */
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  now(): number;
  /** Calls `fire` once, after `milliseconds`. A timer alone never keeps the process alive. */
  after(milliseconds: number, fire: () => void): Timer;
}

/** Resolves after so many milliseconds. */
export const pause = async (clock: Pick<Clock, 'after'>, milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    clock.after(milliseconds, resolve);
  });

/** Waits for `work`, however it ends, or no longer than that. */
export const atMost = async (
  clock: Pick<Clock, 'after'>,
  milliseconds: number,
  work: Promise<unknown>,
): Promise<void> =>
  new Promise((resolve) => {
    const timer = clock.after(milliseconds, resolve);
    const end = (): void => {
      timer.cancel();
      resolve();
    };
    work.then(end, end);
  });

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(milliseconds, fire) {
    const handle = setTimeout(fire, milliseconds);
    handle.unref();
    return {
      cancel: () => {
        clearTimeout(handle);
      },
    };
  },
};
