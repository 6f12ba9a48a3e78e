/** Sockets in and out of the relay: where each side listens, over TCP and over TLS, who may connect, and how peers are reached. */
import {createServer, type AddressInfo, type Server, type Socket} from 'node:net';
import {TLSSocket} from 'node:tls';
import {CpmError} from '../errors.ts';
import {parseMsrpUri} from '../codecs/msrp/uri.ts';
import type {Side} from '../cpm/side.ts';
import type {Clock} from '../ports/clock.ts';
import type {Log} from '../ports/log.ts';
import {proofOf, type Proof} from './certificates.ts';
import type {Counters} from './counters.ts';
import {Addresses, type Refusals} from './limits.ts';
import type {RelayOptions, SideOptions} from './options.ts';
import {SideTls} from './tls.ts';
import {acceptedWire, connectingWire, streamWire, type Wire} from './wire.ts';

export type Transport = 'tcp' | 'tls';

/** Where peers reach one side. */
export interface Advertised {
  readonly host: string;
  readonly port: number;
}

/** How a connection came about. */
export interface Origin {
  /** IP address of the other end. */
  readonly address: string;
  /** What the other end showed of itself; undefined where the connection is not over TLS. */
  readonly proof: Proof | undefined;
  /** It is over: what was counted for it is free again. */
  readonly release: () => void;
}

/** Where a session's peer is. */
export interface Destination {
  /** The first one of its path. */
  readonly uri: string;
  /** Where that is instead (RFC 6714). */
  readonly address: Advertised | undefined;
  /** The side that connects, for a URI that is `msrps:`. */
  readonly tls: SideTls | undefined;
}

/** What one side has for a session. */
export interface Reachable {
  readonly advertised: Advertised;
  /** Undefined without TLS. */
  readonly tls: SideTls | undefined;
}

export interface NetworkParts {
  readonly options: RelayOptions;
  readonly clock: Clock;
  readonly log: Log;
  readonly counters: Counters;
  readonly refusals: Refusals;
  /** A peer has connected. */
  readonly onAccepted: (wire: Wire, origin: Origin) => void;
}

interface Listener extends Reachable {
  readonly server: Server;
}

type Listeners = Readonly<Partial<Record<Transport, Listener>>>;

const isSecure = (uri: string): boolean => /^msrps:/i.test(uri);

/** Octets read at once from a socket at most. */
const inputBytes = 256 * 1024;
const nothing = (): void => undefined;

export class Network {
  readonly #parts: NetworkParts;
  /** What a plain socket has to give is read into this, whichever socket it is. */
  readonly #input = Buffer.allocUnsafeSlow(inputBytes);
  readonly #addresses = new Addresses();
  readonly #sides = new Map<Side, Listeners>();
  /** Accepted for TLS, their handshakes not done. */
  #handshakes = 0;

  constructor(parts: NetworkParts) {
    this.#parts = parts;
  }

