/** Reads the start line and the headers of one frame, line by line, keeping offsets only; slices are made when asked for. */
import {CpmError} from '../../errors.ts';
import {parseByteRange, type ByteRange} from './byte-range.ts';
import type {FailureReport, Flag, FrameHead, HeadField} from './frame.ts';
import {HeadPattern} from './head-pattern.ts';
import {endOfEndLine, endOfId, flagLine, flagOf, isWord, statusOf} from './octets.ts';

const names = [
  'to-path',
  'from-path',
  'message-id',
  'byte-range',
  'failure-report',
  'success-report',
  'status',
  'content-type',
] as const;
const toPath = 0;
const fromPath = 1;
const messageId = 2;
const byteRange = 3;
const failureReport = 4;
const successReport = 5;
const statusHeader = 6;
const contentType = 7;
const transactionId = names.length;
const method = names.length + 1;
/** What differs from one head of a connection to the next. */
const differing = [messageId, byteRange];

const colon = 0x3a;
const capitalS = 0x53;
const hyphen = 0x2d;
const blank = 0x20;
const nothing = Buffer.alloc(0);

/** Heads that are read before one is remembered: most connections that are only there have seen no more. */
const firstHeads = 2;
/** Octets before a transaction id. */
const beforeId = 5;

/** What a line was: another header, the blank line before a body, or the end-line of a frame without body. */
export type LineKind = 'header' | 'body' | Flag;

/** A head beyond what we take: nothing after it can be told apart. */
export function tooLong(sentence: string): CpmError {
  return new CpmError('CPM_MSRP_FRAME', 413, sentence);
}

/** An input that is no MSRP frame: nothing after it can be told apart. */
export function unintelligible(sentence: string): CpmError {
  return new CpmError('CPM_MSRP_FRAME', 400, sentence);
}

export class HeadReader implements FrameHead {
  kind: FrameHead['kind'] = 'other';
  status = 0;
  byteRange: ByteRange | undefined;
  failureReport: FailureReport = 'yes';
  successReport = false;
  hasBody = false;
  bodyLength: number | undefined;
  fault: string | undefined;

  /** Where the head's octets are, and from which offset; spans count from there. */
  #bytes: Buffer = nothing;
  #origin = 0;
  #lines = 0;
  #end = 0;
  /** From and to of the transaction id, the method and each known header; to = 0: absent. */
  readonly #spans = new Int32Array(2 * (names.length + 2));
  /** What the last request with a body and the last response were like, and which of them this head is like. */
  #request: HeadPattern | undefined;
  #response: HeadPattern | undefined;
  #like: HeadPattern | undefined;
  #heads = 0;

  /** Forgets the last frame. */
  reset(): void {
    this.kind = 'other';
    this.status = 0;
    this.byteRange = undefined;
    this.failureReport = 'yes';
    this.successReport = false;
    this.hasBody = false;
    this.bodyLength = undefined;
    this.fault = undefined;
    this.#lines = 0;
    this.#like = undefined;
    this.#spans.fill(0);
  }

