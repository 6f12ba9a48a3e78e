/**
 * Requests of ours on one connection that wait for their answer. A transaction id is the slot it stands in and 66 random bits
 * (RFC 4975 §7.1 asks for 64): nobody can write its end-line into a body beforehand, and an answer finds its slot without a search.
 */
import type {FrameHead} from '../codecs/msrp/frame.ts';
import type {ByteSink} from '../codecs/msrp/frame-writer.ts';
import {randomFillSync} from 'node:crypto';

/** Why a request got no answer. */
export type NoAnswer = 'silent' | 'lost';

export interface TransactionOwner<Context> {
  /** `head` lives as long as the call. */
  onAnswer(context: Context, status: number, head: FrameHead | undefined): void;
  onNoAnswer(context: Context, why: NoAnswer): void;
}

/** What is known of a request of ours, whoever made it. */
export interface Transaction {
  /** Its id, as text or into what is sent: until it is answered. */
  readonly id: string;
  write(sink: ByteSink): void;
  /** Total of octets enqueued on the connection when its last octet was; infinite while it is being written. */
  end: number;
  /** Milliseconds of the clock; infinite until its last octet was written (RFC 4975 §7.1.1). */
  deadline: number;
  readonly milliseconds: number;
  /** Hands the outcome to its owner. */
  answer(status: number, head?: FrameHead): void;
  fail(why: NoAnswer): void;
}

class Request<Context> implements Transaction {
  end = Infinity;
  deadline = Infinity;
  readonly milliseconds: number;
  readonly #ids: IdTable;
  readonly #slot: number;
  readonly #owner: TransactionOwner<Context>;
  readonly #context: Context;

  constructor(ids: IdTable, slot: number, milliseconds: number, owner: TransactionOwner<Context>, context: Context) {
    this.#ids = ids;
    this.#slot = slot;
    this.milliseconds = milliseconds;
    this.#owner = owner;
    this.#context = context;
  }

  get id(): string {
    return this.#ids.text(this.#slot);
  }

  write(sink: ByteSink): void {
    this.#ids.write(this.#slot, sink);
  }

  answer(status: number, head?: FrameHead): void {
    this.#owner.onAnswer(this.#context, status, head);
  }

  fail(why: NoAnswer): void {
    this.#owner.onNoAnswer(this.#context, why);
  }
}

const alphabet = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-');
const slotDigits = 4;
const randomDigits = 11;
const idLength = slotDigits + randomDigits;
const noIds: Buffer = Buffer.alloc(0);

/** Makes texts that nobody can foresee, drawing many at once from the machine's random source. */
export class RandomTexts {
  readonly #pool = Buffer.alloc(idLength * 256);
  #used = this.#pool.length;

  /** Writes the id of a slot to an offset: the slot, five bits a letter, and 66 random bits. */
  ofSlot(slot: number, target: Buffer, offset: number): void {
    const from = this.#next();
    for (let at = 0; at < slotDigits; at += 1) target[offset + at] = alphabet[(slot >> (5 * at)) & 31] ?? 0;
    for (let at = slotDigits; at < idLength; at += 1) target[offset + at] = this.#pool[from + at] ?? 0;
  }

  /** 66 random bits. */
  text(): string {
    const from = this.#next();
    return this.#pool.toString('latin1', from + slotDigits, from + idLength);
  }

  #next(): number {
    const pool = this.#pool;
    if (this.#used === pool.length) {
      randomFillSync(pool);
      for (let at = 0; at < pool.length; at += 1) pool[at] = alphabet[(pool[at] ?? 0) & 63] ?? 0;
      this.#used = 0;
    }
    const from = this.#used;
    this.#used += idLength;
    return from;
  }
}

/** The ids of the slots of one connection: octets, as they are written and compared. */
class IdTable {
  #octets = noIds;

  /** A new id for a slot. */
  draw(slot: number, random: RandomTexts): void {
    if (this.#octets.length < (slot + 1) * idLength) {
      const larger = Buffer.allocUnsafe(Math.max(4, 2 * slot) * idLength);
      larger.set(this.#octets);
      this.#octets = larger;
    }
    random.ofSlot(slot, this.#octets, slot * idLength);
  }

  text(slot: number): string {
    return this.#octets.toString('latin1', slot * idLength, (slot + 1) * idLength);
  }

  write(slot: number, sink: ByteSink): void {
    sink.part(this.#octets, slot * idLength, idLength);
  }

  /** The slot whose id a frame has; -1: none. */
  find(head: FrameHead): number {
    const slot = slotOf(head);
    const from = slot * idLength;
    if (slot < 0 || this.#octets.length < from + idLength || head.idOctet(idLength) !== 0) return -1;
    for (let at = 0; at < idLength; at += 1) if (head.idOctet(at) !== this.#octets[from + at]) return -1;
    return slot;
  }
}

function slotOf(head: FrameHead): number {
  let slot = 0;
  for (let at = 0; at < slotDigits; at += 1) {
    const digit = head.idOctet(at) - 0x41;
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
  readonly #ids = new IdTable();
  readonly #random: RandomTexts;
  #size = 0;

  constructor(random: RandomTexts) {
    this.#random = random;
  }

  get size(): number {
    return this.#size;
  }

  begin<Context>(owner: TransactionOwner<Context>, context: Context, milliseconds: number): Transaction {
    const slot = this.#free.pop() ?? this.#slots.length;
    this.#ids.draw(slot, this.#random);
    const transaction = new Request(this.#ids, slot, milliseconds, owner, context);
    this.#slots[slot] = transaction;
    this.#size += 1;
    return transaction;
  }

  /** Takes the transaction out that an answer is to; undefined for an unknown one, or one answered before. */
  take(answer: FrameHead): Transaction | undefined {
    const slot = this.#ids.find(answer);
    const transaction = this.#slots[slot];
    if (transaction !== undefined) this.#remove(slot);
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
      const begins = transaction.deadline === Infinity;
      if (begins && transaction.end <= written) transaction.deadline = now + transaction.milliseconds;
      const waits = transaction.deadline === Infinity && transaction.end !== Infinity;
      if (transaction.deadline > now && !(waits && stuck >= transaction.milliseconds)) continue;
      this.#remove(slot);
      over.push(transaction);
    }
    return over;
  }

  /** The peer is not being read: what it answered in time cannot be seen. */
  postpone(now: number): void {
    for (const transaction of this.#slots) {
      if (transaction && transaction.deadline !== Infinity) transaction.deadline = now + transaction.milliseconds;
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
