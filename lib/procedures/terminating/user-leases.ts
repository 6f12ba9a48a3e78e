import {pause, type Timer} from '../../ports/clock.ts';
import type {Lease, LeaseOwner} from '../../ports/leases.ts';
import type {GiveWayAnswer, GiveWayRequest} from '../../ports/peers.ts';
import type {Context} from '../context.ts';

/** Work for one user under his lease. */
export interface UserLease {
  /** Turns false when the lease is lost, or is given up for somebody who needs it: the work must stop. */
  readonly held: boolean;
  /** Whether it is given up for another request, of this node or another one. */
  readonly givesWay: boolean;
  /** Called when what is handed over has to be broken off; not where `serve` found that it must not even begin. */
  onGiveWay: (() => void) | undefined;
  /** From now on this sender's messages are handed over: who needs just these breaks that off, who needs others has his turn after it. */
  serve(sender: string): void;
}

export interface UserLeases {
  /**
   * Runs `work` as the only one for this user in all nodes. Resolves with undefined when the lease was not to be had within `waitMilliseconds`.
   * Who needs a `sender`'s messages says so: whoever hands them over is asked to finish or to give up. Rejects with what `work` rejects
   * with, or `CPM_STORE_AWAY`.
   */
  exclusive<T>(
    servedUser: string,
    waitMilliseconds: number,
    work: (lease: UserLease) => Promise<T>,
    sender?: string,
  ): Promise<T | undefined>;
  /** Another node needs a sender's messages: resolves when what runs here under the user's lease is over, or the time is. */
  giveWay(request: GiveWayRequest): Promise<GiveWayAnswer>;
  /** Waits until nothing runs for this user here; false when that takes longer. */
  idle(servedUser: string, milliseconds: number): Promise<boolean>;
}

/** Somebody who waits for a sender's messages. */
interface Wish {
  readonly sender: string;
}

interface Holding {
  readonly lease: UserLease;
  readonly over: Promise<'free'>;
  /** Gives up where just what is handed over is wanted. */
  heed(): void;
  lose(): void;
  end(): void;
}

/** One user: who is in line for his lease on this node, who has it, and who needs what. */
interface Desk {
  /** Settles when the last one in line has had his turn. */
  line: Promise<'settled'> | undefined;
  holding: Holding | undefined;
  readonly wishes: Set<Wish>;
}

const clause = 'CPM-CF 8.3.2.9.1.1';
const leaseMilliseconds = 30_000;
const renewMilliseconds = 10_000;
const pollMilliseconds = 250;

/**
 * One at a time for each user (T36): a line on this node, a lease in the store between nodes. The owner of a lease is asked only by who needs
 * the messages that he may be handing over; everybody else waits and does not disturb him.
 * @clause CPM-CF 8.3.2.9.1.1 A0 A17
 */
