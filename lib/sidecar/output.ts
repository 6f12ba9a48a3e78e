/** What waits to be written on a connection: small pieces are copied together, large ones kept as they are, all of it goes out in one write. */
import type {ByteSink} from '../codecs/msrp/frame-writer.ts';

/** Octets from which on a piece is not copied. */
const large = 4096;
const room = 16 * 1024;
const nothing = Buffer.alloc(0);

export class Output implements ByteSink {
  #buffers: Uint8Array[] = [];
  #room: Buffer = nothing;
  #from = 0;
  #to = 0;
  #enqueued = 0;

  /** Octets ever put in. */
  get enqueued(): number {
    return this.#enqueued;
  }

  latin1(text: string): void {
    const length = text.length;
    this.#need(length);
    // Header values are ASCII; a character costs one octet.
    this.#room.write(text, this.#to, length, 'latin1');
    this.#to += length;
    this.#enqueued += length;
  }

  bytes(octets: Uint8Array): void {
    const length = octets.length;
    this.#enqueued += length;
    if (length >= large) {
      this.#cut();
      this.#buffers.push(octets);
      return;
    }
    this.#need(length);
    this.#room.set(octets, this.#to);
    this.#to += length;
  }

  /** All that waits, in order; the buffers are not touched again. */
  take(): readonly Uint8Array[] {
    this.#cut();
    const buffers = this.#buffers;
    this.#buffers = [];
    // A nearly used up room is not kept for a connection that may be idle from now on.
    this.#room = nothing;
    this.#from = this.#to = 0;
    return buffers;
  }

  #need(length: number): void {
    if (this.#to + length <= this.#room.length) return;
    this.#cut();
    this.#room = Buffer.allocUnsafe(
      Math.max(length, this.#buffers.length === 0 && this.#room === nothing ? 2048 : room),
    );
    this.#from = this.#to = 0;
  }

  #cut(): void {
    if (this.#to > this.#from) this.#buffers.push(this.#room.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }
}
