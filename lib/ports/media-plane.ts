import type {Side} from '../cpm/side.ts';

/**
 * The MSRP side of the PF: legs in a relay sidecar, each one MSRP session with one peer (RFC 4975; CPM-CF 5.2.1.4).
 *
 * Who says 200, and when, is in docs/acknowledgement.md. In short: the chunk that completes a message is answered only after the
 * paired leg's peer answered it, or after `onMessage` resolved with `accepted`.
 */
export interface MediaPlane {
  /** Allocates an MSRP session; its path is ready for an SDP. Rejects with `CPM_MEDIA_AWAY` (503) when no sidecar can be reached in time, with `CPM_MSRP_TRANSPORT` (488) when its side has none of the transports asked for. */
  openLeg(options: LegOptions): Promise<Leg>;
  readonly available: boolean;
  onAvailability(listener: (available: boolean) => void): void;
  /** What each sidecar has done and holds (docs/operations.md). Never rejects. */
  counts(): Promise<readonly RelayCounts[]>;
  close(): Promise<void>;
}

export interface RelayCounts {
  /** Where the sidecar is controlled. */
  readonly relay: string;
  /** Undefined where it does not answer. */
  readonly counters: Readonly<Record<string, number>> | undefined;
}

export type MsrpTransport = 'tcp' | 'tls';

export interface LegOptions {
  /** Towards the served user's devices, or towards the core: they listen and advertise apart. */
  readonly side: Side;
  /** What a leg does until it is told otherwise. */
  readonly mode: 'hold' | 'send' | 'refuse';
  /**
   * Transports that the peer's offer names, in its order: the leg takes the first that its side has, or is refused with `CPM_MSRP_TRANSPORT`
   * (488). Left out where we offer: the side's configuration says which one.
   */
  readonly transports?: readonly MsrpTransport[];
  /** A copy of each message that is relayed from this leg comes to `onRelayed`. */
  readonly copies?: boolean;
  /** A leg that this one is to be paired with: both must be in one sidecar. */
  readonly near?: Leg;
  /** For the sidecar's log lines: CPM ids, never phone numbers. */
  readonly label: {readonly conversationId?: string; readonly contributionId?: string};
  /** Most bytes that one message may have; larger ones get 413 (a=max-size of our SDP). */
  readonly maxMessageBytes: number;
}

/** What the peer's SDP said of its MSRP session. */
export interface RemoteMedia {
  /** a=path, first URI is where to connect; responses and requests carry the whole list in To-Path. */
  readonly path: readonly string[];
  /** Where to connect instead of the path's first URI: from c= and m=, where both sides speak CEMA (RFC 6714). */
  readonly address?: {readonly host: string; readonly port: number} | undefined;
  /** a=fingerprint values of the peer (RFC 8122), for a leg over TLS: one of them must fit the certificate that he shows. */
  readonly fingerprints?: readonly string[];
  /** `active`: we connect; `passive`: the peer connects to us (RFC 4145, RFC 6135). */
  readonly connection: 'active' | 'passive';
  /** a=accept-types of the peer; `*` admits all. */
  readonly acceptTypes: readonly string[];
  /** a=accept-wrapped-types of the peer: what CPIM may hold, beside its acceptTypes; undefined where it names none, and leaves that open. */
  readonly acceptWrappedTypes?: readonly string[] | undefined;
  /** a=max-size of the peer, octets; undefined where it named none. */
  readonly maxSize: number | undefined;
  /** How long messages are cut for this peer: up to 64 KiB with an open range end, or, for one that does not know `*`, 2048 octets with exact ranges (RFC 4975 §7.1.1). */
  readonly chunks?: 'interruptible' | 'explicit';
}

/** A message that a peer sent us, whole, its last chunk not answered yet. */
export interface OfferedMessage {
  readonly contentType: string;
  /** Octet for octet as sent, all chunks put together. */
  readonly bytes: Uint8Array;
  /** The MSRP Message-ID: for logs; it is never the message's identity (T62). */
  readonly messageId: string;
  /**
   * `held`: the leg has no partner. `undelivered`: some of it went to the partner's peer, who was silent for too long, was lost, or answered that
   * the session is of no use. What a peer answers of one message (400, 403, 413, 415, 423, 501) is the sender's answer, and the PF is not asked.
   */
  readonly why: 'held' | 'undelivered';
  /** The partner's answer, where `undelivered` came from one: an MSRP status. */
  readonly status: number | undefined;
}

/** `accepted`: stored or passed on, the peer gets its 200 (and its success report). Otherwise the MSRP status that it gets. */
export type Verdict = 'accepted' | 400 | 403 | 408 | 413 | 415 | 481;

