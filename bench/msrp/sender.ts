/** Keeps as many SENDs under way as it is told, and counts the answers. */
import {connect, type Socket} from 'node:net';
import {endFlag, type Ring, type Session} from './frames.ts';

/** All senders read into one buffer: nothing of what they read is kept. */
const shared = Buffer.allocUnsafe(64 * 1024);
const digitTwo = 0x32;

export class Sender {
  readonly #session: Session;
  #socket: Socket | undefined;
  #ring: Ring | undefined;
  #next = 0;
  /** Octets from the begin of an answer to the first digit of its status. */
  #statusAt = 0;
  /** Octets of the answer that is coming; negative while CRLF of the one before is. */
  #at = 0;
  /** SENDs without an answer. */
  pending = 0;
  /** Is told how many answers have come; each of them was a 200. */
  onAnswered: ((count: number) => void) | undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      const {host, port} = this.#session;
      const onread = {
        buffer: shared,
        callback: (length: number) => {
          this.#read(shared.subarray(0, length));
          return true;
        },
      };
      const socket = connect({host, port, onread});
      socket.setNoDelay(true);
      socket.once('error', reject);
      socket.once('connect', resolve);
      this.#socket = socket;
    });
  }

  /** These frames from now on; nothing may be pending. */
  shape(ring: Ring): void {
    this.#ring = ring;
    this.#statusAt = ring.frames.indexOf(' SEND') + 1;
    this.#next = 0;
  }

  /** Sends so many more, in one write. */
  send(count: number): void {
    if (this.#ring === undefined || count === 0) return;
    const {frames, length, size} = this.#ring;
    this.#socket?.write(frames.subarray(this.#next * length, (this.#next + count) * length));
    this.#next = (this.#next + count) % size;
    this.pending += count;
  }

  close(): void {
    this.#socket?.destroy();
  }

  #read(chunk: Buffer): void {
    let answers = 0;
    let from = 0;
    while (from < chunk.length) {
      const status = from + this.#statusAt - this.#at;
      if (status >= from && status < chunk.length && chunk[status] !== digitTwo)
        throw new Error(`not the answer that was expected: ${chunk.toString('latin1', from, from + 200)}`);
      const end = chunk.indexOf(endFlag, from);
      if (end === -1) {
        this.#at += chunk.length - from;
        break;
      }
      answers += 1;
      // CRLF follows, perhaps in the next piece.
      this.#at = -2;
      const over = Math.min(chunk.length, end + 3);
      this.#at += over - end - 1;
      from = over;
    }
    if (answers === 0) return;
    this.pending -= answers;
    this.onAnswered?.(answers);
  }
}
