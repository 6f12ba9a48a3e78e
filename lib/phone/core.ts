/**
 * A stand-in for the IMS core: registrar and S-CSCF of every phone on it. It routes requests to registered phones, answers 480 for those
 * that are off, takes calls and messages to the Participating Function first where the filter criteria say so, and tells it of
 * registrations (TS 24.229 §5.4). A stateful proxy without forking: which of several devices gets a request is the PF's business.
 */
import {isIP} from 'node:net';
import {canonicalAddress} from '../cpm/address.ts';
import {CpmError} from '../errors.ts';
import {sipUriOf, type Flow} from '../embedded-drachtio/flow.ts';
import {
  createResponse,
  headerKey,
  headerOf,
  headersOf,
  withHeader,
  withoutHeaders,
  type SipRequest,
} from '../codecs/sip-message.ts';
import {
  addressOfUri,
  nextHopOf,
  parseNameAddr,
  parseSipUri,
  splitList,
  tagOf,
  withoutTopVia,
  type SipAddress,
} from '../embedded-drachtio/sip-values.ts';
import type {TimerValues} from '../embedded-drachtio/timers.ts';
import {
  createTransactionLayer,
  type ClientTransaction,
  type ServerTransaction,
} from '../embedded-drachtio/transactions.ts';
import {createTransport} from '../embedded-drachtio/transport.ts';
import {Inbox} from './inbox.ts';
import {createRegistrar, type Registered} from './registrar.ts';
import {thirdPartyRegister, type ThirdPartyBody} from './third-party-register.ts';

/** Session case for which a request goes to the PF first (RFC 5502 `sescase`). */
export type SessionCase = 'orig' | 'term';

export interface CoreOptions {
  /** SIP URI of the Participating Function; without one every request goes straight to its phone. */
  readonly pf?: string;
  /** For which session cases the PF is asked; default: for the called user alone. */
  readonly cases?: readonly SessionCase[];
  /** What a third-party REGISTER carries; default `both`. */
  readonly thirdPartyBody?: ThirdPartyBody;
  /** Whether what the PF originates towards a served user is shown to it again, as a real S-CSCF does (T35); default true. */
  readonly handBack?: boolean;
  /** Whether the core stays on the way of calls; default true. */
  readonly recordRoute?: boolean;
  readonly timers?: Partial<TimerValues>;
}

/** A third-party REGISTER and what became of it. */
export interface ToldRegistration {
  readonly identity: string;
  readonly expires: number;
  /** Of the PF's answer: 408 or 503 where none came. */
  readonly status: number;
}

/** A request that the core passed on, as it came. */
export interface PassedRequest {
  readonly request: SipRequest;
  readonly to: 'pf' | 'phone' | 'route';
}

export interface Core {
  /** Where phones and the PF send their requests: `sip:127.0.0.1:port;transport=tcp`. */
  readonly uri: string;
  readonly addresses: readonly SipAddress[];
  /** The Participating Function may come later, or move. */
  pf: string | undefined;
  /** Is told of each third-party REGISTER; it is sent once the phone has its own answer. */
  readonly told: Inbox<ToldRegistration>;
  /** Initial requests that went through, in order. */
  readonly passed: Inbox<PassedRequest>;
  registered(identity: string): boolean;
  /** Route value of requests that other servers of the network send to a user: past what is done for the one who originates. */
  readonly terminatingRoute: string;
  /** Requests to this identity, that of a conference factory for example, go to that server (a public service identity). */
  serve(identity: string, server: string): void;
  close(): Promise<void>;
}

