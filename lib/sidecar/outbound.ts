/**
 * The writing half of a connection: frames out, coalesced, and our requests with what waits for their answers. What was written of it is
 * counted, so that whoever feeds it knows when to pause.
 */
import type {Duplex} from 'node:stream';
import {
  pathLines,
  writeAnswer,
  writeAuth,
  writeReport,
  writeSend,
  writeSendHead,
  type AuthFrame,
  type Octets,
  type ReportFrame,
  type ResponseFrame,
  type SendFrame,
  type SendHead,
} from '../codecs/msrp/frame-writer.ts';
import type {Exchange} from './exchange.ts';
import {Frame, type OpenFrame} from './open-frame.ts';
import {Output} from './output.ts';
import {Transactions, type Transaction, type TransactionOwner} from './transactions.ts';

/** Octets that may be queued on a connection when the memory of all is at its bound. */
const tightQueueBytes = 16 * 1024;

export abstract class Outbound {
  protected readonly exchange: Exchange;
  protected readonly stream: Duplex;
  protected readonly transactions: Transactions;
  readonly #output: Output;
  #frame: Frame | undefined;
  #flushed = 0;
  /** Octets handed to the socket: what the counter of queued octets knows of. */
  #counted = 0;
  #flushing = false;
  #closed = false;
  #drained: Set<() => void> | undefined;
  /** Milliseconds of the clock: the last progress in writing. */
  #wroteAt: number;
  readonly #onFrame = (frame: Frame) => {
    if (frame.ended && this.#frame === frame) this.#frame = undefined;
    this.#written();
  };
  readonly #onWritten = () => {
    this.#noteWritten();
  };

  constructor(exchange: Exchange, stream: Duplex) {
    this.exchange = exchange;
    this.stream = stream;
    this.#output = new Output(exchange.blocks);
    this.transactions = new Transactions(exchange.random);
    this.#wroteAt = exchange.clock.now();
  }

  /** So many answers wait to be read that their reader is told goodbye. */
  protected abstract onUnread(): void;

  get closed(): boolean {
    return this.#closed;
  }

  /** Octets ever put in to be written; when as many have left, nobody looks at them any more. */
  get enqueuedBytes(): number {
    return this.#output.enqueued;
  }

  get writtenBytes(): number {
    return this.#flushed;
  }

  get queuedBytes(): number {
    return this.#output.enqueued - this.#flushed;
  }

  /** More waits to be written than those that feed this connection may still add to. */
  get congested(): boolean {
    const {memoryFull, options} = this.exchange;
    return (
      this.queuedBytes > (memoryFull ? Math.min(tightQueueBytes, options.limits.queueBytes) : options.limits.queueBytes)
    );
  }

  /** A request of ours; the outcome goes to the owner. The frame is written next. */
  begin<Context>(owner: TransactionOwner<Context>, context: Context, milliseconds: number): Transaction {
    return this.transactions.begin(owner, context, milliseconds);
  }

  send(transaction: Transaction, frame: Omit<SendFrame, 'transactionId'>): void {
    this.#beforeFrame();
    writeSend(this.#output, {...frame, transactionId: transaction.id});
    transaction.end = this.#output.enqueued;
    this.#written();
  }

  /** An AUTH towards a relay. */
  authorize(transaction: Transaction, frame: Omit<AuthFrame, 'transactionId'>): void {
    this.#beforeFrame();
    writeAuth(this.#output, {...frame, transactionId: transaction.id});
    transaction.end = this.#output.enqueued;
    this.#written();
  }

  /** A SEND whose body follows piece by piece. `whole`: all of it follows before anything else can be written. */
  open(transaction: Transaction, head: SendHead, whole: boolean): OpenFrame {
    this.#beforeFrame();
    writeSendHead(this.#output, transaction, head);
    const frame = new Frame(this.#output, transaction, whole, this.#onFrame);
    this.#frame = frame;
    this.#written();
    return frame;
  }

  respond(frame: ResponseFrame): void {
    this.answer(frame.transactionId, pathLines(frame.toPath, frame.fromPath), frame.status);
  }

  /** The same with paths that are written already. */
  answer(transactionId: Octets, paths: Uint8Array, status: number): void {
    if (this.#closed) return;
    this.#beforeFrame();
    writeAnswer(this.#output, transactionId, paths, status);
    this.#written();
    this.#checkUnread();
  }

  /** A REPORT; no answer comes. */
  report(frame: Omit<ReportFrame, 'transactionId'>): void {
    if (this.#closed) return;
    this.#beforeFrame();
    writeReport(this.#output, {...frame, transactionId: `r${this.exchange.random.text()}`});
    this.#written();
    this.#checkUnread();
  }

  /** Answers are not held back, as messages are: a peer who asks for ever more of them and reads none is told goodbye. */
  #checkUnread(): void {
    if (this.queuedBytes > this.exchange.options.limits.unreadBytes) this.onUnread();
  }

  #beforeFrame(): void {
    this.#frame?.end('+', true);
  }

  #written(): void {
    if (this.#flushing || this.#closed) return;
    this.#flushing = true;
    this.exchange.flushSoon(this);
  }

  /** Writes what has gathered; called once a tick. */
  flush(): void {
    this.#flushing = false;
    if (this.#closed) return;
    const buffers = this.#output.take();
    if (buffers.length === 0) return;
    const before = this.#counted;
    const stream = this.stream;
    this.#counted = this.#output.enqueued;
    this.exchange.queued(this.#counted - before);
    if (buffers.length > 1) stream.cork();
    for (const buffer of buffers) stream.write(buffer, this.#onWritten);
    if (buffers.length > 1) stream.uncork();
    if (stream.writableLength > 0) this.#output.kept();
    else this.#output.written();
    this.#noteWritten();
  }

  #noteWritten(): void {
    const flushed = this.#counted - this.stream.writableLength;
    if (flushed === this.#flushed || this.#closed) return;
    this.exchange.queued(this.#flushed - flushed);
    this.#flushed = flushed;
    this.#wroteAt = this.exchange.clock.now();
    if (this.#drained !== undefined && !this.congested) this.announceDrained();
  }

  /** Calls once when no longer congested. */
  onceDrained(listener: () => void): void {
    this.#drained ??= new Set();
    this.#drained.add(listener);
  }

  forgetDrained(listener: () => void): void {
    this.#drained?.delete(listener);
  }

  protected announceDrained(): void {
    const listeners = this.#drained ?? [];
    this.#drained = undefined;
    for (const listener of listeners) listener();
  }

  /** Milliseconds for which nothing could be written that waits. */
  protected stuckFor(now: number): number {
    if (this.queuedBytes === 0) this.#wroteAt = now;
    return now - this.#wroteAt;
  }

  /** Nothing is written any more, and nothing is queued. False: that was so before. */
  protected closeOutput(): boolean {
    if (this.#closed) return false;
    this.#closed = true;
    this.exchange.queued(this.#flushed - this.#counted);
    return true;
  }
}
