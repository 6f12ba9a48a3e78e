import Srf from 'drachtio-srf';
import type {Socket} from 'node:net';
import type {Clock} from '../../ports/clock.ts';
import type {Log} from '../../ports/log.ts';
import {keepConnecting, tlsOptions, type DrachtioAddress, type Reconnection} from './keep-connecting.ts';
import type {SrfAgent, SrfInstance} from './srf-types.ts';
import {guardWire, type Wire} from './wire.ts';

const closeMilliseconds = 1000;

/** One drachtio server as the adapter uses it: its drachtio-srf instance, the guarded wire, and what hangs on the connection. */
export interface SipServer {
  /** `host:port` of its admin interface, or the name that the application gave. */
  readonly name: string;
  readonly srf: SrfInstance;
  readonly wire: Wire;
  /** Authenticated, and all routes acknowledged: requests arrive. */
  readonly connected: boolean;
  /** SIP addresses on which the server listens, `udp/192.0.2.1:5060`; of the last connection. */
  readonly hostPorts: readonly string[];
  onConnection(listener: (connected: boolean) => void): void;
  /** Runs it once, now or as soon as there is a connection to the server: over this one, or the one that it is given. */
  whenConnected(run: (server: SipServer) => void): void;
  /** Registers what to do if the connection goes; the function returned takes it back. */
  ifLost(lost: () => void): () => void;
  /** Needs the connection until the function returned is called; one that the server made for a single call is closed when nobody does. */
  keep(): () => void;
  /** Closes a connection that the adapter made; leaves an application's own alone. The server has forgotten us when it resolves. */
  close(): Promise<void>;
}

interface Surroundings {
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Connects to a drachtio server and goes on connecting until `close`, with growing pauses. Never ends the process.
 * @throws CpmError `CPM_SIP_TLS` (500) at once when a file for its TLS cannot be read.
 */
export function connectServer(address: DrachtioAddress, surroundings: Surroundings): SipServer {
  const srf = new Srf() as unknown as SrfInstance;
  return watch(srf, `${address.host}:${address.port}`, surroundings, address);
}

/** Uses the `srf` of an application, which connects it itself, before or after. */
export function useServer(srf: unknown, name: string, surroundings: Surroundings): SipServer {
  return watch(srf as SrfInstance, name, surroundings);
}

function watch(srf: SrfInstance, name: string, {clock, log}: Surroundings, own?: DrachtioAddress): SipServer {
  const listeners = new Set<(connected: boolean) => void>();
  const pending = new Set<() => void>();
  const waiting = new Set<(server: SipServer) => void>();
  const sockets = new Set<Socket>();
  let wire: Wire | undefined;
  let connected = false;
  let closed = false;
  let hostPorts: readonly string[] = [];
  let reconnection: Reconnection | undefined;
  /** Whether the log has said why no connection comes about. */
  let complained = false;

  function change(to: boolean): void {
    if (connected === to) return;
    connected = to;
    log.info({server: name}, to ? 'connected to the SIP server' : 'lost the connection to the SIP server');
    runAll(
      [...listeners].map((listener) => () => {
        listener(to);
      }),
    );
    if (to) {
      runAll(
        takeAll(waiting).map((run) => () => {
          run(server);
        }),
      );
    }
  }

  /** One listener's mistake keeps no other from being told. */
  function runAll(callbacks: readonly (() => void)[]): void {
    for (const run of callbacks) {
      try {
        run();
      } catch (error) {
        log.error({error, server: name}, 'a listener to the connection failed');
      }
    }
  }

  /** drachtio-srf does not look at the answers to its routes; a ping behind them does. */
  async function ready(addresses: string | null | undefined): Promise<void> {
    hostPorts = addresses?.split(',').filter((entry) => entry.includes('/')) ?? [];
    if ((await wire?.flushed()) !== true) return;
    reconnection?.succeeded();
    complained = false;
    change(!closed);
  }

  function guard(agent: SrfAgent): void {
    const {wp, mapServer} = agent;
    wire = guardWire(agent, {clock, log});
    wp.on('connect', (socket: Socket) => {
      sockets.add(socket);
      if (closed) socket.destroy();
    });
    wp.on('close', (socket: Socket) => {
      sockets.delete(socket);
      change(false);
      runAll(takeAll(pending));
    });
    for (const {authenticated, hostport} of mapServer.values()) if (authenticated) void ready(hostport);
  }

  // Without a listener, drachtio-srf's error event ends the process at the first loss of the connection.
  srf.on('error', (error: unknown) => {
    log.debug({error, server: name}, 'no connection to the SIP server');
    if (own?.tls === undefined || complained || isAway(error)) return;
    complained = true;
    log.error({error, server: name, code: 'CPM_SIP_TLS'}, 'the SIP server has no certificate that we take, or no TLS');
  });
  // The application's own event comes too late: after a refusal the pause until the next attempt has been chosen by then.
  srf.app.on('connect', (error: unknown, addresses?: string) => {
    if (!(error instanceof Error)) return void ready(addresses);
    log.error({server: name}, 'the SIP server refuses our secret');
    reconnection?.refused();
  });
  if (srf.app.client === undefined) {
    const original = srf.connect.bind(srf);
    srf.connect = (...options) => {
      const result = original(...options);
      if (srf.app.client !== undefined) guard(srf.app.client);
      return result;
    };
  } else {
    guard(srf.app.client);
  }

  const server: SipServer = {
    name,
    srf,
    get wire() {
      if (wire === undefined) throw new Error('the application has not called srf.connect');
      return wire;
    },
    get connected() {
      return connected;
    },
    get hostPorts() {
      return hostPorts;
    },
    onConnection(listener) {
      listeners.add(listener);
    },
    whenConnected(run) {
      if (connected) run(server);
      else waiting.add(run);
    },
    ifLost(lost) {
      pending.add(lost);
      return () => pending.delete(lost);
    },
    keep: () => () => undefined,
    async close() {
      closed = true;
      if (own === undefined) return;
      // drachtio-srf's own disconnect throws while there is no connection.
      const wp = srf.app.client?.wp;
      if (wp !== undefined) wp.closing = true;
      reconnection?.stop();
      change(false);
      await Promise.all([...sockets].map((socket) => endSocket(socket, clock)));
    },
  };
  if (own !== undefined) {
    const {host, port, secret} = own;
    srf.connect({host, port, secret, tls: tlsOptions(own)});
    const {client} = srf.app;
    if (client !== undefined) reconnection = keepConnecting(client.wp, own, {clock, log});
  }

  return server;
}

/** Nobody there, or gone, as servers are at times. */
const isAway = (error: unknown): boolean =>
  [
    'ECONNREFUSED',
    'ECONNRESET',
    'EPIPE',
    'ETIMEDOUT',
    'EHOSTUNREACH',
    'ENETUNREACH',
    'ENOTFOUND',
    'EAI_AGAIN',
  ].includes(String((error as NodeJS.ErrnoException | undefined)?.code));

/** The server closes its side once it has taken us out of its list; one that does not is not waited for. */
function endSocket(socket: Socket, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.after(closeMilliseconds, () => {
      socket.destroy();
    });
    socket.once('close', () => {
      timer.cancel();
      resolve();
    });
    socket.end();
  });
}

function takeAll<T>(callbacks: Set<T>): readonly T[] {
  const all = [...callbacks];
  callbacks.clear();
  return all;
}
