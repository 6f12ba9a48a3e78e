/** Client transactions, INVITE and others (RFC 3261 §17.1, RFC 6026 §8.4): repeat until answered, acknowledge failures, cancel. */
import type {Clock} from '../ports/clock.ts';
import type {Flow} from './flow.ts';
import {createResponse, headerKey, withHeader, type SipRequest, type SipResponse} from '../codecs/sip-message.ts';
import {cseqOf, tagOf, type SipAddress} from './sip-values.ts';
import {TimerSet, type TimerValues} from './timers.ts';
import type {Transport} from './transport.ts';

/** What the user of a client transaction is told. */
export interface ClientCallbacks {
  /**
   * Every provisional response, then the final one; after a 2xx to INVITE also each further 2xx (repeated, or from another fork), which
   * the user acknowledges himself. `flow` is `undefined` for a response made here: 408 nobody answered, 503 nobody could be reached.
   */
  onResponse(response: SipResponse, flow: Flow | undefined): void;
}

export interface ClientOptions {
  readonly request: SipRequest;
  readonly target: SipAddress;
  readonly callbacks: ClientCallbacks;
  readonly transport: Transport;
  readonly values: TimerValues;
  readonly clock: Clock;
  readonly newTag: () => string;
  /** Starts the transaction of the CANCEL, once it may be sent. */
  readonly sendCancel: (cancel: SipRequest) => void;
  readonly onEnd: () => void;
}

/**
 * trying ──1xx──▶ proceeding ──2xx──▶ accepted (INVITE) or completed ──▶ ended
 *    └───────────────┴────────3xx–6xx──▶ completed ──▶ ended
 */
type State = 'trying' | 'proceeding' | 'accepted' | 'completed' | 'ended';

export class ClientTransaction {
  /** The request as sent, with the Via of this transaction. */
  readonly request: SipRequest;
  readonly target: SipAddress;
  readonly #options: ClientOptions;
  readonly #invite: boolean;
  readonly #reliable: boolean;
  #state: State = 'trying';
  readonly #timers: TimerSet;
  #heldCancel: SipRequest | undefined;
  #cancelled = false;
  #ack: SipRequest | undefined;

  constructor(options: ClientOptions) {
    this.request = options.request;
    this.target = options.target;
    this.#options = options;
    this.#timers = new TimerSet(options.clock);
    this.#invite = options.request.method === 'INVITE';
    this.#reliable = options.target.protocol === 'tcp';
  }

  /** Whether a final response has come. */
  get answered(): boolean {
    return this.#state !== 'trying' && this.#state !== 'proceeding';
  }

  /** Whether a provisional response has come and no final one: the time when a CANCEL may leave. */
  get proceeding(): boolean {
    return this.#state === 'proceeding';
  }

  /** Sends the request and starts its timers; called once. */
  start(): void {
    const {t1Ms} = this.#options.values;
    this.#send(this.request);
    if (!this.#reliable) this.#repeat(t1Ms);
    this.#timers.after(64 * t1Ms, () => {
      if (this.#state === 'trying' || (this.#state === 'proceeding' && !this.#invite)) this.#answerLocally(408);
    });
  }

