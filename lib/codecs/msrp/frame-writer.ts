/** MSRP onto the wire (RFC 4975 §7, §9). Frames are written behind one another into a sink, so that many go out in one write. */
import type {ByteRange} from './byte-range.ts';
import {statusTexts, type FailureReport, type Flag} from './frame.ts';

/** What is written already as it goes on the wire: octets, or text of ASCII characters only. */
export type Octets = string | Uint8Array;

// Octets are copied faster than characters.
const msrp = Buffer.from('MSRP ');
const sendMethod = Buffer.from(' SEND');
const okStatus = Buffer.from(' 200 OK');
const toPathIs = Buffer.from('\r\nTo-Path: ');
const fromPathIs = Buffer.from('\r\nFrom-Path: ');
const messageIdIs = Buffer.from('Message-ID: ');
const byteRangeIs = Buffer.from('\r\nByte-Range: ');
const contentTypeIs = Buffer.from('Content-Type: ');
const newline = Buffer.from('\r\n');
const blankLine = Buffer.from('\r\n\r\n');
const hyphens = Buffer.from('-------');
const ended = Buffer.from('$\r\n');
const continued = Buffer.from('+\r\n');
const givenUp = Buffer.from('#\r\n');

export interface ByteSink {
  /** Characters up to U+00FF, an octet each. */
  latin1(text: string): void;
  /** A whole number from 0, in digits. */
  number(value: number): void;
  /** Octets; the sink copies them, or keeps the view: the caller does not change them afterwards. */
  bytes(octets: Uint8Array): void;
  /** A few octets from an offset, which are copied. */
  part(octets: Uint8Array, from: number, length: number): void;
}

/** A transaction id: text, or something that can write its octets. */
export type TransactionId = string | {write(sink: ByteSink): void};

export interface SendHead {
  /** What `pathLines` made. */
  readonly paths: Uint8Array;
  readonly messageId: Octets;
  readonly byteRange: ByteRange;
  /** Left out where undefined, which means `yes`. */
  readonly failureReport?: FailureReport | undefined;
  readonly successReport?: boolean | undefined;
  /** Undefined: the frame has no body. */
  readonly contentType?: Octets | undefined;
}

export interface SendFrame extends Omit<SendHead, 'paths'> {
  /** Lists of URIs, separated by blanks. */
  readonly toPath: Octets;
  readonly fromPath: Octets;
  readonly transactionId: string;
  /** Written only with a `contentType`. */
  readonly body?: Uint8Array | undefined;
  readonly flag: Flag;
}

export interface ResponseFrame {
  readonly transactionId: Octets;
  /** The leftmost URI of the request's From-Path. */
  readonly toPath: Octets;
  /** The leftmost URI of the request's To-Path. */
  readonly fromPath: Octets;
  readonly status: number;
}

export interface ReportFrame {
  readonly transactionId: string;
  /** The whole From-Path of the SEND. */
  readonly toPath: Octets;
  readonly fromPath: Octets;
  readonly messageId: Octets;
  readonly byteRange: ByteRange;
  readonly status: number;
}

/** The lines of To-Path and From-Path, the end of the start line before them: the same in many frames, and written once for all. */
export function pathLines(toPath: Octets, fromPath: Octets): Buffer {
  return bytesOf((sink) => {
    sink.bytes(toPathIs);
    put(sink, toPath);
    sink.bytes(fromPathIs);
    put(sink, fromPath);
    sink.bytes(newline);
  });
}

/** Start line and headers of a SEND, and the blank line where a body follows. The frame is then ended by `writeEndLine`. */
export function writeSendHead(sink: ByteSink, transactionId: TransactionId, head: SendHead): void {
  writeStart(sink, transactionId);
  sink.bytes(sendMethod);
  sink.bytes(head.paths);
  writeRange(sink, head);
  if (head.successReport === true) sink.latin1('Success-Report: yes\r\n');
  if (head.failureReport !== undefined) sink.latin1(`Failure-Report: ${head.failureReport}\r\n`);
  if (head.contentType === undefined) return;
  sink.bytes(contentTypeIs);
  put(sink, head.contentType);
  sink.bytes(blankLine);
}

/** The end-line; `afterBody`: with the CRLF that separates it from a body. Goes into the same write as the body's last octets. */
export function writeEndLine(sink: ByteSink, transactionId: TransactionId, flag: Flag, afterBody: boolean): void {
  if (afterBody) sink.bytes(newline);
  sink.bytes(hyphens);
  writeId(sink, transactionId);
  sink.bytes(flag === '$' ? ended : flag === '+' ? continued : givenUp);
}

/**
 * A whole SEND. Throws a RangeError when the end-line would occur in the body: take another transaction id (RFC 4975 §7.1);
 * `occursIn` tells beforehand.
 */