  /** Reads a head that is like an earlier one of the connection and says where it ends; -1: it has to be read line by line. */
  recall(bytes: Buffer, origin: number): number {
    const id = origin + beforeId;
    if (this.#heads < firstHeads || bytes.length - origin < 12 || !isWord(bytes, origin, id, 'MSRP ')) return -1;
    const idEnd = endOfId(bytes, id, bytes.length);
    const pattern = bytes[idEnd + 1] === capitalS ? this.#request : this.#response;
    if (pattern === undefined || idEnd - id < 4 || idEnd - id > 32) return -1;
    const at = pattern.match(bytes, idEnd);
    const end = at < 0 || pattern.hasBody ? at : endOfEndLine(bytes, id, idEnd, at);
    if (end < 0) return -1;
    pattern.place(this.#spans, idEnd - origin);
    const from = origin + (this.#spans[2 * byteRange] ?? 0);
    const to = origin + (this.#spans[2 * byteRange + 1] ?? 0);
    const isUsual = to === origin || pattern.isLearnt(byteRange, bytes, from, to);
    const range = isUsual ? pattern.byteRange : parseByteRange(bytes, from, to);
    if (!isUsual && range === undefined) return -1;
    pattern.matched();
    this.at(bytes, origin);
    this.#span(transactionId, id, idEnd);
    this.#end = end - origin;
    this.#like = pattern;
    this.kind = pattern.kind;
    this.status = pattern.status;
    this.byteRange = range;
    this.failureReport = pattern.failureReport;
    this.successReport = pattern.successReport;
    this.hasBody = pattern.hasBody;
    this.bodyLength = pattern.hasBody ? undefined : 0;
    this.fault = undefined;
    return end;
  }

  /** The head that was read line by line, so many octets, is one that others may be like. */
  remember(length: number): void {
    const isResponse = this.kind === 'response' && !this.hasBody;
    if (this.fault !== undefined || !(isResponse || (this.kind === 'SEND' && this.hasBody))) return;
    this.#heads += 1;
    if (this.#heads < firstHeads) return;
    const known = isResponse ? this.#response : this.#request;
    if (known?.missed() === false) return;
    const pattern = known ?? new HeadPattern(this.#spans.length / 2, differing.length);
    if (isResponse) this.#response = pattern;
    else this.#request = pattern;
    const idEnd = this.#spans[2 * transactionId + 1] ?? 0;
    const end = isResponse ? length - flagLine - (idEnd - beforeId) : length;
    const octets = this.#bytes.subarray(this.#origin + idEnd, this.#origin + end);
    pattern.learn(
      this,
      octets,
      this.#spans.map((at) => (at === 0 ? 0 : at - idEnd)),
      differing,
    );
  }

  /** Copies the transaction id to an offset and says how long it is. */
  copyId(target: Buffer, offset: number): number {
    const from = this.#origin + (this.#spans[2 * transactionId] ?? 0);
    const length = this.#origin + (this.#spans[2 * transactionId + 1] ?? 0) - from;
    for (let at = 0; at < length; at += 1) target[offset + at] = this.#bytes[from + at] ?? 0;
    return length;
  }

  /** The head's octets are, or have moved, there. */
  at(bytes: Buffer, origin: number): void {
    this.#bytes = bytes;
    this.#origin = origin;
  }

  /** Takes the line from `from` to `to` (its CRLF left out), counted from the head's first octet. Throws `CPM_MSRP_FRAME`. */
  line(from: number, to: number): LineKind {
    this.#lines += 1;
    this.#end = to;
    if (this.#lines === 1) {
      this.#startLine(from, to);
      return 'header';
    }
    if (from === to) {
      this.hasBody = true;
      this.#finish();
      return 'body';
    }
    const flag = this.#endLine(from, to);
    if (flag !== undefined) {
      this.bodyLength = 0;
      this.#finish();
      return flag;
    }
    this.#header(from, to);
    return 'header';
  }

  get transactionId(): Buffer {
    return this.#slice(transactionId) ?? nothing;
  }
  get method(): string | undefined {
    return this.kind === 'response' ? undefined : this.#slice(method)?.toString('latin1');
  }
  get toPath(): Buffer {
    return this.#slice(toPath) ?? nothing;
  }
  get fromPath(): Buffer {
    return this.#slice(fromPath) ?? nothing;
  }
  get messageId(): Buffer | undefined {
    return this.#slice(messageId);
  }
  get contentType(): Buffer | undefined {
    return this.#slice(contentType);
  }

  has(field: HeadField): boolean {
    return this.#spans[2 * numberOf(field) + 1] !== 0;
  }

  idOctet(at: number): number {
    const from = this.#spans[2 * transactionId] ?? 0;
    const isIn = from + at < (this.#spans[2 * transactionId + 1] ?? 0);
    return isIn ? (this.#bytes[this.#origin + from + at] ?? 0) : 0;
  }

  text(field: HeadField, known?: string): string {
    const which = numberOf(field);
    const isCommon = which === toPath || which === fromPath || which === contentType;
    if (!isCommon || this.#like === undefined) return this.#textOf(which, known);
    return (this.#like.texts[which] ??= this.#textOf(which, known));
  }

  #textOf(which: number, known: string | undefined): string {
    const from = this.#origin + (this.#spans[2 * which] ?? 0);
    const to = this.#origin + (this.#spans[2 * which + 1] ?? 0);
    if (known !== undefined && isWord(this.#bytes, from, to, known)) return known;
    return to > from ? this.#bytes.toString('latin1', from, to) : '';
  }

  header(name: string): Buffer | undefined {
    const lines = this.#bytes
      .toString('latin1', this.#origin, this.#origin + this.#end)
      .split('\r\n')
      .slice(1);
    const line = lines.find((each) => each.toLowerCase().startsWith(`${name}:`));
    return line === undefined ? undefined : Buffer.from(line.slice(name.length + 1).trim(), 'latin1');
  }

  // request-line = "MSRP" SP transact-id SP method; status-line = "MSRP" SP transact-id SP 3DIGIT [SP comment]
  #startLine(from: number, to: number): void {
    const bytes = this.#bytes;
    const at = this.#origin + from;
    const end = this.#origin + to;
    if (end - at < 12 || !isWord(bytes, at, at + beforeId, 'MSRP ')) throw unintelligible('a frame begins with MSRP');
    const tidEnd = endOfId(bytes, at + beforeId, end);
    const length = tidEnd - at - beforeId;
    if (length < 4 || length > 32 || bytes[tidEnd] !== blank)
      throw unintelligible('a transaction id has 4 to 32 characters');
    this.#span(transactionId, at + beforeId, tidEnd);

    const word = tidEnd + 1;
    let wordEnd = word;
    while (wordEnd < end && bytes[wordEnd] !== blank) wordEnd += 1;
    const status = statusOf(bytes, word, wordEnd);
    if (status > 0) {
      this.kind = 'response';
      this.status = status;
      return;
    }
    for (let each = word; each < end; each += 1) {
      const byte = bytes[each] ?? 0;
      if (byte < 0x41 || byte > 0x5a) throw unintelligible('a start line has a method or a status');
    }
    if (word === end) throw unintelligible('a start line has a method or a status');
    this.#span(method, word, end);
    if (isWord(bytes, word, end, 'SEND')) this.kind = 'SEND';
    else if (isWord(bytes, word, end, 'REPORT')) this.kind = 'REPORT';
  }

  // end-line = "-------" transact-id continuation-flag CRLF
  #endLine(from: number, to: number): Flag | undefined {
    const bytes = this.#bytes;
    const tid = this.#origin + (this.#spans[2 * transactionId] ?? 0);
    const tidEnd = this.#origin + (this.#spans[2 * transactionId + 1] ?? 0);
    const at = this.#origin + from;
    if (bytes[at] !== hyphen || to - from !== 8 + tidEnd - tid) return undefined;
    for (let each = 0; each < 7; each += 1) if (bytes[at + each] !== hyphen) return undefined;
    if (bytes.compare(bytes, tid, tidEnd, at + 7, at + 7 + tidEnd - tid) !== 0) return undefined;
    return flagOf(bytes[this.#origin + to - 1] ?? 0);
  }

  #header(from: number, to: number): void {
    const bytes = this.#bytes;
    const at = this.#origin + from;
    const end = this.#origin + to;
    let nameEnd = at;
    while (nameEnd < end && bytes[nameEnd] !== colon) nameEnd += 1;
    const which = knownHeader(bytes, at, nameEnd);
    if (this.#lines === 2 && which !== toPath) this.fault ??= 'To-Path is the first header';
    if (this.#lines === 3 && which !== fromPath) this.fault ??= 'From-Path is the second header';
    if (nameEnd === end || nameEnd === at) {
      this.fault ??= 'a header has a name and a value';
      return;
    }
    if (which < 0) return;
    let valueFrom = nameEnd + 1;
    let valueTo = end;
    while (valueFrom < valueTo && bytes[valueFrom] === blank) valueFrom += 1;
    while (valueTo > valueFrom && bytes[valueTo - 1] === blank) valueTo -= 1;
    if (this.#spans[2 * which + 1] !== 0) this.fault ??= 'a header comes once';
    else this.#value(which, valueFrom, valueTo);
  }

  #value(which: number, from: number, to: number): void {
    this.#span(which, from, to);
    const bytes = this.#bytes;
    if (which === byteRange) {
      this.byteRange = parseByteRange(bytes, from, to);
      if (!this.byteRange) this.fault ??= 'Byte-Range is start-end/total';
    } else if (which === failureReport || which === successReport) {
      const value = bytes.toString('latin1', from, Math.min(to, from + 8)).toLowerCase();
      const known = value === 'yes' || value === 'no' || (which === failureReport && value === 'partial');
      if (!known) this.fault ??= 'a report is asked for with yes, no or partial';
      else if (which === successReport) this.successReport = value === 'yes';
      else this.failureReport = value;
    } else if (which === statusHeader) {
      // Status: namespace SP status-code [SP text]; the only namespace is 000.
      const code =
        bytes.toString('latin1', from, from + 4) === '000 ' ? statusOf(bytes, from + 4, Math.min(to, from + 7)) : 0;
      if (this.kind === 'REPORT') this.status = code;
    }
  }

  #finish(): void {
    if (this.#spans[2 * fromPath + 1] === 0) this.fault ??= 'a frame has To-Path and From-Path';
    if (this.kind !== 'SEND' && this.kind !== 'REPORT') return;
    if (this.#spans[2 * messageId + 1] === 0) this.fault ??= 'the request has no Message-ID';
    if (this.kind === 'REPORT' && this.status === 0) this.fault ??= 'a REPORT has a Status';
  }

  #span(which: number, from: number, to: number): void {
    this.#spans[2 * which] = from - this.#origin;
    this.#spans[2 * which + 1] = to - this.#origin;
  }

  #slice(which: number): Buffer | undefined {
    const to = this.#spans[2 * which + 1] ?? 0;
    if (to === 0) return undefined;
    return this.#bytes.subarray(this.#origin + (this.#spans[2 * which] ?? 0), this.#origin + to);
  }
}

function knownHeader(bytes: Buffer, from: number, to: number): number {
  const first = (bytes[from] ?? 0) | 0x20;
  for (let which = 0; which < names.length; which += 1) {
    const name = names[which] ?? '';
    if (name.length !== to - from || name.charCodeAt(0) !== first) continue;
    let at = 1;
    while (at < name.length && ((bytes[from + at] ?? 0) | 0x20) === name.charCodeAt(at)) at += 1;
    if (at === name.length) return which;
  }
  return -1;
}

function numberOf(field: HeadField): number {
  switch (field) {
    case 'to-path':
      return toPath;
    case 'from-path':
      return fromPath;
    case 'message-id':
      return messageId;
    case 'content-type':
      return contentType;
    case 'transaction-id':
      return transactionId;
  }
}
