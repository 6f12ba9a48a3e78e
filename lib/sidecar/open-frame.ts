/** A frame that is being written while its body still comes. */
import type {Flag} from '../codecs/msrp/frame.ts';
import {writeEndLine, type TransactionId} from '../codecs/msrp/frame-writer.ts';
import type {Output} from './output.ts';
import type {Transaction} from './transactions.ts';

/** Another frame may interrupt it (RFC 4975 §7.1.1); it then has ended with `+`. */
export interface OpenFrame {
  readonly interrupted: boolean;
  /** Large pieces are not copied: they may not change any more. */
  write(piece: Buffer): void;
  end(flag: Flag): void;
}

/** Octets of a body kept back until the end-line goes with them: a peer's reader may stumble over one that comes alone. */
const tailBytes = 32;
const nothing: Buffer = Buffer.alloc(0);

export class Frame implements OpenFrame {
  interrupted = false;
  ended = false;
  readonly #output: Output;
  readonly #transaction: Transaction;
  /** Its text where the answer may come before the end: the transaction's place is another's then. */
  readonly #id: TransactionId;
  readonly #whole: boolean;
  readonly #onWritten: (frame: Frame) => void;
  #tail = nothing;

  /** The head is written. `whole`: all of the body comes in one turn. `onWritten` is called when there is something more to send. */
  constructor(output: Output, transaction: Transaction, whole: boolean, onWritten: (frame: Frame) => void) {
    this.#output = output;
    this.#transaction = transaction;
    this.#id = whole ? transaction : transaction.id;
    this.#whole = whole;
    this.#onWritten = onWritten;
  }

  write(piece: Buffer): void {
    if (this.ended) return;
    if (this.#whole) {
      this.#output.bytes(piece);
      return;
    }
    const keep = Math.min(tailBytes, piece.length);
    if (this.#tail.length > 0) this.#output.bytes(this.#tail);
    if (piece.length > keep) this.#output.bytes(piece.subarray(0, piece.length - keep));
    this.#tail = Buffer.from(piece.subarray(piece.length - keep));
    this.#onWritten(this);
  }

  end(flag: Flag, interrupted = false): void {
    if (this.ended) return;
    this.ended = true;
    this.interrupted = interrupted;
    if (this.#tail.length > 0) this.#output.bytes(this.#tail);
    writeEndLine(this.#output, this.#id, flag, true);
    this.#transaction.end = this.#output.enqueued;
    this.#onWritten(this);
  }
}
