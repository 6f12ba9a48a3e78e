import {pause} from '../../ports/clock.ts';
import type {Fork, ForkOutcome} from '../terminating/fork.ts';
import {KnownGroup} from './known-group.ts';
import type {Membership} from './membership.ts';

/** A group that is in memory while something is done about it: devices ring, the focus's invitation is answered, the focus is asked. */
export abstract class HeldGroup extends KnownGroup {
  #holders = 0;
  #ringing: Fork | undefined;
  #invitation: Promise<unknown> | undefined;

  /** With nobody left who needs it there is nothing to be held in memory. */
  protected abstract settle(this: Membership): void;

  protected get isHeld(): boolean {
    return this.#holders > 0;
  }

  /** It stays in memory for as long as this work lasts. */
  async hold<T>(this: Membership, work: () => Promise<T>): Promise<T> {
    this.#holders += 1;
    this.context.groups.add(this);
    try {
      return await work();
    } finally {
      this.#holders -= 1;
      this.settle();
    }
  }

  /** An invitation of the focus is answered: meanwhile nobody asks the focus for the group. */
  async answer(invitation: () => Promise<void>): Promise<void> {
    const answered = invitation();
    this.#invitation = Promise.allSettled([this.#invitation, answered]);
    return answered;
  }

  /** Resolves once no invitation waits for its answer. */
  protected async answered(): Promise<void> {
    await this.#invitation;
  }

  /** Devices of the user ring for this group. */
  async ring(fork: Fork): Promise<ForkOutcome> {
    this.#ringing = fork;
    const outcome = await fork.outcome;
    if (this.#ringing === fork) this.#ringing = undefined;
    return outcome;
  }

  get rings(): boolean {
    return this.#ringing !== undefined;
  }

  /** Resolves once the devices that ring have answered, and what follows on that has begun. */
  async rung(): Promise<void> {
    while (this.#ringing !== undefined) {
      await this.#ringing.outcome;
      await pause(this.context.clock, 0);
    }
  }

  /** A client has come by himself. */
  protected stopRinging(reason: string): void {
    this.#ringing?.cancel(reason);
  }
}
