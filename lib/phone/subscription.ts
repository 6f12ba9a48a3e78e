/** Subscriptions to event packages, as the one who subscribes and as the one who notifies has them (RFC 6665 §4). */
import {createResponse, headerOf, type SipRequest, type SipResponse} from '../codecs/sip-message.ts';
import type {ServerTransaction, TransactionLayer} from '../embedded-drachtio/transactions.ts';
import type {HeaderList} from './call.ts';
import {cseqNumber, refreshed, requestInDialog, type Dialog} from './dialog.ts';
import {Inbox} from './inbox.ts';

interface EndOptions {
  readonly layer: TransactionLayer;
  /** Contact value of our requests and answers. */
  readonly contact: string;
  readonly onEnd: () => void;
}

/** What came in a NOTIFY. */
export interface Notify {
  /** Subscription-State as written: `active;expires=3600`, `terminated;reason=noresource`. */
  readonly state: string;
  readonly contentType: string | undefined;
  readonly body: Buffer;
}

/** A subscription of ours; it ends by `end`, or by a NOTIFY that says so. */
export class Subscription {
  readonly notifications = new Inbox<Notify>('NOTIFY');
  /** Resolves with the last Subscription-State, or `unsubscribed`. */
  readonly ended: Promise<string>;
  /** Is told of each NOTIFY; of those that came before, at once. */
  #listener: ((notify: Notify) => void) | undefined;
  readonly #options: EndOptions & {readonly request: SipRequest};
  #dialog: Dialog | undefined;
  #cseq: number;
  #end: (why: string) => void = () => undefined;

  constructor(options: EndOptions & {readonly request: SipRequest}) {
    this.#options = options;
    this.#cseq = cseqNumber(options.request);
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** The 2xx came. */
  established(dialog: Dialog): void {
    this.#dialog = dialog;
  }

  listen(listener: (notify: Notify) => void): void {
    for (const notify of this.notifications.items) listener(notify);
    this.#listener = listener;
  }

  /** Asks for the whole state once more; resolves with the status of the answer. */
  refresh(): Promise<number> {
    return this.#subscribe(3600);
  }

  async end(): Promise<number> {
    const status = await this.#subscribe(0);
    this.#finish('unsubscribed');
    return status;
  }

  receive(request: SipRequest, transaction: ServerTransaction): void {
    if (request.method !== 'NOTIFY') {
      transaction.respond(createResponse(request, 405));
      return;
    }
    transaction.respond(createResponse(request, 200, {headers: [['Contact', this.#options.contact]]}));
    const state = headerOf(request, 'Subscription-State') ?? '';
    const notify = {state, contentType: headerOf(request, 'Content-Type'), body: request.body};
    this.notifications.push(notify);
    this.#listener?.(notify);
    if (/^\s*terminated/i.test(state)) this.#finish(state);
  }

  async #subscribe(expires: number): Promise<number> {
    const {layer, contact, request} = this.#options;
    if (this.#dialog === undefined) return 481;
    this.#cseq++;
    const event = headerOf(request, 'Event') ?? '';
    const headers: HeaderList = [
      ['Contact', contact],
      ['Event', event],
      ['Expires', String(expires)],
    ];
    const {status} = await requestOf(layer, this.#dialog, 'SUBSCRIBE', this.#cseq, headers);
    return status;
  }

  #finish(why: string): void {
    this.#options.onEnd();
    this.#end(why);
  }
}

/** One subscriber of ours. */
export class Notifier {
  /** He asks once more (seconds), or no longer (0). To be answered by a NOTIFY, `terminated` where he asks no longer. */
  onRefresh: ((expiresSeconds: number) => void) | undefined;
  readonly #options: EndOptions & {readonly dialog: Dialog; readonly event: string};
  #dialog: Dialog;
  #cseq = 0;
  #over = false;

  constructor(options: EndOptions & {readonly dialog: Dialog; readonly event: string}) {
    this.#options = options;
    this.#dialog = options.dialog;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Sends a NOTIFY; resolves with the status of its answer. One that says `terminated` is the last one. */
  async notify(state: string, contentType?: string, body = ''): Promise<number> {
    const {layer, contact, event} = this.#options;
    if (this.#over) return 481;
    if (state.startsWith('terminated')) this.drop();
    this.#cseq++;
    const headers: HeaderList = [
      ['Contact', contact],
      ['Event', event],
      ['Subscription-State', state],
      ...(contentType === undefined ? [] : [['Content-Type', contentType] as const]),
    ];
    const {status} = await requestOf(layer, this.#dialog, 'NOTIFY', this.#cseq, headers, body);
    // RFC 6665 §4.2.2: who does not know the subscription any more has none.
    if (status === 481) this.drop();
    return status;
  }

  receive(request: SipRequest, transaction: ServerTransaction): void {
    if (request.method !== 'SUBSCRIBE') {
      transaction.respond(createResponse(request, 405));
      return;
    }
    this.#dialog = refreshed(this.#dialog, request);
    const expires = Number(headerOf(request, 'Expires') ?? 3600);
    const headers: HeaderList = [
      ['Contact', this.#options.contact],
      ['Expires', String(expires)],
    ];
    transaction.respond(createResponse(request, 200, {headers}));
    this.onRefresh?.(expires);
  }

  /** The subscription is over without a word. */
  drop(): void {
    this.#over = true;
    this.#options.onEnd();
  }
}

function requestOf(
  layer: TransactionLayer,
  dialog: Dialog,
  method: string,
  cseq: number,
  headers: HeaderList,
  body = '',
): Promise<SipResponse> {
  const {request, target} = requestInDialog(dialog, method, cseq, headers, Buffer.from(body));
  return new Promise((resolve) => {
    layer.request(request, target, {
      onResponse: (response) => {
        if (response.status >= 200) resolve(response);
      },
    });
  });
}
