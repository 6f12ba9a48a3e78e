/**
 * One TCP connection: frames in, handed to the session each one is for; frames out, coalesced, with the answers they wait for. It carries
 * any number of sessions.
 */
import type {Duplex} from 'node:stream';
import type {CpmError} from '../errors.ts';
import type {Flag, FrameHead} from '../codecs/msrp/frame.ts';
import {createFrameParser, type FrameHandlers, type FrameParser} from '../codecs/msrp/frame-parser.ts';
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
import {leftmostUri, sessionIdOfPath} from '../codecs/msrp/uri.ts';
import type {Exchange} from './exchange.ts';
import type {Refusal} from './limits.ts';
import type {Origin} from './network.ts';
import {Frame, type OpenFrame} from './open-frame.ts';
import {Output} from './output.ts';
import type {Session} from './session.ts';
import {Transactions, type NoAnswer, type Transaction, type TransactionOwner} from './transactions.ts';
import type {Wire} from './wire.ts';

/** Takes the body of a frame that a session received. */
export interface FrameReceiver {
  /** Octets of it; `lasting`: they stay as they are, otherwise only until this returns. */
  piece(piece: Buffer, lasting: boolean): void;
  end(flag: Flag): void;
}

/** Why a connection is no more. */
export type ConnectionEnd = 'lost' | 'protocol-error' | 'idle';

/** Octets that may be queued on a connection when the memory of all is at its bound. */
const tightQueueBytes = 16 * 1024;

const ignore = (): void => undefined;

