/** One MSRP session of a simulated phone: chunks out, messages in, answers and reports (RFC 4975 §5.4, §7). */
import {randomBytes} from 'node:crypto';
import type {ByteRange} from '../codecs/msrp/byte-range.ts';
import type {FailureReport, Flag} from '../codecs/msrp/frame.ts';
import {bytesOf, occursIn, writeReport, writeResponse, writeSend} from '../codecs/msrp/frame-writer.ts';
import {CpmError} from '../errors.ts';
import {Assembly} from './assembly.ts';
import {Inbox} from './inbox.ts';
import type {Frame, MsrpConnection} from './msrp-connection.ts';

/** A message that came whole. */
export interface ReceivedMessage {
  readonly messageId: string;
  readonly contentType: string;
  readonly bytes: Buffer;
  readonly chunks: number;
}

/** A REPORT that came. */
export interface ReceivedReport {
  readonly messageId: string;
  readonly status: number;
  readonly byteRange: ByteRange | undefined;
}

/** What became of a chunk: the peer's status; `silent`: none in time; `lost`: the connection ended; `unasked`: no answer was wanted. */
export type ChunkOutcome = number | 'silent' | 'lost' | 'unasked';

/** How the session behaves; every part of it may be changed while it lives. */
export interface SessionBehaviour {
  /** What is said to a SEND: a status, or nothing at all. Default 200. */
  answer: (frame: Frame) => number | 'silent' | Promise<number | 'silent'>;
  /** Octets of a chunk that we send. */
  chunkBytes: number;
  /** Whether our chunks name their last octet, or leave it open with `*`. */
  byteRangeEnd: 'explicit' | 'open';
  /** Chunks that may be without answer at a time. */
  window: number;
  /** How long we wait for the answer to a chunk, ms. */
  answerMilliseconds: number;
}

export const goodBehaviour: SessionBehaviour = {
  answer: () => 200,
  chunkBytes: 2048,
  byteRangeEnd: 'explicit',
  window: 8,
  answerMilliseconds: 30_000,
};

export interface SendOptions {
  readonly contentType: string;
  readonly messageId?: string;
  readonly failureReport?: FailureReport;
  readonly successReport?: boolean;
}

/** One chunk as the session writes it. */
export interface Chunk extends Omit<SendOptions, 'contentType'> {
  readonly messageId: string;
  /** Undefined for a chunk without body. */
  readonly contentType?: string;
  readonly byteRange: ByteRange;
  readonly body: Buffer;
  readonly flag: Flag;
}

export class MsrpSession {
  readonly id: string;
  /** Our own MSRP URI, the last one of our path. */
  readonly uri: string;
  /** URIs of relays of ours before it (RFC 4976). */
  readonly relays: readonly string[];
  readonly behaviour: SessionBehaviour;
  readonly messages = new Inbox<ReceivedMessage>('MSRP message');
  readonly reports = new Inbox<ReceivedReport>('MSRP report');
  /** Every frame that came, in order. */
  readonly frames = new Inbox<Frame>('MSRP frame');
  #listener: ((message: ReceivedMessage) => void) | undefined;
  readonly #early: ReceivedMessage[] = [];
  #remotePath: readonly string[] = [];
  #connection: MsrpConnection | undefined;
  #bind: () => void = () => undefined;
  #unbind: (error: Error) => void = () => undefined;
  readonly #bound: Promise<void>;
  readonly #assemblies = new Map<string, Assembly>();
  readonly #waiting = new Map<string, (outcome: ChunkOutcome) => void>();

