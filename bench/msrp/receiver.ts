/** Answers each SEND with 200, all that came at once in one write, and counts them. */
import type {Socket} from 'node:net';
import {endFlag} from './frames.ts';

/** Octets of a frame in which its transaction id is for certain. */
const headBytes = 64;

export class Receiver {
  /** SENDs with a body, answered. */
  received = 0;
  readonly #socket: Socket;
  readonly #onReceived: () => void;
  readonly #head = Buffer.alloc(headBytes);
  /** Octets of the frame that is coming; negative while CRLF of the one before is. */
  #at = 0;
  /** The first frame as far as it is there: the paths of the answers are in it. */
  #first = '';
  #middle = '';
  #answer: Buffer = Buffer.alloc(0);
  #idLength = 0;
  /** The frame that is coming is the empty SEND of who connected. */
  #greeting = false;
  #out = Buffer.alloc(0);
  #used = 0;

  /** `onReceived` is called when some have come. */
  constructor(socket: Socket, onReceived: () => void = () => undefined) {
    this.#socket = socket;
    this.#onReceived = onReceived;
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.#read(chunk);
    });
  }

  #read(chunk: Buffer): void {
    let from = 0;
    while (from < chunk.length) {
      if (this.#at < 0) {
        const skipped = Math.min(-this.#at, chunk.length - from);
        this.#at += skipped;
        from += skipped;
        continue;
      }
      if (this.#at < headBytes) chunk.copy(this.#head, this.#at, from, from + headBytes - this.#at);
      const end = chunk.indexOf(endFlag, from);
      if (this.#middle === '') this.#first += chunk.toString('latin1', from, end === -1 ? chunk.length : end);
      if (end === -1) {
        this.#at += chunk.length - from;
        break;
      }
      this.#respond();
      this.#at = -2;
      from = end + 1;
    }
    if (this.#used === 0) return;
    this.#socket.write(this.#out.subarray(0, this.#used));
    this.#out = this.#out.subarray(this.#used);
    this.#used = 0;
    this.#onReceived();
  }

  #respond(): void {
    if (this.#middle === '') this.#learn();
    const idLength = this.#head.indexOf(0x20, 5) - 5;
    if (idLength !== this.#idLength) this.#prepare(idLength);
    const {length} = this.#answer;
    if (this.#used + length > this.#out.length) this.#enlarge(length);
    this.#out.set(this.#answer, this.#used);
    this.#head.copy(this.#out, this.#used + 5, 5, 5 + idLength);
    this.#head.copy(this.#out, this.#used + length - 3 - idLength, 5, 5 + idLength);
    this.#used += length;
    if (this.#greeting) this.#greeting = false;
    else this.received += 1;
  }

  #learn(): void {
    const [, to = ''] = /\r\nTo-Path: (\S+)/.exec(this.#first) ?? [];
    const [, from = ''] = /\r\nFrom-Path: (\S+)/.exec(this.#first) ?? [];
    this.#greeting = !this.#first.includes('\r\nContent-Type: ');
    this.#middle = ` 200 OK\r\nTo-Path: ${from}\r\nFrom-Path: ${to}\r\n-------`;
    this.#first = '';
  }

  #prepare(idLength: number): void {
    const id = ' '.repeat(idLength);
    this.#answer = Buffer.from(`MSRP ${id}${this.#middle}${id}$\r\n`, 'latin1');
    this.#idLength = idLength;
  }

  #enlarge(length: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(64 * 1024, this.#used + length));
    this.#out.copy(larger, 0, 0, this.#used);
    this.#out = larger;
  }
}
