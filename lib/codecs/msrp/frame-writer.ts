/** MSRP onto the wire (RFC 4975 §7, §9). Frames are written behind one another into a sink, so that many go out in one write. */
import type {ByteRange} from './byte-range.ts';
import {statusTexts, type FailureReport, type Flag} from './frame.ts';

/** What is written already as it goes on the wire: octets, or text of ASCII characters only. */
export type Octets = string | Uint8Array;

export interface ByteSink {
  /** Characters up to U+00FF, an octet each. */
  latin1(text: string): void;
  /** A whole number from 0, in digits. */
  number(value: number): void;
  /** Octets; the sink copies them, or keeps the view: the caller does not change them afterwards. */
  bytes(octets: Uint8Array): void;
}

export interface SendHead {
  /** Lists of URIs, separated by blanks. */
  readonly toPath: Octets;
  readonly fromPath: Octets;
  readonly messageId: Octets;
  readonly byteRange: ByteRange;
  /** Left out where undefined, which means `yes`. */
  readonly failureReport?: FailureReport | undefined;
  readonly successReport?: boolean | undefined;
  /** Undefined: the frame has no body. */
  readonly contentType?: Octets | undefined;
}

export interface SendFrame extends SendHead {
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

/** Start line and headers of a SEND, and the blank line where a body follows. The frame is then ended by `writeEndLine`. */
export function writeSendHead(sink: ByteSink, transactionId: string, head: SendHead): void {
  writeRequest(sink, transactionId, 'SEND', head);
  if (head.successReport === true) sink.latin1('Success-Report: yes\r\n');
  if (head.failureReport !== undefined) sink.latin1(`Failure-Report: ${head.failureReport}\r\n`);
  if (head.contentType === undefined) return;
  sink.latin1('Content-Type: ');
  put(sink, head.contentType);
  sink.latin1('\r\n\r\n');
}

/** The end-line; `afterBody`: with the CRLF that separates it from a body. Goes into the same write as the body's last octets. */
export function writeEndLine(sink: ByteSink, transactionId: string, flag: Flag, afterBody: boolean): void {
  sink.latin1(afterBody ? '\r\n-------' : '-------');
  sink.latin1(transactionId);
  sink.latin1(flag);
  sink.latin1('\r\n');
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
  writeSendHead(sink, frame.transactionId, frame);
  if (hasBody && frame.body !== undefined) sink.bytes(frame.body);
  writeEndLine(sink, frame.transactionId, frame.flag, hasBody);
}

/** A response (RFC 4975 §7.2). */
export function writeResponse(sink: ByteSink, frame: ResponseFrame): void {
  sink.latin1('MSRP ');
  put(sink, frame.transactionId);
  sink.latin1(frame.status === 200 ? ' 200 OK\r\nTo-Path: ' : ` ${statusLine(frame.status)}\r\nTo-Path: `);
  put(sink, frame.toPath);
  sink.latin1('\r\nFrom-Path: ');
  put(sink, frame.fromPath);
  sink.latin1('\r\n-------');
  put(sink, frame.transactionId);
  sink.latin1('$\r\n');
}

/** A REPORT (RFC 4975 §7.1.2). It is never answered. */
export function writeReport(sink: ByteSink, frame: ReportFrame): void {
  writeRequest(sink, frame.transactionId, 'REPORT', frame);
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
  });
  return Buffer.concat(pieces);
}

function writeRequest(
  sink: ByteSink,
  transactionId: string,
  method: string,
  head: Omit<SendHead, 'failureReport'>,
): void {
  sink.latin1('MSRP ');
  sink.latin1(transactionId);
  sink.latin1(method === 'SEND' ? ' SEND\r\nTo-Path: ' : ` ${method}\r\nTo-Path: `);
  put(sink, head.toPath);
  sink.latin1('\r\nFrom-Path: ');
  put(sink, head.fromPath);
  sink.latin1('\r\nMessage-ID: ');
  put(sink, head.messageId);
  sink.latin1('\r\nByte-Range: ');
  putByteRange(sink, head.byteRange);
  sink.latin1('\r\n');
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
