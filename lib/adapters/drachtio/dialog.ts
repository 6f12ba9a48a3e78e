import {randomInt} from 'node:crypto';
import type {Socket} from 'node:net';
import type {Clock} from '../../ports/clock.ts';
import type {Log} from '../../ports/log.ts';
import type {SipDialog, SipModification, SipReply, SipRequestView, SipResponseView} from '../../ports/sip.ts';
import type {SipServer} from './connection.ts';
import {findHeader, withDefaults} from './headers.ts';
import {reply, requestView} from './reply.ts';
import {agreedTimer, sessionTimer, type SessionTimer} from './session-timer.ts';
import type {SrfDialogHandler, SrfRequest, SrfResponse} from './srf-types.ts';
import {dialogRequestOptions, dialogUri, madeResponse, transact, type FinalAnswer} from './transaction.ts';

/** Nobody has to be asked about a re-INVITE: a peer that says no more than 100 for so long is gone. */
const reinviteMilliseconds = 32_000;

export interface DialogOptions {
  readonly server: SipServer;
  /** The server's id of the dialog: `<Call-ID>;from-tag=<tag of the caller>`. */
  readonly id: string;
  readonly callId: string;
  /** Connection on which it began; several only where the server connects to the application. */
  readonly socket: Socket;
  /** Our Contact, and our side of the session: what a refresh is answered with. */
  readonly contact: string;
  readonly body: string | Uint8Array;
  /** The session timer that its INVITE has agreed on, if any. */
  readonly timer: SessionTimer | undefined;
  readonly byeAnswerMilliseconds: number;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * An INVITE dialog. It stands in drachtio-srf's table in place of srf's own Dialog, which answers a BYE before anyone was asked, a re-INVITE with
 * what it remembers and without Session-Expires, and hides the status of our BYE.
 */
export class DrachtioDialog implements SipDialog, SrfDialogHandler {
  readonly dialogType = 'INVITE';
  readonly id: string;
  readonly callId: string;
  readonly server: string;
  onModify: SipDialog['onModify'];
  onRequest: SipDialog['onRequest'];
  readonly #options: DialogOptions;
  #body: string | Uint8Array;
  #ended = false;
  #bye: Promise<number> | undefined;
  #modifying: Promise<unknown> = Promise.resolve();
  /** A re-INVITE of ours has no final answer yet. */
  #offering = false;
  /** A re-INVITE or UPDATE of the peer has none. */
  #answering = false;
  /** Waits for the answer that the ACK of a re-INVITE without an offer brings. */
  #onAnswer: SipModification['onAnswer'];
  #timer: SessionTimer | undefined;
  #onBye: SipDialog['onBye'];
  /** A BYE that came before anybody listened. */
  #missedBye: {readonly bye: SipRequestView; readonly by: 'peer' | 'server'} | undefined;
  readonly #stopWatching: () => void;
  /** Lets go of the connection: nothing more will be said in this dialog. */
  readonly #letGo: () => void;
  /** The ACK of our 200 came, or never will. */
  onAck: ((acknowledged: boolean) => void) | undefined;

