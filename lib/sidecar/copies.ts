/** Copies of what was relayed from one leg, for a PF that records the session: each whole, one after the other, after its message settled. */
import type {Session} from './session.ts';
import type {Transfer} from './transfer.ts';

export class Copies {
  readonly #session: Session;
  readonly #waiting: Transfer[] = [];
  #told: Transfer | undefined;
  #count = 0;
  #onceEmpty: (() => void)[] = [];

  constructor(session: Session) {
    this.#session = session;
  }

  /** Messages of which the PF has no copy yet: their octets are kept. */
  get size(): number {
    return this.#waiting.length + (this.#told === undefined ? 0 : 1);
  }

  /** A message that has settled. */
  add(transfer: Transfer): void {
    if (this.#told !== undefined) transfer.spool.moveOut();
    this.#waiting.push(transfer);
    this.#next();
  }

  /** The PF has this copy, or cannot have it. */
  taken(copy: number): void {
    if (this.#told === undefined || copy !== this.#count) return;
    this.#told.spool.release();
    this.#told = undefined;
    this.#next();
  }

  /** Calls back when the PF has a copy of all that was relayed until now. */
  onceEmpty(done: () => void): void {
    if (this.size === 0) done();
    else this.#onceEmpty.push(done);
  }

  /** Nobody wants them any more. */
  release(): void {
    for (const transfer of this.#waiting.splice(0)) transfer.spool.release();
    this.#told?.spool.release();
    this.#told = undefined;
    this.#empty();
  }

  #next(): void {
    const {owner} = this.#session;
    if (owner === undefined) this.release();
    if (this.#told !== undefined) return;
    const transfer = this.#waiting.shift();
    if (transfer === undefined) {
      this.#empty();
      return;
    }
    this.#told = transfer;
    this.#count += 1;
    owner?.copy(this.#session, this.#count, transfer);
  }

  #empty(): void {
    for (const done of this.#onceEmpty.splice(0)) done();
    this.#session.drained();
  }
}
