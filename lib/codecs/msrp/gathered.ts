/** Octets that wait until all of them are there, copied behind one another. */

/** Octets of room that are had at once; more only when a quarter of them came, so that a promise alone costs no memory. */
const firstBytes = 16 * 1024;
const nothing: Buffer = Buffer.alloc(0);

/** Where memory is had. */
export interface Memory {
  /** At least so many octets. */
  take(octets: number): Buffer;
}

export class Gathered {
  readonly #memory: Memory;
  #room = nothing;
  #length = 0;

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  get length(): number {
    return this.#length;
  }

  /** Copies a part of the input; `awaited` octets will be there in the end. Says how many octets were copied. */
  add(input: Buffer, from: number, to: number, awaited: number): number {
    const length = this.#length + to - from;
    let copied = to - from;
    if (length > this.#room.length) {
      const larger = this.#memory.take(Math.min(awaited, Math.max(firstBytes, 4 * length)));
      this.#room.copy(larger, 0, 0, this.#length);
      copied += this.#length;
      this.#room = larger;
    }
    input.copy(this.#room, this.#length, from, to);
    this.#length = length;
    return copied;
  }

  /** All of it, the caller's for good; nothing is kept any more. */
  take(): Buffer {
    const all = this.#room.subarray(0, this.#length);
    this.#room = nothing;
    this.#length = 0;
    return all;
  }
}
