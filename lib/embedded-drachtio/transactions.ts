/**
 * The transaction layer of RFC 3261 §17: between a transport and whoever makes and answers requests (a user agent, the server here).
 *
 * A phone needs no more than this:
 *
 *     const transport = await createTransport({contacts: ['udp:127.0.0.1:0']});
 *     const layer = createTransactionLayer(transport, {
 *       onRequest: (request, transaction) => transaction.respond(createResponse(request, 200)),
 *       onAck: (ack, transaction) => …,
 *     });
 *     layer.request(createRequest('MESSAGE', 'sip:bob@127.0.0.1:5060', [['From', …], …]), nextHop, {onResponse: …});
 */
import {randomBytes} from 'node:crypto';
import {CpmError} from '../errors.ts';
import {systemClock, type Clock} from '../ports/clock.ts';
import {ClientTransaction, type ClientCallbacks} from './client-transaction.ts';
import {responseTarget, sentBy, type Flow} from './flow.ts';
import {
  createResponse,
  headerOf,
  withHeader,
  type SipMessage,
  type SipRequest,
  type SipResponse,
} from '../codecs/sip-message.ts';
import {refusal} from './unreadable.ts';
import {ServerTransaction} from './server-transaction.ts';
import {cseqOf, parseVia, tagOf, topVia, type SipAddress} from './sip-values.ts';
import {rfc3261Timers, type TimerValues} from './timers.ts';
import type {Transport} from './transport.ts';

export type {ClientCallbacks, ClientTransaction, ServerTransaction};

/** What the user of the layer does with what comes; all are called synchronously, none may block. */
export interface TransactionUser {
  /** A new request, ACK and CANCEL apart. It is to be answered by `transaction.respond`. */
  onRequest(request: SipRequest, transaction: ServerTransaction): void;
  /** The ACK to a 2xx; `transaction` is `undefined` where none of ours waits for it (a proxy passes it on). */
  onAck?(ack: SipRequest, transaction: ServerTransaction | undefined, flow: Flow): void;
  /** An INVITE without final response is cancelled; the CANCEL has its 200. Without this callback the INVITE gets 487. */
  onCancel?(cancel: SipRequest, transaction: ServerTransaction): void;
  /** The 2xx was repeated for 64·T1 and nobody acknowledged it. */
  onAckTimeout?(transaction: ServerTransaction): void;
  /** A response nobody waits for. */
  onStrayResponse?(response: SipResponse, flow: Flow): void;
  /** A callback above has thrown; the request got 500 where it had no answer. */
  onError?(error: unknown): void;
}

export interface TransactionLayerOptions {
  readonly timers?: Partial<TimerValues>;
  readonly clock?: Clock;
  /** Answer every INVITE with 100 at once; default true. */
  readonly trying?: boolean;
  /** Requests held at once; a new one beyond it gets 503. Default 20000. */
  readonly maxTransactions?: number;
  /** Makes branches and tags unique; default random. */
  readonly newToken?: () => string;
}

export interface TransactionLayer {
  /** Sends a request: it gets our Via on top and is repeated until answered. The target is where it goes, whatever its URI says. */
  request(request: SipRequest, target: SipAddress, callbacks: ClientCallbacks): ClientTransaction;
  /** Sends an ACK to a 2xx, once and with a Via of its own; give what is returned to `resend` when the 2xx comes again. */
  sendAck(ack: SipRequest, target: SipAddress): SipRequest;
  /** Sends a message as it is. */
  resend(message: SipMessage, target: SipAddress): void;
  /** A tag of 48 random bits. */
  newTag(): string;
  /** Ends every transaction without a word; the transport stays. */
  close(): void;
}

