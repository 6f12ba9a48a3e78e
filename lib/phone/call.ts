/** An established call: a dialog with its offer and answer, until one side says BYE (RFC 3261 §12–§15). */
import {createResponse, headerOf, type SipRequest, type SipResponse} from '../codecs/sip-message.ts';
import type {ServerTransaction, TransactionLayer} from '../embedded-drachtio/transactions.ts';
import {cseqNumber, refreshed, requestInDialog, type Dialog} from './dialog.ts';

export type HeaderList = readonly (readonly [name: string, value: string])[];

/** Who ended the call, and with what Reason header. */
export interface CallEnd {
  readonly by: 'us' | 'peer';
  readonly reason: string | undefined;
}

/** What a user of a call answers to a request inside it. */
export interface CallAnswer {
  readonly status: number;
  readonly headers?: HeaderList;
  readonly body?: string;
}

export interface CallOptions {
  readonly layer: TransactionLayer;
  readonly dialog: Dialog;
  readonly role: 'caller' | 'callee';
  /** The INVITE that made it. */
  readonly invite: SipRequest;
  /** Its 2xx. */
  readonly response: SipResponse;
  readonly localSdp: string;
  readonly remoteSdp: string;
  /** Contact value of our requests and answers. */
  readonly contact: string;
  readonly onEnd: () => void;
}

/** One end of a call. */
export class Call {
  readonly role: 'caller' | 'callee';
  readonly invite: SipRequest;
  readonly response: SipResponse;
  /** Resolves once the call is over, and the peer's BYE answered; never rejects. */
  readonly ended: Promise<CallEnd>;
  /** re-INVITE or UPDATE of the peer; without a listener it gets 200 with our description as it stands. */
  onOffer: ((request: SipRequest) => CallAnswer | Promise<CallAnswer>) | undefined;
  /** Any other request inside the dialog; without a listener 405. */
  onRequest: ((request: SipRequest) => CallAnswer) | undefined;
  /** What is said to a BYE; 200 at once without a listener. `undefined` leaves it without an answer. */
  onBye: ((request: SipRequest) => Promise<CallAnswer | undefined>) | undefined;
  readonly #options: CallOptions;
  #dialog: Dialog;
  #cseq: number;
  #localSdp: string;
  #remoteSdp: string;
  #over: CallEnd | undefined;
  #resolveEnded: (end: CallEnd) => void = () => undefined;

  constructor(options: CallOptions) {
    this.#options = options;
    this.role = options.role;
    this.invite = options.invite;
    this.response = options.response;
    this.#dialog = options.dialog;
    this.#cseq = options.role === 'caller' ? cseqNumber(options.invite) : 1;
    this.#localSdp = options.localSdp;
    this.#remoteSdp = options.remoteSdp;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  get dialog(): Dialog {
    return this.#dialog;
  }

  /** The peer's session description, the latest one. */
  get remoteSdp(): string {
    return this.#remoteSdp;
  }

  get over(): boolean {
    return this.#over !== undefined;
  }

