import {CpmError} from '../../errors.ts';
import type {Clock} from '../../ports/clock.ts';
import type {Log} from '../../ports/log.ts';
import type {IncomingInvite, IncomingRequest, SipDialog, SipReply} from '../../ports/sip.ts';
import type {SipServer} from './connection.ts';
import {DrachtioDialog, ownContact} from './dialog.ts';
import {parseHeaders, withDefaults} from './headers.ts';
import {proxyTarget} from './proxy-target.ts';
import type {Proxied} from './proxied.ts';
import {reply, requestView, sendReply} from './reply.ts';
import {agreedTimer, sessionTimer} from './session-timer.ts';
import type {SrfMessage, SrfRequest, SrfResponse} from './srf-types.ts';

/** RFC 4028 §4: no session timer is shorter than this. */
const smallestSessionExpires = 90;

export interface IncomingOptions {
  /** The one that it came through. */
  readonly server: SipServer;
  readonly byeAnswerMilliseconds: number;
  /** `host:port` at which the network reaches us through this server. */
  readonly ownAddresses: (server: SipServer) => readonly string[];
  /** Puts our Contact on the server that the request came through. */
  /** Where the server itself is reached. */
  readonly uriOf: (server: SipServer) => string;
  readonly ownHeaders: (headers: Readonly<Record<string, string>>, server: SipServer) => Record<string, string>;
  readonly proxied: Proxied;
  readonly clock: Clock;
  readonly log: Log;
}

/** A request outside a dialog, as it came from drachtio-srf. */
export class DrachtioRequest implements IncomingRequest {
  readonly method: string;
  readonly uri: string;
  readonly callId: string;
  source: IncomingRequest['source'];
  readonly server: string;
  /** Lets go of the connection: the request is over, as far as it is ours. */
  protected readonly letGo: () => void;
  protected readonly req: SrfRequest;
  protected readonly res: SrfResponse;
  protected readonly options: IncomingOptions;
  /** A final answer was given, or it was proxied or cancelled. */
  settled = false;
  /** The application's own handlers have it; nothing here answers it any more. */
  passed = false;
  readonly #view: ReturnType<typeof requestView>;

  constructor(req: SrfRequest, res: SrfResponse, options: IncomingOptions) {
    this.#view = requestView(req, options.server);
    ({method: this.method, uri: this.uri, callId: this.callId, source: this.source} = this.#view);
    this.req = req;
    this.res = res;
    this.options = options;
    this.server = options.server.name;
    this.letGo = options.server.keep();
  }

  get body(): Uint8Array {
    return this.#view.body;
  }

  header(name: string): string | undefined {
    return this.#view.header(name);
  }

  async respond(status: number, answer: SipReply = {}): Promise<void> {
    const {server, ownHeaders, log} = this.options;
    if (status >= 200 && !this.settle(`an answer ${status}`)) return;
    try {
      await reply(server, this.res, {...answer, status, headers: ownHeaders(answer.headers ?? {}, server)}, (error) => {
        log.info({error, method: this.method, status}, 'an answer was not sent');
      });
    } catch (error) {
      // Nothing went out (too large, no Content-Type): the caller may answer otherwise.
      this.settled = false;
      throw error;
    }

    if (status >= 200) this.letGo();
  }

  async proxy(to?: string): Promise<void> {
    const {server, log} = this.options;
    if (!this.settle('proxying')) return;
    const destination = to ?? this.target();
    if (destination === undefined) return this.respondNowhere();
    await new Promise<void>((resolve) => {
      const release = server.ifLost(resolve);
      this.req.proxy({destination: [destination], remainInDialog: this.method === 'INVITE'}, (error) => {
        release();
        if (error !== undefined && error !== null)
          log.warn({error, method: this.method}, 'a request could not be proxied');
        resolve();
      });
    });
    this.letGo();
  }

  /** Where it goes on to. */
  protected target(): string | undefined {
    return proxyTarget(this, this.options.ownAddresses(this.options.server));
  }

  protected async respondNowhere(): Promise<void> {
    this.settled = false;
    await this.respond(this.uri.toLowerCase().startsWith('sip') ? 404 : 416);
  }

  /** True for the first final answer; a second one is dropped and logged. */
  protected settle(what: string): boolean {
    if (this.settled)
      this.options.log.warn({method: this.method}, `${what} came after the final answer and is dropped`);
    const first = !this.settled;
    this.settled = true;
    return first;
  }
}

/** An INVITE that begins a dialog. */
export class DrachtioInvite extends DrachtioRequest implements IncomingInvite {
  readonly refusedBy: readonly number[] | undefined;
  #onCancel: IncomingInvite['onCancel'];
  #cancel: {readonly reason: string | undefined} | undefined;

