/** What goes through the switch of a conference, and what waits there for one member. */
import type {ChunkOutcome, MsrpSession} from '../phone/msrp-session.ts';

/** A message as the switch took it; not an octet of it is changed. */
export interface SwitchedMessage {
  /** Canonical address of the member who sent it; undefined where the controlling function itself did. */
  readonly from: string | undefined;
  readonly contentType: string;
  readonly bytes: Buffer;
}

/** A message that a member did not take. */
export interface Undelivered {
  readonly to: string;
  readonly message: SwitchedMessage;
  readonly outcome: ChunkOutcome | 'absent';
}

export interface OutboxOptions {
  /** Whether messages wait for a member who has no session, or whose session broke before he answered. */
  readonly keeps: boolean;
  readonly onTaken: (message: SwitchedMessage) => void;
  readonly onUndelivered: (message: SwitchedMessage, outcome: Undelivered['outcome']) => void;
}

/** Messages that may be without answer at a time, as long as each is one chunk. */
const window = 16;

/** Sends a member his messages in order, one behind the other. */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #queue: SwitchedMessage[] = [];
  /** `expected`: his session is being set up. */
  #session: MsrpSession | 'expected' | undefined;
  /** How many from the front are on their way, and whether the last of them must be answered before the next may go. */
  #sent = 0;
  #large = false;
  readonly #onceEmpty: (() => void)[] = [];

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  push(message: SwitchedMessage): void {
    if (this.#session === undefined && !this.#options.keeps) {
      this.#options.onUndelivered(message, 'absent');
      return;
    }
    this.#queue.push(message);
    this.#pump();
  }

  /** Resolves once nothing waits here: all of it was answered, or given up. */
  empty(): Promise<void> {
    return new Promise((resolve) => {
      this.#onceEmpty.push(resolve);
      this.#look();
    });
  }

  /** The member has answered: what comes until his session is there waits for it. What another one did not answer is sent once more. */
  expect(): void {
    this.#session = 'expected';
    this.#sent = 0;
    this.#large = false;
  }

  /** His session is there. */
  attach(session: MsrpSession): void {
    this.#session = session;
    this.#pump();
  }

  /** The member has no session any more. */
  detach(outcome: Undelivered['outcome'] = 'absent'): void {
    this.#session = undefined;
    if (this.#options.keeps) return;
    for (const message of this.#queue.splice(0)) this.#options.onUndelivered(message, outcome);
    this.#look();
  }

  #pump(): void {
    const session = this.#session;
    while (typeof session === 'object' && this.#sent < window && !this.#large) {
      const message = this.#queue[this.#sent];
      if (message === undefined) return;
      this.#large = message.bytes.length > session.behaviour.chunkBytes;
      if (this.#large && this.#sent > 0) {
        this.#large = false;
        return;
      }
      this.#sent++;
      void this.#send(session, message);
    }
  }

  async #send(session: MsrpSession, message: SwitchedMessage): Promise<void> {
    const outcome = await session.send(message.bytes, {contentType: message.contentType});
    if (this.#session !== session) return;
    if (outcome === 'lost' || outcome === 'silent') {
      this.detach(outcome);
      return;
    }
    this.#queue.splice(this.#queue.indexOf(message), 1);
    this.#sent--;
    this.#large = false;
    if (outcome === 200) this.#options.onTaken(message);
    else this.#options.onUndelivered(message, outcome);
    this.#pump();
    this.#look();
  }

  #look(): void {
    if (this.#queue.length === 0) for (const resolve of this.#onceEmpty.splice(0)) resolve();
  }
}