export class Connection implements FrameHandlers {
  readonly origin: Origin;
  readonly sessions = new Set<Session>();
  readonly #exchange: Exchange;
  readonly #stream: Duplex;
  readonly #parser: FrameParser;
  readonly #output: Output;
  readonly #transactions: Transactions;
  #receiver: FrameReceiver | undefined;
  #frame: Frame | undefined;
  #flushed = 0;
  /** Octets handed to the socket: what the counter of queued octets knows of. */
  #counted = 0;
  #flushing = false;
  #closed = false;
  #finished = false;
  /** Sessions, or relays of them, for whose sake nothing is read. */
  #pausedBy: Set<object> | undefined;
  #drained: Set<() => void> | undefined;
  /** Milliseconds of the clock: the last octet read, the last progress in writing, the begin of a frame in reading. */
  #readAt: number;
  #wroteAt: number;
  #frameSince: number | undefined;
  /** Frames read so far; of the one that is being read, the head has been understood. */
  #frames = 0;
  #framesSwept = 0;
  #hasHead = false;
  #strikes = 0;
  /** To-Path of the last request, and the session that it named. */
  #lastPath: string | undefined;
  #lastSession: Session | undefined;
  /** Octets of the frame that is being read and that nobody wants. */
  #unwanted = 0;
  readonly #onEnd = () => {
    this.#end('lost');
  };
  readonly #onFrame = (frame: Frame) => {
    if (frame.ended && this.#frame === frame) this.#frame = undefined;
    this.#written();
  };
  readonly #onWritten = () => {
    this.#noteWritten();
  };

  constructor(exchange: Exchange, wire: Wire, origin: Origin) {
    const {stream} = wire;
    this.origin = origin;
    this.#exchange = exchange;
    this.#stream = stream;
    this.#output = new Output(exchange.blocks);
    this.#transactions = new Transactions(exchange.random);
    this.#readAt = this.#wroteAt = exchange.clock.now();
    this.#parser = createFrameParser(this, exchange.frameLimits, exchange.spool.large);
    wire.onInput = (input) => {
      this.#readAt = exchange.clock.now();
      this.#parser.push(input);
      exchange.afterRead();
    };
    stream.on('error', ignore);
    stream.on('end', this.#onEnd);
    stream.on('close', this.#onEnd);
  }

  /** When octets came last: the clock, looked at once for all that came together. */
  get readAt(): number {
    return this.#readAt;
  }

  /** It is closed, or will be: no session begins on it. */
  get leaving(): boolean {
    return this.#closed || this.#finished;
  }

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
    const {memoryFull, options} = this.#exchange;
    return (
      this.queuedBytes > (memoryFull ? Math.min(tightQueueBytes, options.limits.queueBytes) : options.limits.queueBytes)
    );
  }

  // ---- writing ----

  /** A request of ours; the outcome goes to the owner. The frame is written next. */
  begin<Context>(owner: TransactionOwner<Context>, context: Context, milliseconds: number): Transaction {
    return this.#transactions.begin(owner, context, milliseconds);
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
    writeReport(this.#output, {...frame, transactionId: `r${this.#exchange.random.text()}`});
    this.#written();
    this.#checkUnread();
  }

  /** Answers are not held back, as messages are: a peer who asks for ever more of them and reads none is told goodbye. */
  #checkUnread(): void {
    if (this.queuedBytes <= this.#exchange.options.limits.unreadBytes) return;
    this.refuse('unread');
    this.#end('protocol-error');
  }

  #beforeFrame(): void {
    this.#frame?.end('+', true);
  }

  #written(): void {
    if (this.#flushing || this.#closed) return;
    this.#flushing = true;
    this.#exchange.flushSoon(this);
  }

  /** Writes what has gathered; called once a tick. */
  flush(): void {
    this.#flushing = false;
    if (this.#closed) return;
    const buffers = this.#output.take();
    if (buffers.length === 0) return;
    const before = this.#counted;
    const stream = this.#stream;
    this.#counted = this.#output.enqueued;
    this.#exchange.queued(this.#counted - before);
    if (buffers.length > 1) stream.cork();
    for (const buffer of buffers) stream.write(buffer, this.#onWritten);
    if (buffers.length > 1) stream.uncork();
    if (stream.writableLength > 0) this.#output.kept();
    else this.#output.written();
    this.#noteWritten();
  }

  #noteWritten(): void {
    const flushed = this.#counted - this.#stream.writableLength;
    if (flushed === this.#flushed || this.#closed) return;
    this.#exchange.queued(this.#flushed - flushed);
    this.#flushed = flushed;
    this.#wroteAt = this.#exchange.clock.now();
    if (this.#drained !== undefined && !this.congested) this.#announceDrained();
  }

  /** Calls once when no longer congested. */
  onceDrained(listener: () => void): void {
    this.#drained ??= new Set();
    this.#drained.add(listener);
  }

  forgetDrained(listener: () => void): void {
    this.#drained?.delete(listener);
  }

  #announceDrained(): void {
    const listeners = this.#drained ?? [];
    this.#drained = undefined;
    for (const listener of listeners) listener();
  }

  // ---- reading ----

  get paused(): boolean {
    return this.#pausedBy !== undefined;
  }

  /** Reads no more until every `who` that paused has resumed. */
  pause(who: object): void {
    if (this.#closed) return;
    if (this.#pausedBy === undefined) {
      this.#pausedBy = new Set();
      this.#stream.pause();
      this.#exchange.counters.pausedConnections += 1;
    }
    this.#pausedBy.add(who);
  }

  resume(who: object): void {
    if (this.#pausedBy?.delete(who) !== true || this.#pausedBy.size > 0 || this.#closed) return;
    this.#pausedBy = undefined;
    this.#exchange.counters.pausedConnections -= 1;
    this.#transactions.postpone(this.#exchange.clock.now());
    this.#stream.resume();
  }

  /** From the parser, as are the next three. */
  onStart(head: FrameHead): void {
    this.#hasHead = true;
    this.#unwanted = 0;
    this.#receiver = this.#closed || (this.#finished && head.kind !== 'response') ? undefined : this.#start(head);
  }

  onBody(piece: Buffer, lasting: boolean): void {
    if (this.#receiver) this.#receiver.piece(piece, lasting);
    else this.unwanted(piece.length);
  }

  onEnd(flag: Flag): void {
    const receiver = this.#receiver;
    this.#receiver = undefined;
    this.#hasHead = false;
    this.#frames += 1;
    receiver?.end(flag);
  }

  onError({status}: CpmError): void {
    this.refuse(status === 413 ? 'headerTooLong' : 'protocolErrors');
    this.#end('protocol-error');
  }

  #start(head: FrameHead): FrameReceiver | undefined {
    if (head.kind === 'response') {
      this.#transactions.take(head)?.answer(head.status, head);
      return undefined;
    }
    const session = this.#sessionOf(head);
    if (head.kind === 'REPORT') {
      if (head.fault === undefined && session?.connection === this) session.onReport(head);
      return undefined;
    }
    if (head.fault !== undefined) {
      this.#refuse(head, 400);
      return;
    }
    if (head.kind === 'other') {
      this.#refuse(head, 501);
      return;
    }
    if (session === undefined) {
      this.refuse('unknownSession');
      // One that keeps asking for sessions that are not there has nothing else to do here.
      this.#strikes += 1;
      if (this.#strikes > 100 && this.sessions.size === 0) this.#exchange.closeSoon(this);
      this.#refuse(head, 481);
      return;
    }
    if (!session.isPeer(head.text('from-path', session.heardFrom))) {
      this.refuse('wrongPeer', session);
      this.#refuse(head, 403);
      return;
    }
    if (session.connection !== this) {
      if (session.connection !== undefined) {
        this.refuse('wrongConnection', session);
        this.#refuse(head, 506);
        return;
      }
      if (!session.bind(this)) {
        this.#refuse(head, 403);
        if (this.sessions.size === 0) this.#exchange.closeSoon(this);
        return;
      }
    }
    return session.onSend(head);
  }

  /** Who a request is for: most likely the same as the last one. */
  #sessionOf(head: FrameHead): Session | undefined {
    const path = head.text('to-path', this.#lastPath);
    if (path === this.#lastPath && this.#lastSession?.ended === false) return this.#lastSession;
    const id = sessionIdOfPath(head.toPath);
    this.#lastPath = path;
    this.#lastSession = id === undefined ? undefined : this.#exchange.sessions.get(id);
    return this.#lastSession;
  }

  /** Counts a refusal of what came on this connection. */
  refuse(what: Refusal, session?: Session): void {
    this.#exchange.refusals.add(what, {address: this.origin.address, session: session?.id, leg: session?.label});
  }

  /** Octets came of a frame that was refused. A sender who hears so stops; one who does not is not read for ever. */
  unwanted(octets: number): void {
    this.#unwanted += octets;
    if (this.#closed || this.#unwanted <= this.#exchange.options.limits.refusedFrameBytes) return;
    this.refuse('endlessFrame');
    this.#end('protocol-error');
  }

  #refuse(head: FrameHead, status: number): undefined {
    if (head.failureReport === 'no') return;
    const {transactionId, fromPath, toPath} = head;
    this.respond({transactionId, toPath: leftmostUri(fromPath), fromPath: leftmostUri(toPath), status});
  }

  // ---- life ----

  /** Called a few times a second: transactions that are over, frames that are not finished, silence. */
  sweep(now: number): void {
    if (this.#closed) return;
    if (this.paused) {
      this.#transactions.postpone(now);
      this.#readAt = now;
    }
    const stuck = this.queuedBytes > 0 ? now - this.#wroteAt : 0;
    if (this.queuedBytes === 0) this.#wroteAt = now;
    for (const each of this.#transactions.expire(now, this.#flushed, stuck)) each.fail('silent');
    this.#sweepFrame(now);
    this.#sweepIdle(now);
  }

  #sweepIdle(now: number): void {
    const {idleConnectionSeconds, unboundSeconds} = this.#exchange.options.limits;
    const over = (seconds: number) => now - this.#readAt >= seconds * 1000;
    const idle = idleConnectionSeconds > 0 && over(idleConnectionSeconds);
    const unbound = this.sessions.size === 0 && over(unboundSeconds);
    if (this.#closed || !(idle || unbound)) return;
    this.refuse(unbound ? 'unboundConnection' : 'idleConnection');
    this.#end('idle');
  }

  #sweepFrame(now: number): void {
    if (!this.#parser.midFrame) {
      this.#frameSince = undefined;
      return;
    }
    if (this.#framesSwept !== this.#frames) this.#frameSince = undefined;
    this.#framesSwept = this.#frames;
    this.#frameSince ??= now;
    if (now - this.#readAt >= 1000) this.#parser.idle();
    // A body may take its time as long as it goes on; a head may not, however steadily it trickles.
    const {unfinishedFrameSeconds, unfinishedMessageSeconds} = this.#exchange.options.limits;
    const isStill = now - Math.max(this.#readAt, this.#frameSince) >= unfinishedFrameSeconds * 1000;
    const trickles = !this.#hasHead && now - this.#frameSince >= unfinishedMessageSeconds * 1000;
    if (!isStill && !trickles) return;
    this.refuse('unfinished');
    this.#end('idle');
  }

  /** Writes what waits, then closes; the peer may take its time for a moment. */
  finish(): void {
    if (this.#closed) return;
    this.#finished = true;
    this.flush();
    this.#stream.end();
    this.#exchange.clock.after(2000, () => {
      this.#stream.destroy();
    });
  }

  /** Closes at once: the peer sees it. */
  destroy(): void {
    this.#end('lost');
  }

  #end(end: ConnectionEnd): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.paused) this.#exchange.counters.pausedConnections -= 1;
    this.#exchange.queued(this.#flushed - this.#counted);
    this.#stream.destroy();
    this.#exchange.forget(this);
    this.#receiver = undefined;
    this.#announceDrained();
    for (const transaction of this.#transactions.clear()) transaction.fail('lost' satisfies NoAnswer);
    for (const session of [...this.sessions]) session.onConnectionEnd(end);
    this.sessions.clear();
  }
}
