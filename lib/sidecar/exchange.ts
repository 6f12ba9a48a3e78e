/** What all sessions of the process share: where they are found, their connections, one tick for writing, one sweep for time, bounds, counters. */
import {isIPv6} from 'node:net';
import {CpmError} from '../errors.ts';
import {defaultFrameLimits, type FrameLimits} from '../codecs/msrp/frame-parser.ts';
import {formatMsrpUri} from '../codecs/msrp/uri.ts';
import type {Side} from '../cpm/side.ts';
import type {Clock} from '../ports/clock.ts';
import type {Ids} from '../ports/ids.ts';
import type {Log} from '../ports/log.ts';
import {AuthClient} from './auth-client.ts';
import {Blocks} from './blocks.ts';
import {Connection} from './connection.ts';
import {newCounters} from './counters.ts';
import {Refusals} from './limits.ts';
import {Network, type Advertised, type Destination, type Origin, type Transport} from './network.ts';
import type {RelayOptions, SideOptions} from './options.ts';
import type {Outbound} from './outbound.ts';
import {blockBytes} from './output.ts';
import type {Owner} from './owner.ts';
import {Relay} from './relay.ts';
import {Session} from './session.ts';
import {SharedConnections} from './shared-connections.ts';
import {SpoolRoom} from './spool.ts';
import {RandomTexts} from './transactions.ts';
import type {Wire} from './wire.ts';

export interface ExchangeParts {
  readonly options: RelayOptions;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
}

/** What the PF asks of a session. */
export interface SessionRequest {
  readonly side: Side;
  readonly refuses: boolean;
  readonly copies: boolean;
  readonly maxMessageBytes: number;
  /** Those that the peer offers, in its order; none: ours to choose. */
  readonly transports: readonly Transport[];
}

/** What the PF writes of a session besides its path. */
export interface Terms {
  readonly fingerprint: string;
  readonly hasAuthority: boolean;
  readonly setup: SideOptions['setup'];
  readonly cema: boolean;
}
/** Connections with something to write at which nothing more is waited for. */
const dirtyConnections = 32;

export class Exchange {
  readonly options: RelayOptions;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly counters = newCounters();
  readonly refusals: Refusals;
  readonly spool: SpoolRoom;
  readonly random = new RandomTexts();
  /** Of what is read on any connection. */
  readonly frameLimits: FrameLimits;
  readonly blocks = new Blocks(blockBytes, 64);
  /** By session-id (row E5). */
  readonly sessions = new Map<string, Session>();
  /** How sessions connect to their peers. */
  readonly shared: SharedConnections;
  readonly #connections = new Set<Connection>();
  /** Relays that sides of ours go through. */
  readonly #relays: Readonly<Record<Side, AuthClient | undefined>>;
  readonly #network: Network;
  #dirty: Outbound[] = [];
  #closed = false;

