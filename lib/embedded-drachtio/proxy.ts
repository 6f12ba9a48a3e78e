/** The proxy (RFC 3261 §16): requests which an application passes on, and those that follow by our Record-Route. */
import {CpmError} from '../errors.ts';
import {formatTime, type ProxyCommand} from './admin-protocol.ts';
import type {App} from './admin.ts';
import {headersFromApp, parseAppMessage} from './app-message.ts';
import type {Core} from './core.ts';
import {sipUriOf, type Flow} from './flow.ts';
import type {ProxyInstruction} from './request-handlers.ts';
import {
  createResponse,
  formatSipMessage,
  headerKey,
  headerOf,
  headersOf,
  withHeader,
  type SipHeader,
  type SipRequest,
  type SipResponse,
} from '../codecs/sip-message.ts';
import {
  addressOfUri,
  nextHopOf,
  parseNameAddr,
  parseSipUri,
  splitList,
  withoutTopVia,
  type SipAddress,
} from './sip-values.ts';
import {TimerSet} from './timers.ts';
import type {ClientTransaction, ServerTransaction} from './transactions.ts';

/** Where a request goes, and the URI that said so. */
interface Destination {
  readonly address: SipAddress;
  readonly uri: string | undefined;
}

function destinationOf(uri: string): Destination {
  return {address: addressOfUri(uri), uri};
}

interface Route {
  /** Where the request goes, one after the other unless `simultaneous`. */
  readonly targets: readonly Destination[];
  readonly simultaneous: boolean;
  readonly followRedirects: boolean;
  readonly recordRoute: boolean;
  readonly provisionalMs: number | undefined;
  readonly finalMs: number | undefined;
  readonly extra: readonly SipHeader[];
  /** Told of every final response, and of the end. */
  readonly onFinal: (response: SipResponse, flow: Flow | undefined, target: SipAddress) => void;
  readonly onDone: () => void;
}

