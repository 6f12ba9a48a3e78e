/** The messages of one leg that are not answered for: those whose chunks still come, and those that are whole. */
import type {Transfer} from './transfer.ts';

/** By Message-ID. The one that began last stands apart: most messages have one chunk, and are whole before another begins. */
export class Unfinished {
  #last: Transfer | undefined;
  #others: Map<string, Transfer> | undefined;

  get size(): number {
    return (this.#others?.size ?? 0) + (this.#last === undefined ? 0 : 1);
  }

  get(messageId: string): Transfer | undefined {
    return this.#last?.messageId === messageId ? this.#last : this.#others?.get(messageId);
  }

  /** One of that name is not there. */
  add(transfer: Transfer): void {
    if (this.#last !== undefined) {
      this.#others ??= new Map();
      this.#others.set(this.#last.messageId, this.#last);
    }
    this.#last = transfer;
  }

  delete({messageId}: Transfer): void {
    if (this.#last?.messageId === messageId) this.#last = undefined;
    else this.#others?.delete(messageId);
  }

  clear(): void {
    this.#last = this.#others = undefined;
  }

  /** In order of their begin. */
  all(): readonly Transfer[] {
    const others = this.#others?.values() ?? [];
    return this.#last === undefined ? [...others] : [...others, this.#last];
  }
}

/** In order of their completion: a chain, as each of them comes and goes, mostly the first one first. */
export class Unsettled implements Iterable<Transfer> {
  #first: Transfer | undefined;
  #last: Transfer | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Where it is in there already, nothing changes. */
  add(transfer: Transfer): void {
    if (this.#has(transfer)) return;
    transfer.before = this.#last;
    if (this.#last === undefined) this.#first = transfer;
    else this.#last.after = transfer;
    this.#last = transfer;
    this.#size += 1;
  }

  delete(transfer: Transfer): void {
    if (!this.#has(transfer)) return;
    const {before, after} = transfer;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    transfer.before = transfer.after = undefined;
    this.#size -= 1;
  }

  clear(): void {
    for (const each of [...this]) this.delete(each);
  }

  *[Symbol.iterator](): Generator<Transfer> {
    for (let each = this.#first; each !== undefined; each = each.after) yield each;
  }

  #has(transfer: Transfer): boolean {
    return transfer.before !== undefined || this.#first === transfer;
  }
}
