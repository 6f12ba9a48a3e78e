/**
 * One message on its way in: its chunks, what of it is there, which of them are unanswered. It settles once: when the next hop has
 * answered for all of it, or the PF has it, or somebody refused it.
 * @clause RFC 4975 §7.1.2 E3 E4
 */
import type {ByteRange} from '../codecs/msrp/byte-range.ts';
import type {FailureReport, Flag, FrameHead} from '../codecs/msrp/frame.ts';
import type {Connection, FrameReceiver} from './connection.ts';
import {Ranges} from './ranges.ts';
import type {Relay} from './relay.ts';
import type {Session} from './session.ts';
import {Spool} from './spool.ts';

/** Never added to: most messages have one chunk, and a list made with it is small. */
const none: Chunk[] = [];

export class Transfer {
  readonly session: Session;
  readonly messageId: string;
  readonly contentType: string;
  readonly failureReport: FailureReport;
  readonly successReport: boolean;
  /** The whole From-Path: where reports go (RFC 4975 §7.1.2). */
  readonly fromPath: string;
  readonly spool: Spool;
  readonly ranges = new Ranges();
  /** As a chunk's Byte-Range said. */
  statedTotal: number | undefined;
  /** Known when the chunk with `$` is there. */
  total: number | undefined;
  complete = false;
  /** Carries its chunks to the partner; undefined while it is only kept. */
  relay: Relay | undefined;
  /** Parts that wait for the next hop, and frames that it has not answered. */
  pending = 0;
  /** Octets of it have gone to a next hop. */
  forwarded = false;
  /** Where its last frame ended among all octets that were put into a connection; infinite when there were several connections. */
  writtenAt = 0;
  /** The answer of a next hop that did not take it. */
  status: number | undefined;
  /** It was answered for good; later chunks get the same. */
  settled: number | undefined;
  /** Its octets are needed when it has settled: whoever needs them releases them. */
  isCopied = false;
  /** Ended and unanswered, in order of their end, and the one that completed the message: the last to be answered. */
  #unanswered: Chunk[] = none;
  completing: Chunk | undefined;
  /** Its neighbours among the unsettled ones of its session (ledger.ts). */
  before: Transfer | undefined;
  after: Transfer | undefined;
  /** Milliseconds of the clock. */
  touchedAt: number;

  constructor(session: Session, head: FrameHead, messageId: string) {
    this.session = session;
    this.messageId = messageId;
    this.contentType = head.text('content-type', session.inbox.usualType);
    session.inbox.usualType = this.contentType;
    this.failureReport = head.failureReport;
    this.successReport = head.successReport;
    this.fromPath = head.text('from-path', session.heardFrom);
    this.statedTotal = head.byteRange?.total;
    this.spool = new Spool(session.exchange.spool);
    this.touchedAt = session.lastActivity;
  }

  /** A chunk of it has ended; says whether the message is whole now. */
  add(chunk: Chunk): boolean {
    this.ranges.add(chunk.start, chunk.start + chunk.length);
    if (chunk.flag === '$') this.total = chunk.start + chunk.length;
    this.complete = this.total !== undefined && this.ranges.covers(this.total);
    const ended = this.complete ? this.completing : chunk;
    if (this.complete) this.completing = chunk;
    if (ended === undefined) return this.complete;
    if (this.#unanswered.length === 0) this.#unanswered = [ended];
    else this.#unanswered.push(ended);
    return this.complete;
  }

  /** Answers the chunks that ended, but never the one that completed the message: they are in the spool. */
  answerKept(): void {
    this.spool.flushed((isKept) => {
      if (!isKept) {
        this.session.inbox.refuse(this, 413);
        return;
      }
      const kept = this.#unanswered;
      this.#unanswered = none;
      for (const chunk of kept) chunk.answer(200);
    });
  }

  /** One chunk got its answer from the next hop. */
  answerOne(chunk: Chunk): void {
    this.#unanswered = this.#unanswered.filter((each) => each !== chunk);
    chunk.answer(200);
  }

  /** The message is answered for; every chunk that still waits gets that answer. `unseen`: nobody looks at its octets any more. */
  settle(status: number, unseen = false): void {
    if (this.settled !== undefined) return;
    this.settled = status;
    for (const chunk of this.#unanswered) chunk.answer(status);
    this.completing?.answer(status);
    this.#unanswered = none;
    if (!this.isCopied) this.spool.release(unseen);
  }
}

/** One SEND of a peer, and its answer. */
export class Chunk implements FrameReceiver {
  readonly transfer: Transfer;
  /** Counted from 0. */
  readonly start: number;
  length = 0;
  flag: Flag | undefined;
  readonly range: ByteRange | undefined;
  /** Frames to the next hop that carry a part of it and are not answered, or not yet written. */
  outstanding = 0;
  readonly #connection: Connection;
  readonly #id: string;
  readonly #paths: Uint8Array;
  #answered = false;

  constructor(transfer: Transfer, connection: Connection, head: FrameHead) {
    this.transfer = transfer;
    this.range = head.byteRange;
    this.start = (head.byteRange?.start ?? 1) - 1;
    this.#connection = connection;
    this.#id = head.text('transaction-id');
    this.#paths = transfer.session.inbox.answerPaths(head);
  }

  get ended(): boolean {
    return this.flag !== undefined;
  }

  piece(piece: Buffer, lasting: boolean): void {
    const {transfer} = this;
    const at = this.start + this.length;
    this.length += piece.length;
    transfer.touchedAt = this.#connection.readAt;
    if (transfer.settled !== undefined) {
      this.#connection.unwanted(piece.length);
      return;
    }
    const {session} = transfer;
    const isLarge = at + piece.length > session.maxMessageBytes;
    const kept = isLarge ? undefined : transfer.spool.write(at, piece, lasting);
    if (kept === undefined) {
      this.#connection.refuse(isLarge ? 'tooLarge' : 'spoolFull', session);
      session.inbox.refuse(transfer, 413);
      this.answer(413);
      this.#connection.unwanted(piece.length);
      return;
    }
    transfer.relay?.piece(this, kept);
  }

  end(flag: Flag): void {
    this.flag = flag;
    this.transfer.touchedAt = this.#connection.readAt;
    this.transfer.session.inbox.onChunkEnd(this);
  }

  /** Once; as the sender asked for it (RFC 4975 §7.2). */
  answer(status: number): void {
    if (this.#answered) return;
    this.#answered = true;
    const {failureReport} = this.transfer;
    if (failureReport === 'no' || (failureReport === 'partial' && status === 200)) return;
    this.#connection.answer(this.#id, this.#paths, status);
  }
}
