/**
 * What waits to be written on a connection: small pieces are copied together into blocks, large ones kept as they are, all of it goes out
 * in one write. The blocks are used by all connections in turn: one that has nothing to write has none.
 */
import type {ByteSink} from '../codecs/msrp/frame-writer.ts';
import type {Blocks} from './blocks.ts';

/** Octets from which on a piece is not copied, and may not change any more. */
export const largePiece = 4096;
/** Octets from which on a call of the engine is faster than a loop. */
const longText = 32;
const longPart = 24;
/** Octets of a block: what a connection writes in a turn mostly fits. */
export const blockBytes = 32 * 1024;
const nothing: Buffer = Buffer.alloc(0);

export class Output implements ByteSink {
  readonly #blocks: Blocks;
  /** Cut off already, in order, and the blocks that these are views of. */
  #buffers: Buffer[] = [];
  #full: Buffer[] = [];
  /** The block that is written into: `#from` to `#to` is not cut off yet. */
  #room = nothing;
  #from = 0;
  #to = 0;
  #cutOff = 0;

  constructor(blocks: Blocks) {
    this.#blocks = blocks;
  }

  /** Octets ever put in. */
  get enqueued(): number {
    return this.#cutOff + this.#to - this.#from;
  }

  latin1(text: string): void {
    const {length} = text;
    if (this.#to + length > this.#room.length) this.#more(length);
    const room = this.#room;
    const to = this.#to;
    if (length < longText) for (let at = 0; at < length; at += 1) room[to + at] = text.charCodeAt(at);
    else room.write(text, to, length, 'latin1');
    this.#to = to + length;
  }

  number(value: number): void {
    let digits = 1;
    for (let most = 10; value >= most; most *= 10) digits += 1;
    if (this.#to + digits > this.#room.length) this.#more(digits);
    const to = this.#to + digits;
    for (let at = to - 1, rest = value; at >= this.#to; at -= 1) {
      const tenth = Math.floor(rest / 10);
      this.#room[at] = 0x30 + rest - 10 * tenth;
      rest = tenth;
    }
    this.#to = to;
  }

  bytes(octets: Uint8Array): void {
    const {length} = octets;
    if (length >= largePiece) {
      this.#cut();
      this.#buffers.push(Buffer.from(octets.buffer, octets.byteOffset, length));
      this.#cutOff += length;
      return;
    }
    if (length >= longPart) {
      if (this.#to + length > this.#room.length) this.#more(length);
      this.#room.set(octets, this.#to);
      this.#to += length;
    } else this.part(octets, 0, length);
  }

  part(octets: Uint8Array, from: number, length: number): void {
    if (this.#to + length > this.#room.length) this.#more(length);
    const room = this.#room;
    const to = this.#to;
    for (let at = 0; at < length; at += 1) room[to + at] = octets[from + at] ?? 0;
    this.#to = to + length;
  }

  /** All that waits, in order. Until `written` or `kept` is called nothing may be put in. */
  take(): readonly Buffer[] {
    this.#cut();
    const buffers = this.#buffers;
    this.#buffers = [];
    return buffers;
  }

  /** What was taken has left: its blocks are free for the next one. */
  written(): void {
    this.#blocks.give(this.#room);
    for (const block of this.#full) this.#blocks.give(block);
    this.kept();
  }

  /** Somebody goes on looking at what was taken. */
  kept(): void {
    if (this.#full.length > 0) this.#full = [];
    this.#room = nothing;
    this.#from = this.#to = 0;
  }

  #more(length: number): void {
    this.#cut();
    if (this.#room !== nothing) this.#full.push(this.#room);
    this.#room = this.#blocks.take(Math.max(length, blockBytes));
    this.#from = this.#to = 0;
  }

  #cut(): void {
    const length = this.#to - this.#from;
    if (length === 0) return;
    this.#buffers.push(this.#room.subarray(this.#from, this.#to));
    this.#cutOff += length;
    this.#from = this.#to;
  }
}
