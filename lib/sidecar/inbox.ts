/** What a leg's peer sends: which message each chunk belongs to, and which messages are not answered for. */
import type {FrameHead} from '../codecs/msrp/frame.ts';
import {pathLines} from '../codecs/msrp/frame-writer.ts';
import {leftmost} from '../codecs/msrp/uri.ts';
import {answering, unheard} from './answering.ts';
import type {Connection, FrameReceiver} from './connection.ts';
import {Unfinished, Unsettled} from './ledger.ts';
import type {Refusal} from './limits.ts';
import type {Relay} from './relay.ts';
import type {Session} from './session.ts';
import {Chunk, Transfer} from './transfer.ts';

export class Inbox {
  readonly #session: Session;
  /** Messages whose chunks still come. */
  readonly #assembling = new Unfinished();
  /** Messages that are whole and not settled. */
  readonly #unsettled = new Unsettled();
  #refuses: boolean;
  /** Content-Type of the last message: that of the next one is likely the same. */
  usualType: string | undefined;
  /** Path lines of the last answer, and what they were made of. */
  #answers: {readonly from: string; readonly to: string; readonly octets: Uint8Array} | undefined;

  constructor(session: Session, refuses: boolean) {
    this.#session = session;
    this.#refuses = refuses;
  }

  /** Whole messages without a settlement. */
  get unsettled(): Iterable<Transfer> {
    return this.#unsettled;
  }

  /** No whole message waits for its settlement. */
  get isSettled(): boolean {
    return this.#unsettled.size === 0;
  }