/** Starts a core on loopback ports of the system's choice, UDP and TCP. */
export async function startCore(options: CoreOptions = {}): Promise<Core> {
  const transport = await createTransport({contacts: ['tcp:127.0.0.1:0', 'udp:127.0.0.1:0']});
  const uri = sipUriOf(transport.localAddress('tcp'));
  const cases = options.cases ?? ['term'];
  const told = new Inbox<ToldRegistration>('third-party REGISTER');
  const passed = new Inbox<PassedRequest>('request passed on by the core');
  const registrar = createRegistrar(() => `<${uri};lr>`);
  const pending = new Map<ServerTransaction, ClientTransaction>();
  const services = new Map<string, string>();
  let pf = options.pf;

  const layer = createTransactionLayer(
    transport,
    {
      onRequest,
      onAck: (ack, _transaction, flow) => {
        const {request} = withoutOwnRoutes(ack);
        layer.sendAck(request, targetOf(request, flow));
      },
      onCancel: (cancel, transaction) => {
        const reason = headerOf(cancel, 'Reason');
        pending.get(transaction)?.cancel(reason === undefined ? [] : [['Reason', reason]]);
      },
    },
    options.timers === undefined ? {} : {timers: options.timers},
  );

  function onRequest(received: SipRequest, transaction: ServerTransaction): void {
    if (received.method === 'REGISTER') {
      const registered = registrar.register(received);
      transaction.respond(registered.response);
      void tell(registered);
      return;
    }
    const hops = Number(headerOf(received, 'Max-Forwards') ?? 70);
    if (hops <= 0) throw new CpmError('CPM_CORE_LOOP', 483, 'the request went round too often');
    const {request, step} = withoutOwnRoutes(withHeader(received, 'Max-Forwards', String(hops - 1)));
    const inside = tagOf(request, 'To') !== undefined;
    if (inside || headerOf(request, 'Route') !== undefined) {
      if (!inside) passed.push({request: received, to: 'route'});
      forward(request, targetOf(request, transaction.flow), transaction);
      return;
    }
    const asserted = withIdentity(request);
    // Who is called is no user of ours: no terminating filter criteria.
    const elsewhere = serverOf(request);
    const next = pf === undefined || (elsewhere !== undefined && cases[step] === 'term') ? cases.length : step;
    const sessionCase = cases[next];
    if (sessionCase !== undefined && pf !== undefined)
      toParticipatingFunction(asserted, pf, next, sessionCase, transaction);
    else if (elsewhere !== undefined) forward(asserted, elsewhere, transaction);
    else toPhone(asserted, transaction);
    passed.push({request: received, to: sessionCase === undefined ? 'phone' : 'pf'});
  }

  /** The filter criteria fit: to the PF, and back to us with the mark of how far we are (the original dialog identifier). */
  function toParticipatingFunction(
    request: SipRequest,
    to: string,
    step: number,
    sessionCase: SessionCase,
    transaction: ServerTransaction,
  ): void {
    const user = sessionCase === 'term' ? request.uri : callerOf(request);
    const state = registrar.registered(user) ? 'reg' : 'unreg';
    const routed = withRoutes(request, [`<${withLr(to)}>`, `<${uri};lr;step=${step + 1}>`]);
    forward(
      withHeader(routed, 'P-Served-User', `<${user}>;sescase=${sessionCase};regstate=${state}`),
      nextHopOf(routed),
      transaction,
    );
  }

  function toPhone(request: SipRequest, transaction: ServerTransaction): void {
    const [contact] = registrar.contactsFor(request);
    if (contact === undefined) {
      transaction.respond(createResponse(request, 480));
      return;
    }
    const called = withHeader(withoutHeaders(request, 'P-Served-User'), 'P-Called-Party-ID', `<${request.uri}>`);
    const addressed = {...called, uri: contact.uri};
    forward(addressed, nextHopOf(addressed), transaction);
  }

  /** Where a request goes that is not to a user: the server of the service, or the host that its URI names by address. */
  function serverOf({uri: to}: SipRequest): SipAddress | undefined {
    const service = services.get(canonicalAddress(to) ?? '');
    if (service !== undefined) return addressOfUri(service);
    const host = parseSipUri(to)?.host ?? '';
    if (isIP(host) === 0 || registrar.registered(to)) return undefined;
    const address = addressOfUri(to);
    return transport.isOwn(address.host, address.port) ? undefined : address;
  }

  function forward(request: SipRequest, target: SipAddress, transaction: ServerTransaction): void {
    const stays =
      options.recordRoute !== false && makesDialog.has(request.method) && tagOf(request, 'To') === undefined;
    const client = layer.request(stays ? withRecordRoute(request) : request, target, {
      onResponse: (response) => {
        if (response.status === 100) return;
        if (response.status >= 200) pending.delete(transaction);
        transaction.respond(withoutTopVia(response), {repeat: false});
      },
    });
    pending.set(transaction, client);
  }

  function withRecordRoute(request: SipRequest): SipRequest {
    const at = request.headers.findIndex((header) => headerKey(header.name) === 'record-route');
    const headers = [...request.headers];
    headers.splice(at < 0 ? headers.length : at, 0, {name: 'Record-Route', value: `<${uri};lr>`});
    return {...request, headers};
  }

  /** Takes off the Routes that name us; the mark of the last one says where we are among the session cases. */
  function withoutOwnRoutes(request: SipRequest): {readonly request: SipRequest; readonly step: number} {
    let step = 0;
    const routes = headersOf(request, 'Route').flatMap(splitList);
    while (routes[0] !== undefined) {
      const own = parseSipUri(parseNameAddr(routes[0]).uri);
      if (own === undefined || !transport.isOwn(own.host, own.port ?? 5060)) break;
      step = Number(own.params.get('step') ?? 0);
      routes.shift();
    }
    return {request: withRoutes(request, routes), step};
  }

  const afterOriginating = cases.includes('orig') ? 1 : 0;

  async function tell(registered: Registered): Promise<void> {
    if (pf === undefined) return;
    const step = options.handBack === false ? cases.length : afterOriginating;
    const servingNode = step === 0 ? uri : `${uri};step=${step}`;
    const body = options.thirdPartyBody ?? 'both';
    const request = thirdPartyRegister(registered, {pf, servingNode, body});
    const status = await new Promise<number>((resolve) => {
      layer.request(request, nextHopOf(request), {
        onResponse: (response) => {
          if (response.status >= 200) resolve(response.status);
        },
      });
    });
    told.push({identity: registered.identities[0] ?? '', expires: registered.expires, status});
  }

  return {
    uri,
    addresses: transport.contacts,
    get pf() {
      return pf;
    },
    set pf(next) {
      pf = next;
    },
    told,
    passed,
    registered: (identity) => registrar.registered(identity),
    terminatingRoute: `<${uri};lr;step=${afterOriginating}>`,
    serve(identity, server) {
      services.set(canonicalAddress(identity) ?? identity, server);
    },
    async close() {
      layer.close();
      await transport.close();
    },
  };
}