export function createUserLeases(
  context: () => Pick<Context, 'store' | 'clock' | 'log' | 'policy' | 'peers'>,
): UserLeases {
  const desks = new Map<string, Desk>();

  function deskOf(servedUser: string): Desk {
    const desk = desks.get(servedUser) ?? {line: undefined, holding: undefined, wishes: new Set()};
    desks.set(servedUser, desk);
    return desk;
  }

  const late = async (milliseconds: number): Promise<'late'> =>
    pause(context().clock, milliseconds).then(() => 'late' as const);

  /** Never rejects: where the owner cannot be asked, the end of his lease is waited for. */
  async function ask(owner: LeaseOwner, request: GiveWayRequest): Promise<void> {
    const {peers, log} = context();
    const where = {clause, peer: owner.node};
    try {
      const answer = await peers.giveWay(owner, request);
      log.info({...where, answer}, 'the node that delivers to a user was asked to give way');
    } catch (error) {
      log.warn(
        {...where, error},
        'the node that delivers to a user cannot be asked to give way; its lease is waited for',
      );
    }
  }

  async function claim(servedUser: string, desk: Desk, waitMilliseconds: number): Promise<Lease | undefined> {
    const {store, clock, policy, peers} = context();
    const deadline = clock.now() + waitMilliseconds;
    const asked = new Set<string>();
    let asking: Promise<void> | undefined;
    for (;;) {
      const us = {node: policy.node, address: peers.address};
      const lease = await store.leases.claim(servedUser, us, leaseMilliseconds);
      const milliseconds = deadline - clock.now();
      if (lease !== undefined || milliseconds <= 0) return lease;
      const [wish] = desk.wishes;
      const owner = wish === undefined ? undefined : await store.leases.holder(servedUser);
      const once = `${owner?.address} ${wish?.sender}`;
      if (wish !== undefined && owner?.address !== undefined && owner.node !== policy.node && !asked.has(once)) {
        asked.add(once);
        asking = ask(owner, {servedUser, sender: wish.sender, milliseconds}).then(() => {
          asking = undefined;
        });
      }

      const poll = pause(clock, Math.min(pollMilliseconds, waitMilliseconds));
      await Promise.race(asking === undefined ? [poll] : [poll, asking]);
    }
  }

  async function underLease<T>(lease: Lease, desk: Desk, work: (lease: UserLease) => Promise<T>): Promise<T> {
    const {store, clock, log} = context();
    const holding = createHolding(desk.wishes);
    desk.holding = holding;
    let timer: Timer | undefined;
    const renew = (): void => {
      timer = clock.after(renewMilliseconds, () => {
        store.leases.renew(lease, leaseMilliseconds).then(
          (still) => {
            if (still) renew();
            else holding.lose();
          },
          () => {
            // The store is away: the lease runs out by itself, and nothing can be marked anyway.
            holding.lose();
          },
        );
      });
    };
    renew();
    try {
      return await work(holding.lease);
    } finally {
      timer?.cancel();
      await store.leases.release(lease).catch((error: unknown) => {
        log.warn({clause, error}, 'a lease could not be given back; it runs out by itself');
      });
      desk.holding = undefined;
      holding.end();
    }
  }

  return {
    async exclusive(servedUser, waitMilliseconds, work, sender) {
      const desk = deskOf(servedUser);
      const before = desk.line;
      const wish = sender === undefined ? undefined : {sender};
      if (wish !== undefined) desk.wishes.add(wish);
      desk.holding?.heed();
      const mine = (async () => {
        let lease: Lease | undefined;
        try {
          const isLate = before !== undefined && (await Promise.race([before, late(waitMilliseconds)])) === 'late';
          lease = isLate ? undefined : await claim(servedUser, desk, waitMilliseconds);
        } finally {
          if (wish !== undefined) desk.wishes.delete(wish);
        }

        return lease && underLease(lease, desk, work);
      })();
      const line = Promise.all([before, mine.catch(() => undefined)]).then(() => {
        if (desk.line === line) desks.delete(servedUser);
        return 'settled' as const;
      });
      desk.line = line;
      return mine;
    },

    async giveWay({servedUser, sender, milliseconds}) {
      const desk = desks.get(servedUser);
      if (desk?.holding === undefined) return 'free';
      const wish = {sender};
      desk.wishes.add(wish);
      desk.holding.heed();
      const answer = await Promise.race([desk.holding.over, late(milliseconds)]);
      desk.wishes.delete(wish);
      return answer === 'late' ? 'busy' : answer;
    },

    async idle(servedUser, milliseconds) {
      const tooLong = late(milliseconds);
      for (let line = desks.get(servedUser)?.line; line !== undefined; line = desks.get(servedUser)?.line) {
        if ((await Promise.race([line, tooLong])) === 'late') return false;
      }

      return true;
    },
  };
}

function createHolding(wishes: ReadonlySet<Wish>): Holding {
  let held = true;
  let givesWay = false;
  let served: string | undefined;
  let end: () => void = () => undefined;
  const over = new Promise<'free'>((resolve) => {
    end = () => {
      resolve('free');
    };
  });
  const giveUp = (): void => {
    held = false;
    givesWay = true;
  };
  const lease: UserLease = {
    get held() {
      return held;
    },
    get givesWay() {
      return givesWay;
    },
    onGiveWay: undefined,
    serve(sender) {
      served = sender;
      lease.onGiveWay = undefined;
      // Between two senders whoever waits has his turn, whatever he needs.
      if (wishes.size > 0) giveUp();
    },
  };
  return {
    lease,
    over,
    heed() {
      if (givesWay || ![...wishes].some(({sender}) => sender === served)) return;
      giveUp();
      lease.onGiveWay?.();
    },
    lose() {
      held = false;
    },
    end,
  };
}
