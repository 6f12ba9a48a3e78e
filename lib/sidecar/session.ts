/** A leg: one MSRP session with one peer. It is negotiated, bound to a connection, and ends; what the peer sends is its inbox's. */
import type {FrameHead} from '../codecs/msrp/frame.ts';
import {pathLines} from '../codecs/msrp/frame-writer.ts';
import {sessionIdOfPath} from '../codecs/msrp/uri.ts';
import {proves} from './certificates.ts';
import type {Connection, ConnectionEnd} from './connection.ts';
import {Copies} from './copies.ts';
import type {Exchange} from './exchange.ts';
import {Offers} from './hold.ts';
import {Inbox} from './inbox.ts';
import type {Refusal} from './limits.ts';
import type {Owner, SessionEnd} from './owner.ts';
import type {Relay} from './relay.ts';
import {Reports} from './reports.ts';
import type {Destination} from './network.ts';
import {Sender} from './sender.ts';
import type {Reached} from './shared-connections.ts';
import type {SideTls} from './tls.ts';

export interface SessionOptions {
  readonly id: string;
  /** Our own MSRP URI. */
  readonly uri: string;
  readonly refuses: boolean;
  /** The PF is given copies of what is relayed from it. */
  readonly copies: boolean;
  readonly maxMessageBytes: number;
  /** The session is over TLS. */
  readonly tls: SideTls | undefined;
}

/** Where the peer is, from its SDP. */
export interface Remote {
  readonly path: readonly string[];
  readonly active: boolean;
  readonly explicitChunks: boolean;
  /** Where to connect instead of the path's first URI. */
  readonly address: {readonly host: string; readonly port: number} | undefined;
  /** Of the certificates that the peer may show. */
  readonly fingerprints: readonly string[];
}

export class Session {
  readonly exchange: Exchange;
  readonly id: string;
  /** Our own MSRP URI: From-Path of our requests. */
  readonly uri: string;
  /** Relays that our requests pass first, the nearest one in front (RFC 4976). */
  relays: readonly string[] = [];
  readonly maxMessageBytes: number;
  /** Undefined where the session is not over TLS. */
  readonly tls: SideTls | undefined;
  readonly inbox: Inbox;
  readonly sender: Sender;
  readonly offers: Offers;
  readonly reports: Reports;
  /** Undefined where the PF wants none. */
  readonly copies: Copies | undefined;
  /** The leg's name in the PF's log. */
  label: string | undefined;
  owner: Owner | undefined;
  connection: Connection | undefined;
  remote: Remote | undefined;
  /** To-Path of our requests: our relays and all of the peer's URIs, once it told them. */
  remotePath: string | undefined;
  /** Carries what this leg's peer sends to the partner; undefined while the leg holds. */
  relay: Relay | undefined;
  /** Relays that carry to this leg's peer what partners' peers send. */
  readonly feeders = new Set<Relay>();
  #end: SessionEnd | undefined;
  #ended = false;
  #isBound = false;
  /** Counts the attempts to connect: an outdated one is of no use. */
  #attempt = 0;
  /** From-Path of the last message: that of the next one is likely the same. */
  heardFrom: string | undefined;
  /** Path lines of our last request, and what they were made of. */
  #sends: {readonly to: string; readonly octets: Uint8Array} | undefined;
  /** Its connection is to a relay of ours (RFC 4976), whoever the peer is. */
  #isThrough = false;
  lastActivity: number;