/** Puts a transaction layer on a transport, whose messages it receives from now on. */
export function createTransactionLayer(
  transport: Transport,
  user: TransactionUser,
  options: TransactionLayerOptions = {},
): TransactionLayer {
  const values: TimerValues = {...rfc3261Timers, ...options.timers};
  const clock = options.clock ?? systemClock;
  const newToken = options.newToken ?? (() => randomBytes(8).toString('hex'));
  const maxTransactions = options.maxTransactions ?? 20_000;
  const clients = new Map<string, ClientTransaction>();
  const servers = new Map<string, ServerTransaction>();
  /** INVITE transactions that have sent a 2xx, by what their ACK carries. */
  const accepted = new Map<string, ServerTransaction>();

  function startClient(request: SipRequest, target: SipAddress, callbacks: ClientCallbacks): ClientTransaction {
    const key = clientKey(request);
    const transaction = new ClientTransaction({
      request,
      target,
      callbacks: {
        onResponse: (response, flow) => {
          guarded(undefined, () => {
            callbacks.onResponse(response, flow);
          });
        },
      },
      transport,
      values,
      clock,
      newTag: newToken,
      sendCancel: (cancel) => startClient(cancel, target, {onResponse: () => undefined}),
      onEnd: () => clients.delete(key),
    });
    clients.set(key, transaction);
    transaction.start();
    return transaction;
  }

  function startServer(request: SipRequest, flow: Flow, key: string): ServerTransaction {
    let ackKey: string | undefined;
    const transaction = new ServerTransaction({
      request,
      flow,
      localTag: newToken(),
      transport,
      values,
      clock,
      onAccepted: (response) => {
        ackKey = dialogKey(response);
        accepted.set(ackKey, transaction);
      },
      onAckTimeout: () => {
        guarded(undefined, () => user.onAckTimeout?.(transaction));
      },
      onEnd: () => {
        servers.delete(key);
        if (ackKey !== undefined && accepted.get(ackKey) === transaction) accepted.delete(ackKey);
      },
    });
    servers.set(key, transaction);
    return transaction;
  }

  function onRequest(request: SipRequest, flow: Flow): void {
    if (!isComplete(request)) {
      if (request.method !== 'ACK' && topVia(request) !== undefined) answerStateless(request, flow, 400);
      return;
    }
    if (request.method === 'ACK') {
      onAck(request, flow);
      return;
    }
    const key = serverKey(request, request.method);
    const known = servers.get(key);
    if (known !== undefined) known.repeated();
    else if (servers.size >= maxTransactions) answerStateless(request, flow, 503);
    else if (request.method === 'CANCEL') onCancel(request, startServer(request, flow, key));
    else onNewRequest(request, startServer(request, flow, key));
  }

  function onNewRequest(request: SipRequest, transaction: ServerTransaction): void {
    if (request.method === 'INVITE' && options.trying !== false) transaction.respond(createResponse(request, 100));
    guarded(transaction, () => {
      user.onRequest(request, transaction);
    });
  }

  function onAck(ack: SipRequest, flow: Flow): void {
    const failed = servers.get(serverKey(ack, 'INVITE'));
    const success = accepted.get(dialogKey(ack));
    if (failed !== undefined && failed !== success) {
      failed.acknowledge();
      return;
    }
    success?.acknowledge();
    guarded(undefined, () => user.onAck?.(ack, success, flow));
  }

  function onCancel(cancel: SipRequest, transaction: ServerTransaction): void {
    const invite = servers.get(serverKey(cancel, 'INVITE'));
    if (invite === undefined || invite.accepted) {
      transaction.respond(createResponse(cancel, 481));
      return;
    }
    // The same To-tag as the INVITE's own responses have (RFC 3261 §9.2).
    const to = headerOf(cancel, 'To') ?? '';
    const ok = createResponse(cancel, 200);
    transaction.respond(tagOf(cancel, 'To') === undefined ? withHeader(ok, 'To', `${to};tag=${invite.localTag}`) : ok);
    if (invite.answered) return;
    if (user.onCancel === undefined) invite.respond(createResponse(invite.request, 487));
    else guarded(undefined, () => user.onCancel?.(cancel, invite));
  }

  function onResponse(response: SipResponse, flow: Flow): void {
    const transaction = isComplete(response) ? clients.get(clientKey(response)) : undefined;
    if (transaction !== undefined) transaction.receive(response, flow);
    else guarded(undefined, () => user.onStrayResponse?.(response, flow));
  }

  function answerStateless(request: SipRequest, flow: Flow, status: number): void {
    const response = refusal(request, status, newToken);
    transport.send(response, responseTarget(response, flow)).catch(() => undefined);
  }

  /** A fault of ours in a callback costs that request, not the process. */
  function guarded(transaction: ServerTransaction | undefined, run: () => void): void {
    try {
      run();
    } catch (error) {
      if (transaction?.answered === false) {
        const status = error instanceof CpmError ? error.status : 500;
        transaction.respond(createResponse(transaction.request, status));
      }
      user.onError?.(error);
    }
  }

  function withVia(request: SipRequest, target: SipAddress): SipRequest {
    const local = transport.localAddress(target.protocol, target.host);
    const rport = target.protocol === 'udp' ? ';rport' : '';
    const via = `SIP/2.0/${target.protocol.toUpperCase()} ${sentBy(local)}${rport};branch=${magicCookie}${newToken()}`;
    return {...request, headers: [{name: 'Via', value: via}, ...request.headers]};
  }

  transport.receive((message, flow) => {
    if (message.kind === 'request') onRequest(message, flow);
    else onResponse(message, flow);
  });

  return {
    request: (request, target, callbacks) => startClient(withVia(request, target), target, callbacks),
    sendAck(ack, target) {
      const sent = withVia(ack, target);
      transport.send(sent, target).catch(() => undefined);
      return sent;
    },
    resend(message, target) {
      transport.send(message, target).catch(() => undefined);
    },
    newTag: newToken,
    close() {
      for (const transaction of [...clients.values(), ...servers.values()]) transaction.end();
    },
  };
}

const magicCookie = 'z9hG4bK';

/** What every message must have before it can belong to a transaction (RFC 3261 §8.1.1); the CSeq method is the request's. */
function isComplete(message: SipMessage): boolean {
  const cseq = cseqOf(message);
  const via = topVia(message);
  if (cseq === undefined || via === undefined || parseVia(via) === undefined) return false;
  if (message.kind === 'request' && message.method !== cseq.method) return false;
  return ['From', 'To', 'Call-ID'].every((name) => (headerOf(message, name) ?? '') !== '');
}

function clientKey(message: SipMessage): string {
  return `${branchOf(message)} ${cseqOf(message)?.method ?? ''}`;
}

/** RFC 3261 §17.2.3; an old peer without the magic cookie is known by the whole Via, Call-ID and CSeq number. */
function serverKey(request: SipRequest, method: string): string {
  const branch = branchOf(request);
  const via = parseVia(topVia(request) ?? '');
  if (branch.startsWith(magicCookie)) return `${branch} ${via?.host ?? ''}:${via?.port ?? 5060} ${method}`;
  const identity = [topVia(request), headerOf(request, 'Call-ID'), tagOf(request, 'From'), cseqOf(request)?.number];
  return `${identity.join(' ')} ${method}`;
}

function branchOf(message: SipMessage): string {
  return parseVia(topVia(message) ?? '')?.params.get('branch') ?? '';
}

/** What a 2xx to INVITE and its ACK have in common. */
function dialogKey(message: SipMessage): string {
  const parts = [headerOf(message, 'Call-ID'), tagOf(message, 'From'), tagOf(message, 'To'), cseqOf(message)?.number];
  return parts.join(' ');
}