  /** Ends the call; resolves with the status of the peer's answer (408: none came), 481 where the call was over already. */
  async bye(headers: HeaderList = []): Promise<number> {
    if (this.#over !== undefined) return 481;
    const reason = headers.find(([name]) => name.toLowerCase() === 'reason')?.[1];
    this.#end({by: 'us', reason});
    return (await this.request('BYE', headers)).status;
  }

  /** Sends a new offer; resolves with the final response. */
  async reinvite(sdp: string, headers: HeaderList = []): Promise<SipResponse> {
    const response = await this.request('INVITE', [['Content-Type', 'application/sdp'], ...headers], sdp);
    if (response.status < 300) {
      this.#localSdp = sdp;
      if (response.body.length > 0) this.#remoteSdp = response.body.toString();
    }
    return response;
  }

  /** Sends a re-INVITE without an offer: the peer's comes in its 2xx, and this is the answer in our ACK (RFC 3261 §14.1). */
  reinviteWithoutOffer(answer: string): Promise<SipResponse> {
    return this.request('INVITE', [], '', answer);
  }

  /** Sends any request inside the dialog; resolves with its final response. `inAck` goes with the ACK to a 2xx. */
  request(method: string, headers: HeaderList = [], body = '', inAck = ''): Promise<SipResponse> {
    const {layer, contact} = this.#options;
    this.#cseq++;
    const all: HeaderList = method === 'BYE' ? headers : [['Contact', contact], ...headers];
    const {request, target} = requestInDialog(this.#dialog, method, this.#cseq, all, Buffer.from(body));
    return new Promise((resolve) => {
      layer.request(request, target, {
        onResponse: (response) => {
          if (response.status < 200) return;
          if (method === 'INVITE' && response.status < 300) {
            this.#dialog = refreshed(this.#dialog, response);
            this.acknowledge(cseqNumber(request), inAck);
          }
          resolve(response);
        },
      });
    });
  }

  /** Sends the ACK to a 2xx whose INVITE had this CSeq number. */
  acknowledge(cseq: number, body = ''): void {
    const type: HeaderList = body === '' ? [] : [['Content-Type', 'application/sdp']];
    const {request, target} = requestInDialog(this.#dialog, 'ACK', cseq, type, Buffer.from(body));
    this.#options.layer.sendAck(request, target);
  }

  /** A request that came inside the dialog. */
  receive(request: SipRequest, transaction: ServerTransaction): void {
    if (request.method === 'BYE') {
      void this.#receiveBye(request, transaction);
      return;
    }
    if (request.method === 'INVITE' || request.method === 'UPDATE') {
      this.#dialog = refreshed(this.#dialog, request);
      if (request.body.length > 0) this.#remoteSdp = request.body.toString();
      void this.#answerOffer(request, transaction);
      return;
    }
    this.#answer(transaction, this.onRequest?.(request) ?? {status: 405});
  }

  /** The call is over without a BYE: our end goes away. */
  drop(): void {
    this.#end({by: 'us', reason: undefined});
  }

  async #answerOffer(request: SipRequest, transaction: ServerTransaction): Promise<void> {
    this.#answer(transaction, (await this.onOffer?.(request)) ?? this.#sessionAsItStands(request));
  }

  async #receiveBye(request: SipRequest, transaction: ServerTransaction): Promise<void> {
    const first = this.#over === undefined;
    this.#over ??= {by: 'peer', reason: headerOf(request, 'Reason')};
    const answer = this.onBye === undefined ? {status: 200} : await this.onBye(request);
    if (answer !== undefined) this.#answer(transaction, answer);
    if (first) this.#leave(this.#over);
  }

  #sessionAsItStands(request: SipRequest): CallAnswer {
    // An UPDATE without a body only refreshes the session timer (RFC 4028 §7.4): it gets no description either.
    const bodiless = request.method === 'UPDATE' && request.body.length === 0;
    const expires = headerOf(request, 'Session-Expires');
    const headers: HeaderList = expires === undefined ? [] : [['Session-Expires', expires]];
    return bodiless ? {status: 200, headers} : {status: 200, headers, body: this.#localSdp};
  }

  #answer(transaction: ServerTransaction, {status, headers = [], body}: CallAnswer): void {
    const type: HeaderList = body === undefined ? [] : [['Content-Type', 'application/sdp']];
    const contact: HeaderList = status < 300 ? [['Contact', this.#options.contact]] : [];
    transaction.respond(
      createResponse(transaction.request, status, {
        headers: [...contact, ...type, ...headers],
        ...(body === undefined ? {} : {body: Buffer.from(body)}),
      }),
    );
  }

  #end(end: CallEnd): void {
    if (this.#over !== undefined) return;
    this.#over = end;
    this.#leave(end);
  }

  #leave(end: CallEnd): void {
    this.#options.onEnd();
    this.#resolveEnded(end);
  }
}
