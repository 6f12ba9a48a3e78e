import {systemClock, type Clock, type Timer} from '../../lib/ports/clock.ts';

/** A clock that goes as time does, and jumps when it is told to. */
export class JumpClock implements Clock {
  #skew = 0;
  readonly #waiting = new Set<{readonly at: number; readonly fire: () => void; timer: Timer}>();

  now(): number {
    return systemClock.now() + this.#skew;
  }

  after(milliseconds: number, fire: () => void): Timer {
    const at = this.now() + milliseconds;
    const entry = {
      at,
      fire,
      timer: systemClock.after(milliseconds, () => {
        run();
      }),
    };
    const run = (): void => {
      this.#waiting.delete(entry);
      fire();
    };
    this.#waiting.add(entry);
    return {
      cancel: () => {
        entry.timer.cancel();
        this.#waiting.delete(entry);
      },
    };
  }

  /** Lets time pass at once: what was to happen meanwhile happens now, in order, also what is started by it. */
  jump(milliseconds: number): void {
    const end = this.now() + milliseconds;
    for (;;) {
      const [next] = [...this.#waiting].toSorted((one, other) => one.at - other.at);
      if (next === undefined || next.at > end) break;
      next.timer.cancel();
      this.#waiting.delete(next);
      this.#skew += Math.max(0, next.at - this.now());
      next.fire();
    }
    this.#skew += Math.max(0, end - this.now());
    for (const entry of this.#waiting) {
      entry.timer.cancel();
      entry.timer = systemClock.after(Math.max(0, entry.at - this.now()), () => {
        this.#waiting.delete(entry);
        entry.fire();
      });
    }
  }
}
