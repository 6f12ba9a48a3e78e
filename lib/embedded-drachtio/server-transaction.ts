/** Server transactions, INVITE and others (RFC 3261 §17.2, RFC 6026 §8.5): answer once, repeat the answer, wait for the ACK. */
import {CpmError} from '../errors.ts';
import type {Clock} from '../ports/clock.ts';
import {responseTarget, type Flow} from './flow.ts';
import {headerOf, withHeader, type SipRequest, type SipResponse} from '../codecs/sip-message.ts';
import {tagOf} from './sip-values.ts';
import {TimerSet, type TimerValues} from './timers.ts';
import type {Transport} from './transport.ts';

export interface ServerOptions {
  readonly request: SipRequest;
  readonly flow: Flow;
  readonly localTag: string;
  readonly transport: Transport;
  readonly values: TimerValues;
  readonly clock: Clock;
  /** Called with a 2xx of our own to INVITE, so that its ACK can be found. */
  readonly onAccepted: (response: SipResponse) => void;
  /** No ACK came for a 2xx that was repeated for 64·T1. */
  readonly onAckTimeout: () => void;
  readonly onEnd: () => void;
}

/**
 * proceeding ──2xx──▶ accepted (INVITE) ──▶ ended
 *     └──other final──▶ completed ──ACK──▶ confirmed ──▶ ended
 */
type State = 'proceeding' | 'accepted' | 'completed' | 'confirmed' | 'ended';

export class ServerTransaction {
  readonly request: SipRequest;
  readonly flow: Flow;
  /** The To-tag which responses without one are given. */
  readonly localTag: string;
  readonly #options: ServerOptions;
  readonly #invite: boolean;
  #state: State = 'proceeding';
  readonly #timers: TimerSet;
  #last: SipResponse | undefined;
  #acknowledged = false;

  constructor(options: ServerOptions) {
    this.request = options.request;
    this.flow = options.flow;
    this.localTag = options.localTag;
    this.#options = options;
    this.#timers = new TimerSet(options.clock);
    this.#invite = options.request.method === 'INVITE';
  }

  /** Whether the final response has been sent. */
  get answered(): boolean {
    return this.#state !== 'proceeding';
  }

  /** Whether that was a 2xx to an INVITE: nothing is left to cancel. */
  get accepted(): boolean {
    return this.#state === 'accepted';
  }

  /**
   * Sends a response; one without To-tag (100 apart) gets `localTag`. A 2xx to INVITE is repeated until its ACK, unless `repeat` is
   * false, as for a proxy. Gives the response as sent; throws `CpmError` where the final response was sent before.
   */
  respond(response: SipResponse, {repeat = true}: {readonly repeat?: boolean} = {}): SipResponse {
    const success = response.status >= 200 && response.status < 300;
    const again = this.#state === 'accepted' && success && !repeat;
    if (this.#state !== 'proceeding' && !again) {
      throw new CpmError('CPM_SIP_TRANSACTION', 500, 'the request has been answered already');
    }
    const sent = this.#tagged(response);
    this.#last = sent;
    this.#send(sent);
    if (response.status < 200 || again) return sent;
    if (!this.#invite) this.#complete(this.#lingerMs());
    else if (success) this.#accept(sent, repeat);
    else this.#fail(sent);
    return sent;
  }

  /** The request came once more: the last response is the answer, if there is one (an acknowledged 2xx isn't). */
  repeated(): void {
    if (this.#state === 'confirmed' || this.#state === 'ended') return;
    if (this.#last !== undefined && !this.#acknowledged) this.#send(this.#last);
  }

  /** An ACK came, which ends the repetition. */
  acknowledge(): void {
    this.#acknowledged = true;
    if (this.#state === 'completed') {
      this.#state = 'confirmed';
      this.#timers.stop();
      this.#timers.after(this.flow.remote.protocol === 'tcp' ? 0 : this.#options.values.t4Ms, () => {
        this.end();
      });
    }
  }

  /** Ends without a word. */
  end(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#timers.stop();
    this.#options.onEnd();
  }

  #accept(sent: SipResponse, repeat: boolean): void {
    this.#state = 'accepted';
    if (repeat) {
      // The ACK is for us; one for a 2xx that a proxy passes on is not, the more so where the same call comes back to us as its callee.
      this.#options.onAccepted(sent);
      // TCP does not help here: the 2xx is repeated end to end (RFC 3261 §13.3.1.4).
      this.#repeat(sent, this.#options.values.t1Ms);
    }

    this.#timers.after(this.#lingerMs(true), () => {
      const unheard = repeat && !this.#acknowledged;
      this.end();
      if (unheard) this.#options.onAckTimeout();
    });
  }

  #fail(sent: SipResponse): void {
    this.#complete(this.#lingerMs(true));
    if (this.flow.remote.protocol !== 'tcp') this.#repeat(sent, this.#options.values.t1Ms);
  }

  #complete(ms: number): void {
    this.#state = 'completed';
    this.#timers.after(ms, () => {
      this.end();
    });
  }

  #lingerMs(always = false): number {
    return always || this.flow.remote.protocol !== 'tcp' ? 64 * this.#options.values.t1Ms : 0;
  }

  #repeat(response: SipResponse, ms: number): void {
    this.#timers.after(ms, () => {
      if (this.#acknowledged) return;
      this.#send(response);
      this.#repeat(response, Math.min(2 * ms, this.#options.values.t2Ms));
    });
  }

  #tagged(response: SipResponse): SipResponse {
    const to = headerOf(response, 'To');
    if (response.status === 100 || to === undefined || tagOf(response, 'To') !== undefined) return response;
    return withHeader(response, 'To', `${to};tag=${this.localTag}`);
  }

  #send(response: SipResponse): void {
    // A response that can't be delivered is lost like one on the wire: the peer repeats its request or gives up.
    this.#options.transport.send(response, responseTarget(response, this.flow)).catch(() => undefined);
  }
}
