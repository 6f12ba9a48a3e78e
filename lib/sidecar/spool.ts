/**
 * Where the octets of a message stay until it settles: in memory, beyond a size in a file, beyond the bounds nowhere. It outlives the far
 * leg, not the process: what was acknowledged for good is in the store.
 */
import {mkdir, mkdtemp, open, rm, type FileHandle} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {randomIds} from '../ports/ids.ts';
import {Blocks} from './blocks.ts';
import type {Counters} from './counters.ts';
import type {RelayOptions} from './options.ts';
import {largePiece} from './output.ts';
import {Slabs, type Slab} from './slabs.ts';
import {SpoolFile} from './spool-file.ts';

/** What a piece costs beside its octets. */
const overhead = 96;
/** Octets of a block for long pieces: a chunk of the usual 64 KB with its end-line fits. */
const largeBytes = 72 * 1024;
const nothing: Buffer = Buffer.alloc(0);

export class SpoolRoom {
  readonly slabs = new Slabs();
  readonly large = new Blocks(largeBytes, 64);
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

/** Octets that came together, in a slab that others use too, or in a buffer of their own. */
interface Piece {
  /** Where in the message, counted from 0. */
  readonly at: number;
  readonly length: number;
  bytes: Buffer;
  from: number;
  slab: Slab | undefined;
  /** The one that came after it. */
  next: Piece | undefined;
}

/** The octets of one message. */
export class Spool {
  readonly #room: SpoolRoom;
  /** The first and the last that came: a later one is right where two overlap (RFC 4975 §7.3.1). */
  #first: Piece | undefined;
  #last: Piece | undefined;
  #inOrder = true;
  #memory = 0;
  #disk = 0;
  #file: SpoolFile | undefined;
  #released = false;
  /** Views of it were handed out. */
  #lent = false;
  #end = 0;

  constructor(room: SpoolRoom) {
    this.#room = room;
  }

  /**
   * Keeps a piece that begins at an offset counted from 0; undefined when there is no room, or the disk failed. Returned are the octets to
   * be passed on: large ones as they are kept. What is `lasting` is not copied, if it does not stand for much more memory than it has octets.
   */
  write(at: number, piece: Buffer, lasting: boolean): Buffer | undefined {
    if (this.#file?.broken === true || this.#released) return undefined;
    const fits = this.#file === undefined && this.#end + piece.length <= this.#room.messageMemoryBytes;
    const needsRoom = piece.length + overhead;
    if (fits && piece.length < largePiece && this.#room.takeMemory(needsRoom)) {
      const slab = this.#room.slabs.keep(piece);
      this.#add(
        {at, length: piece.length, bytes: slab.bytes, from: slab.used - piece.length, slab, next: undefined},
        needsRoom,
      );
      return piece;
    }
    const bytes = lasting && piece.length * 2 >= piece.buffer.byteLength ? piece : this.#copy(piece);
    if (fits && this.#room.takeMemory(needsRoom)) {
      this.#add({at, length: piece.length, bytes, from: 0, slab: undefined, next: undefined}, needsRoom);
      return bytes;
    }
    return this.#toDisk(at, bytes) ? bytes : undefined;
  }

  #copy(piece: Buffer): Buffer {
    const bytes = this.#room.large.take(piece.length);
    bytes.set(piece);
    return bytes.length === piece.length ? bytes : bytes.subarray(0, piece.length);
  }

  /** Calls back when everything written so far is where it stays; `kept` says whether it got there. At once where it is in memory. */
  flushed(done: (kept: boolean) => void): void {
    const file = this.#file;
    if (file?.busy !== true) {
      done(file?.broken !== true);
      return;
    }
    void file.written.then(() => {
      done(!file.broken);
    });
  }

