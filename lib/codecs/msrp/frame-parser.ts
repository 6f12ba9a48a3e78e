/**
 * MSRP off the wire (RFC 4975 §7.3, §9): bytes in, frames out, wherever the input was cut. Bodies are octets and are handed on as views of
 * the input, in as many pieces as they came; nothing on this way becomes a string.
 *
 * A body ends at its end-line. Where Byte-Range names the last octet, the parser looks for the end-line there first and need not look at
 * what lies between; when it is not there, the octets decide, and this peer's Byte-Range is not believed again.
 * @clause RFC 4975 §7.1.1 E3
 */
import {CpmError} from '../../errors.ts';
import {Gathered, type Memory} from './gathered.ts';
import type {Flag, FrameHead} from './frame.ts';
import {HeadReader, tooLong, unintelligible} from './head-reader.ts';
import {couldEnd, endsAt, flagOf} from './octets.ts';

export interface FrameHandlers {
  /** A frame's head is read. Its views are valid until this call returns. */
  onStart(head: FrameHead): void;
  /** A piece of the body: a view of the input, or, where it had to wait for the rest, `lasting`: the caller's for good. Never empty. */
  onBody(piece: Buffer, lasting: boolean): void;
  onEnd(flag: Flag): void;
  /** `CPM_MSRP_FRAME`: this is not MSRP, or beyond the limits. Said once; the parser takes no more input. */
  onError(error: CpmError): void;
}

export interface FrameLimits {
  /** Octets of a start line: method and transaction id have short bounds, a comment after a status has none. */
  readonly startLineBytes: number;
  /** Octets of a start line and all headers: long paths through several relays stay below 4 KB. */
  readonly headerBytes: number;
  /** Octets of a body that are kept until its end-line stood where Byte-Range says; longer bodies are searched as they come. */
  readonly jumpBytes: number;
}

export const defaultFrameLimits: FrameLimits = {startLineBytes: 512, headerBytes: 8192, jumpBytes: 128 * 1024};

export interface FrameParser {
  /** Takes input. The parser keeps no view of it: the caller may overwrite it. */
  push(input: Buffer): void;
  /** Nothing came for a while: a Byte-Range that promised more octets than came is not waited for any longer. */
  idle(): void;
  /** Whether a frame has begun and not ended. */
  readonly midFrame: boolean;
  /** Octets looked at or copied so far, some of them more than once: grows linearly with the input. */
  readonly examined: number;
}

/** A parser for one direction of one connection. `memory`: for bodies that have to wait for their end. */
export function createFrameParser(
  handlers: FrameHandlers,
  limits: FrameLimits = defaultFrameLimits,
  memory: Memory = {take: (octets) => Buffer.allocUnsafeSlow(octets)},
): FrameParser {
  return new Parser(handlers, limits, memory);
}

const lf = 0x0a;
const cr = 0x0d;
const newline = Buffer.from('\r\n');
const hyphens = Buffer.from('\r\n-------');
const nothing = Buffer.alloc(0);

class Parser implements FrameParser {
  readonly #handlers: FrameHandlers;
  readonly #limits: FrameLimits;
  readonly #head = new HeadReader();
  #state: 'head' | 'jump' | 'scan' | 'failed' = 'head';
  #examined = 0;

  /** Octets of a head that did not come in one piece. */
  #kept = nothing;
  #keptLength = 0;
  /** Where the current line of the head begins, counted from the head's start. */
  #line = 0;
  #headLength = 0;

  /** CRLF, hyphens and transaction id of the frame whose body is read; its first `#delimiterLength` octets are valid. */
  readonly #delimiter = Buffer.allocUnsafe(hyphens.length + 32);
  #delimiterLength = 0;
  /** How many octets of an end-line were the last ones of the input so far, and the flag among them. */
  #matched = 0;
  #flag = 0;
  /** Octets of `#matched` that are not the body's: the blank line's CRLF, where an end-line may follow at once. */
  #borrowed = 0;
  #started = false;

  /** Octets of a body, its end-line included, that wait for their end to be seen. */
  readonly #gathered: Gathered;
  #awaited = 0;
  #believes = true;

