import type {Answered} from './fork.ts';
import {completedElsewhere} from './reasons.ts';

/**
 * Devices that take a delivery over: the session that stands goes when another device's 200 comes (CPM-CF 8.3.2.9.1.1 NOTE 2, T28).
 * @clause CPM-CF 8.3.2.9.1.1 A17
 */
export interface Succession {
  /** A later 200: it waits here until the session before it has ended. */
  readonly offer: (answered: Answered) => void;
  /** Ends the session that stands, at once if somebody waits already. */
  standing(giveWay: () => void): void;
  take(): Answered | undefined;
  /** The delivery is over: who waits, or comes yet, is ended. */
  close(): Promise<void>;
}

export function createSuccession(): Succession {
  let waiting: Answered | undefined;
  let closed = false;
  let giveWay: (() => void) | undefined;

  async function end(answered: Answered | undefined): Promise<void> {
    await answered?.dialog.bye({Reason: completedElsewhere});
    await answered?.leg.release();
  }

  const succession: Succession = {
    standing(ends) {
      giveWay = ends;
      if (waiting !== undefined) ends();
    },
    offer(answered) {
      void end(closed ? answered : waiting);
      if (closed) return;
      waiting = answered;
      giveWay?.();
    },
    take() {
      const next = waiting;
      waiting = undefined;
      return next;
    },
    async close() {
      closed = true;
      await end(succession.take());
    },
  };
  return succession;
}
