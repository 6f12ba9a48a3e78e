/** The SIP side of a simulated phone: calls out and in, MESSAGE, REGISTER, OPTIONS, on a socket of its own (RFC 3261 §8, §13). */
import {randomUUID} from 'node:crypto';
import {formatMultipart, type Part} from '../codecs/multipart.ts';
import {CpmError} from '../errors.ts';
import {sipUriOf} from '../embedded-drachtio/flow.ts';
import {
  createRequest,
  createResponse,
  headerOf,
  type SipMessage,
  type SipRequest,
  type SipResponse,
} from '../codecs/sip-message.ts';
import {addressOfUri, tagOf} from '../embedded-drachtio/sip-values.ts';
import type {TimerValues} from '../embedded-drachtio/timers.ts';
import {createTransactionLayer, type ServerTransaction} from '../embedded-drachtio/transactions.ts';
import {createTransport, type Transport} from '../embedded-drachtio/transport.ts';
import {Call, type HeaderList} from './call.ts';
import {callerDialog, calleeDialog, cseqNumber, dialogKeyOf, keyOfDialog} from './dialog.ts';
import {Notifier, Subscription} from './subscription.ts';

export interface UserAgentOptions {
  /** Our public identity, for From. */
  readonly identity: string;
  /** User part of our Contact. */
  readonly user: string;
  /** Parameters of our Contact, each with its semicolon: `;+sip.instance="<urn:…>"`. */
  readonly contactParameters: string;
  readonly userAgent: string;
  /** Where requests outside a dialog go; without it, where their URI leads. */
  readonly proxy: string | undefined;
  readonly protocol: 'udp' | 'tcp';
  /** Where it listens, both protocols; without it, or with 0, ports of the system's choice. */
  readonly port?: number | undefined;
  readonly timers?: Partial<TimerValues> | undefined;
  /** Is shown every message that leaves or comes, repetitions too. */
  readonly trace?: ((direction: 'out' | 'in', message: SipMessage) => void) | undefined;
  /** A call comes; it is to be accepted or refused. */
  readonly onCall: (incoming: IncomingCall) => void;
  /** A request outside a dialog, INVITE apart; the status is its answer. */
  readonly onRequest: (request: SipRequest) => number | Promise<number>;
  /** Somebody subscribes to something of ours; without a listener `onRequest` answers him. */
  readonly onSubscription?: ((incoming: IncomingSubscription) => void) | undefined;
}

/** A call that rings here. */
export interface IncomingCall {
  readonly request: SipRequest;
  /** 180, once. */
  ring(): void;
  /** 200 with an answer; resolves once the ACK came, rejects when none came or the call was cancelled before. */
  accept(sdp: string, headers?: HeaderList): Promise<Call>;
  refuse(status: number, headers?: HeaderList): void;
  /** Resolves with the Reason of the CANCEL, if one comes before the final answer. */
  readonly cancelled: Promise<string | undefined>;
}

/** A SUBSCRIBE outside a dialog. */
export interface IncomingSubscription {
  readonly request: SipRequest;
  /** 200, with our Contact or the one that is in the headers; the first NOTIFY is to follow at once (RFC 6665 §4.2.1). */
  accept(expiresSeconds: number, headers?: HeaderList): Notifier;
  refuse(status: number): void;
}

/** A call that we make. */
export interface OutgoingCall {
  readonly request: SipRequest;
  /** Provisional responses as they come, 100 apart. */
  readonly provisionals: readonly SipResponse[];
  /** The call, or the final response that refused it. Never rejects. */
  readonly outcome: Promise<Call | SipResponse>;
  cancel(reason?: string): void;
}

