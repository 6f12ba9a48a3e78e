import {CpmError} from '../../errors.ts';
import type {Clock} from '../../ports/clock.ts';
import type {Log} from '../../ports/log.ts';
import type {
  OutgoingRequest,
  Sip,
  SipHandlers,
  SipRequestView,
  SipResponseView,
  Subscription,
  SubscriptionOptions,
} from '../../ports/sip.ts';
import {attachHandlers, type Fallback} from './attach.ts';
import type {SipServer} from './connection.ts';
import type {SipListener} from './listener.ts';
import {sendInvite, unsentInvite} from './outgoing-invite.ts';
import {withDefaults} from './headers.ts';
import {requestView, sendReply} from './reply.ts';
import {createProxied} from './proxied.ts';
import {isOwnUri} from './proxy-target.ts';
import type {SrfRequest, SrfResponse} from './srf-types.ts';
import {DrachtioSubscription, grantedSeconds} from './subscription.ts';
import {
  dialogRequestOptions,
  dialogUri,
  madeResponse,
  requestOptions,
  sendingError,
  transact,
  type FinalAnswer,
} from './transaction.ts';

export interface DrachtioSipOptions {
  /** At least one; what the PF originates goes to the connected ones in turn. */
  readonly servers: readonly SipServer[];
  /** Where servers connect to us for each call, if they do. What the PF originates goes over `servers` all the same. */
  readonly listener?: SipListener | undefined;
  /** Domain of the From that a request gets where it names none. */
  readonly homeDomain: string;
  /** Host in our Contact, where the network reaches the server under another one than it listens on. */
  readonly contactHost?: string | undefined;
  /** Latest answer to a BYE, milliseconds; well below the 32 s after which its sender gives up (RFC 3261 §17.1.2.2). */
  readonly byeAnswerMilliseconds?: number | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** SIP on drachtio servers, with what its owner needs beyond the port. */
export interface DrachtioSip extends Sip {
  /**
   * Hands the requests of all servers to the procedures. Those that they pass go on to the application's own handlers (`next`) or along their
   * Route (`proxy`). Resolves when the servers that are there send us the requests.
   */
  attach(handlers: SipHandlers, options: {readonly fallback: Fallback}): Promise<void>;
  /** Closes the connections that the adapter made. Dialogs are not ended: that is their owners' task, before. */
  close(): Promise<void>;
}

/** The `Sip` port on one or several drachtio servers. */
export function createSip(options: DrachtioSipOptions): DrachtioSip {
  const {servers, listener, homeDomain, clock, log, byeAnswerMilliseconds = 10_000} = options;
  const context = {clock, log};
  /** NOTIFYs that overtook the answer to their SUBSCRIBE, by the Call-ID of those under way. */
  const early = new Map<string, SipRequestView[]>();
  let turn = 0;

  /** The one that is asked for while it is up, else those that are up in turn. */
  function choose(via?: string): SipServer {
    const live = servers.filter((server) => server.connected);
    turn += 1;
    const server = live.find(({name}) => name === via) ?? live[turn % live.length];
    if (server === undefined) throw new CpmError('CPM_SIP_SERVER_AWAY', 503, 'no connection to a SIP server');
    return server;
  }

  /** Where the server itself is reached, by `host` where another name than its own is given. */
  function uriOf(server: SipServer, host?: string): string {
    const own =
      server.hostPorts.find((entry) => entry.startsWith('udp/')) ?? server.hostPorts[0] ?? 'udp/localhost:5060';
    const [protocol, address = ''] = own.split('/');
    const port = address.slice(address.lastIndexOf(':'));
    const reached = host === undefined ? address : `${host}${port}`;
    return `sip:${reached}${protocol === 'udp' ? '' : `;transport=${protocol ?? 'tcp'}`}`;
  }

  const contactOf = (server: SipServer): string => uriOf(server, options.contactHost);

  function firstContact(): string {
    const server = servers.find(({connected}) => connected) ?? servers[0];
    return server === undefined ? `sip:${homeDomain}` : contactOf(server);
  }

  /** The procedures know one Contact; a dialog's later requests must come to the server that holds it. */
  function ownHeaders(headers: Readonly<Record<string, string>>, server: SipServer): Record<string, string> {
    const known = firstContact();
    const own = contactOf(server);
    return Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [
        name,
        /^(contact|m)$/i.test(name) ? value.replace(known, own) : value,
      ]),
    );
  }

  function prepare(request: OutgoingRequest, headers: Readonly<Record<string, string>> = {}) {
    const server = choose(request.via);
    const own = {...request, headers: ownHeaders(request.headers, server)};
    return {server, ...requestOptions(own, server, {From: `<sip:${homeDomain}>`, ...headers})};
  }

  function unsent(error: unknown, method: string): {readonly status: number; readonly why: string} {
    const {status, message} = sendingError(error);
    log.error({error, method, status}, 'a request was not sent');
    return {status, why: message};
  }

  const sip: DrachtioSip = {
    get contactUri() {
      return firstContact();
    },
    isOwn: (uri) => servers.some((server) => isOwnUri(uri, ownAddresses(server))),
    get connected() {
      return servers.some((server) => server.connected);
    },
    onConnection(listen) {
      for (const server of servers) {
        server.onConnection((connected) => {
          // One of several that goes or comes changes nothing for the whole.
          if (servers.every((other) => other === server || !other.connected)) listen(connected);
        });
      }
    },
    onServer(listen) {
      for (const server of servers) {
        server.onConnection((connected) => {
          listen(server.name, connected);
        });
      }
    },
    invite(request) {
      try {
        const {server, uri, options: sending} = prepare(request, {Contact: `<${firstContact()}>`});
        return sendInvite({server, uri, options: sending, body: request.body ?? '', byeAnswerMilliseconds, clock, log});
      } catch (error) {
        const {status, why} = unsent(error, 'INVITE');
        return unsentInvite(status, why);
      }
    },
    request(method, request) {
      return new Promise<SipResponseView>((resolve) => {
        const onFinal = (answer: FinalAnswer): void => {
          resolve(answer.kind === 'answered' ? answer.response : madeResponse(answer.status, answer.why));
        };
        try {
          transact({...prepare(request), method, onFinal}, context);
        } catch (error) {
          onFinal({kind: 'failed', ...unsent(error, method)});
        }
      });
    },
    subscribe,
    async endLeftDialog({id, server: name}, headers) {
      const holder = servers.find((server) => server.name === name);
      if (holder?.connected === false) return undefined;
      const asked = holder === undefined ? servers.filter(({connected}) => connected) : [holder];
      for (const server of asked) {
        const answer = await new Promise<FinalAnswer>((onFinal) => {
          transact(
            {server, method: 'BYE', uri: dialogUri, options: dialogRequestOptions(server, {id}, {headers}), onFinal},
            context,
          );
        });
        if (answer.kind === 'answered') return answer.response.status;
        if (answer.status !== 481) return 408;
      }

      return 481;
    },
    async attach(handlers, {fallback}) {
      const attaching = {
        byeAnswerMilliseconds,
        ownHeaders,
        ownAddresses,
        uriOf,
        proxied: createProxied(),
        takeNotify,
        clock,
        log,
      };
      for (const server of servers)
        attachHandlers(handlers, fallback, {srf: server.srf, serverOf: () => server}, attaching);
      if (listener !== undefined) attachHandlers(handlers, fallback, listener, attaching);
      await Promise.all(servers.filter(({connected}) => connected).map(async (server) => server.wire.flushed()));
    },
    async close() {
      await Promise.all([...servers, ...(listener === undefined ? [] : [listener])].map((each) => each.close()));
    },
  };

  function ownAddresses(server: SipServer): readonly string[] {
    return [
      contactOf(server).replace(/^sip:([^;]*).*$/, '$1'),
      ...server.hostPorts.map((entry) => entry.slice(entry.indexOf('/') + 1)),
    ];
  }

  function subscribe(request: SubscriptionOptions): Promise<Subscription> {
    const {event, expiresSeconds} = request;
    return new Promise((resolve, reject) => {
      const asked = {Event: event, Expires: String(expiresSeconds), Contact: `<${firstContact()}>`};
      const {server, uri, options: sending} = prepare({...request, headers: withDefaults(request.headers, asked)});
      const overtaking: SipRequestView[] = [];
      let callId: string | undefined;
      const onSent = (req: SrfRequest): void => {
        callId = req.get('Call-ID') ?? '';
        early.set(callId, overtaking);
      };
      const onFinal = (answer: FinalAnswer): void => {
        if (callId !== undefined) early.delete(callId);
        const status = answer.kind === 'failed' ? answer.status : answer.response.status;
        if (answer.kind === 'failed' || status >= 300) {
          reject(
            new CpmError('CPM_SIP_SUBSCRIPTION', status, `the subscription to ${event} was refused with ${status}`),
          );
          return;
        }

        const id = answer.res.stackDialogId ?? '';
        const seconds = grantedSeconds(answer.response.header('Expires'), expiresSeconds);
        const subscription = new DrachtioSubscription({server, id, event, expiresSeconds, clock, log}, seconds);
        for (const notify of overtaking) subscription.notified(notify);
        resolve(subscription);
      };
      transact({server, method: 'SUBSCRIBE', uri, options: sending, onSent, onFinal}, context);
    });
  }

  /**
   * The server has refused such a NOTIFY with 500 by itself; what it says is not lost all the same. It must be answered although nothing goes
   * out: one that an application leaves alone ends the server (0.9.10) when it tidies up 64 s later.
   */
  function takeNotify(req: SrfRequest, res: SrfResponse, server: SipServer): boolean {
    const overtaking = early.get(req.get('Call-ID') ?? '');
    if (overtaking === undefined) return false;
    overtaking.push(requestView(req, server));
    sendReply(server, res, {status: 200}, () => undefined);
    return true;
  }

  return sip;
}
