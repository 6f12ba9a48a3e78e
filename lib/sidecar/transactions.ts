/**
 * Requests of ours on one connection that wait for their answer. A transaction id is the slot it stands in and 66 random bits
 * (RFC 4975 §7.1 asks for 64): nobody can write its end-line into a body beforehand, and an answer finds its slot without a search.
 */
import {randomFillSync} from 'node:crypto';

/** Why a request got no answer. */
export type NoAnswer = 'silent' | 'lost';

export interface TransactionOwner<Context> {
  onAnswer(context: Context, status: number): void;
  onNoAnswer(context: Context, why: NoAnswer): void;
}

export interface Transaction {
  readonly id: string;
  /** Total of octets enqueued on the connection when its last octet was; infinite while it is being written. */
  end: number;
  /** Milliseconds of the clock; undefined until its last octet was written (RFC 4975 §7.1.1). */
  deadline: number | undefined;
  readonly milliseconds: number;
  /** Hands the outcome to its owner. */
  answer(status: number): void;
  fail(why: NoAnswer): void;
}

const alphabet = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-');
const slotDigits = 4;
const randomDigits = 11;

/** Makes texts of 66 random bits, drawing many at once from the machine's random source. */
export function randomTexts(): () => string {
  const pool = Buffer.alloc(randomDigits * 256);
  let used = pool.length;
  return () => {
    if (used === pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    let text = '';
    for (const end = used + randomDigits; used < end; used += 1) text += alphabet[(pool[used] ?? 0) & 63] ?? '';
    return text;
  };
}

function slotText(slot: number): string {
  let text = '';
  for (let shift = 0; shift < slotDigits; shift += 1) text += alphabet[(slot >> (5 * shift)) & 31] ?? '';
  return text;
}

function slotOf(id: Uint8Array): number {
  if (id.length !== slotDigits + randomDigits) return -1;
  let slot = 0;
  for (let at = 0; at < slotDigits; at += 1) {
    const digit = (id[at] ?? 0) - 0x41;
    if (digit < 0 || digit > 37) return -1;
    // A to Z, then a to f.
    slot |= (digit < 26 ? digit : digit - 6) << (5 * at);
  }
  return slot;
}

export class Transactions {
  /** Slots in use hold a transaction; free ones are listed apart, so that the array stays dense. */
  readonly #slots: (Transaction | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #random: () => string;
  #size = 0;

  constructor(random: () => string) {
    this.#random = random;
  }

  get size(): number {
    return this.#size;
  }

  begin<Context>(owner: TransactionOwner<Context>, context: Context, milliseconds: number): Transaction {
    const slot = this.#free.pop() ?? this.#slots.length;
    const transaction: Transaction = {
      id: slotText(slot) + this.#random(),
      end: Number.POSITIVE_INFINITY,
      deadline: undefined,
      milliseconds,
      answer(status) {
        owner.onAnswer(context, status);
      },
      fail(why) {
        owner.onNoAnswer(context, why);
      },
    };
    this.#slots[slot] = transaction;
    this.#size += 1;
    return transaction;
  }

  /** Takes the transaction of that id out; undefined for an unknown one, or one answered before. */
  take(id: Buffer): Transaction | undefined {
    const slot = slotOf(id);
    const transaction = this.#slots[slot];
    if (transaction?.id !== id.toString('latin1')) return undefined;
    this.#remove(slot);
    return transaction;
  }

  /**
   * Gives those a deadline whose last octet is among the first `written` ones, and takes out those whose deadline is over.
   * `stuck`: nothing at all could be written for so many milliseconds; that counts as silence too.
   */
  expire(now: number, written: number, stuck: number): readonly Transaction[] {
    const over: Transaction[] = [];
    for (const [slot, transaction] of this.#slots.entries()) {
      if (transaction === undefined) continue;
      if (transaction.deadline === undefined && transaction.end <= written) {
        transaction.deadline = now + transaction.milliseconds;
      }
      const waits = transaction.deadline === undefined && transaction.end !== Number.POSITIVE_INFINITY;
      if ((transaction.deadline ?? Infinity) > now && !(waits && stuck >= transaction.milliseconds)) continue;
      this.#remove(slot);
      over.push(transaction);
    }
    return over;
  }

  /** The peer is not being read: what it answered in time cannot be seen. */
  postpone(now: number): void {
    for (const transaction of this.#slots) {
      if (transaction?.deadline !== undefined) transaction.deadline = now + transaction.milliseconds;
    }
  }

  /** Takes all of them out. */
  clear(): readonly Transaction[] {
    const all = this.#slots.filter((each) => each !== undefined);
    this.#slots.length = 0;
    this.#free.length = 0;
    this.#size = 0;
    return all;
  }

  #remove(slot: number): void {
    this.#slots[slot] = undefined;
    this.#free.push(slot);
    this.#size -= 1;
  }
}
