/** What an MSRP frame is made of (RFC 4975 §9), as the parser hands it out and the writer takes it. */
import type {ByteRange} from './byte-range.ts';

/** End of a frame: `$` the message is complete, `+` more chunks follow, `#` the message was given up. */
export type Flag = '$' | '+' | '#';

/** Which answers the sender wants (RFC 4975 §7.1.1): `no` none at all, `partial` only bad ones. */
export type FailureReport = 'yes' | 'no' | 'partial';

/** What can be had as text. */
export type HeadField = 'transaction-id' | 'to-path' | 'from-path' | 'message-id' | 'content-type';

/** Start line and headers of a frame. Its buffers are views that live as long as the call that brings them: copy what is kept. */
export interface FrameHead {
  /** `other`: a request of another method; `method` names it. */
  readonly kind: 'SEND' | 'REPORT' | 'other' | 'response';
  /** Undefined in a response. */
  readonly method: string | undefined;
  /** Of a response, or of a REPORT's Status header; 0 where there is none. */
  readonly status: number;
  readonly transactionId: Buffer;
  /** Whole lists, separated by blanks; empty when the header is missing (see `fault`). */
  readonly toPath: Buffer;
  readonly fromPath: Buffer;
  readonly messageId: Buffer | undefined;
  readonly contentType: Buffer | undefined;
  readonly byteRange: ByteRange | undefined;
  readonly failureReport: FailureReport;
  readonly successReport: boolean;
  /** Whether a body follows, be it an empty one: a frame without body has no blank line either. */
  readonly hasBody: boolean;
  /** Octets of the body where all of it, and the end, follow at once; undefined where more input is needed. */
  readonly bodyLength: number | undefined;
  /** What is wrong with a frame that can still be told from the next one: a reason for 400. */
  readonly fault: string | undefined;
  /** A field as text, a character an octet; empty where absent. `known` itself where it is the same: what repeats costs no memory. */
  text(field: HeadField, known?: string): string;
  /** An octet of the transaction id; 0 behind its end. */
  idOctet(at: number): number;
  /** Whether a field is there, be it empty. */
  has(field: HeadField): boolean;
  /** Any header by its name, in lower case; undefined when absent. Not for the hot path. */
  header(name: string): Buffer | undefined;
}

/** Texts after a status code; peers must not need them. */
export const statusTexts: Readonly<Record<number, string>> = {
  200: 'OK',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  408: 'Request Timeout',
  413: 'Message Too Large',
  415: 'Unsupported Media Type',
  423: 'Out Of Bounds',
  481: 'Session Does Not Exist',
  501: 'Not Implemented',
  506: 'Session Bound Elsewhere',
};