export function writeSend(sink: ByteSink, frame: SendFrame): void {
  const hasBody = frame.contentType !== undefined;
  if (frame.body !== undefined && occursIn(frame.transactionId, frame.body)) {
    throw new RangeError('the body holds the end-line of this transaction id');
  }
  writeSendHead(sink, frame.transactionId, {...frame, paths: pathLines(frame.toPath, frame.fromPath)});
  if (hasBody && frame.body !== undefined) sink.bytes(frame.body);
  writeEndLine(sink, frame.transactionId, frame.flag, hasBody);
}

/** A response (RFC 4975 §7.2). */
export function writeResponse(sink: ByteSink, {transactionId, toPath, fromPath, status}: ResponseFrame): void {
  writeAnswer(sink, transactionId, pathLines(toPath, fromPath), status);
}

/** A response whose paths are written already. */
export function writeAnswer(sink: ByteSink, transactionId: Octets, paths: Uint8Array, status: number): void {
  sink.bytes(msrp);
  put(sink, transactionId);
  if (status === 200) sink.bytes(okStatus);
  else sink.latin1(` ${statusLine(status)}`);
  sink.bytes(paths);
  sink.bytes(hyphens);
  put(sink, transactionId);
  sink.bytes(ended);
}

/** A REPORT (RFC 4975 §7.1.2). It is never answered. */
export function writeReport(sink: ByteSink, frame: ReportFrame): void {
  writeStart(sink, frame.transactionId);
  sink.latin1(' REPORT');
  sink.bytes(pathLines(frame.toPath, frame.fromPath));
  writeRange(sink, frame);
  sink.latin1(`Status: 000 ${statusLine(frame.status)}\r\n`);
  writeEndLine(sink, frame.transactionId, '$', false);
}

export interface AuthFrame {
  readonly transactionId: string;
  /** The relay's URI. */
  readonly toPath: string;
  readonly fromPath: string;
  readonly authorization: string | undefined;
  /** Seconds for which the path is asked. */
  readonly expires: number | undefined;
}

/** An AUTH (RFC 4976 §5.1). Throws a RangeError where the credentials would not stay on their line. */
export function writeAuth(sink: ByteSink, frame: AuthFrame): void {
  const {transactionId, toPath, fromPath, authorization, expires} = frame;
  if (/[\r\n]/.test(authorization ?? '')) throw new RangeError('credentials are one line');
  const credentials = authorization === undefined ? '' : `Authorization: ${authorization}\r\n`;
  sink.latin1(`MSRP ${transactionId} AUTH\r\nTo-Path: ${toPath}\r\nFrom-Path: ${fromPath}\r\n${credentials}`);
  if (expires !== undefined) sink.latin1(`Expires: ${expires}\r\n`);
  writeEndLine(sink, transactionId, '$', false);
}

/** Whether an end-line of this transaction id stands in the octets. */
export function occursIn(transactionId: string, octets: Uint8Array): boolean {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).includes(
    `-------${transactionId}`,
    0,
    'latin1',
  );
}

/** What `write` writes, as one buffer. */
export function bytesOf(write: (sink: ByteSink) => void): Buffer {
  const pieces: Uint8Array[] = [];
  write({
    latin1: (text) => pieces.push(Buffer.from(text, 'latin1')),
    number: (value) => pieces.push(Buffer.from(String(value))),
    bytes: (octets) => pieces.push(octets),
    part: (octets, from, length) => pieces.push(octets.slice(from, from + length)),
  });
  return Buffer.concat(pieces);
}

function writeStart(sink: ByteSink, transactionId: TransactionId): void {
  sink.bytes(msrp);
  writeId(sink, transactionId);
}

function writeId(sink: ByteSink, transactionId: TransactionId): void {
  if (typeof transactionId === 'string') sink.latin1(transactionId);
  else transactionId.write(sink);
}

function writeRange(sink: ByteSink, head: Pick<SendHead, 'messageId' | 'byteRange'>): void {
  sink.bytes(messageIdIs);
  put(sink, head.messageId);
  sink.bytes(byteRangeIs);
  putByteRange(sink, head.byteRange);
  sink.bytes(newline);
}

function putByteRange(sink: ByteSink, {start, end, total}: ByteRange): void {
  sink.number(start);
  sink.latin1('-');
  if (end === undefined) sink.latin1('*');
  else sink.number(end);
  sink.latin1('/');
  if (total === undefined) sink.latin1('*');
  else sink.number(total);
}

function statusLine(status: number): string {
  const text = statusTexts[status];
  return text === undefined ? String(status) : `${status} ${text}`;
}

function put(sink: ByteSink, octets: Octets): void {
  if (typeof octets === 'string') sink.latin1(octets);
  else sink.bytes(octets);
}