const makesDialog = new Set(['INVITE', 'SUBSCRIBE']);

/** A peer behind an unroutable Contact is still reached where he speaks from. */
function targetOf(request: SipRequest, flow: Flow): SipAddress {
  try {
    return nextHopOf(request);
  } catch {
    return flow.remote;
  }
}

/** The identity headers that the core writes for a phone: it asserts what the phone merely says or prefers (RFC 3325, RFC 6050). */
function withIdentity(request: SipRequest): SipRequest {
  const caller = headerOf(request, 'P-Asserted-Identity') ?? `<${callerOf(request)}>`;
  const asserted = withHeader(request, 'P-Asserted-Identity', caller);
  const service = headerOf(request, 'P-Preferred-Service');
  if (service === undefined) return asserted;
  return withHeader(withoutHeaders(asserted, 'P-Preferred-Service'), 'P-Asserted-Service', service);
}

function callerOf(request: SipRequest): string {
  return parseNameAddr(headerOf(request, 'From') ?? '').uri;
}

function withRoutes(request: SipRequest, routes: readonly string[]): SipRequest {
  const others = withoutHeaders(request, 'Route');
  return {...others, headers: [...routes.map((value) => ({name: 'Route', value})), ...others.headers]};
}

function withLr(uri: string): string {
  return /;lr\b/.test(uri) ? uri : `${uri};lr`;
}
