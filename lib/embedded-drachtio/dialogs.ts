/** Dialogs of RFC 3261 §12, known to applications as `<Call-ID>;from-tag=<tag>`: all forks of one INVITE share the name. */
import type {App} from './admin.ts';
import type {Flow} from './flow.ts';
import {headerOf, headersOf, type SipHeader, type SipRequest, type SipResponse} from '../codecs/sip-message.ts';
import {addressOfUri, cseqOf, parseNameAddr, parseSipUri, splitList, tagOf, type SipAddress} from './sip-values.ts';

/** What makes requests of one method carry a Contact (real server: not NOTIFY, not BYE). */
export const contactMethods: ReadonlySet<string> = new Set(['INVITE', 'SUBSCRIBE', 'REFER']);

/** The two methods that make dialogs here. */
export function makesDialog(method: string): boolean {
  return method === 'INVITE' || method === 'SUBSCRIBE';
}

/** The name of the dialog that a request makes or would make. */
export function dialogIdOf(request: SipRequest): string {
  return `${headerOf(request, 'Call-ID') ?? ''};from-tag=${tagOf(request, 'From') ?? ''}`;
}

/** Whether a NOTIFY says that its subscription is over. */
export function endsSubscription(notify: SipRequest): boolean {
  return /^terminated\b/i.test(headerOf(notify, 'Subscription-State') ?? '');
}

/** A body with the header that says what it is. */
export interface TypedBody {
  readonly headers: readonly SipHeader[];
  readonly body: Buffer;
}

export function bodyOf(message: SipRequest | SipResponse): TypedBody {
  const headers = headersOf(message, 'Content-Type').map((value) => ({name: 'Content-Type', value}));
  return {headers, body: message.body};
}

export class Dialog {
  readonly id: string;
  readonly role: 'uas' | 'uac';
  readonly method: string;
  readonly callId: string;
  readonly localTag: string;
  /** From (local) and To (remote) of our requests, tags included. */
  readonly local: string;
  /** Our Contact, as it stood in our request or response. */
  readonly localContact: string | undefined;
  remote: string;
  remoteTag: string | undefined;
  remoteTarget: string;
  routeSet: readonly string[];
  /** Where the peer's last message came from. */
  source: SipAddress;
  localCseq: number;
  confirmed = false;
  app: App;
  /** The body we sent last in INVITE or its 2xx, repeated when we refresh the session. */
  localBody: TypedBody;
  /** CSeq number of a 2xx to our INVITE which the application has not acknowledged. */
  awaitsAck: number | undefined;
  /** The last ACK we sent, for a repeated 2xx. */
  lastAck: {readonly ack: SipRequest; readonly target: SipAddress} | undefined;
  /** The application has cancelled, but the peer's 200 crossed it: BYE follows the ACK. */
  cancelled = false;

  private constructor(role: 'uas' | 'uac', request: SipRequest, response: SipResponse, flow: Flow, app: App) {
    this.role = role;
    this.id = dialogIdOf(request);
    this.method = request.method;
    this.callId = headerOf(request, 'Call-ID') ?? '';
    this.local = headerOf(role === 'uac' ? request : response, role === 'uac' ? 'From' : 'To') ?? '';
    this.localTag = parseNameAddr(this.local).params.get('tag') ?? '';
    this.localCseq = cseqOf(request)?.number ?? 1;
    this.app = app;
    const ours = role === 'uac' ? request : response;
    this.localBody = bodyOf(ours);
    this.localContact = headerOf(ours, 'Contact');
    this.remote = '';
    this.remoteTarget = '';
    this.routeSet = [];
    this.source = flow.remote;
    this.#learn(role === 'uac' ? response : request, flow);
  }

  /** The dialog in which we are called: from the request, our response and the way it came. */
  static ofServer(request: SipRequest, response: SipResponse, flow: Flow, app: App): Dialog {
    return new Dialog('uas', request, response, flow, app);
  }

  /** The dialog in which we call: from our request, the peer's response and the way it came. */
  static ofClient(request: SipRequest, response: SipResponse, flow: Flow, app: App): Dialog {
    return new Dialog('uac', request, response, flow, app);
  }

  /** Takes over what a further response says, as long as none has confirmed the dialog. */
  advance(response: SipResponse, flow: Flow): void {
    this.#learn(response, flow);
  }

  /** A request or response of the peer may move his Contact (RFC 3261 §12.2). */
  refreshTarget(message: SipRequest | SipResponse, flow: Flow): void {
    const contact = contactOf(message);
    if (contact !== undefined) this.remoteTarget = contact;
    this.source = flow.remote;
  }

  /** Whether a request of the peer belongs here: his tag and ours. */
  matches(request: SipRequest): boolean {
    if (tagOf(request, 'To') !== this.localTag) return false;
    return !this.confirmed || tagOf(request, 'From') === this.remoteTag;
  }

  /**
   * Where our requests go: the route set, else the peer's Contact. Over UDP without a route the real server trusts the address from
   * which a peer has called more than the one he wrote. Throws `CpmError` where the peer's URI leads nowhere.
   */
  target(): SipAddress {
    const [first] = this.routeSet;
    if (first !== undefined) return addressOfUri(parseNameAddr(first).uri);
    const target = addressOfUri(this.remoteTarget);
    const called = this.role === 'uas' && target.protocol === 'udp' && this.source.protocol === 'udp';
    return called ? this.source : target;
  }

  #learn(message: SipRequest | SipResponse, flow: Flow): void {
    const name = this.role === 'uac' ? 'To' : 'From';
    this.remote = headerOf(message, name) ?? '';
    this.remoteTag = tagOf(message, name);
    const routes = headersOf(message, 'Record-Route').flatMap(splitList);
    this.routeSet = this.role === 'uac' ? routes.reverse() : routes;
    this.refreshTarget(message, flow);
  }
}

function contactOf(message: SipRequest | SipResponse): string | undefined {
  const [contact] = headersOf(message, 'Contact').flatMap(splitList);
  const uri = contact === undefined ? undefined : parseNameAddr(contact).uri;
  return uri !== undefined && parseSipUri(uri) !== undefined ? uri : undefined;
}

/** All dialogs of the server. */
export class DialogTable {
  readonly #byId = new Map<string, Dialog>();
  readonly #byCallId = new Map<string, Dialog>();

  get size(): number {
    return this.#byId.size;
  }

  add(dialog: Dialog): void {
    this.#byId.set(dialog.id, dialog);
    this.#byCallId.set(dialog.callId, dialog);
  }

  remove(dialog: Dialog): void {
    if (this.#byId.get(dialog.id) === dialog) this.#byId.delete(dialog.id);
    if (this.#byCallId.get(dialog.callId) === dialog) this.#byCallId.delete(dialog.callId);
  }

  byId(id: string): Dialog | undefined {
    return this.#byId.get(id);
  }

  byCallId(callId: string): Dialog | undefined {
    return this.#byCallId.get(callId);
  }

  /** The dialog to which a request of a peer belongs: named by his tag where he called, by ours where we did. */
  ofRequest(request: SipRequest): Dialog | undefined {
    const callId = headerOf(request, 'Call-ID') ?? '';
    for (const tag of [tagOf(request, 'From'), tagOf(request, 'To')]) {
      const dialog = this.#byId.get(`${callId};from-tag=${tag ?? ''}`);
      if (dialog?.matches(request) === true) return dialog;
    }
    return undefined;
  }
}
