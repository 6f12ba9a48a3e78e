/** Bytes of a stream that wait for their message to become whole: amortised appending, cheap taking from the front. */
export class GrowingBuffer {
  #bytes: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;

  /** Bytes that wait. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Adds bytes at the end; the memory doubles when it is full, so that any cutting of the input costs linear time. */
  append(chunk: Uint8Array): void {
    if (this.#end + chunk.length > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(4096, 2 * (this.length + chunk.length)));
      this.#bytes.copy(grown, 0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
      this.#bytes = grown;
    }
    this.#bytes.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** The first place of a byte at or after `from` (both counted from the front), or -1. */
  indexOf(byte: number, from: number): number {
    return this.#bytes.subarray(this.#start, this.#end).indexOf(byte, from);
  }

  /** The byte at a place counted from the front, `undefined` beyond the end. */
  at(place: number): number | undefined {
    return place < this.length ? this.#bytes[this.#start + place] : undefined;
  }

  /** Looks at the first bytes without taking them; valid until the next call of another method. */
  peek(count: number): Buffer {
    return this.#bytes.subarray(this.#start, this.#start + Math.min(count, this.length));
  }

  /** Takes the first bytes away; the result is a copy and stays valid. */
  take(count: number): Buffer {
    const taken = Buffer.from(this.peek(count));
    this.#start += taken.length;
    if (this.#start === this.#end) {
      this.#bytes = Buffer.alloc(0);
      this.#start = this.#end = 0;
    }
    return taken;
  }
}
