import type {ByteRange} from '../../../lib/codecs/msrp/byte-range.ts';
import type {FailureReport, Flag, FrameHead} from '../../../lib/codecs/msrp/frame.ts';
import {createFrameParser, defaultFrameLimits, type FrameLimits} from '../../../lib/codecs/msrp/frame-parser.ts';
import {bytesOf, occursIn, writeReport, writeResponse, writeSend} from '../../../lib/codecs/msrp/frame-writer.ts';
import {cutsOf, few, promise, promiseSame, randomOf, type Target} from '../target.ts';

interface Frame {
  readonly kind: FrameHead['kind'];
  readonly method: string | undefined;
  readonly status: number;
  readonly transactionId: string;
  readonly toPath: Buffer;
  readonly fromPath: Buffer;
  readonly messageId: Buffer | undefined;
  readonly contentType: Buffer | undefined;
  readonly byteRange: ByteRange | undefined;
  readonly failureReport: FailureReport;
  readonly successReport: boolean;
  readonly hasBody: boolean;
  readonly fault: string | undefined;
  readonly other: Buffer | undefined;
  readonly body: Buffer;
  /** Undefined where the input ended first. */
  readonly flag: Flag | undefined;
}

interface Reading {
  readonly frames: readonly Frame[];
  readonly error: string | undefined;
}

/** Limits so low that short inputs pass them. */
const narrow: FrameLimits = {startLineBytes: 64, headerBytes: 400, jumpBytes: 24};
/** A Byte-Range is not believed: the one that is written again may have lied. */
const wide: FrameLimits = {startLineBytes: 2048, headerBytes: 65_536, jumpBytes: 0};

/** MSRP frames (RFC 4975 §9): wherever the input is cut, the same frames; what is written again is read as the same. */
export const msrp: Target = {
  name: 'msrp',
  clause: 'E3 RFC 4975 §9',
  longest: 300_000,
  dictionary: [
    ...[
      'MSRP ',
      ' SEND\r\n',
      ' REPORT\r\n',
      ' 200 OK\r\n',
      ' NICKNAME\r\n',
      'To-Path: ',
      'From-Path: ',
      'Message-ID: ',
    ],
    ...[
      'Byte-Range: 1-*/*\r\n',
      'Byte-Range: 1-5/5\r\n',
      'Failure-Report: no\r\n',
      'Success-Report: yes\r\n',
      'Status: 000 413\r\n',
    ],
    ...[
      'Content-Type: text/plain\r\n\r\n',
      '\r\n-------',
      '-------',
      '$\r\n',
      '+\r\n',
      '#\r\n',
      'a786hjs2',
      'msrp://a:1/s;tcp',
    ],
  ],
  check(input) {
    const random = randomOf(input);
    const limits = random.below(2) === 0 ? defaultFrameLimits : narrow;
    const [whole = [], ...cuts] = cutsOf(input, random);
    const expected = read(whole, limits);
    for (const pieces of cuts)
      promiseSame(read(pieces, limits), expected, `${pieces.length} pieces give what one gives`);
    // After silence a Byte-Range is not believed, so that frames may differ; the promises of `read` hold all the same.
    for (const pieces of cuts) read(pieces, limits, true);
    for (const frame of expected.frames) again(frame);
    const kinds = expected.frames.map(
      ({kind, fault, flag, body}) => `${kind} ${fault ?? ''} ${flag ?? ''} ${few(body.length)}`,
    );
    return `${[...new Set(kinds)].join()} ${few(kinds.length)} ${expected.error ?? ''}`;
  },
};

