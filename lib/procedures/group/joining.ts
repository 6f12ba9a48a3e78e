import {pause} from '../../ports/clock.ts';
import type {OutgoingMessage, Pairing} from '../../ports/media-plane.ts';
import type {Context} from '../context.ts';
import type {Party} from '../party.ts';
import {turnMilliseconds} from '../terminating/deliveries.ts';
import {completedElsewhere, serviceUnavailable} from '../terminating/reasons.ts';
import type {UserLease} from '../terminating/user-leases.ts';
import {sendGroupBacklog} from './group-backlog.ts';
import {sendOwedState} from './group-state-object.ts';
import type {Keeping} from './keeping.ts';
import type {Membership} from './membership.ts';

/** A client who waits for the store waits so long from one look to the next. */
const storeMilliseconds = 1000;

/**
 * How a client gets into his group: what waits goes first, in order (T42), then his session and the focus's are paired. Without a focus he gets
 * what waits alone.
 * @clause CPM-CF 8.3.2.9.1.2 C7 C9 D5
 */
export class Joining {
  readonly #context: Context;
  readonly #group: Membership;
  readonly #keeping: Keeping;
  #pairing: Pairing | undefined;
  #isJoined = false;
  #running: Promise<unknown> = Promise.resolve();

  constructor(context: Context, group: Membership, keeping: Keeping) {
    this.#context = context;
    this.#group = group;
    this.#keeping = keeping;
  }

  /** Resolves when the client has what waited for him, or is gone. Never rejects. */
  get done(): Promise<unknown> {
    return this.#running;
  }

  /** Nothing passes between focus and client any more. */
  undo(): void {
    this.#isJoined = false;
    this.#pairing?.undo();
    this.#pairing = undefined;
  }

  /** A new client, whose session is connected. False when he could not take it all. Under the lease that is given, or under one of its own. */
  async admit(client: Party, lease: UserLease | undefined, first: OutgoingMessage | undefined): Promise<boolean> {
    const admitted = this.#letIn(client, lease, first);
    this.#running = Promise.allSettled([this.#running, admitted]);
    return admitted;
  }

  /** A client who has been waiting for the focus is let in behind what came meanwhile. */
  async admitWaiting(client: Party): Promise<void> {
    const {label} = this.#group;
    try {
      // What is being handed over to him goes on, and joins him at its end.
      const splicing = this.#running.then(
        async () => this.#isJoined || !this.#isStill(client) || this.#splice(client, undefined),
      );
      this.#running = Promise.allSettled([splicing]);
      if (await splicing) return;
    } catch (error) {
      this.#context.log.info({...label, error, clause: 'CPM-CF 8.3.2.9.1.2 C9'}, 'a client could not be joined');
    }

    if (this.#isStill(client)) await this.#group.dropClient(serviceUnavailable);
  }

  #isStill(client: Party): boolean {
    return this.#group.client === client;
  }

  async #letIn(client: Party, lease: UserLease | undefined, first: OutgoingMessage | undefined): Promise<boolean> {
    const {label, sender} = this.#group;
    try {
      await client.leg.bound(this.#context.policy.bindMilliseconds);
      if (first !== undefined) void sendOwedState(this.#context, label, client.leg, first);
      // A delivery of the same group that is under way elsewhere gives way to the client who came by himself (T52).
      if (await this.#splice(client, lease, sender)) return true;
    } catch (error) {
      this.#context.log.info({...label, error, clause: 'CPM-CF 8.3.2.9.1.2'}, 'a client could not be joined');
    }

    if (this.#isStill(client))
      await this.#group.dropClient(lease?.givesWay === true ? completedElsewhere : serviceUnavailable);
    return false;
  }

  async #splice(client: Party, lease: UserLease | undefined, wish?: string): Promise<boolean> {
    const work = async (held: UserLease): Promise<boolean> => {
      if (!this.#isStill(client)) return false;
      const backlog = async (until: 'empty' | 'caught-up'): Promise<boolean> =>
        sendGroupBacklog(this.#context, this.#group, client, held, until);
      if (!(await backlog(this.#group.focus === undefined ? 'empty' : 'caught-up'))) return false;
      while (this.#isStill(client) && this.#group.focus !== undefined && !this.#isJoined) {
        if (!(await this.#join(client, async () => backlog('empty')))) return false;
      }

      return this.#isStill(client);
    };
    return lease === undefined ? this.#inTurn(client, work, wish) : work(lease);
  }

  /** Lets the group through to the client behind `rest`, unless either side is another one by then. False when he could not take that. */
  async #join(client: Party, rest: () => Promise<boolean>): Promise<boolean> {
    const {focus, label} = this.#group;
    const pairing = await focus?.leg.pair(client.leg);
    let isOpen = false;
    try {
      await this.#keeping.settled;
      if (!(await rest())) return false;
      if (pairing === undefined || !this.#isStill(client) || this.#group.focus !== focus) return true;
      isOpen = true;
      this.#keeping.handedOver();
      this.#pairing = pairing;
      this.#isJoined = true;
      pairing.open();
      this.#context.log.info({...label, clause: 'CPM-CF 8.3.2.9.1.2 C9'}, 'a client is joined with his group');
      return true;
    } finally {
      if (!isOpen) pairing?.undo();
    }
  }

  /**
   * Something else may be handed over to the user for a long time: his client waits for as long as he stays. So he does while the store is away,
   * unless it is known that nothing waits for him there.
   */
  async #inTurn(
    client: Party,
    work: (lease: UserLease) => Promise<boolean>,
    wish: string | undefined,
  ): Promise<boolean> {
    const {deliveries, store, clock} = this.#context;
    const {servedUser} = this.#group;
    const isLive = (): boolean => !store.available && this.#keeping.nothingWaits;
    while (this.#isStill(client)) {
      try {
        if (isLive() && this.#group.focus !== undefined) await this.#join(client, () => Promise.resolve(isLive()));
        if (this.#isJoined) return this.#isStill(client);
        const done = await deliveries.exclusive(servedUser, turnMilliseconds, work, wish);
        if (done !== undefined) return done;
      } catch (error) {
        if (store.available) throw error;
        await pause(clock, storeMilliseconds);
      }
    }

    return false;
  }
}