  /** Takes a response that matched. */
  receive(response: SipResponse, flow: Flow): void {
    if (this.#state === 'completed') {
      if (this.#ack !== undefined && response.status >= 300) this.#send(this.#ack);
    } else if (this.#state === 'accepted') {
      if (response.status >= 200 && response.status < 300) this.#options.callbacks.onResponse(response, flow);
    } else if (this.#state !== 'ended') this.#advance(response, flow);
  }

  /**
   * Cancels an INVITE that has no final response (RFC 3261 §9.1). Gives the CANCEL, which leaves at once or, where there was no
   * provisional response yet, after it; `undefined` where there is nothing to cancel any more.
   */
  cancel(headers: readonly (readonly [name: string, value: string])[] = []): SipRequest | undefined {
    if (!this.#invite || this.answered || this.#cancelled) return undefined;
    this.#cancelled = true;
    const cancel = derivedRequest(this.request, 'CANCEL', undefined, headers);
    if (this.#state === 'proceeding') this.#sendCancel(cancel);
    else this.#heldCancel = cancel;
    return cancel;
  }

  /** Ends without a word. */
  end(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#timers.stop();
    this.#options.onEnd();
  }

  #advance(response: SipResponse, flow: Flow | undefined): void {
    const {values, callbacks} = this.#options;
    if (response.status < 200) {
      this.#state = 'proceeding';
      const held = this.#heldCancel;
      this.#heldCancel = undefined;
      if (held !== undefined) this.#sendCancel(held);
    } else if (this.#invite && response.status < 300) {
      this.#state = 'accepted';
      this.#timers.after(64 * values.t1Ms, () => {
        this.end();
      });
    } else {
      this.#state = 'completed';
      if (this.#invite) this.#acknowledge(response);
      const linger = this.#invite ? values.dMs : values.t4Ms;
      this.#timers.after(this.#reliable ? 0 : linger, () => {
        this.end();
      });
    }
    callbacks.onResponse(response, flow);
  }

  #acknowledge(response: SipResponse): void {
    const to = response.headers.find((header) => headerKey(header.name) === 'to')?.value;
    this.#ack = derivedRequest(this.request, 'ACK', to, []);
    this.#send(this.#ack);
  }

  #sendCancel(cancel: SipRequest): void {
    const {sendCancel, values} = this.#options;
    sendCancel(cancel);
    // A peer that answers the CANCEL but never the INVITE must not hold it for ever (RFC 3261 §9.1).
    this.#timers.after(64 * values.t1Ms, () => {
      if (!this.answered) this.#answerLocally(408);
    });
  }

  #answerLocally(status: 408 | 503): void {
    const {callbacks, newTag} = this.#options;
    const response = createResponse(this.request, status);
    const to = response.headers.find((header) => headerKey(header.name) === 'to')?.value;
    this.end();
    const tagged = to === undefined || tagOf(response, 'To') !== undefined ? to : `${to};tag=${newTag()}`;
    callbacks.onResponse(tagged === undefined ? response : withHeader(response, 'To', tagged), undefined);
  }

  #send(message: SipRequest): void {
    const {transport} = this.#options;
    transport.send(message, this.target).catch(() => {
      if (message === this.request && !this.answered) this.#answerLocally(503);
    });
  }

  #repeat(ms: number): void {
    this.#timers.after(ms, () => {
      const {t2Ms} = this.#options.values;
      const going = this.#state === 'trying' || (this.#state === 'proceeding' && !this.#invite);
      if (!going) return;
      this.#send(this.request);
      this.#repeat(this.#invite ? 2 * ms : this.#state === 'proceeding' ? t2Ms : Math.min(2 * ms, t2Ms));
    });
  }
}

/** The CANCEL of an INVITE, or the ACK to its failure: the same Via, route and identity (RFC 3261 §9.1, §17.1.1.3). */
function derivedRequest(
  invite: SipRequest,
  method: 'CANCEL' | 'ACK',
  to: string | undefined,
  extra: readonly (readonly [name: string, value: string])[],
): SipRequest {
  const kept = invite.headers.filter((header) =>
    ['max-forwards', 'from', 'to', 'call-id', 'route'].includes(headerKey(header.name)),
  );
  const via = invite.headers.find((header) => headerKey(header.name) === 'via');
  const headers = [
    ...(via === undefined ? [] : [via]),
    ...kept,
    {name: 'CSeq', value: `${cseqOf(invite)?.number ?? 1} ${method}`},
    ...extra.map(([name, value]) => ({name, value})),
  ];
  const request: SipRequest = {kind: 'request', method, uri: invite.uri, headers, body: Buffer.alloc(0)};
  return to === undefined ? request : withHeader(request, 'To', to);
}
