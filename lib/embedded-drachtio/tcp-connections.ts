/** The TCP side of the transport: listeners, one connection per peer used again, each with bounded memory and an idle time. */
import {connect, createServer, type Server, type Socket} from 'node:net';
import {CpmError} from '../errors.ts';
import type {Clock, Timer} from '../ports/clock.ts';
import {asCpmError, unreachable, type Flow} from './flow.ts';
import {createSipStreamParser, type SipLimits, type SipMessage, type SipStreamParser} from '../codecs/sip-message.ts';
import type {SipAddress} from './sip-values.ts';

interface TcpOptions {
  readonly idleMs: number;
  readonly connectMs: number;
  readonly maxUnsentBytes: number;
  readonly maxConnections: number;
  readonly limits: SipLimits;
  readonly clock: Clock;
  readonly onMessage: (message: SipMessage, flow: Flow) => void;
  readonly onPeerError: (error: CpmError, remote: SipAddress) => void;
}

export interface TcpConnections {
  listen(host: string, port: number): Promise<SipAddress>;
  /** Sends on the connection named, else on one to that address, else on a new one. */
  send(bytes: Buffer, remote: SipAddress, connectionId: number | undefined): Promise<number>;
  close(): Promise<void>;
}

interface Connection {
  readonly id: number;
  readonly socket: Socket;
  readonly remote: SipAddress;
  readonly ready: Promise<void>;
  touched: () => void;
}

/** Makes the holder of all TCP connections; nothing listens until `listen` is called. */
export function createTcpConnections(options: TcpOptions): TcpConnections {
  const servers: Server[] = [];
  const connections = new Map<number, Connection>();
  let lastId = 0;

  function adopt(socket: Socket, remote: SipAddress, ready: Promise<void>): Connection {
    const id = ++lastId;
    const parser = createSipStreamParser(options.limits);
    let idle: Timer | undefined;
    const connection: Connection = {
      id,
      socket,
      remote,
      ready,
      touched() {
        idle?.cancel();
        idle = options.clock.after(options.idleMs, () => socket.destroy());
      },
    };
    connections.set(id, connection);
    connection.touched();
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      connection.touched();
      read(connection, parser, chunk);
    });
    socket.on('error', (cause) => {
      options.onPeerError(unreachable(remote, cause), remote);
    });
    socket.on('close', () => {
      idle?.cancel();
      connections.delete(id);
    });
    return connection;
  }

  function read(connection: Connection, parser: SipStreamParser, chunk: Buffer): void {
    const {socket, remote, id} = connection;
    const local: SipAddress = {protocol: 'tcp', host: socket.localAddress ?? '', port: socket.localPort ?? 0};
    try {
      const came = {ping: false};
      parser.push(chunk, (item) => {
        if (item === 'ping') came.ping = true;
        else options.onMessage(item, {remote, local, connectionId: id});
      });
      if (came.ping) write(connection, Buffer.from('\r\n'), () => undefined);
    } catch (error) {
      options.onPeerError(asCpmError(error), remote);
      socket.destroy();
    }
  }

  function write(connection: Connection, bytes: Buffer, done: (error?: Error | null) => void): void {
    const {socket, remote} = connection;
    connection.touched();
    socket.write(bytes, done);
    if (socket.writableLength <= options.maxUnsentBytes) return;
    options.onPeerError(new CpmError('CPM_SIP_SLOW_PEER', 503, 'the peer does not read what it is sent'), remote);
    socket.destroy();
  }

  function open(remote: SipAddress): Connection {
    const socket = connect(remote.port, remote.host);
    const ready = new Promise<void>((resolve, reject) => {
      const timer = options.clock.after(options.connectMs, () => socket.destroy(new Error('connecting took too long')));
      socket.once('connect', resolve);
      socket.once('error', reject);
      socket.once('close', () => {
        timer.cancel();
        reject(new Error('the connection was closed'));
      });
      socket.once('connect', () => {
        timer.cancel();
      });
    });
    // Whoever sends awaits it too; a connection nobody waits for any more is no unhandled rejection.
    ready.catch(() => undefined);
    return adopt(socket, remote, ready);
  }

  function find(remote: SipAddress, id: number | undefined): Connection {
    const own = id === undefined ? undefined : connections.get(id);
    if (own?.socket.writable === true) return own;
    for (const connection of connections.values()) {
      const {remote: other, socket} = connection;
      if (other.host === remote.host && other.port === remote.port && !socket.destroyed && !socket.writableEnded)
        return connection;
    }
    return open(remote);
  }

  function accept(socket: Socket): void {
    const remote: SipAddress = {protocol: 'tcp', host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0};
    if (connections.size >= options.maxConnections) {
      options.onPeerError(new CpmError('CPM_SIP_BUSY', 503, 'too many TCP connections'), remote);
      socket.destroy();
    } else adopt(socket, remote, Promise.resolve());
  }

  return {
    async listen(host, port) {
      const server = createServer(accept);
      servers.push(server);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, () => {
          server.off('error', reject);
          resolve();
        });
      });
      server.on('error', (cause) => {
        options.onPeerError(unreachable({protocol: 'tcp', host, port}, cause), {protocol: 'tcp', host, port});
      });
      const address = server.address();
      return {protocol: 'tcp', host, port: address !== null && typeof address === 'object' ? address.port : port};
    },
    async send(bytes, remote, connectionId) {
      const connection = find(remote, connectionId);
      try {
        await connection.ready;
        await new Promise<void>((resolve, reject) => {
          write(connection, bytes, (error) => {
            if (error) reject(error);
            else resolve();
          });
        });
      } catch (cause) {
        throw unreachable(remote, cause);
      }
      return bytes.length;
    },
    async close() {
      for (const {socket} of connections.values()) socket.destroy();
      await Promise.all(
        servers.map(
          (server) =>
            new Promise<void>((resolve) => {
              server.close(() => {
                resolve();
              });
            }),
        ),
      );
    },
  };
}
