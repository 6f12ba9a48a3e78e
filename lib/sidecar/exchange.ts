/** What all sessions of the process share: where they are found, sockets in and out, one tick for writing, one sweep for time, bounds, counters. */
import {createServer, isIPv6, type AddressInfo, type Server, type Socket} from 'node:net';
import {CpmError} from '../errors.ts';
import {formatMsrpUri, parseMsrpUri} from '../codecs/msrp/uri.ts';
import type {Side} from '../cpm/side.ts';
import type {Clock} from '../ports/clock.ts';
import type {Ids} from '../ports/ids.ts';
import type {Log} from '../ports/log.ts';
import {AuthClient} from './auth-client.ts';
import {Blocks} from './blocks.ts';
import {Connection} from './connection.ts';
import {newCounters} from './counters.ts';
import {Addresses, Refusals} from './limits.ts';
import type {RelayOptions} from './options.ts';
import {blockBytes} from './output.ts';
import type {Owner} from './owner.ts';
import {Relay} from './relay.ts';
import {Session} from './session.ts';
import {SpoolRoom} from './spool.ts';
import {RandomTexts} from './transactions.ts';
import {acceptedWire, connectingWire, type Wire} from './wire.ts';

export interface ExchangeParts {
  readonly options: RelayOptions;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
}

/** Where peers reach one side. */
export interface Advertised {
  readonly host: string;
  readonly port: number;
}

/** Octets read at once from a socket at most. */
const inputBytes = 256 * 1024;

export class Exchange {
  readonly options: RelayOptions;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly counters = newCounters();
  readonly refusals: Refusals;
  readonly spool: SpoolRoom;
  readonly random = new RandomTexts();
  readonly blocks = new Blocks(blockBytes, 64);
  /** What a plain socket has to give is read into this, whichever socket it is. */
  readonly #input = Buffer.allocUnsafeSlow(inputBytes);
  /** By session-id (row E5). */
  readonly sessions = new Map<string, Session>();
  readonly #connections = new Set<Connection>();
  readonly #addresses = new Addresses();
  /** Relays that sides of ours go through. */
  readonly #relays: Readonly<Record<Side, AuthClient | undefined>>;
  readonly #servers = new Map<Side, {readonly server: Server; readonly advertised: Advertised}>();
  #dirty: Connection[] = [];
  #closed = false;

  constructor({options, clock, ids, log}: ExchangeParts) {
    this.options = options;
    this.clock = clock;
    this.ids = ids;
    this.log = log;
    this.refusals = new Refusals(this.counters, {clock, log});
    const relayOf = (side: Side) => options[side].via && new AuthClient(this, options[side].via);
    this.#relays = {access: relayOf('access'), core: relayOf('core')};
    this.spool = new SpoolRoom(options.spool, this.counters);
    this.#scheduleSweep();
  }

  // ---- sockets ----

  /** Accepts MSRP connections on both sides. Rejects where an address cannot be had. */
  async listen(): Promise<Readonly<Record<Side, Advertised>>> {
    return {access: await this.#listen('access'), core: await this.#listen('core')};
  }

  async #listen(side: Side): Promise<Advertised> {
    const {listen, advertise} = this.options[side];
    const server = createServer({allowHalfOpen: false, noDelay: true, pauseOnConnect: true}, (socket) => {
      this.#accept(socket);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({host: listen.host, port: listen.port, backlog: 1024}, resolve);
    });
    server.on('error', () => undefined);
    const {port} = server.address() as AddressInfo;
    const advertised = {host: advertise.host ?? listen.host, port: advertise.port ?? port};
    this.#servers.set(side, {server, advertised});
    return advertised;
  }

  #accept(socket: Socket): void {
    const address = socket.remoteAddress ?? '';
    const {connections, connectionsPerAddress} = this.options.limits;
    if (this.#connections.size >= connections) this.refusals.add('tooManyConnections', {address});
    else if (!this.#addresses.take(address, connectionsPerAddress)) {
      this.refusals.add('connectionsPerAddress', {address});
    } else {
      this.#add(acceptedWire(socket, this.#input), address, true);
      return;
    }
    socket.on('error', () => undefined);
    socket.destroy();
  }

  #add(wire: Wire, address: string, accepted: boolean): Connection {
    const connection = new Connection(this, wire, address, accepted);
    this.#connections.add(connection);
    this.counters.connections = this.#connections.size;
    return connection;
  }

  /** Connects to the host and port of an MSRP URI; `done` gets undefined when that is not possible in time. */
  connect(uri: string, done: (connection: Connection | undefined) => void): void {
    const isFull = this.#connections.size >= this.options.limits.connections;
    if (isFull) this.refusals.add('tooManyConnections', {});
    const wire = isFull ? undefined : this.#wireTo(uri);
    if (wire === undefined) {
      queueMicrotask(() => {
        done(undefined);
      });
      return;
    }
    const socket = wire.stream;
    const timer = this.clock.after(this.options.connectSeconds * 1000, () => socket.destroy());
    const failed = () => {
      timer.cancel();
      done(undefined);
    };
    socket.on('error', () => undefined);
    socket.once('close', failed);
    socket.once('connect', () => {
      timer.cancel();
      socket.off('close', failed);
      done(this.#add(wire, socket.remoteAddress ?? '', false));
    });
  }

  #wireTo(uri: string): ReturnType<typeof connectingWire> | undefined {
    try {
      const {host, port, secure} = parseMsrpUri(uri);
      return secure ? undefined : connectingWire({host, port: port ?? 2855}, this.#input);
    } catch (error) {
      if (error instanceof CpmError) return undefined;
      throw error;
    }
  }

  forget(connection: Connection): void {
    if (this.#connections.delete(connection) && connection.accepted !== undefined) {
      this.#addresses.give(connection.accepted);
    }
    this.counters.connections = this.#connections.size;
  }

  /** Writes what a connection has gathered when everything that came in this turn has been handled. */
  flushSoon(connection: Connection): void {
    if (this.#dirty.push(connection) > 1) return;
    setImmediate(() => {
      const dirty = this.#dirty;
      this.#dirty = [];
      for (const each of dirty) each.flush();
    });
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

  /** A new session on a side. Throws `CPM_RELAY_FULL` (503) beyond the bound. */
  openSession(
    owner: Owner,
    side: Side,
    refuses: boolean,
    maxMessageBytes: number,
  ): {session: Session; address: Advertised} {
    const listening = this.#servers.get(side);
    const isFull = this.sessions.size >= this.options.limits.sessions;
    if (isFull) this.refusals.add('tooManySessions', {});
    else if (this.memoryFull) this.refusals.add('memoryFull', {});
    if (listening === undefined || isFull || this.memoryFull) {
      throw new CpmError('CPM_RELAY_FULL', 503, 'the relay has no room for another session');
    }
    const id = this.ids.token();
    const {host, port} = listening.advertised;
    const uri = formatMsrpUri({secure: false, host, port, sessionId: id, transport: 'tcp'});
    const session = new Session(this, owner, {id, uri, refuses, maxMessageBytes});
    this.sessions.set(id, session);
    this.counters.sessions = this.sessions.size;
    return {session, address: listening.advertised};
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
    one.relayTo(gated);
    const back = new Relay(other, one, 'closed');
    other.relayTo(back);
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
    for (const {server} of this.#servers.values()) server.close();
    for (const connection of [...this.#connections]) connection.finish();
    await this.spool.close();
  }
}

/** The family of an advertised host: IPv4 also for names. */
export function familyOf(host: string): 4 | 6 {
  return isIPv6(host) ? 6 : 4;
}
