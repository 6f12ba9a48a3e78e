/**
 * One direction of a pair: what the source's peer sends goes to the target's peer, chunk by chunk as it comes, in order. What cannot go at
 * once waits in the spool of its message. A frame here has one answer there; the last one of a message settles it.
 */
import type {Flag, FrameHead} from '../codecs/msrp/frame.ts';
import type {Connection} from './connection.ts';
import {notificationIn} from './notifications.ts';
import type {OpenFrame} from './open-frame.ts';
import type {Session} from './session.ts';
import type {NoAnswer, TransactionOwner} from './transactions.ts';
import type {Chunk, Transfer} from './transfer.ts';

/** Octets of a message that wait, from 0, `to` exclusive; `flag` ends the last frame that carries them. */
interface Part {
  readonly transfer: Transfer;
  readonly chunk: Chunk | undefined;
  from: number;
  readonly to: number;
  readonly flag: Flag;
}

interface Forwarded {
  readonly transfer: Transfer;
  readonly chunk: Chunk | undefined;
  /** Answers to frames of an earlier connection of the next hop are of no interest. */
  readonly life: number;
}

/** Octets of one frame that is made out of the spool, and the most that one may have without being interruptible (RFC 4975 §7.1.1). */
const frameBytes = 64 * 1024;
const uninterruptibleBytes = 2048;

/** Answers that concern one message: its sender gets them as they are. Any other but 200 says that the far session is of no use. */
const ofTheMessage: ReadonlySet<number> = new Set([400, 403, 413, 415, 423, 501]);

export class Relay implements TransactionOwner<Forwarded> {
  readonly source: Session;
  readonly target: Session;
  #gate: 'closed' | 'opening' | 'open';
  #broken = false;
  readonly #queue: Part[] = [];
  /** Octets received and not written to the next hop. */
  #backlog = 0;
  /** Octets of a part are being read from disk. */
  #reading = false;
  #waitingSince: number | undefined;
  /** Counts the connections of the next hop. */
  #life = 0;