  constructor(handlers: FrameHandlers, limits: FrameLimits, memory: Memory) {
    this.#gathered = new Gathered(memory);
    this.#handlers = handlers;
    this.#limits = limits;
    hyphens.copy(this.#delimiter);
  }

  get midFrame(): boolean {
    return this.#state === 'jump' || this.#state === 'scan' || this.#headLength > 0;
  }

  get examined(): number {
    return this.#examined;
  }

  push(input: Buffer): void {
    this.#guard(() => {
      this.#consume(input);
    });
  }

  idle(): void {
    if (this.#state !== 'jump') return;
    this.#guard(() => {
      this.#replay(this.#gathered.take());
    });
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof CpmError) || error.code !== 'CPM_MSRP_FRAME') throw error;
      this.#state = 'failed';
      this.#gathered.take();
      this.#handlers.onError(error);
    }
  }

  #consume(input: Buffer): void {
    let at = 0;
    while (at < input.length) {
      if (this.#state === 'head') at = this.#readHead(input, at);
      else if (this.#state === 'jump') at = this.#gather(input, at);
      else if (this.#state === 'scan') at = this.#scan(input, at);
      else return;
    }
    // The head is a view of this input: it is told before the input is gone.
    if (this.#isAt('scan')) this.#start();
  }

  // ---- head ----

  #readHead(input: Buffer, begin: number): number {
    const known = this.#headLength === 0 ? this.#head.recall(input, begin) : -1;
    return known > 0 ? this.#takeHead(input, begin, known) : this.#readLines(input, begin);
  }

  /** A head that was recognized, from `begin` to `end`. */
  #takeHead(input: Buffer, begin: number, end: number): number {
    this.#examined += end - begin;
    this.#line = this.#headLength = end - begin;
    this.#checkHead();
    if (this.#head.hasBody) return this.#beginBody(input, end);
    this.#start();
    this.#end(flagOf(input[end - 1 - newline.length] ?? 0) ?? '$');
    return end;
  }

  #readLines(input: Buffer, begin: number): number {
    let at = begin;
    for (;;) {
      let end = at;
      // Lines are short: a call of the engine for each costs more.
      while (end < input.length && input[end] !== lf) end += 1;
      const cut = end === input.length;
      const to = cut ? end : end + 1;
      this.#examined += to - at;
      this.#headLength += to - at;
      this.#checkHead();
      if (cut) {
        this.#keep(input, this.#keptLength === 0 ? begin : at, to);
        return to;
      }
      if (this.#keptLength > 0) this.#keep(input, at, to);
      else this.#head.at(input, begin);
      at = to;
      const kind = this.#endOfLine(this.#keptLength > 0 ? this.#kept : input, this.#keptLength > 0 ? 0 : begin);
      if (kind === 'header') continue;
      if (kind === 'blank') return at;
      this.#head.remember(this.#headLength);
      if (kind === 'body') return this.#beginBody(input, at);
      this.#start();
      this.#end(kind);
      return at;
    }
  }

  #endOfLine(bytes: Buffer, origin: number): 'header' | 'blank' | 'body' | Flag {
    const from = this.#line;
    const to = this.#headLength - newline.length;
    if (to < from || bytes[origin + to] !== cr) throw unintelligible('a line ends with CRLF');
    if (from === 0 && to === 0) {
      // CRLF between frames: some peers keep a connection alive with it.
      this.#forgetHead();
      return 'blank';
    }
    if (from === 0) this.#head.reset();
    this.#line = this.#headLength;
    return this.#head.line(from, to);
  }

  #checkHead(): void {
    if (this.#line === 0 && this.#headLength > this.#limits.startLineBytes) {
      throw tooLong('the start line is too long');
    }
    if (this.#headLength > this.#limits.headerBytes) throw tooLong('the headers are too long');
  }

  #keep(input: Buffer, from: number, to: number): void {
    const length = this.#keptLength + to - from;
    if (length > this.#kept.length) {
      const larger = Buffer.allocUnsafe(Math.max(512, 2 * length));
      this.#kept.copy(larger, 0, 0, this.#keptLength);
      this.#kept = larger;
    }
    input.copy(this.#kept, this.#keptLength, from, to);
    this.#examined += to - from;
    this.#keptLength = length;
    this.#head.at(this.#kept, 0);
  }

  #forgetHead(): void {
    this.#keptLength = 0;
    this.#headLength = 0;
    this.#line = 0;
  }

  // ---- body ----

  #beginBody(input: Buffer, at: number): number {
    this.#delimiterLength = hyphens.length + this.#head.copyId(this.#delimiter, hyphens.length);
    this.#started = false;
    this.#matched = this.#borrowed = newline.length;

    const range = this.#head.byteRange;
    const length = range?.end === undefined ? -1 : range.end - range.start + 1;
    if (!this.#believes || length < 0 || length > this.#limits.jumpBytes) {
      this.#state = 'scan';
      return at;
    }
    this.#awaited = length + this.#delimiterLength + 1 + newline.length;
    if (input.length - at >= this.#awaited) {
      const end = at + length;
      this.#examined += this.#awaited - length;
      if (this.#isEndLine(input, end)) return this.#finish(input, at, end);
      this.#doubt();
      return at;
    }
    // Not here yet. The head stays while its body is gathered.
    if (this.#keptLength === 0) this.#keep(input, at - this.#headLength, at);
    this.#state = 'jump';
    return at;
  }

  #gather(input: Buffer, at: number): number {
    const to = Math.min(input.length, at + this.#awaited - this.#gathered.length);
    this.#examined += this.#gathered.add(input, at, to, this.#awaited);
    if (this.#gathered.length < this.#awaited) return to;

    const body = this.#gathered.take();
    const endLine = this.#delimiterLength + 1 + newline.length;
    const end = body.length - endLine;
    this.#examined += endLine;
    if (!this.#isEndLine(body, end)) {
      this.#replay(body);
      return to;
    }
    this.#head.bodyLength = end;
    this.#body(body, 0, end, true);
    this.#start();
    this.#end(flagOf(body[body.length - 1 - newline.length] ?? 0) ?? '$');
    return to;
  }

  #doubt(): void {
    this.#believes = false;
    this.#state = 'scan';
  }

  #replay(gathered: Buffer): void {
    this.#doubt();
    this.#consume(gathered);
  }

  #scan(input: Buffer, from: number): number {
    const at = this.#matched > 0 ? this.#resume(input, from) : from;
    if (!this.#isAt('scan') || at === input.length) return at;
    const length = this.#delimiterLength;
    const delimiter = this.#delimiter.subarray(0, length);
    let search = at;
    for (;;) {
      const found = input.indexOf(delimiter, search);
      if (found < 0) break;
      this.#examined += found + length - search;
      if (input.length - found < length + 1 + newline.length) {
        this.#flag = input[found + length] ?? 0;
        if (couldEnd(input, found + length)) return this.#pause(input, at, found);
      } else if (this.#isEndLine(input, found)) return this.#finish(input, at, found);
      search = found + 1;
    }
    this.#examined += input.length - search;
    return this.#pause(input, at, this.#partialDelimiter(input, Math.max(search, input.length - length + 1)));
  }

  /** Hands on the body up to `to`; the rest of the input may be the beginning of the end-line. */
  #pause(input: Buffer, from: number, to: number): number {
    this.#body(input, from, to);
    this.#matched = input.length - to;
    return input.length;
  }

  /** Where the longest end of the input begins that is also a beginning of the delimiter, whose only CR is its first octet. */
  #partialDelimiter(input: Buffer, from: number): number {
    let at = input.length - 1;
    while (at >= from && input[at] !== cr) at -= 1;
    if (at < from) return input.length;
    const fits = input.compare(this.#delimiter, 0, input.length - at, at, input.length) === 0;
    return fits ? at : input.length;
  }

  /** Goes on with an end-line that was cut: octet by octet, until it is whole or was none after all. */
  #resume(input: Buffer, from: number): number {
    const length = this.#delimiterLength;
    for (let at = from; at < input.length; at += 1) {
      const byte = input[at] ?? 0;
      const matched = this.#matched;
      this.#examined += 1;
      const fits =
        matched < length
          ? byte === this.#delimiter[matched]
          : matched === length
            ? flagOf(byte) !== undefined
            : byte === newline[matched - length - 1];
      if (!fits) {
        this.#giveBack();
        return at;
      }
      if (matched === length) this.#flag = byte;
      this.#matched += 1;
      if (this.#matched === length + 1 + newline.length) {
        if (!this.#started) this.#head.bodyLength = 0;
        this.#start();
        this.#end(flagOf(this.#flag) ?? '$');
        return at + 1;
      }
    }
    return input.length;
  }

  /** What looked like an end-line was body. */
  #giveBack(): void {
    const from = this.#borrowed;
    const to = this.#matched;
    this.#matched = this.#borrowed = 0;
    if (to === from) return;
    const text = Buffer.concat([this.#delimiter.subarray(0, this.#delimiterLength), Buffer.of(this.#flag), newline]);
    this.#body(text, from, to);
  }

  #isEndLine(input: Buffer, at: number): boolean {
    return endsAt(input, at, this.#delimiter, this.#delimiterLength);
  }

  #body(input: Buffer, from: number, to: number, lasting = false): void {
    if (to <= from) return;
    this.#start();
    this.#handlers.onBody(from === 0 && to === input.length ? input : input.subarray(from, to), lasting);
  }

  /** The body goes to `end`, where the end-line stands. */
  #finish(input: Buffer, from: number, end: number): number {
    if (!this.#started) this.#head.bodyLength = end - from;
    this.#body(input, from, end);
    this.#start();
    const flag = end + this.#delimiterLength;
    this.#end(flagOf(input[flag] ?? 0) ?? '$');
    return flag + 1 + newline.length;
  }

  #start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#handlers.onStart(this.#head);
  }

  #end(flag: Flag): void {
    this.#started = false;
    this.#matched = this.#borrowed = 0;
    this.#state = 'head';
    this.#forgetHead();
    this.#handlers.onEnd(flag);
  }

  /** The state as it is now: what a call in between has made of it. */
  #isAt(state: 'head' | 'jump' | 'scan' | 'failed'): boolean {
    return this.#state === state;
  }
}