  constructor(id: string, uri: string, relays: readonly string[], behaviour: Partial<SessionBehaviour>) {
    this.id = id;
    this.uri = uri;
    this.relays = relays;
    this.behaviour = {...goodBehaviour, ...behaviour};
    this.#bound = new Promise((resolve, reject) => {
      this.#bind = resolve;
      this.#unbind = reject;
    });
    this.#bound.catch(() => undefined);
  }

  /** Our path, for a=path. */
  get path(): readonly string[] {
    return [...this.relays, this.uri];
  }

  get connection(): MsrpConnection | undefined {
    return this.#connection;
  }

  /** The peer's a=path. */
  get remotePath(): readonly string[] {
    return this.#remotePath;
  }

  set remotePath(path: readonly string[]) {
    this.#remotePath = path;
  }

  /** Is told of each message that came whole, after its last chunk was answered. The first may be here before the ACK of the call. */
  listen(listener: (message: ReceivedMessage) => void): void {
    for (const message of this.#early.splice(0)) listener(message);
    this.#listener = listener;
  }

  /** The session runs on this connection from now on. */
  attach(connection: MsrpConnection): void {
    this.#connection = connection;
    this.#bind();
  }

  /** The connection ended: nobody will answer any more. */
  detach(connection: MsrpConnection): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    for (const settle of [...this.#waiting.values()]) settle('lost');
  }

  /** The session is over: nobody waits for a connection, or an answer, any more. */
  end(): void {
    if (this.#connection !== undefined) this.detach(this.#connection);
    this.#unbind(new CpmError('CPM_PHONE_MSRP', 487, 'the session ended before it had an MSRP connection'));
  }

  /** Resolves once the session has a connection; rejects with `CpmError` 408 after `milliseconds`, 487 when it ends before. */
  async bound(milliseconds = 10_000): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(new CpmError('CPM_PHONE_MSRP', 408, `no MSRP connection after ${milliseconds} ms`));
      }, milliseconds);
    });
    await Promise.race([this.#bound, late]).finally(() => {
      clearTimeout(timer);
    });
  }

  /** Sends a whole message in chunks; resolves with the answer to its last chunk, or the first bad one, after which no more are sent. */
  async send(bytes: Buffer, options: SendOptions): Promise<ChunkOutcome> {
    const {chunkBytes, byteRangeEnd, window} = this.behaviour;
    const messageId = options.messageId ?? randomBytes(12).toString('hex');
    const total = bytes.length;
    const outcomes: Promise<ChunkOutcome>[] = [];
    for (let at = 0; at === 0 || at < total; at += chunkBytes) {
      const body = bytes.subarray(at, at + chunkBytes);
      const end = at + body.length;
      const byteRange = {start: at + 1, end: byteRangeEnd === 'open' ? undefined : end, total};
      outcomes.push(this.sendChunk({...options, messageId, byteRange, body, flag: end === total ? '$' : '+'}));
      const oldest = outcomes.length > window ? await outcomes[outcomes.length - 1 - window] : 200;
      if (!isGood(oldest ?? 200)) break;
    }
    const settled = await Promise.all(outcomes);
    return settled.find((outcome) => !isGood(outcome)) ?? settled.at(-1) ?? 'lost';
  }

  /** An empty SEND: binds the session to its connection, or keeps it alive (RFC 4975 §5.4). */
  ping(): Promise<ChunkOutcome> {
    const messageId = randomBytes(12).toString('hex');
    return this.sendChunk({messageId, byteRange: {start: 1, end: 0, total: 0}, body: Buffer.alloc(0), flag: '$'});
  }

  /** Sends one chunk; resolves with its answer. */
  async sendChunk(chunk: Chunk): Promise<ChunkOutcome> {
    const connection = this.#connection;
    if (connection === undefined) return 'lost';
    let transactionId = newTransactionId();
    while (occursIn(transactionId, chunk.body)) transactionId = newTransactionId();
    const toPath = [...this.relays, ...this.#remotePath].join(' ');
    const bytes = bytesOf((sink) => {
      writeSend(sink, {...chunk, transactionId, toPath, fromPath: this.uri});
    });
    const wanted = chunk.failureReport ?? 'yes';
    if (wanted === 'no') {
      await connection.write(bytes);
      return connection.closed ? 'lost' : 'unasked';
    }
    const answered = new Promise<ChunkOutcome>((resolve) => {
      this.#waiting.set(transactionId, resolve);
    });
    await connection.write(bytes);
    if (connection.closed) this.#waiting.get(transactionId)?.('lost');
    const none = wanted === 'partial' ? 'unasked' : 'silent';
    const timer = setTimeout(
      () => this.#waiting.get(transactionId)?.(none),
      wanted === 'partial' ? 0 : this.behaviour.answerMilliseconds,
    );
    const outcome = await answered;
    clearTimeout(timer);
    this.#waiting.delete(transactionId);
    return outcome;
  }

  /** A frame for this session. */
  async receive(frame: Frame, connection: MsrpConnection): Promise<void> {
    this.frames.push(frame);
    if (frame.kind === 'response') this.#waiting.get(frame.transactionId)?.(frame.status);
    else if (frame.kind === 'REPORT') this.#receiveReport(frame);
    else if (frame.kind === 'SEND') await this.#receiveSend(frame, connection);
    else await connection.write(respond(frame, 501));
  }

  #receiveReport(frame: Frame): void {
    this.reports.push({messageId: frame.messageId ?? '', status: frame.status, byteRange: frame.byteRange});
  }

  async #receiveSend(frame: Frame, connection: MsrpConnection): Promise<void> {
    const status = await this.behaviour.answer(frame);
    const whole = status === 200 ? this.#assemble(frame) : undefined;
    if (whole !== undefined) this.messages.push(whole);
    const wanted = frame.failureReport === 'yes' || (frame.failureReport === 'partial' && status !== 200);
    if (status !== 'silent' && wanted) await connection.write(respond(frame, status));
    if (whole !== undefined && frame.successReport) await connection.write(this.#successReport(frame, whole));
    if (whole === undefined) return;
    if (this.#listener === undefined) this.#early.push(whole);
    else this.#listener(whole);
  }

  #assemble(frame: Frame): ReceivedMessage | undefined {
    const {messageId = '', contentType, body, byteRange, flag} = frame;
    if (contentType === undefined || body === undefined) return undefined;
    if (flag === '#') {
      this.#assemblies.delete(messageId);
      return undefined;
    }
    const assembly = this.#assemblies.get(messageId) ?? new Assembly();
    this.#assemblies.set(messageId, assembly);
    const bytes = assembly.add(byteRange, body, flag);
    if (bytes === undefined) return undefined;
    this.#assemblies.delete(messageId);
    return {messageId, contentType, bytes, chunks: assembly.chunks};
  }

  #successReport(frame: Frame, {messageId, bytes}: ReceivedMessage): Buffer {
    return bytesOf((sink) => {
      writeReport(sink, {
        transactionId: newTransactionId(),
        toPath: frame.fromPath.join(' '),
        fromPath: this.uri,
        messageId,
        byteRange: {start: 1, end: bytes.length, total: bytes.length},
        status: 200,
      });
    });
  }
}

/** The answer to a request: hop by hop, to the leftmost URI of its From-Path (RFC 4975 §7.2). */
export function respond(frame: Frame, status: number): Buffer {
  return bytesOf((sink) => {
    writeResponse(sink, {
      transactionId: frame.transactionId,
      toPath: frame.fromPath[0] ?? '',
      fromPath: frame.toPath[0] ?? '',
      status,
    });
  });
}

/** A transaction id with 80 random bits (RFC 4975 §7.1 asks for 64). */
export function newTransactionId(): string {
  return randomBytes(10).toString('hex');
}

function isGood(outcome: ChunkOutcome): boolean {
  return outcome === 200 || outcome === 'unasked';
}
