/** One TCP connection with MSRP frames on it, and the ways in which a phone's end of it can be a bad one. */
import type {Socket} from 'node:net';
import type {ByteRange} from '../codecs/msrp/byte-range.ts';
import {createFrameParser} from '../codecs/msrp/frame-parser.ts';
import type {FailureReport, Flag, FrameHead} from '../codecs/msrp/frame.ts';

/** A whole frame, nothing in it a view of the input any more. */
export interface Frame {
  readonly kind: FrameHead['kind'];
  readonly method: string | undefined;
  readonly status: number;
  readonly transactionId: string;
  /** URIs in order. */
  readonly toPath: readonly string[];
  readonly fromPath: readonly string[];
  readonly messageId: string | undefined;
  readonly contentType: string | undefined;
  readonly byteRange: ByteRange | undefined;
  readonly failureReport: FailureReport;
  readonly successReport: boolean;
  /** Of AUTH answers (RFC 4976). */
  readonly usePath: string | undefined;
  /** Undefined where the frame has none, which is not the same as an empty one. */
  readonly body: Buffer | undefined;
  readonly flag: Flag;
}

/** What a connection does wrong, on purpose. */
export interface ConnectionFaults {
  /** Each write carries at most so many octets, so that the peer reads frames cut anywhere. */
  readonly writeBytes?: number;
  /** The connection is torn down when so many octets have been read. */
  readonly dropAfterBytes?: number;
}

export interface ConnectionHandlers {
  onFrame(frame: Frame, connection: MsrpConnection): void;
  onClose(connection: MsrpConnection): void;
}

export class MsrpConnection {
  readonly #socket: Socket;
  readonly #faults: ConnectionFaults;
  #writing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(socket: Socket, handlers: ConnectionHandlers, faults: ConnectionFaults = {}) {
    this.#socket = socket;
    this.#faults = faults;
    let head: Omit<Frame, 'body' | 'flag'> | undefined;
    let hasBody = false;
    let pieces: Buffer[] = [];
    const parser = createFrameParser({
      onStart: (started) => {
        head = copied(started);
        hasBody = started.hasBody;
        pieces = [];
      },
      onBody: (piece) => pieces.push(piece),
      onEnd: (flag) => {
        if (head !== undefined)
          handlers.onFrame({...head, body: hasBody ? Buffer.concat(pieces) : undefined, flag}, this);
      },
      onError: () => socket.destroy(),
    });
    let read = 0;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => {
      const left = (faults.dropAfterBytes ?? Infinity) - read;
      read += bytes.length;
      parser.push(bytes.subarray(0, Math.max(0, left)));
      if (left <= bytes.length) socket.destroy();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#closed = true;
      handlers.onClose(this);
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Stops reading: the peer's writes fill the buffers between us, and then wait. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Writes after what was written before; resolves when the system took it, or the connection is gone. */
  write(bytes: Buffer): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write(bytes));
    return this.#writing;
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  async #write(bytes: Buffer): Promise<void> {
    const step = this.#faults.writeBytes ?? bytes.length;
    for (let at = 0; at < bytes.length && !this.#closed; at += step) {
      const piece = bytes.subarray(at, at + step);
      await new Promise<void>((resolve) => {
        this.#socket.write(piece, () => {
          resolve();
        });
      });
    }
  }
}

function copied(head: FrameHead): Omit<Frame, 'body' | 'flag'> {
  return {
    kind: head.kind,
    method: head.method,
    status: head.status,
    transactionId: head.transactionId.toString('latin1'),
    toPath: uris(head.toPath),
    fromPath: uris(head.fromPath),
    messageId: head.messageId?.toString(),
    contentType: head.contentType?.toString(),
    byteRange: head.byteRange,
    failureReport: head.failureReport,
    successReport: head.successReport,
    usePath: head.header('use-path')?.toString(),
  };
}

function uris(path: Buffer): readonly string[] {
  return path.toString('latin1').split(' ').filter(Boolean);
}