  /** Accepts connections on both sides. Rejects where an address cannot be had, or a certificate cannot be used. */
  async listen(): Promise<Readonly<Record<Side, Readonly<Partial<Record<Transport, Advertised>>>>>> {
    return {access: await this.#listenOn('access'), core: await this.#listenOn('core')};
  }

  /** The first of these transports that a side has, for none its own choice; undefined where it has none of them. */
  choose(side: Side, transports: readonly Transport[]): Reachable | undefined {
    const {tls, via} = this.#parts.options[side];
    const ours: readonly Transport[] = tls?.offer === 'msrps' ? ['tls', 'tcp'] : ['tcp', 'tls'];
    const listeners = this.#sides.get(side);
    const wanted = transports.length === 0 ? ours : transports;
    // Through a relay of somebody else's the path begins with his URI, and its transport is the session's.
    const only = via && (isSecure(via.uri) ? 'tls' : 'tcp');
    return wanted.map((each) => (only === undefined || each === only ? listeners?.[each] : undefined)).find(Boolean);
  }

  /** Connects to where a session's peer is; `done` gets undefined when that is not possible in time. */
  connect(to: Destination, done: (wire: Wire | undefined, origin: Origin) => void): void {
    const {clock, counters, options, refusals} = this.#parts;
    const failed = () => {
      timer?.cancel();
      counters.connectFailures += 1;
      done(undefined, {address: '', proof: undefined, release: nothing});
    };
    const isFull = counters.connections >= options.limits.connections;
    if (isFull) refusals.add('tooManyConnections', {});
    const wire = isFull ? undefined : this.#wireTo(to);
    const socket = wire?.stream;
    const timer = socket && clock.after(options.connectSeconds * 1000, () => socket.destroy());
    if (wire === undefined || socket === undefined) {
      queueMicrotask(failed);
      return;
    }
    socket.on('error', nothing);
    socket.once('close', failed);
    socket.once(to.tls === undefined ? 'connect' : 'secureConnect', () => {
      timer?.cancel();
      socket.off('close', failed);
      const proof = socket instanceof TLSSocket ? proofOf(socket) : undefined;
      done(wire, {address: socket.remoteAddress ?? '', proof, release: nothing});
    });
  }

  /** Reads the certificates anew at once, whether their files have changed or not. */
  readCertificates(): void {
    for (const {tls} of this.#sides.values()) tls?.tls?.reload();
  }

  close(): void {
    for (const listeners of this.#sides.values()) {
      for (const {server, tls} of Object.values(listeners)) {
        server.close();
        tls?.close();
      }
    }
  }

  #wireTo({uri, address, tls}: Destination): (Wire & {readonly stream: Socket}) | undefined {
    try {
      const {host, port = 2855, secure} = parseMsrpUri(uri);
      if (secure !== (tls !== undefined)) return undefined;
      const at = address ?? {host, port};
      return tls === undefined ? connectingWire(at, this.#input) : streamWire(tls.connect({...at, name: host}));
    } catch (error) {
      if (error instanceof CpmError) return undefined;
      throw error;
    }
  }

  async #listenOn(side: Side): Promise<Readonly<Partial<Record<Transport, Advertised>>>> {
    const {listen, advertise, tls} = this.#parts.options[side];
    const {host} = listen;
    const listeners: Partial<Record<Transport, Listener>> = {};
    if (tls?.require !== true) {
      const {server, port} = await this.#listen(host, listen.port, (socket, origin) => {
        this.#parts.onAccepted(acceptedWire(socket, this.#input), origin);
      });
      const advertised = {host: advertise.host ?? host, port: advertise.port ?? port};
      listeners.tcp = {server, advertised, tls: undefined};
    }
    if (tls !== undefined) {
      const secure = this.#secured(side, tls);
      const {server, port} = await this.#listen(host, tls.listenPort, (socket, {release}) => {
        this.#handshakes += 1;
        socket.once('close', release);
        secure.accept(socket);
      });
      const advertised = {host: advertise.host ?? host, port: tls.advertisedPort ?? port};
      listeners.tls = {server, advertised, tls: secure};
    }
    this.#sides.set(side, listeners);
    return Object.fromEntries(Object.entries(listeners).map(([transport, {advertised}]) => [transport, advertised]));
  }

  async #listen(
    host: string,
    port: number,
    open: (socket: Socket, origin: Origin) => void,
  ): Promise<{readonly server: Server; readonly port: number}> {
    const server = createServer({allowHalfOpen: false, noDelay: true, pauseOnConnect: true}, (socket) => {
      this.#accept(socket, open);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({host, port, backlog: 1024}, resolve);
    });
    server.on('error', nothing);
    return {server, port: (server.address() as AddressInfo).port};
  }

  #accept(socket: Socket, open: (socket: Socket, origin: Origin) => void): void {
    const {options, counters, refusals} = this.#parts;
    const address = socket.remoteAddress ?? '';
    const {connections, connectionsPerAddress} = options.limits;
    if (counters.connections + this.#handshakes >= connections) refusals.add('tooManyConnections', {address});
    else if (!this.#addresses.take(address, connectionsPerAddress)) refusals.add('connectionsPerAddress', {address});
    else {
      const release = () => {
        this.#addresses.give(address);
      };
      open(socket, {address, proof: undefined, release});
      return;
    }
    socket.on('error', nothing);
    socket.destroy();
  }

  #secured(side: Side, {watchSeconds, ...files}: NonNullable<SideOptions['tls']>): SideTls {
    const {options, counters, refusals, log, onAccepted} = this.#parts;
    return new SideTls({
      files,
      handshakeMilliseconds: options.connectSeconds * 1000,
      watchMilliseconds: watchSeconds * 1000,
      onConnection: (socket) => {
        this.#handshakes -= 1;
        // Its place among those of its address is given back when the socket below it is closed.
        onAccepted(streamWire(socket), {
          address: socket.remoteAddress ?? '',
          proof: proofOf(socket),
          release: nothing,
        });
      },
      onFailure: (address) => {
        this.#handshakes -= 1;
        refusals.add('handshakeFailed', {address});
      },
      onReload: (error) => {
        counters[error === undefined ? 'certificateReloads' : 'certificateFailures'] += 1;
        if (error === undefined) log.info({side}, 'a changed certificate is used from now on');
        else log.error({side, error}, 'a changed certificate cannot be used; the one before is used on');
      },
    });
  }
}