export interface UserAgent {
  /** Our Contact value, parameters included. */
  readonly contact: string;
  /** `From` (without tag), `Contact` and other headers of our own give way to those that are given; `parts` go beside the description. */
  invite(
    uri: string,
    sdp: string,
    headers?: HeaderList,
    parts?: readonly Pick<Part, 'headers' | 'body'>[],
  ): OutgoingCall;
  /** Subscribes to an event package; resolves with the subscription, or the response that refused it. */
  subscribe(uri: string, event: string, headers?: HeaderList): Promise<Subscription | SipResponse>;
  /** A request outside a dialog; resolves with its final response (408, 503: none came). */
  request(method: string, uri: string, headers?: HeaderList, body?: Uint8Array): Promise<SipResponse>;
  readonly calls: readonly Call[];
  /** Goes away without a word. May be called twice. */
  close(): Promise<void>;
}

/** Opens a user agent on a loopback port of the system's choice. */
export async function createUserAgent(options: UserAgentOptions): Promise<UserAgent> {
  const contacts = [options.protocol, options.protocol === 'tcp' ? 'udp' : 'tcp'].map(
    (name) => `${name}:127.0.0.1:${options.port ?? 0}`,
  );
  const transport = traced(await createTransport({contacts}), options.trace);
  const contact = `<${sipUriOf(transport.localAddress(options.protocol), options.user)}>${options.contactParameters}`;
  const calls = new Map<string, Call>();
  const notifiers = new Map<string, Notifier>();
  const subscriptions = new Map<string, Subscription>();
  const ringing = new Map<ServerTransaction, Ringing>();
  const layer = createTransactionLayer(
    transport,
    {
      onRequest,
      onAck: (_ack, transaction) => {
        const ring = transaction === undefined ? undefined : ringing.get(transaction);
        if (transaction !== undefined) ringing.delete(transaction);
        ring?.acknowledged();
      },
      onCancel: (cancel, transaction) => {
        const ring = ringing.get(transaction);
        ringing.delete(transaction);
        transaction.respond(createResponse(transaction.request, 487));
        ring?.cancelled(headerOf(cancel, 'Reason'));
      },
      onAckTimeout: (transaction) => {
        const ring = ringing.get(transaction);
        ringing.delete(transaction);
        ring?.failed(new CpmError('CPM_PHONE_NO_ACK', 408, 'our 200 was never acknowledged'));
      },
    },
    options.timers === undefined ? {} : {timers: options.timers},
  );

  function onRequest(request: SipRequest, transaction: ServerTransaction): void {
    if (tagOf(request, 'To') !== undefined) {
      const key = dialogKeyOf(request);
      const end = calls.get(key) ?? notifiers.get(key) ?? subscriptions.get(subscriptionKey(request, 'To'));
      if (end === undefined) transaction.respond(createResponse(request, 481));
      else end.receive(request, transaction);
    } else if (request.method === 'SUBSCRIBE' && options.onSubscription !== undefined) {
      options.onSubscription(incomingSubscription(request, transaction));
    } else if (request.method === 'INVITE') {
      const ring = new Ringing();
      ringing.set(transaction, ring);
      options.onCall(incomingCall(request, transaction, ring));
    } else {
      void answer(request, transaction);
    }
  }

  async function answer(request: SipRequest, transaction: ServerTransaction): Promise<void> {
    const status = options.onRequest(request);
    transaction.respond(createResponse(request, typeof status === 'number' ? status : await status));
  }

  function incomingCall(request: SipRequest, transaction: ServerTransaction, ring: Ringing): IncomingCall {
    return {
      request,
      cancelled: ring.whenCancelled,
      ring() {
        if (!transaction.answered) transaction.respond(createResponse(request, 180, {headers: [['Contact', contact]]}));
      },
      async accept(sdp, headers = []) {
        if (transaction.answered) throw new CpmError('CPM_PHONE_CANCELLED', 487, 'the call was cancelled before');
        const response = transaction.respond(
          createResponse(request, 200, {
            headers: over(
              [
                ['Contact', contact],
                ['User-Agent', options.userAgent],
                ['Content-Type', 'application/sdp'],
              ],
              headers,
            ),
            body: Buffer.from(sdp),
          }),
        );
        const dialog = calleeDialog(request, transaction.localTag);
        const call = addCall({dialog, role: 'callee', invite: request, response, localSdp: sdp});
        await ring.whenAcknowledged;
        return call;
      },
      refuse(status, headers = []) {
        ringing.delete(transaction);
        if (!transaction.answered) transaction.respond(createResponse(request, status, {headers}));
      },
    };
  }

  function incomingSubscription(request: SipRequest, transaction: ServerTransaction): IncomingSubscription {
    return {
      request,
      accept(expiresSeconds, headers = []) {
        const all = over([['Contact', contact]], [...headers, ['Expires', String(expiresSeconds)]]);
        const response = transaction.respond(createResponse(request, 200, {headers: all}));
        const dialog = calleeDialog(request, transaction.localTag);
        const key = keyOfDialog(dialog);
        const own = headerOf(response, 'Contact') ?? contact;
        const event = headerOf(request, 'Event') ?? '';
        const notifier = new Notifier({layer, dialog, contact: own, event, onEnd: () => notifiers.delete(key)});
        notifiers.set(key, notifier);
        return notifier;
      },
      refuse(status) {
        transaction.respond(createResponse(request, status));
      },
    };
  }

  async function subscribe(uri: string, event: string, headers: HeaderList = []): Promise<Subscription | SipResponse> {
    const given: HeaderList = [['Event', event], ['Expires', '3600'], ...headers];
    const request = outside('SUBSCRIBE', uri, given, Buffer.alloc(0));
    const key = subscriptionKey(request, 'From');
    const own = headerOf(request, 'Contact') ?? contact;
    const subscription = new Subscription({layer, request, contact: own, onEnd: () => subscriptions.delete(key)});
    // The first NOTIFY may be here before the 200 (RFC 6665 §4.1.2.4).
    subscriptions.set(key, subscription);
    const response = await send(request, uri);
    if (response.status >= 300) {
      subscriptions.delete(key);
      return response;
    }
    subscription.established(callerDialog(request, response));
    return subscription;
  }

  function addCall(made: Pick<Call, 'dialog' | 'role' | 'invite' | 'response'> & {readonly localSdp: string}): Call {
    const key = keyOfDialog(made.dialog);
    const remoteSdp = (made.role === 'caller' ? made.response : made.invite).body.toString();
    const own = headerOf(made.role === 'caller' ? made.invite : made.response, 'Contact') ?? contact;
    const call = new Call({...made, remoteSdp, layer, contact: own, onEnd: () => calls.delete(key)});
    calls.set(key, call);
    return call;
  }

  function outside(method: string, uri: string, headers: HeaderList, body: Uint8Array): SipRequest {
    const own: HeaderList = [
      ['Max-Forwards', '70'],
      ['From', `<${options.identity}>`],
      ['To', `<${method === 'REGISTER' ? options.identity : uri}>`],
      ['Call-ID', randomUUID()],
      ['CSeq', `1 ${method}`],
      ['Contact', contact],
      ['User-Agent', options.userAgent],
    ];
    const tag = layer.newTag();
    const all = over(own, headers).map(([name, value]): HeaderList[number] =>
      name === 'From' ? [name, `${value};tag=${tag}`] : [name, value],
    );
    return createRequest(method, uri, all, body);
  }

  function invite(
    uri: string,
    sdp: string,
    headers: HeaderList = [],
    parts: readonly Pick<Part, 'headers' | 'body'>[] = [],
  ): OutgoingCall {
    const {contentType, body} = parts.length === 0 ? {contentType: sdpType, body: Buffer.from(sdp)} : mixed(sdp, parts);
    const request = outside('INVITE', uri, [['Content-Type', contentType], ...headers], body);
    const provisionals: SipResponse[] = [];
    let cancel: (reason?: string) => void = () => undefined;
    const outcome = new Promise<Call | SipResponse>((resolve) => {
      const taken = new Map<string, Call>();
      const transaction = layer.request(request, addressOfUri(options.proxy ?? uri), {
        onResponse: (response) => {
          if (response.status < 200) {
            if (response.status > 100) provisionals.push(response);
          } else if (response.status >= 300) {
            resolve(response);
          } else {
            // Each fork's 2xx is a dialog of its own: the first one is the call, every other one is ended (RFC 3261 §13.2.2.4).
            const tag = tagOf(response, 'To') ?? '';
            const known = taken.get(tag);
            const dialog = callerDialog(request, response);
            const call = known ?? addCall({dialog, role: 'caller', invite: request, response, localSdp: sdp});
            call.acknowledge(cseqNumber(request));
            if (known === undefined && taken.size > 0) void call.bye();
            taken.set(tag, call);
            resolve(call);
          }
        },
      });
      cancel = (reason) => {
        transaction.cancel(reason === undefined ? [] : [['Reason', reason]]);
      };
    });
    return {
      request,
      provisionals,
      outcome,
      cancel: (reason) => {
        cancel(reason);
      },
    };
  }

  /** Resolves with the final response. */
  function send(request: SipRequest, uri: string): Promise<SipResponse> {
    return new Promise((resolve) => {
      layer.request(request, addressOfUri(options.proxy ?? uri), {
        onResponse: (response) => {
          if (response.status >= 200) resolve(response);
        },
      });
    });
  }

  return {
    contact,
    invite,
    subscribe,
    request: (method, uri, headers = [], body = Buffer.alloc(0)) => send(outside(method, uri, headers, body), uri),
    get calls() {
      return [...calls.values()];
    },
    async close() {
      layer.close();
      for (const call of [...calls.values()]) call.drop();
      for (const ring of ringing.values()) ring.failed(new CpmError('CPM_PHONE_CLOSED', 487, 'the phone went away'));
      await transport.close();
    },
  };
}