  constructor(req: SrfRequest, res: SrfResponse, options: IncomingOptions) {
    super(req, res, options);
    const before = options.proxied.returned(this, options.ownAddresses(options.server));
    this.refusedBy = before?.statuses;
    if (before !== undefined) this.source = before.source;
    req.on('cancel', (message: SrfMessage) => {
      this.#cancel = {reason: parseHeaders(message.raw ?? '').get('reason')};
      this.settled = true;
      // The 487 has gone out; this answer only lets the server forget the request, which it keeps for 64 s otherwise.
      if (!this.passed) sendReply(options.server, res, {status: 487}, this.letGo);
      this.#onCancel?.(this.#cancel.reason);
    });
  }

  get cancelled(): boolean {
    return this.#cancel !== undefined;
  }

  get onCancel(): IncomingInvite['onCancel'] {
    return this.#onCancel;
  }

  set onCancel(listener: IncomingInvite['onCancel']) {
    this.#onCancel = listener;
    if (this.#cancel !== undefined) listener?.(this.#cancel.reason);
  }

  override async respond(status: number, answer: SipReply = {}): Promise<void> {
    // The server has sent the 487 already.
    if (!this.cancelled) await super.respond(status, answer);
  }

  async proxyToDevices({nextHop, milliseconds}: Parameters<IncomingInvite['proxyToDevices']>[0]): Promise<void> {
    const {server, log, proxied, uriOf} = this.options;
    if (!this.settle('proxying')) return;
    const target = this.header('Route') === undefined && nextHop !== undefined ? nextHop : this.target();
    if (target === undefined) return this.respondNowhere();
    await new Promise<void>((resolve) => {
      const told = proxied.begin(this);
      const over = (): void => {
        release();
        told.end();
        resolve();
      };
      const release = server.ifLost(over);
      // One after the other: what the devices do not take, the server brings back to us.
      const options = {
        remainInDialog: true,
        stackTxnId: this.req.stackTxnId,
        fullResponse: true,
        provisionalTimeout: `${milliseconds}ms`,
        finalTimeout: `${milliseconds}ms`,
      } as const;
      this.req._agent.proxy(this.req, {...options, destination: [target, uriOf(server)]}, ([what, which], raw) => {
        const status = Number(/^SIP\/2\.0 (\d{3})/.exec(raw ?? '')?.[1]);
        if (status >= 300) told.refused(status);
        if (what === 'NOK') log.warn({error: which, method: this.method}, 'a request could not be proxied');
        if (what === 'NOK' || which === 'done') over();
      });
    });
    this.letGo();
  }

  async accept(answer: SipReply): Promise<SipDialog> {
    const {server, ownHeaders, clock, log, byeAnswerMilliseconds} = this.options;
    if (this.cancelled) throw cancelled();
    const offered = Number.parseInt(this.header('Session-Expires') ?? '', 10);
    if (offered < smallestSessionExpires) {
      await this.respond(422, {headers: {'Min-SE': String(smallestSessionExpires)}});
      throw new CpmError('CPM_SIP_SESSION_TIMER', 422, `a session timer of ${offered} s is too short (RFC 4028 §4)`);
    }

    if (!this.settle('accepting')) throw new CpmError('CPM_SIP_ANSWERED', 500, 'the INVITE has been answered already');
    const headers = withDefaults(ownHeaders(answer.headers ?? {}, server), sessionTimer(this));
    return new Promise((resolve, reject) => {
      const release = server.ifLost(() => {
        reject(new CpmError('CPM_SIP_SERVER_AWAY', 503, 'the connection to the SIP server is lost'));
      });
      sendReply(server, this.res, {...answer, status: 200, headers}, (error, sent) => {
        release();
        if (sent === undefined) {
          this.settled = error?.status !== 513;
          if (this.settled) this.letGo();
          reject(this.cancelled || error === undefined ? cancelled() : error);
          return;
        }

        const dialog = new DrachtioDialog({
          server,
          id: this.res.stackDialogId ?? '',
          callId: this.callId,
          socket: this.req.socket,
          contact: ownContact(sent.headers),
          body: answer.body ?? '',
          timer: agreedTimer(headers['Session-Expires'], 'uas'),
          byeAnswerMilliseconds,
          clock,
          log,
        });
        this.letGo();
        dialog.onAck = (acknowledged) => {
          dialog.onAck = undefined;
          if (acknowledged) resolve(dialog);
          else reject(new CpmError('CPM_SIP_NO_ACK', 408, 'the dialog ended before its ACK came'));
        };
      });
    });
  }
}

function cancelled(): CpmError {
  return new CpmError('CPM_SIP_CANCELLED', 487, 'the inviter has cancelled');
}
