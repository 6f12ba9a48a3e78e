/** One TCP connection, of any number of sessions: frames in, handed to the session each one is for. What goes out is the writing half's. */
import type {CpmError} from '../errors.ts';
import type {Flag, FrameHead} from '../codecs/msrp/frame.ts';
import {createFrameParser, type FrameHandlers, type FrameParser} from '../codecs/msrp/frame-parser.ts';
import {leftmostUri, sessionIdOfPath} from '../codecs/msrp/uri.ts';
import type {Exchange} from './exchange.ts';
import type {Refusal} from './limits.ts';
import type {Origin} from './network.ts';
import {Outbound} from './outbound.ts';
import type {Session} from './session.ts';
import type {NoAnswer} from './transactions.ts';
import type {Wire} from './wire.ts';

/** Takes the body of a frame that a session received. */
export interface FrameReceiver {
  /** Octets of it; `lasting`: they stay as they are, otherwise only until this returns. */
  piece(piece: Buffer, lasting: boolean): void;
  end(flag: Flag): void;
}

/** Why a connection is no more. */
export type ConnectionEnd = 'lost' | 'protocol-error' | 'idle';

const ignore = (): void => undefined;

export class Connection extends Outbound implements FrameHandlers {
  readonly origin: Origin;
  readonly sessions = new Set<Session>();
  readonly #parser: FrameParser;
  #receiver: FrameReceiver | undefined;
  #finished = false;
  /** Sessions, or relays of them, for whose sake nothing is read. */
  #pausedBy: Set<object> | undefined;
  /** Milliseconds of the clock: the last octet read, the begin of a frame in reading. */
  #readAt: number;
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

  constructor(exchange: Exchange, wire: Wire, origin: Origin) {
    const {stream} = wire;
    super(exchange, stream);
    this.origin = origin;
    this.#readAt = exchange.clock.now();
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
    return this.closed || this.#finished;
  }

  // ---- reading ----

  get paused(): boolean {
    return this.#pausedBy !== undefined;
  }

  /** Reads no more until every `who` that paused has resumed. */
  pause(who: object): void {
    if (this.closed) return;
    if (this.#pausedBy === undefined) {
      this.#pausedBy = new Set();
      this.stream.pause();
      this.exchange.counters.pausedConnections += 1;
    }
    this.#pausedBy.add(who);
  }

  resume(who: object): void {
    if (this.#pausedBy?.delete(who) !== true || this.#pausedBy.size > 0 || this.closed) return;
    this.#pausedBy = undefined;
    this.exchange.counters.pausedConnections -= 1;
    this.transactions.postpone(this.exchange.clock.now());
    this.stream.resume();
  }

  /** From the parser, as are the next three. */
  onStart(head: FrameHead): void {
    this.#hasHead = true;
    this.#unwanted = 0;
    this.#receiver = this.closed || (this.#finished && head.kind !== 'response') ? undefined : this.#start(head);
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
      this.transactions.take(head)?.answer(head.status, head);
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
      if (this.#strikes > 100 && this.sessions.size === 0) this.exchange.closeSoon(this);
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
        if (this.sessions.size === 0) this.exchange.closeSoon(this);
        return;
      }
    }
    return session.inbox.onSend(head);
  }

  /** Who a request is for: most likely the same as the last one. */
  #sessionOf(head: FrameHead): Session | undefined {
    const path = head.text('to-path', this.#lastPath);
    if (path === this.#lastPath && this.#lastSession?.ended === false) return this.#lastSession;
    const id = sessionIdOfPath(head.toPath);
    this.#lastPath = path;
    this.#lastSession = id === undefined ? undefined : this.exchange.sessions.get(id);
    return this.#lastSession;
  }

  protected override onUnread(): void {
    this.refuse('unread');
    this.#end('protocol-error');
  }

  /** Counts a refusal of what came on this connection. */
  refuse(what: Refusal, session?: Session): void {
    this.exchange.refusals.add(what, {address: this.origin.address, session: session?.id, leg: session?.label});
  }

  /** Octets came of a frame that was refused. A sender who hears so stops; one who does not is not read for ever. */
  unwanted(octets: number): void {
    this.#unwanted += octets;
    if (this.closed || this.#unwanted <= this.exchange.options.limits.refusedFrameBytes) return;
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
    if (this.closed) return;
    if (this.paused) {
      this.transactions.postpone(now);
      this.#readAt = now;
    }
    for (const each of this.transactions.expire(now, this.writtenBytes, this.stuckFor(now))) each.fail('silent');
    this.#sweepFrame(now);
    this.#sweepIdle(now);
  }

  #sweepIdle(now: number): void {
    const {idleConnectionSeconds, unboundSeconds} = this.exchange.options.limits;
    const over = (seconds: number) => now - this.#readAt >= seconds * 1000;
    const idle = idleConnectionSeconds > 0 && over(idleConnectionSeconds);
    const unbound = this.sessions.size === 0 && over(unboundSeconds);
    if (this.closed || !(idle || unbound)) return;
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
    const {unfinishedFrameSeconds, unfinishedMessageSeconds} = this.exchange.options.limits;
    const isStill = now - Math.max(this.#readAt, this.#frameSince) >= unfinishedFrameSeconds * 1000;
    const trickles = !this.#hasHead && now - this.#frameSince >= unfinishedMessageSeconds * 1000;
    if (!isStill && !trickles) return;
    this.refuse('unfinished');
    this.#end('idle');
  }

  /** Writes what waits, then closes; the peer may take its time for a moment. */
  finish(): void {
    if (this.closed) return;
    this.#finished = true;
    this.flush();
    this.stream.end();
    this.exchange.clock.after(2000, () => {
      this.stream.destroy();
    });
  }

  /** Closes at once: the peer sees it. */
  destroy(): void {
    this.#end('lost');
  }

  #end(end: ConnectionEnd): void {
    if (!this.closeOutput()) return;
    if (this.paused) this.exchange.counters.pausedConnections -= 1;
    this.stream.destroy();
    this.exchange.forget(this);
    this.#receiver = undefined;
    this.announceDrained();
    for (const transaction of this.transactions.clear()) transaction.fail('lost' satisfies NoAnswer);
    for (const session of [...this.sessions]) session.onConnectionEnd(end);
    this.sessions.clear();
  }
}