export interface OutgoingMessage {
  readonly contentType: string;
  readonly bytes: Uint8Array;
  /** Sent whatever types the peer's description names: its answer is awaited. */
  readonly regardless?: true;
}

/** What became of a message that we sent: an MSRP status of the peer, or why there is none. */
export type SendOutcome =
  | {readonly kind: 'answered'; readonly status: number}
  | {readonly kind: 'silent'}
  | {readonly kind: 'lost'}
  | {readonly kind: 'not-admitted'; readonly why: 'type' | 'size'};

/** `not-authentic`: whoever is at the other end has not the certificate that the peer's description announced. */
export type LegEnd =
  | 'released'
  | 'connection-lost'
  | 'connect-failed'
  | 'not-authentic'
  | 'silent'
  | 'sidecar-lost'
  | 'protocol-error'
  | 'idle';

/** What our side of a description says, as the leg's side is configured. */
export interface LegTerms {
  /** `tls`: m= says TCP/TLS/MSRP, and our URI is `msrps:`. */
  readonly transport: MsrpTransport;
  /** a=fingerprint of our certificate, over TLS. */
  readonly fingerprint: string | undefined;
  /** Over TLS: a peer without a=fingerprint may prove itself by a certificate of a known authority. */
  readonly hasAuthority: boolean;
  /** What we become where the peer leaves the choice to us; `active-only`: we cannot be reached (RFC 6135 §4.2). */
  readonly setup: 'passive' | 'active' | 'active-only';
  /** Whether CEMA is offered and answered (RFC 6714). */
  readonly cema: boolean;
}

/** One MSRP session of ours. Every method may be called after the leg ended; it then does nothing, or says `lost`. */
export interface Leg {
  readonly id: string;
  /** Our own MSRP URI, the last one of `path`. */
  readonly uri: string;
  /** Our URIs for a=path, where to connect first: those of relays that we use (RFC 4976), then our own. */
  readonly path: readonly string[];
  /** Advertised address, for c= and m=: that of the first URI. */
  readonly address: {readonly host: string; readonly port: number; readonly family: 4 | 6};
  readonly terms: LegTerms;

  /** The negotiation is done: connect to the peer, or expect its connection. Said again with another path after a re-INVITE; the same path changes nothing (row E6). */
  connect(remote: RemoteMedia): void;
  /** Resolves when the peer's connection is bound (its first SEND came, or ours was answered); rejects with `CPM_MEDIA_NOT_BOUND` (408) after `milliseconds` or at the leg's end, with `CPM_MEDIA_NOT_AUTHENTIC` (403) when that is why it ended. */
  bound(milliseconds: number): Promise<void>;

  /** What comes from the peer while the leg holds, or what its partner did not take, in order, one call at a time per leg unless `concurrency` is documented otherwise. */
  onMessage: ((message: OfferedMessage) => Promise<Verdict>) | undefined;
  /** A copy of each notification (message/imdn+xml, wrapped or bare) that was relayed *from* this leg, after its peer got the 200. */
  onNotificationRelayed: ((message: OutgoingMessage) => void) | undefined;
  /**
   * A copy of each message that was relayed *from* this leg, after its peer got the 200: in order, the next one when the promise resolves. Those
   * that wait are in the relay, within its bounds; what was relayed while the PF was gone is not copied.
   */
  onRelayed: ((message: OutgoingMessage) => Promise<void>) | undefined;
  onEnd: ((end: LegEnd) => void) | undefined;

  /** Sends a message in chunks, in order after what was sent before; resolves with the answer to its last chunk. Always asks for failure reports (T24). */
  send(message: OutgoingMessage): Promise<SendOutcome>;

  /** Resolves when `onRelayed` has had all that was relayed until now, and what the leg was told before is done, or when it has ended. */
  copied(): Promise<void>;

  /** Refuses everything from now on with 481 (T9); what was offered and not settled yet still settles. */
  refuse(): void;
  /** Keeps everything for `onMessage` from now on, and undoes a pairing. */
  hold(): void;

  /** Ends the session in the sidecar, closing its connection when it carries no other. Idempotent. */
  release(): Promise<void>;

  /**
   * Pairs this leg with another for relaying, both ways, with a gate from this leg to the other: what this leg's peer sends from now on
   * waits (bounded, unanswered), until `open` is called; then it follows what was sent with `other.send` before. Messages that were offered
   * to `onMessage` before the promise resolved are the caller's; no message is in both hands, or in none.
   * The other direction (other → this) is open as soon as `other.onMessage` has settled what it was offered.
   */
  pair(other: Leg): Promise<Pairing>;
}

export interface Pairing {
  /** The backlog is sent: let what waited, and all that follows, through. */
  open(): void;
  /** Takes the legs apart; both hold from now on. What is unanswered at that moment is offered to `onMessage` of the leg it came from, in order. */
  undo(): void;
}
