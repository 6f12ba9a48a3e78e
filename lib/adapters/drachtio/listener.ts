import Srf from 'drachtio-srf';
import {once} from 'node:events';
import {createServer, type AddressInfo, type Socket} from 'node:net';
import {CpmError} from '../../errors.ts';
import type {Clock} from '../../ports/clock.ts';
import type {Log} from '../../ports/log.ts';
import type {SipServer} from './connection.ts';
import type {SrfAgent, SrfInstance} from './srf-types.ts';
import {guardWire, type Wire} from './wire.ts';

/** A server connects because it has a request; one that has none after this time is not waited for. */
const requestMilliseconds = 10_000;
/** One connection for each request and call at a time; beyond it a server is refused, and answers 480. */
const mostConnections = 50_000;

export interface ListenerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** What we say to a server that connects: it asks for its own admin secret. */
  readonly secret: string;
  /** Whether a server of this address may connect. Others would learn the secret, and bring whatever requests they like. */
  readonly allows: (address: string) => boolean;
  /** The servers that we are connected to: one of them may be the one that connects. */
  readonly servers: readonly SipServer[];
  readonly clock: Clock;
  readonly log: Log;
}

/** Takes the connections that drachtio servers make, one for each request and the dialog that comes of it. */
export interface SipListener {
  readonly srf: SrfInstance;
  readonly port: number;
  serverOf(socket: Socket): SipServer;
  close(): Promise<void>;
}

/**
 * Listens for drachtio servers that connect for each call (their `request-handlers`).
 * @throws CpmError `CPM_SIP_LISTENER` (500) when it cannot.
 */
export async function listenForServers(options: ListenerOptions): Promise<SipListener> {
  const {host, port, secret, allows, log} = options;
  const sockets = new Set<Socket>();
  const connections = new WeakMap<Socket, SipServer>();
  const server = createServer();
  server.maxConnections = mostConnections;
  server.on('connection', (socket: Socket) => {
    if (allows(plainAddress(socket))) {
      sockets.add(socket.on('close', () => sockets.delete(socket)));
      return;
    }
    log.warn({address: plainAddress(socket)}, 'a connection of somebody who may not be a SIP server is refused');
    socket.destroy();
  });
  const srf = new Srf() as unknown as SrfInstance;
  srf.on('error', (error: unknown) => {
    log.debug({error}, 'a connection of a SIP server has an error');
  });
  srf.app.on('connect', (error: unknown) => {
    if (error instanceof Error) log.error({port}, 'a SIP server that connected refuses our secret');
  });
  srf.listen({server, secret});
  const agent = srf.app.client;
  if (agent === undefined) throw new CpmError('CPM_SIP_LIBRARY', 500, 'this version of drachtio-srf does not listen');
  const wire = guardWire(agent, options);
  agent.wp.on('connection', (socket: Socket) => {
    if (!socket.destroyed) connections.set(socket, callConnection(socket, srf, agent, wire, options));
  });
  try {
    await once(server.listen(port, host), 'listening');
  } catch (error) {
    throw new CpmError('CPM_SIP_LISTENER', 500, `no listening for SIP servers on ${host} port ${port}`, {cause: error});
  }

  const taken = (server.address() as AddressInfo).port;
  log.info({host, port: taken}, 'SIP servers may connect');
  return {
    srf,
    port: taken,
    serverOf(socket) {
      const connection = connections.get(socket);
      if (connection === undefined) throw new Error('a request came over a connection that nobody took');
      return connection;
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.end();
      const late = options.clock.after(1000, () => {
        for (const socket of sockets) socket.destroy();
      });
      await closed;
      late.cancel();
    },
  };
}

/** One connection as a server of its own: what was begun on it goes on over it, and ends with it. Closed once nobody needs it any more. */
function callConnection(
  socket: Socket,
  srf: SrfInstance,
  {mapServer}: SrfAgent,
  wire: Wire,
  {servers, clock, log}: ListenerOptions,
): SipServer {
  const lost = new Set<() => void>();
  let needed = 0;
  let known: readonly string[] = [];
  /** Where the server listens; remembered beyond the end of the connection. */
  const hostPorts = (): readonly string[] => {
    if (known.length === 0) known = mapServer.get(socket)?.hostport?.split(',') ?? [];
    return known;
  };
  /** The connection that we made to the same server, which is there also when this one is not. */
  const home = (): SipServer | undefined => {
    const own = hostPorts();
    return own.length === 0 ? undefined : servers.find((server) => own.some((each) => server.hostPorts.includes(each)));
  };
  const unused = clock.after(requestMilliseconds, () => {
    if (needed === 0) socket.destroy();
  });
  socket.once('close', () => {
    unused.cancel();
    for (const tell of [...lost]) {
      try {
        tell();
      } catch (error) {
        log.error({error}, 'a listener to the connection failed');
      }
    }

    lost.clear();
  });

  return {
    get name() {
      return home()?.name ?? `${plainAddress(socket)}:${socket.remotePort ?? 0}`;
    },
    srf,
    wire,
    get connected() {
      return !socket.destroyed && mapServer.get(socket)?.authenticated === true;
    },
    get hostPorts() {
      return hostPorts();
    },
    onConnection: () => undefined,
    whenConnected(run) {
      home()?.whenConnected(run);
    },
    ifLost(tell) {
      lost.add(tell);
      return () => lost.delete(tell);
    },
    keep() {
      let kept = true;
      hostPorts();
      needed += 1;
      return () => {
        if (!kept) return;
        kept = false;
        needed -= 1;
        // What takes over from it does so within the same turn.
        setImmediate(() => {
          if (needed === 0) socket.end();
        });
      };
    },
    close: () => Promise.resolve(),
  };
}

const plainAddress = (socket: Socket): string => (socket.remoteAddress ?? '').replace(/^::ffff:/, '');
