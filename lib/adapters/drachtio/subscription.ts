import type {Clock, Timer} from '../../ports/clock.ts';
import type {Log} from '../../ports/log.ts';
import type {SipRequestView, Subscription} from '../../ports/sip.ts';
import type {SipServer} from './connection.ts';
import {reply, requestView} from './reply.ts';
import type {SrfDialogHandler, SrfRequest, SrfResponse} from './srf-types.ts';
import {dialogRequestOptions, dialogUri, transact, type FinalAnswer} from './transaction.ts';

/** What a notifier gets on top of the subscription's time to send its last NOTIFY (RFC 6665 §4.1.2.4, Timer N = 64·T1). */
const lastNotifyMilliseconds = 32_000;

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
 * watches its time. Ends by `end`, by a NOTIFY `terminated`, when it runs out without a refresh, or when the connection to the server goes.
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
    const answer = await this.#subscribe(this.#options.expiresSeconds);
    if (answer === undefined) return;
    const status = answer.kind === 'failed' ? answer.status : answer.response.status;
    if (answer.kind === 'answered' && status < 300) {
      this.#granted(grantedSeconds(answer.response.header('Expires'), this.#options.expiresSeconds));
    } else if (status === 481 || status === 404 || status === 489) {
      // RFC 6665 §4.1.2.2: other failures leave the subscription as it is until it runs out.
      this.#end(`refused ${status}`);
    }
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
  }

  #granted(seconds: number): void {
    this.#expiry?.cancel();
    this.#expiry = this.#options.clock.after(seconds * 1000 + lastNotifyMilliseconds, () => {
      this.#end('run out');
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

  #end(why: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#expiry?.cancel();
    this.#stopWatching();
    this.#options.server.srf.removeDialog(this);
    this.onEnd?.(why);
  }
}

/** What a 2xx grants; the time asked for where it says nothing, and never more. */
export function grantedSeconds(expires: string | undefined, asked: number): number {
  const granted = Number.parseInt(expires ?? '', 10);
  return Number.isNaN(granted) ? asked : Math.min(granted, asked);
}
