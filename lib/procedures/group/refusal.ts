import {pause, type Clock} from '../../ports/clock.ts';
import type {Party} from '../party.ts';

/** A client who is told that there is no group has this pause after his last message, or the next one would get no word. */
const quietMilliseconds = 200;
/** One who never pauses gets his BYE all the same, so long after the group was found not to be had. */
const longestMilliseconds = 5000;

/** A group that cannot be had, while its client is about to be told so: first of his messages, then by the BYE. */
export class Refusal {
  readonly client: Party;
  /** Why, as the focus said it. */
  readonly status: number;
  #lastWord: Promise<unknown> = Promise.resolve();

  constructor(client: Party, status: number) {
    this.client = client;
    this.status = status;
  }

  /** He has said something more, and is told of it. */
  follows(word: Promise<unknown>): void {
    this.#lastWord = word;
  }

  /** Resolves when he knows of all that he said and is silent, or after five seconds. Never rejects. */
  async said(clock: Clock): Promise<void> {
    const deadline = clock.now() + longestMilliseconds;
    for (let last: unknown; last !== this.#lastWord && clock.now() < deadline;) {
      last = this.#lastWord;
      await Promise.allSettled([last]);
      await pause(clock, quietMilliseconds);
    }
  }
}