  /** The chunk that is just coming, up to where it is written or queued, and the frame it is written in. */
  #current: Chunk | undefined;
  #from = 0;
  #frame: OpenFrame | undefined;
  readonly #pump = () => {
    this.pump();
  };
  readonly #resume = () => {
    this.#relieve();
  };

  constructor(source: Session, target: Session, gate: 'closed' | 'open') {
    this.source = source;
    this.target = target;
    this.#gate = gate;
    target.feeders.add(this);
  }

  get isOpen(): boolean {
    return this.#gate === 'open';
  }

  /** So much waits that another message of a peer that cannot be held up alone is refused. */
  get overflows(): boolean {
    return this.#backlog > this.source.exchange.options.limits.sharedBacklogBytes && this.#isShared;
  }

  /** Lets through what waits, after what the target's sender has still to write. */
  open(): void {
    if (this.#gate !== 'closed') return;
    this.#gate = 'opening';
    this.target.sender.onceWritten(() => {
      this.#gate = 'open';
      this.pump();
    });
  }

  /** A message begins, or one that was kept until now is to go on. */
  adopt(transfer: Transfer): void {
    transfer.relay = this;
    this.target.reports.expect(transfer);
    const {parts} = transfer.ranges;
    for (const {from, to} of parts) this.#enqueue(transfer, undefined, from, to, transfer.total === to ? '$' : '+');
    if (transfer.total === 0) this.#enqueue(transfer, undefined, 0, 0, '$');
    this.pump();
  }

  // ---- chunks as they come ----

  begin(chunk: Chunk, head: FrameHead): void {
    this.#current = chunk;
    this.#from = chunk.start;
    this.#frame = undefined;
    if (this.#isDirect(head.bodyLength)) this.#openFrame(chunk, head.bodyLength);
  }

  piece(chunk: Chunk, piece: Buffer): void {
    if (chunk !== this.#current || this.#broken) return;
    const to = chunk.start + chunk.length;
    if (this.#frame?.interrupted) this.#frame = undefined;
    if (!this.#frame && this.#from === to - piece.length && this.#isDirect(undefined))
      this.#openFrame(chunk, undefined);
    if (this.#frame) {
      this.#frame.write(piece);
      this.#from = to;
      this.#yield();
    } else this.#backlog += piece.length;
    this.#press();
  }

  end(chunk: Chunk, flag: Flag): void {
    if (this.#broken) return;
    const to = chunk.start + chunk.length;
    const frame = chunk === this.#current ? this.#frame : undefined;
    const from = chunk === this.#current ? this.#from : chunk.start;
    if (chunk === this.#current) this.#current = this.#frame = undefined;
    else this.#backlog += chunk.length;
    if (frame && !frame.interrupted) {
      frame.end(flag);
      this.#noteEnd(chunk.transfer);
      this.#check(chunk.transfer, chunk);
      return;
    }
    this.#backlog -= to - from;
    this.#enqueue(chunk.transfer, chunk, from, to, flag);
    if (chunk !== chunk.transfer.completing) {
      chunk.transfer.spool.flushed((kept) => {
        if (kept) chunk.transfer.answerOne(chunk);
      });
    }
    this.pump();
  }

  /** The message goes no further: the next hop is told, if it has seen any of it. */
  abort(transfer: Transfer): void {
    const kept = this.#queue.filter((part) => part.transfer !== transfer);
    this.#backlog -= waiting(this.#queue) - waiting(kept);
    this.#queue.splice(0, this.#queue.length, ...kept);
    this.target.reports.forget(transfer);
    transfer.relay = undefined;
    const frame = this.#current?.transfer === transfer ? this.#frame : undefined;
    if (this.#current?.transfer === transfer) {
      if (!frame) this.#backlog -= this.#current.start + this.#current.length - this.#from;
      this.#current = this.#frame = undefined;
    }
    if (frame && !frame.interrupted) frame.end('#');
    else if (transfer.forwarded && !transfer.complete) this.#sendAbort(transfer);
    this.#relieve();
  }

  // ---- to the next hop ----

  /** Whether a frame of so many octets may go out as it comes: nothing waits before it, and the next hop takes frames of that kind. */
  #isDirect(length: number | undefined): boolean {
    if (this.#broken || this.#gate !== 'open' || this.#queue.length > 0 || this.#reading) return false;
    const {connection, writable, remote} = this.target;
    if (remote?.explicitChunks === true && (length ?? Infinity) > uninterruptibleBytes) return false;
    return writable && connection !== undefined && !(connection.congested && this.#isShared);
  }

  get #isShared(): boolean {
    return (this.source.connection?.sessions.size ?? 0) > 1;
  }

  /** A frame for the octets of a chunk from where it is on; `length` where they are known, all of them being there. */
  #openFrame(chunk: Chunk, length: number | undefined): void {
    const {connection} = this.target;
    if (connection === undefined) return;
    const explicit = length !== undefined && (length <= uninterruptibleBytes || chunk.range?.end !== undefined);
    const start = this.#from + 1;
    const byteRange = {start, end: explicit ? start + length - 1 : undefined, total: chunk.transfer.statedTotal};
    this.#frame = this.#begin(connection, chunk.transfer, chunk, byteRange, length !== undefined);
  }

  #begin(
    connection: Connection,
    transfer: Transfer,
    chunk: Chunk | undefined,
    byteRange: {readonly start: number; readonly end: number | undefined; readonly total: number | undefined},
    whole: boolean,
  ): OpenFrame {
    const {nextHopSeconds} = this.source.exchange.options;
    const transaction = connection.begin<Forwarded>(this, {transfer, chunk, life: this.#life}, nextHopSeconds * 1000);
    transfer.pending += 1;
    transfer.forwarded = true;
    if (chunk) chunk.outstanding += 1;
    const head = {
      paths: this.target.sendPaths,
      messageId: transfer.messageId,
      byteRange,
      successReport: transfer.successReport,
      contentType: transfer.contentType,
    };
    return connection.open(transaction, head, whole);
  }

  #noteEnd(transfer: Transfer): void {
    const end = this.target.connection?.enqueuedBytes ?? Infinity;
    transfer.writtenAt = Math.max(transfer.writtenAt, end);
  }

  #sendAbort(transfer: Transfer): void {
    const {connection, writable} = this.target;
    if (!connection || !writable || this.#broken) return;
    const at = transfer.ranges.parts.at(-1)?.to ?? 0;
    const byteRange = {start: at + 1, end: at, total: transfer.statedTotal};
    this.#begin(connection, transfer, undefined, byteRange, true).end('#');
  }

  #enqueue(transfer: Transfer, chunk: Chunk | undefined, from: number, to: number, flag: Flag): void {
    transfer.pending += 1;
    if (chunk) chunk.outstanding += 1;
    this.#queue.push({transfer, chunk, from, to, flag});
    this.#backlog += to - from;
    this.#press();
  }

  /** Writes what waits, as far as the next hop takes it. */
  pump(): void {
    while (!this.#broken && this.#gate === 'open' && !this.#reading) {
      const {connection, writable} = this.target;
      if (!connection || !writable) {
        if (this.#queue.length > 0) this.#waitingSince ??= this.source.exchange.clock.now();
        return;
      }
      this.#waitingSince = undefined;
      if (connection.congested) {
        connection.onceDrained(this.#pump);
        return;
      }
      const part = this.#queue[0] ?? this.#partOfCurrent();
      if (part === undefined) return;
      const most = this.target.remote?.explicitChunks === true ? uninterruptibleBytes : frameBytes;
      const bytes = part.transfer.spool.read(part.from, Math.min(most, part.to - part.from));
      if (bytes instanceof Promise) void this.#readLater(part, bytes);
      else this.#writePart(connection, part, bytes);
    }
  }

  /** The chunk that is coming had to wait; what there is of it can go now, and the rest as it comes. */
  #partOfCurrent(): Part | undefined {
    const chunk = this.#current;
    const to = chunk ? chunk.start + chunk.length : 0;
    if (!chunk || this.#frame || to === this.#from) return undefined;
    this.#backlog -= to - this.#from;
    this.#enqueue(chunk.transfer, chunk, this.#from, to, '+');
    this.#from = to;
    return this.#queue[0];
  }

  async #readLater(part: Part, reading: Promise<Buffer>): Promise<void> {
    this.#reading = true;
    const bytes = await reading.catch(() => undefined);
    this.#reading = false;
    if (this.#broken || this.#queue[0] !== part) {
      this.pump();
      return;
    }
    const {connection, writable} = this.target;
    if (bytes === undefined) this.source.inbox.refuse(part.transfer, 413);
    else if (connection && writable) this.#writePart(connection, part, bytes);
    this.pump();
  }

  #writePart(connection: Connection, part: Part, bytes: Buffer): void {
    const {transfer, chunk} = part;
    const start = part.from + 1;
    const end = bytes.length <= uninterruptibleBytes ? part.from + bytes.length : undefined;
    const total = transfer.total ?? transfer.statedTotal;
    const frame = this.#begin(connection, transfer, chunk, {start, end, total}, true);
    frame.write(bytes);
    part.from += bytes.length;
    this.#backlog -= bytes.length;
    const done = part.from >= part.to;
    frame.end(done ? part.flag : '+');
    this.#noteEnd(transfer);
    if (done) {
      this.#queue.shift();
      transfer.pending -= 1;
      if (chunk) chunk.outstanding -= 1;
    }
    this.#relieve();
  }

  // ---- back-pressure ----

  /** The next hop is slow: its own sender is not read for a while, if that holds nobody else up. */
  #press(): void {
    const {connection} = this.source;
    if (!connection || this.#isShared) return;
    const {backlogBytes} = this.source.exchange.options.limits;
    const target = this.target.connection;
    if (target?.congested && this.#gate === 'open') target.onceDrained(this.#resume);
    else if (this.#backlog <= backlogBytes) return;
    connection.pause(this);
  }

  #relieve(): void {
    const congested = this.target.connection?.congested === true && this.#gate === 'open';
    if (congested && !this.#broken) this.target.connection?.onceDrained(this.#resume);
    else if (this.#broken || this.#backlog <= this.source.exchange.options.limits.backlogBytes / 2) {
      this.source.connection?.resume(this);
    }
  }

  /** The next hop is slow and the sender carries others, who are not held up: the rest of this chunk waits. */
  #yield(): void {
    if (!this.target.connection?.congested || !this.#isShared) return;
    this.#frame?.end('+');
    this.#frame = undefined;
    this.target.connection.onceDrained(this.#pump);
  }

  // ---- answers ----

  onAnswer({transfer, chunk, life}: Forwarded, status: number): void {
    if (this.#broken || life !== this.#life || transfer.relay !== this) return;
    this.target.touch();
    transfer.pending -= 1;
    if (chunk) chunk.outstanding -= 1;
    if (status === 200) this.#check(transfer, chunk);
    else if (ofTheMessage.has(status)) this.source.inbox.refuse(transfer, status);
    else this.target.end('protocol-error', status);
  }

  onNoAnswer({transfer, life}: Forwarded, why: NoAnswer): void {
    if (this.#broken || life !== this.#life || transfer.relay !== this) return;
    this.target.end(why === 'lost' ? 'connection-lost' : 'silent');
  }

  #check(transfer: Transfer, chunk: Chunk | undefined): void {
    if (transfer.complete && transfer.pending === 0) this.#delivered(transfer);
    else if (chunk?.ended && chunk.outstanding === 0 && chunk !== transfer.completing) transfer.answerOne(chunk);
  }

  #delivered(transfer: Transfer): void {
    this.source.exchange.counters.relayedMessages += 1;
    const {copies} = this.source;
    const copy = notificationIn(transfer);
    transfer.isCopied = copies !== undefined;
    this.source.inbox.settle(transfer, 200, transfer.writtenAt <= (this.target.connection?.writtenBytes ?? -1));
    if (copy) this.source.owner?.notification(this.source, transfer.contentType, copy);
    copies?.add(transfer);
  }

  // ---- end ----

  /** The next hop has another connection from now on (a re-INVITE): what it has not answered goes there again, whole. */
  restart(): void {
    this.#life += 1;
    this.#current = this.#frame = undefined;
    this.#queue.length = 0;
    this.#backlog = 0;
    this.source.inbox.resend(this);
    this.#relieve();
  }

  /** Called a few times a second: the next hop must be reachable in time. */
  sweep(now: number): void {
    if (this.#waitingSince === undefined || this.#broken) return;
    if (now - this.#waitingSince >= this.source.exchange.options.nextHopSeconds * 1000) this.target.end('silent');
  }

  /** Carries nothing any more; what is unsettled goes back to the source. `status`: the answer of the next hop that was the reason. */
  break(status: number | undefined): void {
    if (this.#broken) return;
    this.#broken = true;
    if (this.#frame && !this.#frame.interrupted) this.#frame.end('#');
    this.#frame = this.#current = undefined;
    this.#queue.length = 0;
    this.#backlog = 0;
    this.target.feeders.delete(this);
    this.target.connection?.forgetDrained(this.#pump);
    this.target.connection?.forgetDrained(this.#resume);
    this.source.connection?.resume(this);
    for (const transfer of this.source.inbox.unsettled) {
      if (transfer.relay === this) this.target.reports.forget(transfer);
    }
    this.source.inbox.takeBack(this, status);
  }
}

function waiting(parts: readonly Part[]): number {
  return parts.reduce((sum, part) => sum + part.to - part.from, 0);
}
