/** Frames that are answered without a look at their body. */
import type {Flag, FrameHead} from '../codecs/msrp/frame.ts';
import {leftmostUri} from '../codecs/msrp/uri.ts';
import type {Connection, FrameReceiver} from './connection.ts';

/** Takes a body and forgets it. */
export const unheard: FrameReceiver = {piece: () => undefined, end: () => undefined};

/** Answers a SEND at its end, if its sender wants that answer (RFC 4975 §7.2). */
export function answering(
  connection: Connection,
  head: FrameHead,
  status: number,
  onEnd: (flag: Flag) => void = () => undefined,
): FrameReceiver {
  const {failureReport} = head;
  const isWanted = status === 200 ? failureReport === 'yes' : failureReport !== 'no';
  const transactionId = head.transactionId.toString('latin1');
  const toPath = leftmostUri(head.fromPath).toString('latin1');
  const fromPath = head.toPath.toString('latin1');
  return {
    piece: (piece) => {
      connection.unwanted(piece.length);
    },
    end: (flag) => {
      if (isWanted) connection.respond({transactionId, toPath, fromPath, status});
      onEnd(flag);
    },
  };
}
