/**
 * Where the octets of a message stay until it settles: in memory, beyond a size in a file, beyond the bounds nowhere. It outlives the far
 * leg, not the process: what was acknowledged for good is in the store.
 */
import {mkdir, mkdtemp, open, rm, type FileHandle} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {randomIds} from '../ports/ids.ts';
import type {Counters} from './counters.ts';
import type {RelayOptions} from './options.ts';

/** What a piece costs beside its octets. */
const overhead = 96;

export class SpoolRoom {
  readonly #options: RelayOptions['spool'];
  readonly #counters: Counters;
  #directory: Promise<string> | undefined;

  constructor(options: RelayOptions['spool'], counters: Counters) {
    this.#options = options;
    this.#counters = counters;
  }

  get messageMemoryBytes(): number {
    return this.#options.messageMemoryBytes;
  }

  /** Takes room for octets in memory; false when there is none. */
  takeMemory(bytes: number): boolean {
    if (this.#counters.spoolBytes + bytes > this.#options.memoryBytes) return false;
    this.#counters.spoolBytes += bytes;
    this.#counters.spoolBytesMost = Math.max(this.#counters.spoolBytesMost, this.#counters.spoolBytes);
    return true;
  }

  giveMemory(bytes: number): void {
    this.#counters.spoolBytes -= bytes;
  }

  takeDisk(bytes: number): boolean {
    if (this.#counters.spoolDiskBytes + bytes > this.#options.diskBytes) return false;
    this.#counters.spoolDiskBytes += bytes;
    return true;
  }

  giveDisk(bytes: number): void {
    this.#counters.spoolDiskBytes -= bytes;
  }

  /** A file that has no name any more once it is open: nothing is left behind, however the process ends. */
  async openFile(): Promise<FileHandle> {
    const file = path.join(await this.#folder(), randomIds.token());
    const handle = await open(file, 'wx+', 0o600);
    await rm(file, {force: true});
    return handle;
  }

  async close(): Promise<void> {
    if (this.#options.directory === undefined && this.#directory)
      await rm(await this.#directory, {recursive: true, force: true});
  }

  #folder(): Promise<string> {
    this.#directory ??= this.#makeFolder();
    return this.#directory;
  }

  async #makeFolder(): Promise<string> {
    const {directory} = this.#options;
    if (directory === undefined) return mkdtemp(path.join(tmpdir(), 'msrp-spool-'));
    await mkdir(directory, {recursive: true});
    return directory;
  }
}

/** The octets of one message. */
export class Spool {
  readonly #room: SpoolRoom;
  /** In the order in which they came: a later one is right where two overlap (RFC 4975 §7.3.1). */
  #pieces: {readonly at: number; readonly bytes: Buffer}[] = [];
  #inOrder = true;
  #memory = 0;
  #disk = 0;
  #file: Promise<FileHandle> | undefined;
  #writes: Promise<void> = Promise.resolve();
  #pending = 0;
  #broken = false;
  #released = false;
  #end = 0;

  constructor(room: SpoolRoom) {
    this.#room = room;
  }

  /**
   * Keeps a piece that begins at an offset counted from 0, and returns it as it is kept; undefined when there is no room, or the disk failed.
   * A piece that is `lasting` is not copied, if it does not stand for much more memory than it has octets.
   */
  write(at: number, piece: Buffer, lasting: boolean): Buffer | undefined {
    if (this.#broken || this.#released) return undefined;
    const bytes = lasting && piece.length * 2 >= piece.buffer.byteLength ? piece : Buffer.from(piece);
    const fits = this.#file === undefined && this.#end + piece.length <= this.#room.messageMemoryBytes;
    return (fits && this.#toMemory(at, bytes)) || this.#toDisk(at, bytes) ? bytes : undefined;
  }

  /** Calls back when everything written so far is where it stays; `kept` says whether it got there. At once where it is in memory. */
  flushed(done: (kept: boolean) => void): void {
    if (this.#pending === 0) {
      done(!this.#broken);
      return;
    }
    void this.#writes.then(() => {
      done(!this.#broken);
    });
  }

  /** Octets from an offset; a promise where they are on disk. */
  read(from: number, length: number): Buffer | Promise<Buffer> {
    if (this.#file !== undefined) return this.#readFile(from, length);
    if (!this.#inOrder) this.#order();
    const found: Buffer[] = [];
    for (const {at, bytes} of this.#pieces) {
      if (at >= from + length) break;
      if (at + bytes.length <= from) continue;
      found.push(bytes.subarray(Math.max(0, from - at), Math.min(bytes.length, from + length - at)));
    }
    return found.length === 1 && found[0] !== undefined ? found[0] : Buffer.concat(found);
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#room.giveMemory(this.#memory);
    this.#memory = 0;
    this.#pieces = [];
    if (this.#file === undefined) return;
    const file = this.#file;
    void this.#writes
      .then(() => file)
      .then((handle) => handle.close())
      .catch(() => undefined)
      .finally(() => {
        this.#room.giveDisk(this.#disk);
      });
  }

  #toMemory(at: number, bytes: Buffer): boolean {
    if (!this.#room.takeMemory(bytes.length + overhead)) return false;
    this.#memory += bytes.length + overhead;
    if (at !== this.#end) this.#inOrder = false;
    this.#end = Math.max(this.#end, at + bytes.length);
    this.#pieces.push({at, bytes});
    return true;
  }

  #toDisk(at: number, piece: Buffer): boolean {
    const before = this.#file === undefined ? this.#pieces : [];
    const bytes = before.reduce((sum, each) => sum + each.bytes.length, piece.length);
    if (!this.#room.takeDisk(bytes)) return false;
    this.#disk += bytes;
    this.#file ??= this.#room.openFile();
    this.#pieces = [];
    for (const each of before) this.#append(each.at, each.bytes, each.bytes.length + overhead);
    this.#room.giveMemory(-piece.length);
    this.#memory += piece.length;
    this.#append(at, piece, piece.length);
    this.#end = Math.max(this.#end, at + piece.length);
    return true;
  }

  #append(at: number, bytes: Buffer, memory: number): void {
    const file = this.#file;
    this.#pending += 1;
    this.#writes = this.#writes
      .then(async () => {
        const handle = await file;
        for (let done = 0; handle && done < bytes.length;) {
          done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
        }
      })
      .catch(() => {
        this.#broken = true;
      })
      .then(() => {
        this.#pending -= 1;
        if (this.#released) return;
        this.#memory -= memory;
        this.#room.giveMemory(memory);
      });
  }

  async #readFile(from: number, length: number): Promise<Buffer> {
    await this.#writes;
    const handle = await this.#file;
    const bytes = Buffer.allocUnsafe(length);
    let done = 0;
    while (handle && done < length) {
      const {bytesRead} = await handle.read(bytes, done, length - done, from + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    if (this.#broken || done < length) throw new Error('the spool file cannot be read');
    return bytes;
  }

  #order(): void {
    const whole = Buffer.alloc(this.#end);
    for (const {at, bytes} of this.#pieces) bytes.copy(whole, at);
    const more = whole.length + overhead - this.#memory;
    this.#room.giveMemory(-more);
    this.#memory += more;
    this.#pieces = [{at: 0, bytes: whole}];
    this.#inOrder = true;
  }
}
