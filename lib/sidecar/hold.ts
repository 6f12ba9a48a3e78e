/** Messages for the PF: each whole, one after the other, answered when the PF has said what becomes of it. */
import type {Session} from './session.ts';
import type {Transfer} from './transfer.ts';

export class Offers {
  readonly #session: Session;
  readonly #waiting: Transfer[] = [];
  #offered: Transfer | undefined;
  #count = 0;
  #onceDecided: (() => void)[] = [];

  constructor(session: Session) {
    this.#session = session;
  }

  /** A whole message that has no next hop (any more). Its earlier chunks are answered: they are kept. */
  add(transfer: Transfer): void {
    transfer.answerKept();
    this.#waiting.push(transfer);
    this.#next();
  }

  /** The peer is known by now: what he sent can be offered. */
  resume(): void {
    this.#next();
  }

  /** Those that were not offered yet; they belong to the caller now. */
  takeWaiting(): readonly Transfer[] {
    return this.#waiting.splice(0);
  }

  /** Calls back when the PF has decided on what it was offered; at once if nothing is in its hands. */
  onceDecided(done: () => void): void {
    if (this.#offered === undefined) done();
    else this.#onceDecided.push(done);
  }

  /** What the PF says of the message that it was offered last: 200, or the status that the sender gets. */
  verdict(offer: number, status: number): void {
    const transfer = this.#offered;
    if (transfer === undefined || offer !== this.#count) return;
    this.#offered = undefined;
    if (status === 200) this.#session.reports.succeeded(transfer);
    this.#session.inbox.settle(transfer, status);
    for (const done of this.#onceDecided.splice(0)) done();
    this.#next();
  }

  #next(): void {
    const {owner} = this.#session;
    if (this.#offered !== undefined || owner === undefined || this.#session.ended || !this.#session.isProven) return;
    const transfer = this.#waiting.shift();
    if (transfer === undefined) return;
    if (transfer.settled !== undefined) {
      this.#next();
      return;
    }
    this.#offered = transfer;
    this.#count += 1;
    this.#session.exchange.counters.offeredMessages += 1;
    owner.offer(this.#session, this.#count, transfer);
  }
}
