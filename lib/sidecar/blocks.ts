/** Memory of one size, had once and used again: cheaper than what is collected when nobody looks at it any more. */
export class Blocks {
  readonly #bytes: number;
  readonly #most: number;
  readonly #spare: Buffer[] = [];

  /** Blocks of so many octets, at most so many of them kept for later. */
  constructor(bytes: number, most: number) {
    this.#bytes = bytes;
    this.#most = most;
  }

  /** A block; for more octets than that, or less than half as many, memory just for them. */
  take(octets: number): Buffer {
    if (octets > this.#bytes || octets * 2 < this.#bytes) return Buffer.allocUnsafeSlow(octets);
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.#bytes);
  }

  /** Nobody looks at this memory any more. */
  give(view: Buffer): void {
    if (this.#spare.length >= this.#most || view.buffer.byteLength !== this.#bytes) return;
    this.#spare.push(view.length === this.#bytes ? view : Buffer.from(view.buffer));
  }
}
