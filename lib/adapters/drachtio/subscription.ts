import type {Clock, Timer} from '../../ports/clock.ts';
import type {Log} from '../../ports/log.ts';
import type {SipRequestView, Subscription} from '../../ports/sip.ts';
import type {SipServer} from './connection.ts';
import {reply, requestView} from './reply.ts';
import type {SrfDialogHandler, SrfRequest, SrfResponse} from './srf-types.ts';
import {dialogRequestOptions, dialogUri, transact, type FinalAnswer} from './transaction.ts';

/** What a notifier gets on top of the subscription's time to send its last NOTIFY (RFC 6665 §4.1.2.4, Timer N = 64·T1). */
const lastNotifyMilliseconds = 32_000;
/** A subscription is refreshed so long before it runs out: the refresh may take as long (Timer F); a short one at half of its time. */
const marginMilliseconds = 32_000;

export interface SubscriptionDialog {
  readonly server: SipServer;
  readonly id: string;
  readonly event: string;
  readonly expiresSeconds: number;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * A subscription of ours. drachtio-srf's own Dialog never forgets one (it looks for the wrong entity), and ends it with a NOTIFY; nobody there
 * watches its time. Refreshed before it runs out (RFC 6665 §4.1.2.2). Ends by `end`, by a NOTIFY `terminated`, where it cannot be refreshed, or when
 * the connection to the server goes.
 */
export class DrachtioSubscription implements Subscription, SrfDialogHandler {
  readonly dialogType = 'SUBSCRIBE';
  readonly id: string;
  onEnd: Subscription['onEnd'];
  #onNotify: Subscription['onNotify'];
  /** NOTIFYs that came before anybody listened; the first one often travels with the 200. */
  readonly #missed: SipRequestView[] = [];
  readonly #options: SubscriptionDialog;
  readonly #stopWatching: () => void;
  #expiry: Timer | undefined;
  #renewal: Timer | undefined;
  #expiresAt = 0;
  #ended = false;
  #ending: Promise<void> | undefined;

  constructor(options: SubscriptionDialog, grantedSeconds: number) {
    this.#options = options;
    this.id = options.id;
    this.#stopWatching = options.server.ifLost(() => {
      this.#end('the connection to the SIP server is lost');
    });
    options.server.srf.addDialog(this);
    this.#granted(grantedSeconds);
  }

  get onNotify(): Subscription['onNotify'] {
    return this.#onNotify;
  }

  set onNotify(listener: Subscription['onNotify']) {
    this.#onNotify = listener;
    if (listener !== undefined) for (const notify of this.#missed.splice(0)) listener(notify);
  }

  end(): Promise<void> {
    this.#ending ??= this.#subscribe(0).then(() => {
      // The last NOTIFY may still come; it finds nobody, and that is all.
      this.#end('unsubscribed');
    });
    return this.#ending;
  }

  async refresh(): Promise<void> {
    const status = await this.#refresh();
    // RFC 6665 §4.1.2.2: other failures leave the subscription as it is until it runs out.
    if (status === 481 || status === 404 || status === 489) this.#end(`refused ${status}`, true);
  }

  async #refresh(): Promise<number> {
    const {expiresSeconds} = this.#options;
    const answer = await this.#subscribe(expiresSeconds);
    if (answer === undefined) return 481;
    if (answer.kind === 'failed') return answer.status;
    const {status} = answer.response;
    if (status < 300) this.#granted(grantedSeconds(answer.response.header('Expires'), expiresSeconds));
    return status;
  }

  /** Its time is nearly over: where the notifier has no good answer, its owner may still have another one in time. */
  async #renew(): Promise<void> {
    const status = await this.#refresh();
    if (status >= 300) this.#end(`not refreshed, ${status}`, true);
  }

  /** A NOTIFY inside the subscription. Called by drachtio-srf. */
  handle(req: SrfRequest, res: SrfResponse): void {
    const {server, log} = this.#options;
    const notify = requestView(req, server);
    const isNotify = req.method === 'NOTIFY';
    // The server has refused a NOTIFY `terminated` with 500 by itself (0.9.10); our 200 is then dropped.
    reply(server, res, {status: isNotify ? 200 : 405}, (error) => {
      log.debug({error}, 'a NOTIFY was answered by the SIP server');
    }).catch((error: unknown) => {
      log.error({error}, 'a NOTIFY could not be answered');
    });
    if (isNotify) this.notified(notify);
  }

  /** Hands a NOTIFY on, also one that came before its subscription was known. */
  notified(notify: SipRequestView): void {
    if (this.#onNotify === undefined) this.#missed.push(notify);
    else this.#onNotify(notify);
    const state = notify.header('Subscription-State') ?? '';
    if (/^\s*terminated/i.test(state)) this.#end(state);
    // The notifier may shorten what it granted (RFC 6665 §4.1.2.1).
    const left = Number.parseInt(/;\s*expires=(\d+)/i.exec(state)?.[1] ?? '', 10);
    if (!this.#ended && this.#options.clock.now() + left * 1000 < this.#expiresAt) this.#granted(left);
  }

  #granted(seconds: number): void {
    const {clock} = this.#options;
    const milliseconds = seconds * 1000;
    this.#expiry?.cancel();
    this.#renewal?.cancel();
    this.#expiresAt = clock.now() + milliseconds;
    this.#expiry = clock.after(milliseconds + lastNotifyMilliseconds, () => {
      this.#end('run out', true);
    });
    if (seconds === 0) return;
    this.#renewal = clock.after(milliseconds - Math.min(marginMilliseconds, milliseconds / 2), () => {
      void this.#renew();
    });
  }

  async #subscribe(seconds: number): Promise<FinalAnswer | undefined> {
    const {server, event} = this.#options;
    if (this.#ended) return undefined;
    const options = dialogRequestOptions(server, {id: this.id}, {headers: {Event: event, Expires: String(seconds)}});
    return new Promise((onFinal) => {
      transact({server, method: 'SUBSCRIBE', uri: dialogUri, options, onFinal}, this.#options);
    });
  }

  #end(why: string, lost = false): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#expiry?.cancel();
    this.#renewal?.cancel();
    this.#stopWatching();
    this.#options.server.srf.removeDialog(this);
    this.onEnd?.(why, lost);
  }
}

/** What a 2xx grants; the time asked for where it says nothing, and never more. */
export function grantedSeconds(expires: string | undefined, asked: number): number {
  const granted = Number.parseInt(expires ?? '', 10);
  return Number.isNaN(granted) ? asked : Math.min(granted, asked);
}
