/** Messages of the PF on their way to the peer: in chunks, pipelined within a window, several outstanding, in order; failure reports always asked for (T24). */
import type {Session} from './session.ts';
import type {SendResult} from './owner.ts';
import type {NoAnswer, TransactionOwner} from './transactions.ts';

/** Octets of a chunk that may be interrupted, and of one that may not (RFC 4975 §7.1.1). */
const interruptible = 64 * 1024;
const explicit = 2048;
/** Chunks that may be unanswered at a time. */
const window = 16;

interface Outgoing {
  readonly send: number;
  readonly messageId: string;
  readonly contentType: string;
  readonly bytes: Buffer;
  written: number;
  /** Chunks without an answer. */
  outstanding: number;
  /** Its last chunk is written, or none will follow. */
  ended: boolean;
  reported: boolean;
}

export class Sender implements TransactionOwner<Outgoing> {
  readonly #session: Session;
  /** Those of which something is still to be written. */
  readonly #queue: Outgoing[] = [];
  readonly #unanswered = new Set<Outgoing>();
  #outstanding = 0;
  #onceWritten: (() => void)[] = [];
  #lost = false;
  readonly #pump = () => {
    this.pump();
  };

  constructor(session: Session) {
    this.#session = session;
  }

  /** Sends after what was sent before; the result comes through `owner.sent`. */
  send(send: number, contentType: string, bytes: Buffer): void {
    const messageId = this.#session.exchange.ids.token();
    const outgoing = {send, messageId, contentType, bytes, written: 0, outstanding: 0, ended: false, reported: false};
    if (this.#lost) {
      this.#report(outgoing, 'lost');
      return;
    }
    this.#queue.push(outgoing);
    this.#unanswered.add(outgoing);
    this.#session.exchange.counters.sendingBytes += bytes.length;
    this.pump();
  }

  /** Calls back when everything sent so far is written; at once if it is. */
  onceWritten(done: () => void): void {
    if (this.#queue.length === 0) done();
    else this.#onceWritten.push(done);
  }

  pump(): void {
    for (;;) {
      const outgoing = this.#queue[0];
      const {connection, writable} = this.#session;
      if (!outgoing || !connection || !writable || this.#outstanding >= window) return;
      if (connection.congested) {
        connection.onceDrained(this.#pump);
        return;
      }
      this.#writeChunk(outgoing);
      if (outgoing.ended) this.#shift();
    }
  }

  /** The session is no more. */
  lost(): void {
    this.#lost = true;
    this.#queue.length = 0;
    this.#onceWritten = [];
    for (const outgoing of [...this.#unanswered]) this.#report(outgoing, 'lost');
  }

  onAnswer(outgoing: Outgoing, status: number): void {
    this.#session.touch();
    this.#answered(outgoing);
    if (status !== 200) this.#fail(outgoing, status);
    else if (outgoing.ended && outgoing.outstanding === 0) this.#report(outgoing, 200);
    this.pump();
  }

  onNoAnswer(outgoing: Outgoing, why: NoAnswer): void {
    this.#answered(outgoing);
    this.#fail(outgoing, why);
    this.pump();
  }

  #writeChunk(outgoing: Outgoing): void {
    const {connection, remote, remotePath, uri, exchange} = this.#session;
    if (!connection) return;
    const size = outgoing.bytes.length;
    const most = remote?.explicitChunks === true || size <= explicit ? explicit : interruptible;
    const from = outgoing.written;
    const body = outgoing.bytes.subarray(from, from + most);
    outgoing.written += body.length;
    outgoing.ended = outgoing.written >= size;
    outgoing.outstanding += 1;
    this.#outstanding += 1;
    const end = body.length <= explicit ? outgoing.written : undefined;
    const transaction = connection.begin<Outgoing>(this, outgoing, exchange.options.transactionSeconds * 1000);
    connection.send(transaction, {
      toPath: remotePath ?? '',
      fromPath: uri,
      messageId: outgoing.messageId,
      byteRange: {start: from + 1, end, total: size},
      contentType: outgoing.contentType,
      body,
      flag: outgoing.ended ? '$' : '+',
    });
  }

  #answered(outgoing: Outgoing): void {
    outgoing.outstanding -= 1;
    this.#outstanding -= 1;
  }

  /** One chunk was not taken: the message is over. What the peer has of it is given up (RFC 4975 §7.1.1). */
  #fail(outgoing: Outgoing, result: SendResult): void {
    if (outgoing.reported) return;
    if (!outgoing.ended) {
      outgoing.ended = true;
      this.#abort(outgoing);
      this.#queue.splice(this.#queue.indexOf(outgoing), 1);
      this.#announceWritten();
    }
    this.#report(outgoing, result);
  }

  #abort(outgoing: Outgoing): void {
    const {connection, remotePath, uri, exchange, writable} = this.#session;
    if (!connection || !writable || outgoing.written === 0) return;
    outgoing.outstanding += 1;
    this.#outstanding += 1;
    const transaction = connection.begin<Outgoing>(this, outgoing, exchange.options.transactionSeconds * 1000);
    connection.send(transaction, {
      toPath: remotePath ?? '',
      fromPath: uri,
      messageId: outgoing.messageId,
      byteRange: {start: outgoing.written + 1, end: outgoing.written, total: outgoing.bytes.length},
      contentType: outgoing.contentType,
      flag: '#',
    });
  }

  #shift(): void {
    this.#queue.shift();
    this.#announceWritten();
  }

  #announceWritten(): void {
    if (this.#queue.length > 0) return;
    const done = this.#onceWritten;
    this.#onceWritten = [];
    for (const each of done) each();
  }

  #report(outgoing: Outgoing, result: SendResult): void {
    if (outgoing.reported) return;
    outgoing.reported = true;
    const {counters} = this.#session.exchange;
    if (this.#unanswered.delete(outgoing)) counters.sendingBytes -= outgoing.bytes.length;
    if (result === 200) counters.sentMessages += 1;
    this.#session.owner?.sent(this.#session, outgoing.send, result);
  }
}