  /** Path lines of an answer to a request of the peer. */
  answerPaths(head: FrameHead): Uint8Array {
    const {heardFrom, uri} = this.#session;
    const from = head.text('from-path', heardFrom);
    const to = head.text('to-path', uri);
    if (this.#answers?.from !== from || this.#answers.to !== to)
      this.#answers = {from, to, octets: pathLines(leftmost(from), to)};
    return this.#answers.octets;
  }

  // ---- chunks as they come ----

  onSend(head: FrameHead): FrameReceiver {
    const session = this.#session;
    session.touch();
    const {connection} = session;
    if (connection === undefined) return unheard;
    session.announceBound();
    const hasType = head.has('content-type');
    if (!head.hasBody || (!hasType && (head.bodyLength ?? 1) === 0)) {
      // An empty SEND binds and keeps alive; it is no message.
      return answering(connection, head, 200);
    }
    const messageId = head.text('message-id');
    const known = this.#assembling.get(messageId);
    if (known?.settled !== undefined) {
      return answering(connection, head, known.settled, (flag) => {
        if (flag !== '+') this.#assembling.delete(known);
      });
    }
    if (known === undefined && (this.#refuses || session.ending)) return answering(connection, head, 481);
    if (!hasType) return answering(connection, head, 400);
    if (known !== undefined && head.byteRange === undefined) return answering(connection, head, 400);
    return this.#receive(connection, head, known, messageId);
  }

  #receive(connection: Connection, head: FrameHead, known: Transfer | undefined, messageId: string): FrameReceiver {
    const full = known === undefined ? this.#full : undefined;
    if (full !== undefined) {
      connection.refuse(full, this.#session);
      return answering(connection, head, 413);
    }
    const transfer = known ?? new Transfer(this.#session, head, messageId);
    const chunk = new Chunk(transfer, connection, head);
    if (known === undefined) {
      this.#assembling.add(transfer);
      this.#session.relay?.adopt(transfer);
    }
    transfer.statedTotal ??= head.byteRange?.total;
    const least = Math.max(transfer.statedTotal ?? 0, chunk.start + (head.bodyLength ?? 0));
    if (least > this.#session.maxMessageBytes) {
      connection.refuse('tooLarge', this.#session);
      this.refuse(transfer, 413);
      chunk.answer(413);
      return chunk;
    }
    transfer.relay?.begin(chunk, head);
    return chunk;
  }

  /** Why no further message is taken: too many are unsettled, or not copied for the PF, too much waits for a slow partner, or for all of them. */
  get #full(): Refusal | undefined {
    const {relay, copies, exchange} = this.#session;
    const {options, memoryFull} = exchange;
    const kept = this.#assembling.size + this.#unsettled.size + (copies?.size ?? 0);
    const isMany = kept >= options.limits.messagesPerSession;
    if (isMany || relay?.overflows === true) return 'tooManyMessages';
    return memoryFull ? 'memoryFull' : undefined;
  }

  /** Called by a chunk whose frame has ended. */
  onChunkEnd(chunk: Chunk): void {
    const {transfer} = chunk;
    const flag = chunk.flag ?? '$';
    if (transfer.settled !== undefined) {
      chunk.answer(transfer.settled);
      if (flag !== '+') this.#assembling.delete(transfer);
      return;
    }
    if (flag === '#') {
      this.#assembling.delete(transfer);
      transfer.relay?.abort(transfer);
      chunk.answer(200);
      transfer.settle(200);
      return;
    }
    if (transfer.add(chunk)) {
      this.#assembling.delete(transfer);
      this.#unsettled.add(transfer);
    }
    if (transfer.relay) transfer.relay.end(chunk, flag);
    else if (transfer.complete) this.#session.offers.add(transfer);
    else transfer.answerKept();
  }

  /** Nobody takes this message: what waits, and what still comes of it, gets that status. */
  refuse(transfer: Transfer, status: number): void {
    if (transfer.settled !== undefined) return;
    transfer.relay?.abort(transfer);
    this.settle(transfer, status);
  }

  /** The message is answered for. */
  settle(transfer: Transfer, status: number, unseen = false): void {
    transfer.settle(status, unseen);
    this.#unsettled.delete(transfer);
    this.#session.drained();
  }

  // ---- modes ----

  /** New messages get 481 from now on (T9). */
  refuseAll(): void {
    this.#refuses = true;
  }

  /** Everything is kept for the PF. */
  holdAll(): void {
    this.#refuses = false;
  }

  /** From now on what comes goes to a partner, and so does what nobody has yet (what was offered is the PF's). */
  relayTo(relay: Relay): void {
    this.#refuses = false;
    this.#session.relay = relay;
    for (const transfer of [...this.#session.offers.takeWaiting(), ...this.#assembling.all()]) {
      if (transfer.settled === undefined) relay.adopt(transfer);
    }
  }

  /** What a relay carries and is not answered goes to it anew. */
  resend(relay: Relay): void {
    for (const transfer of [...this.#unsettled, ...this.#assembling.all()]) {
      if (transfer.relay !== relay || transfer.settled !== undefined) continue;
      transfer.pending = 0;
      transfer.writtenAt = Infinity;
      transfer.answerKept();
      relay.adopt(transfer);
    }
  }

  /** A relay carries nothing any more: what it had unsettled is kept, and offered, whole messages in order of their completion. */
  takeBack(relay: Relay, status: number | undefined): void {
    const session = this.#session;
    if (session.relay === relay) session.relay = undefined;
    for (const transfer of [...this.#unsettled, ...this.#assembling.all()]) {
      if (transfer.relay !== relay) continue;
      transfer.relay = undefined;
      transfer.pending = 0;
      transfer.writtenAt = Infinity;
      if (transfer.forwarded) transfer.status = status;
      if (session.owner === undefined) continue;
      if (transfer.complete) session.offers.add(transfer);
      else if (transfer.settled === undefined) transfer.answerKept();
    }
    // Without a PF nothing can be kept for it: the sender sees the end and repeats.
    if (session.owner === undefined) session.close(true);
  }

  // ---- end ----

  /** Messages of which something is missing get no more of it. */
  abandon(): void {
    const unfinished = this.#assembling.all();
    for (const transfer of unfinished) transfer.relay?.abort(transfer);
    for (const transfer of unfinished) transfer.spool.release();
    this.#assembling.clear();
  }

  /** Nobody waits for an answer any more. */
  release(): void {
    for (const transfer of [...this.#unsettled, ...this.#assembling.all()]) transfer.spool.release();
    this.#unsettled.clear();
    this.#assembling.clear();
  }

  /** Messages whose chunks stopped coming are forgotten. Says when something came of those that go on, milliseconds of the clock. */
  sweep(now: number): number {
    const {exchange, connection} = this.#session;
    const {unfinishedMessageSeconds} = exchange.options.limits;
    // Whose sender is not read cannot go on.
    const unread = connection?.paused === true;
    for (const transfer of this.#unsettled) if (now - transfer.touchedAt > 1000) transfer.spool.moveOut();
    for (const transfer of unread ? [] : this.#assembling.all()) {
      if (now - transfer.touchedAt > 1000) transfer.spool.moveOut();
      if (now - transfer.touchedAt < unfinishedMessageSeconds * 1000) continue;
      this.#session.refused('unfinishedMessage');
      this.#assembling.delete(transfer);
      transfer.relay?.abort(transfer);
      transfer.settle(408);
    }
    return Math.max(0, ...this.#assembling.all().map((each) => each.touchedAt));
  }
}