  /** Octets from an offset; a promise where they are on disk. They are the caller's for good. */
  read(from: number, length: number): Buffer | Promise<Buffer> {
    if (this.#file !== undefined) return this.#file.read(from, length);
    this.#lent = true;
    if (!this.#inOrder) this.#order();
    const found = [...this.#pieces()].filter((piece) => piece.at < from + length && piece.at + piece.length > from);
    const views = found.map((piece) => {
      const begin = Math.max(0, from - piece.at);
      const end = Math.min(piece.length, from + length - piece.at);
      return piece.bytes.subarray(piece.from + begin, piece.from + end);
    });
    const [only] = views;
    return views.length === 1 && only !== undefined && found[0]?.slab === undefined ? only : Buffer.concat(views);
  }

  /** The first octets, to be looked at in this turn; none where they are on disk. */
  peek(length: number): Buffer {
    const first = this.#first;
    const most = Math.min(length, this.#end);
    if (first === undefined || this.#file !== undefined) return nothing;
    if (this.#inOrder && first.length >= most) return first.bytes.subarray(first.from, first.from + most);
    const bytes = this.read(0, most);
    return bytes instanceof Promise ? nothing : bytes;
  }

  /** This message stays for longer than most: it leaves the memory that it shares with others. */
  moveOut(): void {
    for (const piece of this.#pieces()) {
      if (piece.slab === undefined) continue;
      const bytes = Buffer.from(piece.bytes.subarray(piece.from, piece.from + piece.length));
      this.#room.slabs.release(piece.slab);
      piece.bytes = bytes;
      piece.from = 0;
      piece.slab = undefined;
    }
  }

  /** The octets are needed no more. `unseen`: nobody has to write them, or looks at them for any other reason; then their memory is used again. */
  release(unseen = false): void {
    if (this.#released) return;
    this.#released = true;
    if (unseen && !this.#lent)
      for (let piece = this.#first; piece !== undefined; piece = piece.next)
        if (piece.slab === undefined) this.#room.large.give(piece.bytes);
    this.#forgetPieces();
    this.#room.giveMemory(this.#memory);
    this.#memory = 0;
    void this.#file?.close().then(() => {
      this.#room.giveDisk(this.#disk);
    });
  }

  #add(piece: Piece, memory: number): void {
    this.#memory += memory;
    if (piece.at !== this.#end) this.#inOrder = false;
    this.#end = Math.max(this.#end, piece.at + piece.length);
    if (this.#last === undefined) this.#first = piece;
    else this.#last.next = piece;
    this.#last = piece;
  }

  *#pieces(): Generator<Piece> {
    for (let piece = this.#first; piece !== undefined; piece = piece.next) yield piece;
  }

  #forgetPieces(): void {
    for (let piece = this.#first; piece !== undefined; piece = piece.next)
      if (piece.slab !== undefined) this.#room.slabs.release(piece.slab);
    this.#first = this.#last = undefined;
  }

  #toDisk(at: number, bytes: Buffer): boolean {
    const before = [...this.#pieces()].reduce((sum, each) => sum + each.length, 0);
    if (!this.#room.takeDisk(before + bytes.length)) return false;
    this.#disk += before + bytes.length;
    this.#file ??= new SpoolFile(this.#room.openFile());
    this.moveOut();
    for (const piece of this.#pieces()) this.#append(piece.at, piece.bytes, piece.length + overhead);
    this.#forgetPieces();
    this.#room.giveMemory(-bytes.length);
    this.#memory += bytes.length;
    this.#append(at, bytes, bytes.length);
    this.#end = Math.max(this.#end, at + bytes.length);
    return true;
  }

  #append(at: number, bytes: Buffer, memory: number): void {
    this.#file?.write(at, bytes, () => {
      if (this.#released) return;
      this.#memory -= memory;
      this.#room.giveMemory(memory);
    });
  }

  #order(): void {
    const whole = Buffer.alloc(this.#end);
    for (const {at, bytes, from, length} of this.#pieces()) bytes.copy(whole, at, from, from + length);
    const more = whole.length + overhead - this.#memory;
    this.#room.giveMemory(-more);
    this.#memory += more;
    this.#forgetPieces();
    this.#first = this.#last = {at: 0, length: whole.length, bytes: whole, from: 0, slab: undefined, next: undefined};
    this.#inOrder = true;
  }
}
