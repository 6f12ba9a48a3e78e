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
  /** Message-IDs of what went out on this leg, a ring in which a later one takes the place of the oldest, and where their reports go. */
  readonly #ids: string[] = [];
  readonly #routes: (Route | undefined)[] = [];
  #next = 0;

  constructor(session: Session) {
    this.#session = session;
  }

  /** A message of another leg goes out on this one. */
  expect(transfer: Transfer): void {
    const {session, fromPath, successReport, messageId} = transfer;
    const failure = transfer.failureReport !== 'no';
    if (!successReport && !failure) return;
    const at = this.#next;
    const last = this.#routes[(at + remembered - 1) % remembered];
    const isLikeLast =
      last?.session === session &&
      last.toPath === fromPath &&
      last.success === successReport &&
      last.failure === failure;
    this.#ids[at] = messageId;
    this.#routes[at] = isLikeLast ? last : {session, toPath: fromPath, success: successReport, failure};
    this.#next = (at + 1) % remembered;
  }

  /** That message did not get through here: what is still said of it is of no interest. */
  forget(transfer: Transfer): void {
    this.#ids.forEach((id, at) => {
      if (id === transfer.messageId) this.#routes[at] = undefined;
    });
  }

  /** A REPORT came in on this leg. */
  pass(head: FrameHead): void {
    const messageId = head.messageId?.toString('latin1') ?? '';
    const route = this.#routeOf(messageId);
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

  /** The latest message of that name counts. */
  #routeOf(messageId: string): Route | undefined {
    for (let back = 1; back <= this.#ids.length; back += 1) {
      const at = (this.#next + remembered - back) % remembered;
      if (this.#ids[at] === messageId) return this.#routes[at];
    }
    return undefined;
  }
}