  constructor(options: DialogOptions) {
    this.#options = options;
    this.id = options.id;
    this.callId = options.callId;
    this.server = options.server.name;
    this.#body = options.body;
    this.#timer = options.timer;
    this.#letGo = options.server.keep();
    this.#stopWatching = options.server.ifLost(() => {
      this.#connectionLost();
    });
    options.server.srf.addDialog(this);
  }

  get ended(): boolean {
    return this.#ended;
  }

  get onBye(): SipDialog['onBye'] {
    return this.#onBye;
  }

  set onBye(listener: SipDialog['onBye']) {
    this.#onBye = listener;
    const missed = this.#missedBye;
    if (listener === undefined || missed === undefined) return;
    this.#missedBye = undefined;
    void this.#tell(missed.bye, missed.by);
  }

  bye(headers: Readonly<Record<string, string>> = {}): Promise<number> {
    this.#bye ??= this.#ended ? Promise.resolve(481) : this.#sendBye(headers);
    return this.#bye;
  }

  modify(body: string, headers: Readonly<Record<string, string>> = {}): Promise<SipResponseView> {
    // One re-INVITE at a time (RFC 3261 §14.1).
    const result = this.#modifying.then(() => this.#reinvite(body, headers));
    this.#modifying = result;
    return result;
  }

  /** A request of the peer inside this dialog, or the server's own BYE. Called by drachtio-srf. */
  handle(req: SrfRequest, res: SrfResponse): void {
    if (req.method === 'BYE') {
      this.#byeFrom(req, res);
      return;
    }
    if (req.method === 'ACK') {
      this.#acknowledged(requestView(req, this.#options.server));
      return;
    }

    // What comes in one packet with the ACK waits until the dialog's owner has had the chance to listen; what it crosses is known now.
    const crosses = this.#offering;
    setImmediate(() => {
      this.#answer(req, res, crosses).catch((error: unknown) => {
        this.#options.log.error({error, method: req.method}, 'a request inside a dialog could not be answered');
      });
    });
  }

  #byeFrom(req: SrfRequest, res: SrfResponse): void {
    const {server, log} = this.#options;
    const view = requestView(req, server);
    const byServer = req.source === 'application';
    const answering = server.keep();
    const answered = this.#ended ? Promise.resolve(undefined) : this.#ends(view, byServer ? 'server' : 'peer');
    if (byServer) {
      answering();
      return;
    }

    void answered
      .then((headers) =>
        reply(server, res, {...headers, status: 200}, (error) => {
          log.info({error}, 'a BYE could not be answered');
        }).catch((error: unknown) => {
          log.error({error}, 'the answer to a BYE is no valid one');
        }),
      )
      .finally(answering);
  }

  /** The dialog is over; resolves with what the BYE is answered with, after `byeAnswerMilliseconds` at the latest. */
  async #ends(bye: SipRequestView, by: 'peer' | 'server'): Promise<SipReply | undefined> {
    this.#close();
    if (this.#onBye === undefined) {
      this.#missedBye = {bye, by};
      return undefined;
    }

    return this.#tell(bye, by);
  }

  #tell(bye: SipRequestView, by: 'peer' | 'server'): Promise<SipReply | undefined> {
    const {clock, log, byeAnswerMilliseconds} = this.#options;
    return new Promise((resolve) => {
      const timer = clock.after(byeAnswerMilliseconds, () => {
        log.warn(
          {milliseconds: byeAnswerMilliseconds, clause: '8.3.2.3'},
          'a BYE is answered before its procedure has ended',
        );
        resolve(undefined);
      });
      const settle = (headers: SipReply | undefined): void => {
        timer.cancel();
        resolve(headers);
      };
      const procedure = async (): Promise<SipReply | undefined> => this.#onBye?.(bye, by);
      procedure().then(settle, (error: unknown) => {
        log.error({error}, 'the procedure for a BYE failed');
        settle(undefined);
      });
    });
  }

  #close(): void {
    this.#ended = true;
    this.#stopWatching();
    this.#options.server.srf.removeDialog(this);
    this.#letGo();
    this.onAck?.(false);
  }

  /** Without a connection nobody tells us of the peer's BYE any more (the server answers it 481): the dialog is given up, and ended when we can. */
  #connectionLost(): void {
    if (this.#ended) {
      this.#close();
      return;
    }
    const {server, log} = this.#options;
    const reason = 'SIP;cause=503;text="connection to the SIP server lost"';
    const source = {address: '', port: 0, protocol: ''};
    const header = (name: string): string | undefined => (name.toLowerCase() === 'reason' ? reason : undefined);
    const body = new Uint8Array(0);
    void this.#ends({method: 'BYE', uri: '', callId: this.callId, source, header, body}, 'server');
    this.#bye = Promise.resolve(481);
    server.whenConnected((now) => {
      const options = dialogRequestOptions(now, {id: this.id}, {headers: {Reason: reason}});
      const onFinal = (answer: FinalAnswer): void => {
        const status = answer.kind === 'failed' ? answer.status : answer.response.status;
        log.info({status}, 'ended a dialog that outlived the connection to the SIP server');
      };
      transact({server: now, method: 'BYE', uri: dialogUri, options, onFinal}, this.#options);
    });
  }

  async #answer(req: SrfRequest, res: SrfResponse, crosses: boolean): Promise<void> {
    const {server, log} = this.#options;
    const view = requestView(req, server);
    let answer: SipModification;
    try {
      answer = await this.#decide(view, crosses);
    } catch (error) {
      log.error({error, method: req.method}, 'the procedure for a request inside a dialog failed');
      answer = {status: 500};
    }

    await reply(server, res, answer, (error) => {
      log.info({error, method: req.method}, 'an answer inside a dialog was not sent');
    });
  }

  async #decide(request: SipRequestView, crosses: boolean): Promise<SipModification> {
    switch (request.method) {
      case 'INVITE':
      case 'UPDATE':
        return this.#modified(request, crosses);
      case 'PRACK':
        return {status: 200};
      default:
        if (this.onRequest !== undefined) return this.onRequest(request);
        return {status: ['INFO', 'NOTIFY', 'OPTIONS'].includes(request.method) ? 200 : 405};
    }
  }

  #acknowledged({body}: SipRequestView): void {
    this.onAck?.(true);
    const onAnswer = this.#onAnswer;
    this.#onAnswer = undefined;
    if (body.length > 0) onAnswer?.(Buffer.from(body).toString('utf8'));
  }

  /** Nobody's offer counts where both sides make one, or one side two (RFC 3261 §14.2); the server does not see to it. */
  async #modified(request: SipRequestView, crosses: boolean): Promise<SipModification> {
    if (crosses || this.#offering) return {status: 491};
    if (this.#answering) return {status: 500, headers: {'Retry-After': String(randomInt(1, 10))}};
    this.#answering = true;
    try {
      return await this.#agreed(request);
    } finally {
      this.#answering = false;
    }
  }

  /** Our session as it stands (the same o= line, so that no media is set up anew) unless the owner says otherwise; the session timer goes on. */
  async #agreed(request: SipRequestView): Promise<SipModification> {
    const answer = (await this.onModify?.(request)) ?? {status: 200};
    if (answer.status < 200 || answer.status >= 300) return answer;
    const wantsBody = request.method === 'INVITE' || request.body.length > 0;
    const body = answer.body ?? (wantsBody ? this.#body : undefined);
    if (answer.body !== undefined) this.#body = answer.body;
    this.#onAnswer = request.method === 'INVITE' ? answer.onAnswer : undefined;
    const timer = sessionTimer(request);
    this.#timer = agreedTimer(timer['Session-Expires'], 'uas');
    const headers = withDefaults(answer.headers ?? {}, {
      Contact: this.#options.contact,
      'Content-Type': body === undefined ? undefined : 'application/sdp',
      ...timer,
    });
    return {...answer, headers, ...(body === undefined ? {} : {body})};
  }

  async #sendBye(headers: Readonly<Record<string, string>>): Promise<number> {
    this.#ended = true;
    const status = await new Promise<number>((resolve) => {
      this.#send('BYE', {headers}, (answer) => {
        if (answer.kind === 'answered') {
          resolve(answer.response.status);
          return;
        }
        resolve(answer.status === 481 ? 481 : 408);
      });
    });
    this.#close();
    return status;
  }

  #reinvite(body: string, headers: Readonly<Record<string, string>>): Promise<SipResponseView> {
    if (this.#ended) return Promise.resolve(madeResponse(481, 'the dialog has ended'));
    if (this.#answering) return Promise.resolve(madeResponse(491, 'a re-INVITE of the peer has no answer yet'));
    const all = withDefaults(headers, {
      Contact: this.#options.contact,
      'Content-Type': 'application/sdp',
      // Left out, the timer would end with this re-INVITE for the peer (RFC 4028 §7.4), and not for our server.
      ...(this.#timer === undefined
        ? {}
        : {
            Supported: 'timer',
            'Session-Expires': `${this.#timer.seconds};refresher=${this.#timer.isOurs ? 'uac' : 'uas'}`,
          }),
    });
    this.#offering = true;
    return new Promise((resolve) => {
      const late = this.#options.clock.after(reinviteMilliseconds, () => {
        this.#offering = false;
        resolve(madeResponse(408, 'no answer'));
      });
      this.#send('INVITE', {headers: all, body}, (answer) => {
        late.cancel();
        this.#offering = false;
        if (answer.kind === 'failed') {
          resolve(madeResponse(answer.status, answer.why));
          return;
        }
        if (answer.response.status < 300) {
          answer.ack();
          this.#body = body;
          this.#timer = agreedTimer(answer.response.header('Session-Expires'), 'uac') ?? this.#timer;
        }

        resolve(answer.response);
      });
    });
  }

  #send(method: string, message: SipReply, onFinal: (answer: FinalAnswer) => void): void {
    const {server} = this.#options;
    const options = dialogRequestOptions(server, {id: this.id, socket: this.#options.socket}, message);
    transact({server, method, uri: dialogUri, options, onFinal}, this.#options);
  }
}

/** The Contact of a message that we sent, as the server completed it. */
export function ownContact(headers: Readonly<Record<string, string>>): string {
  return headers[findHeader(headers, 'Contact') ?? ''] ?? '';
}
