/** REPORTs (RFC 4975 §7.1.2): ours for what we took responsibility for, the partner's peer's passed on to who asked for them. Never answered. */
import type {FrameHead} from '../codecs/msrp/frame.ts';
import type {Session} from './session.ts';
import type {Transfer} from './transfer.ts';

/** Messages of a leg of which is known where reports go; a peer that reports later than that is not heard. */
const remembered = 256;

interface Route {
  readonly session: Session;
  readonly toPath: string;
  readonly success: boolean;
  readonly failure: boolean;
}

export class Reports {
  readonly #session: Session;
  /** Messages that went out on this leg, by Message-ID. */
  readonly #routes = new Map<string, Route>();

  constructor(session: Session) {
    this.#session = session;
  }

  /** A message of another leg goes out on this one. */
  expect(transfer: Transfer): void {
    const {session, fromPath: toPath, successReport: success, messageId} = transfer;
    const failure = transfer.failureReport !== 'no';
    if (!success && !failure) return;
    this.#routes.set(messageId, {session, toPath, success, failure});
    if (this.#routes.size <= remembered) return;
    for (const oldest of this.#routes.keys()) {
      this.#routes.delete(oldest);
      return;
    }
  }

  /** That message did not get through here: what is still said of it is of no interest. */
  forget(transfer: Transfer): void {
    this.#routes.delete(transfer.messageId);
  }

  /** A REPORT came in on this leg. */
  pass(head: FrameHead): void {
    const messageId = head.messageId?.toString('latin1') ?? '';
    const route = this.#routes.get(messageId);
    if (!(head.status === 200 ? route?.success : route?.failure)) return;
    const byteRange = head.byteRange ?? {start: 1, end: undefined, total: undefined};
    const {session, toPath} = route ?? {};
    if (session && toPath !== undefined) {
      session.connection?.report({toPath, fromPath: session.uri, messageId, byteRange, status: head.status});
    }
  }

  /** The PF has taken a message of this leg's peer. */
  succeeded(transfer: Transfer): void {
    if (!transfer.successReport) return;
    const {fromPath, messageId, total} = transfer;
    const byteRange = {start: 1, end: total, total};
    this.#session.connection?.report({
      toPath: fromPath,
      fromPath: this.#session.uri,
      messageId,
      byteRange,
      status: 200,
    });
  }
}