/** Reads pieces and checks the order of what the handlers are told. `silent`: nothing comes for a while after each piece. */
export function read(pieces: readonly Buffer[], limits: FrameLimits, silent = false): Reading {
  const frames: Frame[] = [];
  let open:
    | {readonly head: Omit<Frame, 'body' | 'flag'>; readonly length: number | undefined; readonly body: Buffer[]}
    | undefined;
  let error: string | undefined;
  const close = (flag: Flag | undefined): void => {
    if (open === undefined) return;
    const body = Buffer.concat(open.body);
    if (flag !== undefined && open.length !== undefined)
      promise(open.length === body.length, 'bodyLength is the length of the body');
    promise(open.head.hasBody || body.length === 0, 'a frame without body has none');
    frames.push({...open.head, body, flag});
    open = undefined;
  };
  const parser = createFrameParser(
    {
      onStart(head) {
        promise(open === undefined && error === undefined, 'a frame starts when the one before has ended');
        open = {head: copied(head), length: head.bodyLength, body: []};
      },
      onBody(piece) {
        promise(
          open !== undefined && error === undefined && piece.length > 0,
          'a piece of a body is not empty, and in a frame',
        );
        open?.body.push(Buffer.from(piece));
      },
      onEnd(flag) {
        promise(open !== undefined && error === undefined, 'what ends has begun');
        close(flag);
      },
      onError(fault) {
        promise(error === undefined, 'an error is said once');
        error = `${fault.code} ${fault.message}`;
      },
    },
    limits,
  );
  let length = 0;
  for (const piece of pieces) {
    length += piece.length;
    parser.push(piece);
    if (silent) parser.idle();
  }
  promise(parser.examined <= 8 * length + 1024, 'the work grows with the input and no faster');
  close(undefined);
  return {frames, error};
}

function copied(head: FrameHead): Omit<Frame, 'body' | 'flag'> {
  const {kind, method, status, byteRange, failureReport, successReport, hasBody, fault} = head;
  const copy = (octets: Buffer | undefined) => (octets === undefined ? undefined : Buffer.from(octets));
  return {
    ...{kind, method, status, byteRange, failureReport, successReport, hasBody, fault},
    transactionId: head.transactionId.toString('latin1'),
    toPath: Buffer.from(head.toPath),
    fromPath: Buffer.from(head.fromPath),
    messageId: copy(head.messageId),
    contentType: copy(head.contentType),
    other: copy(head.header('content-disposition')),
  };
}

/** Writes a frame that was whole and without fault, and reads it again. */
function again(frame: Frame): void {
  const {
    kind,
    transactionId,
    toPath,
    fromPath,
    messageId,
    byteRange = {start: 1, end: undefined, total: undefined},
    flag,
  } = frame;
  const isSmall = frame.status > 0 && frame.status < 100; // three digits that no peer sends, written without zeros
  if (flag === undefined || frame.fault !== undefined || kind === 'other' || isSmall) return;
  if (kind === 'SEND' && frame.hasBody !== (frame.contentType !== undefined)) return;
  const common = {transactionId, toPath, fromPath, messageId: messageId ?? ''};
  if (kind === 'SEND' && occursIn(transactionId, frame.body)) return;
  const written = bytesOf((sink) => {
    if (kind === 'SEND')
      writeSend(sink, {...frame, ...common, byteRange, body: frame.hasBody ? frame.body : undefined, flag});
    else if (kind === 'REPORT') writeReport(sink, {...common, byteRange, status: frame.status});
    else writeResponse(sink, {...common, status: frame.status});
  });
  const {frames, error} = read([written], wide);
  promise(frames.length === 1 && error === undefined, 'what is written is read as one frame');
  const compared = ({body, contentType, successReport, failureReport, ...rest}: Frame): object => ({
    kind: rest.kind,
    status: rest.status,
    transactionId: rest.transactionId,
    toPath: rest.toPath,
    fromPath: rest.fromPath,
    ...(kind === 'response' ? {} : {messageId: rest.messageId}),
    ...(frame.byteRange === undefined || kind === 'response' ? {} : {byteRange: rest.byteRange}),
    ...(kind === 'SEND' ? {body, contentType, successReport, failureReport, flag: rest.flag} : {}),
  });
  for (const one of frames) promiseSame(compared(one), compared(frame), 'what is written again is read as the same');
}
