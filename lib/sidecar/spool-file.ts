/** The octets of a message that is too long for memory. Writes follow one another; what was written can be read when they are done. */
import type {FileHandle} from 'node:fs/promises';

export class SpoolFile {
  readonly #file: Promise<FileHandle>;
  #writes: Promise<void> = Promise.resolve();
  #pending = 0;
  broken = false;

  constructor(file: Promise<FileHandle>) {
    this.#file = file;
  }

  /** Whether something is still on its way to the disk. */
  get busy(): boolean {
    return this.#pending > 0;
  }

  /** Resolves when all that was written so far is there, or could not be (`broken`). */
  get written(): Promise<void> {
    return this.#writes;
  }

  /** `done` is called when the octets need no memory any more. */
  write(at: number, bytes: Buffer, done: () => void): void {
    this.#pending += 1;
    this.#writes = this.#writes
      .then(async () => {
        const handle = await this.#file;
        for (let put = 0; put < bytes.length;) {
          put += (await handle.write(bytes, put, bytes.length - put, at + put)).bytesWritten;
        }
      })
      .catch(() => {
        this.broken = true;
      })
      .then(() => {
        this.#pending -= 1;
        done();
      });
  }

  /** Rejects where the octets are not to be had. */
  async read(from: number, length: number): Promise<Buffer> {
    await this.#writes;
    const handle = await this.#file;
    const bytes = Buffer.allocUnsafe(length);
    let got = 0;
    while (got < length) {
      const {bytesRead} = await handle.read(bytes, got, length - got, from + got);
      if (bytesRead === 0) break;
      got += bytesRead;
    }
    if (this.broken || got < length) throw new Error('the spool file cannot be read');
    return bytes;
  }

  async close(): Promise<void> {
    await this.#writes;
    await this.#file.then((handle) => handle.close()).catch(() => undefined);
  }
}
