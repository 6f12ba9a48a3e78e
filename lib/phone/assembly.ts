/** A message put together from its chunks, in whatever order and overlap they came (RFC 4975 §7.3.1). */
import type {ByteRange} from '../codecs/msrp/byte-range.ts';
import type {Flag} from '../codecs/msrp/frame.ts';

interface Piece {
  /** Octets before it, from 0. */
  readonly at: number;
  readonly bytes: Buffer;
}

/** Chunks of one message. */
export class Assembly {
  readonly #pieces: Piece[] = [];
  #total: number | undefined;

  /** Takes a chunk; gives the whole message once all of it is there. Without a Byte-Range the chunk begins the message. */
  add(range: ByteRange | undefined, bytes: Buffer, flag: Flag): Buffer | undefined {
    const at = (range?.start ?? 1) - 1;
    this.#pieces.push({at, bytes});
    if (flag === '$') this.#total = at + bytes.length;
    return this.#total !== undefined && this.#covered() >= this.#total ? this.#whole(this.#total) : undefined;
  }

  get chunks(): number {
    return this.#pieces.length;
  }

  /** How many octets from the first one on are there without a gap. */
  #covered(): number {
    let covered = 0;
    for (const {at, bytes} of [...this.#pieces].sort((a, b) => a.at - b.at)) {
      if (at > covered) return covered;
      covered = Math.max(covered, at + bytes.length);
    }
    return covered;
  }

  /** What came last counts where chunks overlap. */
  #whole(total: number): Buffer {
    const whole = Buffer.alloc(total);
    for (const {at, bytes} of this.#pieces) bytes.copy(whole, at);
    return whole;
  }
}