  constructor(exchange: Exchange, owner: Owner, options: SessionOptions) {
    this.exchange = exchange;
    this.owner = owner;
    this.id = options.id;
    this.uri = options.uri;
    this.maxMessageBytes = options.maxMessageBytes;
    this.tls = options.tls;
    this.inbox = new Inbox(this, options.refuses);
    this.sender = new Sender(this);
    this.offers = new Offers(this);
    this.reports = new Reports(this);
    this.copies = options.copies ? new Copies(this) : undefined;
    this.lastActivity = exchange.clock.now();
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** It ends, or has ended: nothing new begins. */
  get ending(): boolean {
    return this.#end !== undefined;
  }

  get isBound(): boolean {
    return this.#isBound && this.connection !== undefined;
  }

  /** Our URIs, for a=path. */
  get path(): readonly string[] {
    return [...this.relays.toReversed(), this.uri];
  }

  /** The peer has asked or answered something. */
  touch(): void {
    this.lastActivity = this.connection?.readAt ?? this.exchange.clock.now();
  }

  /** Path lines of a request to the peer. */
  get sendPaths(): Uint8Array {
    const to = this.remotePath ?? '';
    if (this.#sends?.to !== to) this.#sends = {to, octets: pathLines(to, this.uri)};
    return this.#sends.octets;
  }

  // ---- negotiation and binding ----

  /**
   * Whether a From-Path is the peer's: by the session-id at its end, as hosts may have been changed on the way (T58). Before the peer has
   * told his path, whoever knows ours is the peer.
   */
  isPeer(fromPath: string): boolean {
    if (this.heardFrom === fromPath) return true;
    const expected = this.remote?.path.at(-1);
    if (expected === undefined || !this.exchange.options.limits.checkFromPath) return true;
    const last = fromPath.trimEnd().split(' ').at(-1) ?? '';
    const id = (uri: string) => sessionIdOfPath(Buffer.from(uri, 'latin1'));
    if (last !== expected && id(last) !== id(expected)) return false;
    this.heardFrom = fromPath;
    return true;
  }

  /** The peer's description is there, or another one after a re-INVITE; the same path changes nothing (row E6). */
  connect(remote: Remote): void {
    if (this.#end !== undefined) return;
    const before = this.remotePath;
    this.remote = remote;
    this.remotePath = [...this.relays, ...remote.path].join(' ');
    if (before === this.remotePath) return;
    this.heardFrom = undefined;
    const through = this.#isThrough ? this.connection : undefined;
    if (before !== undefined) {
      if (through === undefined) this.#unbind();
      else this.#isBound = false;
      for (const feeder of this.feeders) feeder.restart();
    }
    const {connection} = this;
    if (through !== undefined) {
      if (this.isBound) this.ready();
      else if (remote.active) this.#sayHello(through);
    } else if (connection === undefined) {
      if (remote.active) this.#connect(remote);
    } else if (!this.#admits(connection)) this.#endUnproven(connection);
    else if (this.isBound) this.ready();
    else {
      // The peer was faster than his description.
      this.announceBound();
      this.offers.resume();
    }
  }

  /** Its connection is this one, to a relay of ours, from before there is a peer. */
  goThrough(connection: Connection): void {
    this.#isThrough = true;
    this.#attach(connection);
  }

  /** `alone`: on a connection that no other session has. */
  #connect({path, address}: Remote, alone = false): void {
    this.#attempt += 1;
    const attempt = this.#attempt;
    const {shared} = this.exchange;
    const destination = {uri: path[0] ?? '', address, tls: this.tls};
    const reached: Reached = (connection, isShared) => {
      if (attempt !== this.#attempt || this.#end !== undefined || this.connection !== undefined) {
        if (!isShared) connection?.finish();
      } else if (connection === undefined) this.end('connect-failed');
      else if (this.#admits(connection)) {
        this.#attach(connection);
        this.#sayHello(connection, isShared ? destination : undefined);
      } else if (isShared) shared.alone(destination, reached);
      else {
        this.#endUnproven(connection);
        connection.destroy();
      }
    };
    if (alone) shared.alone(destination, reached);
    else shared.reach(destination, reached);
  }

  /** The peer does not take this session on a connection that others have: it gets one of its own. */
  #leaveShared(connection: Connection, destination: Destination): void {
    this.exchange.shared.refused(destination);
    connection.sessions.delete(this);
    this.connection = undefined;
    if (this.remote !== undefined) this.#connect(this.remote, true);
  }

  /** The active side speaks first; an empty SEND binds the session at the peer (RFC 4975 §5.4). */
  #sayHello(connection: Connection, shared?: Destination): void {
    const owner = {
      onAnswer: (_: undefined, status: number) => {
        if (connection !== this.connection) return;
        if (status === 200) this.announceBound();
        else if (shared && !this.#isBound) this.#leaveShared(connection, shared);
        else this.end('protocol-error');
      },
      onNoAnswer: (_: undefined, why: 'silent' | 'lost') => {
        if (connection !== this.connection || this.#isBound || this.#end !== undefined) return;
        if (shared) this.#leaveShared(connection, shared);
        else if (why === 'silent') this.end('silent');
      },
    };
    const transaction = connection.begin(owner, undefined, this.exchange.options.transactionSeconds * 1000);
    connection.send(transaction, {
      toPath: this.remotePath ?? '',
      fromPath: this.uri,
      messageId: this.exchange.ids.token(),
      byteRange: {start: 1, end: 0, total: 0},
      flag: '$',
    });
  }

  /**
   * The first request for this session came on that connection. False: whoever sent it is not the peer, and the session is over. Only the two
   * ends of the signalling know its id, so that this is a peer, or a middlebox, whose certificate and description do not agree.
   */
  bind(connection: Connection): boolean {
    const isPeer = this.#admits(connection);
    if (isPeer) this.#attach(connection);
    else this.#endUnproven(connection);
    return isPeer;
  }

  /** Whoever is at the other end is known to be the peer, or our relay. Over TLS the peer's description says what he has to show. */
  get isProven(): boolean {
    return this.tls === undefined || this.#isThrough || this.remote !== undefined;
  }

  /** Whether a connection may be this session's, as far as is known. */
  #admits({origin: {proof}}: Connection): boolean {
    if (this.tls === undefined) return true;
    if (proof === undefined) return false;
    return this.remote === undefined || proves(proof, this.remote.fingerprints, this.tls.hasAuthority);
  }

  #endUnproven(connection: Connection): void {
    connection.refuse('notAuthentic', this);
    this.end('not-authentic');
    this.close();
  }

  #attach(connection: Connection): void {
    this.connection = connection;
    connection.sessions.add(this);
    this.lastActivity = this.exchange.clock.now();
  }