  constructor({options, clock, ids, log}: ExchangeParts) {
    this.options = options;
    this.frameLimits = {...defaultFrameLimits, ...options.limits};
    this.clock = clock;
    this.ids = ids;
    this.log = log;
    this.refusals = new Refusals(this.counters, {clock, log});
    this.shared = new SharedConnections(options.limits.sessionsPerConnection, (to, done) => {
      this.connect(to, done);
    });
    const relayOf = (side: Side) => {
      const {via, tls} = options[side];
      return via && new AuthClient(this, via, {hasAuthority: tls?.authorityFile !== undefined});
    };
    this.#relays = {access: relayOf('access'), core: relayOf('core')};
    this.spool = new SpoolRoom(options.spool, this.counters);
    this.#network = new Network({
      ...{options, clock, log, counters: this.counters, refusals: this.refusals},
      onAccepted: (wire, origin) => this.#add(wire, origin),
    });
    this.#scheduleSweep();
  }

  // ---- connections ----

  /** Accepts MSRP connections on both sides. Rejects where an address cannot be had, or a certificate cannot be used. */
  listen(): ReturnType<Network['listen']> {
    return this.#network.listen();
  }

  /** Reads the certificates anew at once. */
  readCertificates(): void {
    this.#network.readCertificates();
  }

  /** A connection of its own to somewhere; `done` gets undefined when that is not possible in time. */
  connect(to: Destination, done: (connection: Connection | undefined) => void): void {
    this.#network.connect(to, (wire, origin) => {
      done(wire && this.#add(wire, origin));
    });
  }

  #add(wire: Wire, origin: Origin): Connection {
    const connection = new Connection(this, wire, origin);
    this.#connections.add(connection);
    this.counters.connections = this.#connections.size;
    return connection;
  }

  forget(connection: Connection): void {
    if (this.#connections.delete(connection)) connection.origin.release();
    this.shared.forget(connection);
    this.counters.connections = this.#connections.size;
  }

  /** Writes what a connection has gathered when everything that came in this turn has been handled. */
  flushSoon(connection: Outbound): void {
    if (this.#dirty.push(connection) > 1) return;
    setImmediate(() => {
      this.#flush();
    });
  }

  /** Called when what came on a connection is dealt with: not so many are kept waiting that what they write leaves the processor's caches. */
  afterRead(): void {
    if (this.#dirty.length >= dirtyConnections) this.#flush();
  }

  #flush(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const each of dirty) each.flush();
  }

  closeSoon(connection: Connection): void {
    setImmediate(() => {
      connection.finish();
    });
  }

  /** What is kept in memory for all sessions is at its bound. */
  get memoryFull(): boolean {
    const {spoolBytes, queuedBytes, sendingBytes} = this.counters;
    return spoolBytes + queuedBytes + sendingBytes >= this.options.limits.memoryBytes;
  }

  /** Octets were queued on connections, or written. */
  queued(more: number): void {
    this.counters.queuedBytes += more;
    this.counters.queuedBytesMost = Math.max(this.counters.queuedBytesMost, this.counters.queuedBytes);
  }

  // ---- sessions ----

  /**
   * A new session on a side. Throws `CPM_RELAY_FULL` (503) beyond the bound, `CPM_MSRP_TRANSPORT` (488) where the side has none of the
   * transports asked for.
   */
  openSession(
    owner: Owner,
    {side, transports, ...options}: SessionRequest,
  ): {readonly session: Session; readonly address: Advertised; readonly terms: Terms} {
    const isFull = this.sessions.size >= this.options.limits.sessions;
    if (isFull) this.refusals.add('tooManySessions', {});
    else if (this.memoryFull) this.refusals.add('memoryFull', {});
    if (isFull || this.memoryFull) {
      throw new CpmError('CPM_RELAY_FULL', 503, 'the relay has no room for another session');
    }
    const reachable = this.#network.choose(side, transports);
    if (reachable === undefined)
      throw new CpmError('CPM_MSRP_TRANSPORT', 488, `MSRP over ${transports.join()} is not to be had on this side`);
    const {advertised: address, tls} = reachable;
    const id = this.ids.token();
    const uri = formatMsrpUri({secure: tls !== undefined, ...address, sessionId: id, transport: 'tcp'});
    const session = new Session(this, owner, {...options, id, uri, tls});
    this.sessions.set(id, session);
    this.counters.sessions = this.sessions.size;
    const {setup, cema, via} = this.options[side];
    // Behind a relay c= and m= would have to be the relay's (RFC 6714 §4.2), and so would the fingerprint.
    const fingerprint = via === undefined ? (tls?.fingerprint ?? '') : '';
    const terms = {fingerprint, hasAuthority: tls?.hasAuthority === true, setup, cema: cema && via === undefined};
    return {session, address, terms};
  }

  /** Gets a path for a new session through the relay that its side goes through, where it does; `done` is told whether it can be offered now. */
  join(side: Side, session: Session, done: (joined: boolean) => void): void {
    const relay = this.#relays[side];
    if (relay === undefined) done(true);
    else relay.join(session, done);
  }

  removeSession(session: Session): void {
    this.sessions.delete(session.id);
    this.counters.sessions = this.sessions.size;
    session.relay?.break(undefined);
    for (const feeder of [...session.feeders]) feeder.break(undefined);
  }

  /**
   * Relays between two sessions; what the first one's peer sends waits until the gate is opened. What the second one's peer sends goes at
   * once, but for what follows a message that is in the PF's hands: that one first.
   */
  pair(one: Session, other: Session): Relay {
    this.unpairAll(one);
    this.unpairAll(other);
    const gated = new Relay(one, other, 'closed');
    one.inbox.relayTo(gated);
    const back = new Relay(other, one, 'closed');
    other.inbox.relayTo(back);
    other.offers.onceDecided(() => {
      back.open();
    });
    return gated;
  }

  /** Takes the two sessions of a relay apart: both hold. */
  unpair(relay: Relay, status: number | undefined): void {
    const {source, target} = relay;
    relay.break(status);
    if (target.relay?.target === source) target.relay.break(undefined);
  }

  /** Takes a session out of any pair. */
  unpairAll(session: Session): void {
    if (session.relay) this.unpair(session.relay, undefined);
    for (const feeder of [...session.feeders]) this.unpair(feeder, undefined);
  }

  /** Nothing comes from, or goes to, this session any more; what its peer sent whole may still reach the partner. */
  onSessionEnding(session: Session, status: number | undefined): void {
    for (const feeder of [...session.feeders]) feeder.break(status);
    if (session.relay?.isOpen === false) session.relay.break(undefined);
  }

  // ---- time ----

  /** How often time is looked at: fine enough for the shortest of the deadlines. */
  #scheduleSweep(): void {
    const {nextHopSeconds, transactionSeconds, limits} = this.options;
    const shortest = Math.min(nextHopSeconds, transactionSeconds, limits.unfinishedFrameSeconds, limits.unboundSeconds);
    this.clock.after(Math.max(10, Math.min(250, shortest * 125)), () => {
      if (this.#closed) return;
      const now = this.clock.now();
      for (const connection of [...this.#connections]) connection.sweep(now);
      for (const session of [...this.sessions.values()]) {
        session.sweep(now);
        session.relay?.sweep(now);
      }
      this.#scheduleSweep();
    });
  }

  /** Ends everything. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const session of [...this.sessions.values()]) session.close();
    this.#network.close();
    for (const connection of [...this.#connections]) connection.finish();
    await this.spool.close();
  }
}

/** The family of an advertised host: IPv4 also for names. */
export function familyOf(host: string): 4 | 6 {
  return isIPv6(host) ? 6 : 4;
}