export class Proxy {
  readonly #core: Core;
  readonly #runs = new WeakMap<ServerTransaction, Run>();

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * Proxies the request that `release` gives away for an application, which is told of each final response and of the end. Throws
   * `CpmError` for a NOK, before the request is given away.
   */
  start(app: App, command: ProxyCommand, release: () => ServerTransaction): void {
    // Bare URIs: their parameters are their own, the transport above all.
    const targets = command.destinations.map(destinationOf);
    if (targets.length === 0) throw new CpmError('CPM_ADMIN_REFUSED', 400, 'proxy request has no destination');
    const extra = headersFromApp(
      parseAppMessage(command.message),
      ['max-forwards', 'cseq', 'call-id', 'from', 'to'],
      '',
    );
    this.#run(release(), {
      ...command,
      targets,
      extra,
      onFinal: (response, flow, target) => {
        const bytes = formatSipMessage(response);
        const fields = [
          String(flow === undefined ? 0 : bytes.length),
          target.protocol,
          flow?.remote.host ?? '',
          String(flow?.remote.port ?? 0),
          formatTime(this.#core.clock.now()),
        ];
        app.reply(command.id, ['OK', 'network', ...fields, '', '', 'continue'], bytes);
      },
      onDone: () => {
        app.reply(command.id, ['OK', 'done']);
      },
    });
  }

  /** Proxies the request that `release` gives away where no application is told. Throws `CpmError` before it is given away. */
  pass(route: ProxyInstruction, release: () => ServerTransaction): void {
    const targets = route.destinations.map(destinationOf);
    this.#run(release(), {...plain, ...route, targets});
  }

  /** Passes on a request that came to us because of our Record-Route. Throws `CpmError` where it leads nowhere. */
  follow(transaction: ServerTransaction): void {
    const address = nextHopOf(withoutOwnRoutes(this.#core, transaction.request));
    this.#run(transaction, {...plain, targets: [{address, uri: undefined}]});
  }

  /** Passes on an ACK to a 2xx, which has no transaction. */
  followAck(ack: SipRequest): void {
    const passed = forwarded(withoutOwnRoutes(this.#core, ack));
    if (passed !== undefined) this.#core.layer.sendAck(passed, nextHopOf(passed));
  }

  /** Whether a request is passing through: its first Route is ours, and it leads on. */
  isPassing(request: SipRequest): boolean {
    const [first] = headersOf(request, 'Route').flatMap(splitList);
    return first !== undefined && isOwnRoute(this.#core, first);
  }

  /** Whether routes other than ours are left: then the request is for somebody behind us. */
  leadsOn(request: SipRequest): boolean {
    return headersOf(withoutOwnRoutes(this.#core, request), 'Route').length > 0;
  }

  /** Whether a request was proxied; a CANCEL for it goes to all its branches. */
  owns(transaction: ServerTransaction): boolean {
    return this.#runs.has(transaction);
  }

  cancel(transaction: ServerTransaction): void {
    this.#runs.get(transaction)?.cancel();
  }

  #run(transaction: ServerTransaction, route: Route): void {
    const request = forwarded(withoutOwnRoutes(this.#core, transaction.request));
    if (request === undefined) {
      transaction.respond(createResponse(transaction.request, 483));
      route.onDone();
      return;
    }
    const run = new Run(this.#core, transaction, request, route);
    this.#runs.set(transaction, run);
    run.start();
  }
}

const plain = {
  simultaneous: false,
  followRedirects: false,
  recordRoute: false,
  provisionalMs: undefined,
  finalMs: undefined,
  extra: [],
  onFinal: () => undefined,
  onDone: () => undefined,
};

/** One request on its way: its branches, and the best response so far (RFC 3261 §16.7). */
class Run {
  readonly #core: Core;
  readonly #transaction: ServerTransaction;
  readonly #request: SipRequest;
  readonly #route: Route;
  readonly #waiting: Destination[];
  readonly #branches = new Set<ClientTransaction>();
  #best: SipResponse | undefined;
  #done = false;

  constructor(core: Core, transaction: ServerTransaction, request: SipRequest, route: Route) {
    this.#core = core;
    this.#transaction = transaction;
    this.#request = request;
    this.#route = route;
    this.#waiting = [...route.targets];
  }

  start(): void {
    do this.#next();
    while (this.#route.simultaneous && this.#waiting.length > 0);
  }

  /** The caller has gone: no further destination is tried, and every branch is cancelled. */
  cancel(): void {
    this.#waiting.length = 0;
    for (const branch of this.#branches) branch.cancel();
  }

  #next(): void {
    const destination = this.#waiting.shift();
    if (destination === undefined) return;
    const target = destination.address;
    const timers = new TimerSet(this.#core.clock);
    const {provisionalMs, finalMs} = this.#route;
    let provisional = false;
    const branch = this.#core.layer.request(this.#outgoing(destination), target, {
      onResponse: (response, flow) => {
        if (response.status < 200) {
          provisional = true;
          this.#pass(response);
        } else {
          timers.stop();
          this.#final(branch, response, flow);
        }
      },
    });
    this.#branches.add(branch);
    // What the branch says after its time is not heard any more.
    const giveUp = (): void => {
      branch.cancel();
      this.#final(branch, createResponse(branch.request, 408), undefined);
    };
    if (finalMs !== undefined) timers.after(finalMs, giveUp);
    if (provisionalMs === undefined) return;
    timers.after(provisionalMs, () => {
      if (!provisional) giveUp();
    });
  }

  #outgoing({address: target, uri: destination}: Destination): SipRequest {
    const {recordRoute, extra} = this.#route;
    const local = this.#core.transport.localAddress(target.protocol, target.host);
    const own = recordRoute ? [{name: 'Record-Route', value: `<${sipUriOf(local)};lr>`}] : [];
    const firstOther = this.#request.headers.findIndex((header) => !['via', 'route'].includes(headerKey(header.name)));
    const headers = [...this.#request.headers];
    headers.splice(firstOther, 0, ...own);
    // A Request-URI that is the server itself gives way to the destination.
    const uri = parseSipUri(this.#request.uri);
    const isLocal = uri !== undefined && this.#core.transport.isOwn(uri.host, uri.port ?? 5060);
    return {
      ...this.#request,
      uri: isLocal ? (destination ?? this.#request.uri) : this.#request.uri,
      headers: [...headers, ...extra],
    };
  }

  #final(branch: ClientTransaction, response: SipResponse, flow: Flow | undefined): void {
    if (!this.#branches.delete(branch) && response.status >= 300) return;
    if (!this.#done) this.#route.onFinal(response, flow, branch.target);
    if (response.status < 300) {
      this.#pass(response);
      this.cancel();
      this.#finish();
      return;
    }
    if (response.status >= 600) this.cancel();
    if (response.status < 400 && this.#route.followRedirects) this.#waiting.push(...contactsOf(response));
    this.#best = better(this.#best, response);
    if (this.#done || this.#branches.size > 0) return;
    if (this.#waiting.length > 0) this.start();
    else {
      this.#pass(this.#best);
      this.#finish();
    }
  }

  #pass(response: SipResponse): void {
    if (response.status === 100) return;
    const success = response.status < 300 && response.status >= 200;
    // Whoever has his answer gets no other one, further 2xx of forks apart.
    if (this.#transaction.answered && !success) return;
    try {
      this.#transaction.respond(withoutTopVia(response), {repeat: false});
    } catch (error) {
      if (!(error instanceof CpmError)) throw error;
    }
  }

  #finish(): void {
    if (this.#done) return;
    this.#done = true;
    this.#route.onDone();
  }
}

/** RFC 3261 §16.7 step 6: a 6xx wins, then the lowest class; within a class the last, as by the real server. */
function better(one: SipResponse | undefined, other: SipResponse): SipResponse {
  if (one === undefined) return other;
  const rank = ({status}: SipResponse): number => (status >= 600 ? 0 : Math.floor(status / 100));
  return rank(other) <= rank(one) ? other : one;
}

function contactsOf(response: SipResponse): Destination[] {
  return headersOf(response, 'Contact')
    .flatMap(splitList)
    .map((contact) => parseNameAddr(contact).uri)
    .filter((uri) => parseSipUri(uri) !== undefined)
    .map(destinationOf);
}

/** The request with Max-Forwards counted down; `undefined` where it may not go on. */
function forwarded(request: SipRequest): SipRequest | undefined {
  const left = Number(/^\d{1,3}/.exec(headerOf(request, 'Max-Forwards') ?? '70')?.[0] ?? 70);
  return left <= 0 ? undefined : withHeader(request, 'Max-Forwards', String(left - 1));
}

/** The request without the Routes at its front that are ours (RFC 3261 §16.4): the first one led here, whatever it calls us. */
function withoutOwnRoutes(core: Core, request: SipRequest): SipRequest {
  const routes = headersOf(request, 'Route').flatMap(splitList);
  const foreign = routes.findIndex((route, index) => index > 0 && !isOwnRoute(core, route));
  const kept = foreign < 0 ? [] : routes.slice(foreign);
  const others = request.headers.filter((header) => headerKey(header.name) !== 'route');
  const firstOther = others.findIndex((header) => headerKey(header.name) !== 'via');
  return {...request, headers: others.toSpliced(firstOther, 0, ...kept.map((value) => ({name: 'Route', value})))};
}

function isOwnRoute(core: Core, route: string): boolean {
  const uri = parseSipUri(parseNameAddr(route).uri);
  return uri !== undefined && core.transport.isOwn(uri.host, uri.port ?? 5060);
}