const sdpType = 'application/sdp';

/** Headers of our own, less those that are given, and the given ones. */
function over(own: HeaderList, given: HeaderList): HeaderList {
  const names = new Set(given.map(([name]) => name));
  return [...own.filter(([name]) => !names.has(name)), ...given];
}

function mixed(sdp: string, parts: readonly Pick<Part, 'headers' | 'body'>[]): {contentType: string; body: Buffer} {
  const boundary = `parts-${randomUUID()}`;
  const description = {headers: [{name: 'Content-Type', value: sdpType}], body: Buffer.from(sdp)};
  return {
    contentType: `multipart/mixed;boundary="${boundary}"`,
    body: formatMultipart([description, ...parts], boundary),
  };
}

/** By what a NOTIFY finds our subscription, before its 200 as well; `ours` is the header that has our tag. */
function subscriptionKey(request: SipRequest, ours: 'From' | 'To'): string {
  return `${headerOf(request, 'Call-ID') ?? ''} ${tagOf(request, ours) ?? ''}`;
}

/** The same transport, with somebody looking at what passes. */
function traced(transport: Transport, trace: UserAgentOptions['trace']): Transport {
  if (trace === undefined) return transport;
  return {
    ...transport,
    receive(receiver) {
      transport.receive((message, flow) => {
        trace('in', message);
        receiver(message, flow);
      });
    },
    send(message, to) {
      trace('out', message);
      return transport.send(message, to);
    },
  };
}

/** What a call that rings waits for. */
class Ringing {
  readonly whenAcknowledged: Promise<void>;
  readonly whenCancelled: Promise<string | undefined>;
  acknowledged: () => void = () => undefined;
  cancelled: (reason: string | undefined) => void = () => undefined;
  failed: (error: Error) => void = () => undefined;

  constructor() {
    this.whenAcknowledged = new Promise((resolve, reject) => {
      this.acknowledged = resolve;
      this.failed = reject;
    });
    this.whenAcknowledged.catch(() => undefined);
    this.whenCancelled = new Promise((resolve) => {
      this.cancelled = resolve;
    });
  }
}
