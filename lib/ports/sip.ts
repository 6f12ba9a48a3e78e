/**
 * SIP as the procedures see it: requests, dialogs, nothing of drachtio. Header names are written as the standards write them
 * (`Conversation-ID`), read without regard to case and with compact forms expanded.
 */
export interface SipMessageView {
  /** A header's value, several joined by `, `; undefined when absent. */
  header(name: string): string | undefined;
  /** Body octets; empty when there is none. */
  readonly body: Uint8Array;
}

export interface SipRequestView extends SipMessageView {
  readonly method: string;
  /** The Request-URI as it stood. */
  readonly uri: string;
  readonly callId: string;
  /** Where it came from, as the server saw it. */
  readonly source: {readonly address: string; readonly port: number; readonly protocol: string};
}

export interface SipResponseView extends SipMessageView {
  readonly status: number;
  readonly reason: string;
}

export interface SipReply {
  readonly reason?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** A request outside a dialog. It gets exactly one of `respond` (final) and `proxy`; a second final answer is dropped and logged. */
export interface IncomingRequest extends SipRequestView {
  /** Name of the server that it came through. */
  readonly server: string;
  /** Rejects only where nothing went out and another answer can: a body too large for the server (513), or without Content-Type (500). */
  respond(status: number, reply?: SipReply): Promise<void>;
  /**
   * Lets it go on unchanged along its Route, or to its Request-URI (record-routing INVITEs); resolves when that is done. `to`: a Request-URI that
   * is the PF's own gives way to this one.
   */
  proxy(to?: string): Promise<void>;
}

export interface IncomingInvite extends IncomingRequest {
  /**
   * 200 with an answer; resolves with the dialog once the ACK came, rejects when it was cancelled or never acknowledged, or when the inviter
   * offered a session timer below 90 s, which has got its 422 then. An offered timer is taken (RFC 4028 §9).
   */
  accept(reply: SipReply): Promise<SipDialog>;
  /**
   * Lets it go on to the devices, record-routed, and takes it back when none of them took it: it comes again, then, with `refusedBy`. Silent
   * devices are given up after `milliseconds`; how long one may ring the server knows. Resolves when the INVITE is with the devices, or back.
   */
  proxyToDevices(options: {readonly nextHop: string | undefined; readonly milliseconds: number}): Promise<void>;
  /** What the devices answered, where it went to them and is back: only accepting or refusing is left. Undefined for what comes from the network. */
  readonly refusedBy: readonly number[] | undefined;
  /** The inviter gave up; the 487 has gone out. Called at once when it already happened. */
  onCancel: ((reason: string | undefined) => void) | undefined;
  readonly cancelled: boolean;
}

export interface OutgoingRequest {
  /** Request-URI; a `tel:` is never given here (lib/cpm/address asSipRequestUri). */
  readonly uri: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Repeated headers that must not be joined, such as several Accept-Contact. */
  readonly repeated?: Readonly<Record<string, readonly string[]>>;
  readonly body?: string | Uint8Array;
  /** Route set in order, written as Route headers; the first one is the next hop. */
  readonly route?: readonly string[];
  /** Next hop without a Route header (an outbound proxy that is not record-routed), `sip:host:port;transport=tcp`. */
  readonly nextHop?: string;
  /** Name of the server by which it should go out: that of the call it belongs to. Another one takes it while that is away. */
  readonly via?: string;
}

export type InviteOutcome =
  | {readonly kind: 'accepted'; readonly dialog: SipDialog; readonly response: SipResponseView}
  | {readonly kind: 'refused'; readonly response: SipResponseView}
  /** No final answer could be had: server away, request not sent. `status` is what an upstream would be told. */
  | {readonly kind: 'failed'; readonly status: number; readonly why: string};

export interface OutgoingInvite {
  /** Never rejects. After `cancel` it is `refused` as a rule, but `accepted` still where the 200 was here first. */
  readonly outcome: Promise<InviteOutcome>;
  onProvisional: ((response: SipResponseView) => void) | undefined;
  /** CANCEL with a Reason; does nothing once the outcome is there. */
  cancel(reason?: string): void;
}

/** What a re-INVITE or UPDATE is answered. */
export interface SipModification extends SipReply {
  readonly status: number;
  /** Told of the answer in the ACK, where the body is an offer of ours because the re-INVITE had none. */
  readonly onAnswer?: (description: string) => void;
}

/** An established dialog. Ended by `bye` or by the peer; `onBye` is then called exactly once if the peer, or the server, ended it. */
export interface SipDialog {
  /** The server's dialog id: what a next life of this node needs to end it. */
  readonly id: string;
  readonly callId: string;
  /** Name of the server that holds it. */
  readonly server: string;
  readonly ended: boolean;
  /**
   * The peer's BYE. Its 200 goes out when the promise resolves, with those headers, or after `byeAnswerMilliseconds` at the latest (T7).
   * `by`: `peer`, or `server` where the SIP server ended the dialog itself (session expired, ACK missing).
   */
  onBye: ((bye: SipRequestView, by: 'peer' | 'server') => Promise<SipReply | undefined>) | undefined;
  /**
   * re-INVITE or UPDATE of the peer, one at a time; without a listener it is answered 200 with the session as it stands. While one of either
   * side has no final answer another gets 491, or 500 where both are the peer's (RFC 3261 §14.2). The session timer is seen to.
   */
  onModify: ((request: SipRequestView) => Promise<SipModification>) | undefined;
  /** Any other request inside the dialog (INFO, MESSAGE, NOTIFY); without a listener 200 for INFO and NOTIFY, 405 otherwise. */
  onRequest: ((request: SipRequestView) => Promise<{readonly status: number} & SipReply>) | undefined;
  /** Ends the dialog; resolves with the status of the answer, 408 when none came, 481 when it was gone already. Idempotent. Never rejects. */
  bye(headers?: Readonly<Record<string, string>>): Promise<number>;
  /**
   * re-INVITE with a new session description; the dialog's session timer goes on. Never rejects: transport trouble is a 408 or 503, and 491
   * without a word on the wire while one of the peer's has no answer (RFC 3261 §14.1).
   */
  modify(body: string, headers?: Readonly<Record<string, string>>): Promise<SipResponseView>;
}

export interface SubscriptionOptions extends OutgoingRequest {
  readonly event: string;
  readonly expiresSeconds: number;
}

export interface Subscription {
  onNotify: ((notify: SipRequestView) => void) | undefined;
  /** `lost`: it could not be refreshed before it ran out (RFC 6665 §4.1.2.2), and another one may be had. */
  onEnd: ((why: string, lost: boolean) => void) | undefined;
  /** SUBSCRIBE with Expires 0; idempotent. */
  end(): Promise<void>;
  /** Asks for the whole state; the subscription is kept alive without. */
  refresh(): Promise<void>;
}

export interface Sip {
  /** A 422 is not the end: it is tried once more with the session timer that the peer wants at least (RFC 4028 §7.3). */
  invite(request: OutgoingRequest): OutgoingInvite;
  /** MESSAGE, OPTIONS …: resolves with the final response; 408 or 503 stand for none. Never rejects. */
  request(method: string, request: OutgoingRequest): Promise<SipResponseView>;
  subscribe(options: SubscriptionOptions): Promise<Subscription>;
  /**
   * BYE for a dialog that an earlier life of this node left in a server. Resolves with the status, 481 when it is unknown, and undefined while the
   * server that holds it is away.
   */
  endLeftDialog(
    dialog: {readonly id: string; readonly server: string},
    headers: Readonly<Record<string, string>>,
  ): Promise<number | undefined>;
  /** `sip:host:port;transport=…` of this PF as the network reaches it, for Contact. */
  readonly contactUri: string;
  /** Whether a URI's host and port are this PF's own: the SIP server's listening addresses, or the advertised one. */
  readonly isOwn: (uri: string) => boolean;
  /** Whether any server is connected. */
  readonly connected: boolean;
  onConnection(listener: (connected: boolean) => void): void;
  /** Told of each server that comes or goes. */
  onServer(listener: (name: string, connected: boolean) => void): void;
}

/** What the adapter hands to the procedures. `pass` means: not for the PF, the application's own handlers go on (or it is proxied where there are none). */
export interface SipHandlers {
  invite(invite: IncomingInvite): Promise<'handled' | 'pass'>;
  /** REGISTER, MESSAGE, OPTIONS and any other method outside a dialog. */
  request(request: IncomingRequest): Promise<'handled' | 'pass'>;
}