  /** The peer is heard, or has answered: it has the session, if it is who it should be. */
  announceBound(): void {
    if (this.#isBound || !this.isProven) return;
    this.#isBound = true;
    this.owner?.bound(this);
    this.ready();
  }

  #unbind(): void {
    const {connection} = this;
    this.#attempt += 1;
    this.connection = undefined;
    this.#isBound = false;
    if (connection === undefined) return;
    connection.sessions.delete(this);
    if (connection.sessions.size === 0) connection.finish();
  }

  /** Something may be written to the peer now: bound, described, drained. */
  ready(): void {
    this.sender.pump();
    for (const relay of this.feeders) relay.pump();
  }

  /** Requests may go to the peer. */
  get writable(): boolean {
    return this.isBound && this.remote !== undefined && !this.#ended;
  }

  // ---- what the peer sends ----

  onReport(head: FrameHead): void {
    this.touch();
    this.reports.pass(head);
  }

  // ---- end ----

  onConnectionEnd(end: ConnectionEnd): void {
    this.connection = undefined;
    this.end(end === 'lost' ? 'connection-lost' : end);
  }

  /** Ends the session when what is whole has settled, or after a while. Says it once. `status`: what the peer answered, where that is why. */
  end(why: SessionEnd, status?: number): void {
    if (this.#end !== undefined) return;
    this.#end = why;
    this.#attempt += 1;
    this.inbox.abandon();
    this.sender.lost();
    this.exchange.onSessionEnding(this, status);
    this.drained();
    if (!this.#ended) {
      this.exchange.clock.after(this.exchange.options.drainSeconds * 1000, () => {
        this.close();
      });
    }
  }

  /** Looks whether an ending session has nothing left to settle. */
  drained(): void {
    if (this.#end !== undefined && this.inbox.isSettled && (this.copies?.size ?? 0) === 0) this.close();
  }

  /** The session is no more, whatever is unsettled. `abruptly`: the peer sees its connection closed at once. */
  close(abruptly = false): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#end ??= 'released';
    this.exchange.removeSession(this);
    this.inbox.release();
    this.copies?.release();
    if (abruptly && this.connection?.sessions.size === 1) this.connection.destroy();
    this.#unbind();
    if (this.#end !== 'released')
      this.exchange.log.info({leg: this.label, session: this.id, why: this.#end}, 'a session ended');
    this.owner?.ended(this, this.#end);
  }

  /** Called a few times a second: messages whose chunks stopped coming, and silence. */
  sweep(now: number): void {
    const {idleSessionSeconds} = this.exchange.options.limits;
    const heardAt = Math.max(this.lastActivity, this.inbox.sweep(now));
    if (idleSessionSeconds === 0 || this.#end !== undefined) return;
    if (this.connection?.paused === true || now - heardAt < idleSessionSeconds * 1000) return;
    this.refused('idleSession');
    this.end('idle');
  }

  /** Counts a refusal. */
  refused(what: Refusal): void {
    const {connection, id, label} = this;
    this.exchange.refusals.add(what, {address: connection?.origin.address, session: id, leg: label});
  }
}
