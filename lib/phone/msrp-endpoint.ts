/** The MSRP side of a simulated phone: its listener, its sessions, and who connects to whom (RFC 4975 §5.4, RFC 6135, RFC 4976 §5). */
import {randomBytes} from 'node:crypto';
import {connect, createServer, type AddressInfo, type Socket} from 'node:net';
import {CpmError} from '../errors.ts';
import {parseMsrpUri} from '../codecs/msrp/uri.ts';
import {MsrpConnection, type ConnectionFaults, type Frame} from './msrp-connection.ts';
import {MsrpSession, newTransactionId, respond, type SessionBehaviour} from './msrp-session.ts';

export interface EndpointOptions {
  /** `msrp://host:port;tcp` of a relay that we use (RFC 4976): our paths lead through it. */
  readonly relay?: string | undefined;
  readonly faults?: ConnectionFaults | undefined;
}

export interface MsrpEndpoint {
  readonly port: number;
  /** A new session; with a relay, once the relay has given it a path. */
  openSession(behaviour?: Partial<SessionBehaviour>): Promise<MsrpSession>;
  /**
   * The negotiation is done. `active`: we connect to the leftmost URI of the peer's path and bind the session by an empty SEND; `passive`:
   * the peer connects to us, and his first frame binds. Behind a relay the connection to it serves both. Rejects with `CpmError` 408.
   */
  connect(session: MsrpSession, remotePath: readonly string[], role: 'active' | 'passive'): Promise<void>;
  closeSession(session: MsrpSession): void;
  close(): Promise<void>;
}

/** Opens an endpoint on a loopback port of the system's choice. */
export async function createMsrpEndpoint(options: EndpointOptions = {}): Promise<MsrpEndpoint> {
  const sessions = new Map<string, MsrpSession>();
  const connections = new Set<MsrpConnection>();
  const waitingForRelay = new Map<string, (frame: Frame) => void>();
  let toRelay: MsrpConnection | undefined;

  const server = createServer((socket) => {
    adopt(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const {port} = server.address() as AddressInfo;

  function adopt(socket: Socket): MsrpConnection {
    const connection = new MsrpConnection(socket, {onFrame, onClose}, options.faults);
    connections.add(connection);
    return connection;
  }

  function onClose(connection: MsrpConnection): void {
    connections.delete(connection);
    for (const session of sessions.values()) session.detach(connection);
  }

  function onFrame(frame: Frame, connection: MsrpConnection): void {
    const forRelay = frame.kind === 'response' ? waitingForRelay.get(frame.transactionId) : undefined;
    if (forRelay !== undefined) {
      forRelay(frame);
      return;
    }
    const session = sessions.get(sessionIdOf(frame.toPath[0]) ?? '');
    if (session === undefined) {
      if (frame.kind === 'SEND' && frame.failureReport !== 'no') void connection.write(respond(frame, 481));
      return;
    }
    if (session.connection === undefined) session.attach(connection);
    if (session.connection !== connection) {
      if (frame.kind === 'SEND') void connection.write(respond(frame, 506));
      return;
    }
    void session.receive(frame, connection);
  }

  async function connectTo(uri: string): Promise<MsrpConnection> {
    const {host, port: remotePort} = parseMsrpUri(uri);
    const socket = connect(remotePort ?? 2855, host);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', (cause) => {
        reject(new CpmError('CPM_PHONE_MSRP', 408, `${uri} can't be reached`, {cause}));
      });
    });
    return adopt(socket);
  }

  /** AUTH without credentials: the relay gives a path for the session (RFC 4976 §5.1). */
  async function relayPath(relay: string, uri: string): Promise<string> {
    if (toRelay === undefined || toRelay.closed) toRelay = await connectTo(relay);
    const transactionId = newTransactionId();
    const answered = new Promise<Frame>((resolve, reject) => {
      waitingForRelay.set(transactionId, resolve);
      setTimeout(() => {
        reject(new CpmError('CPM_PHONE_MSRP', 408, 'the relay did not answer AUTH'));
      }, 10_000).unref();
    });
    const lines = [
      `MSRP ${transactionId} AUTH`,
      `To-Path: ${relay}`,
      `From-Path: ${uri}`,
      `-------${transactionId}$`,
      '',
    ];
    await toRelay.write(Buffer.from(lines.join('\r\n')));
    const {status, usePath} = await answered;
    waitingForRelay.delete(transactionId);
    if (usePath === undefined) throw new CpmError('CPM_PHONE_MSRP', 503, `the relay said ${status} and no Use-Path`);
    return usePath;
  }

  return {
    port,
    async openSession(behaviour = {}) {
      const id = randomBytes(12).toString('hex');
      const uri = `msrp://127.0.0.1:${port}/${id};tcp`;
      const relays = options.relay === undefined ? [] : (await relayPath(options.relay, uri)).split(' ');
      const session = new MsrpSession(id, uri, relays, behaviour);
      sessions.set(id, session);
      return session;
    },
    async connect(session, remotePath, role) {
      session.remotePath = remotePath;
      if (toRelay !== undefined) session.attach(toRelay);
      else if (role === 'active') session.attach(await connectTo(remotePath[0] ?? ''));
      else return;
      await session.ping();
    },
    closeSession(session) {
      const {connection} = session;
      sessions.delete(session.id);
      session.end();
      if (connection === undefined || connection === toRelay) return;
      const shared = [...sessions.values()].some((other) => other.connection === connection);
      if (!shared) connection.destroy();
    },
    async close() {
      for (const session of sessions.values()) session.end();
      sessions.clear();
      for (const connection of connections) connection.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function sessionIdOf(uri: string | undefined): string | undefined {
  try {
    return uri === undefined ? undefined : parseMsrpUri(uri).sessionId;
  } catch {
    return undefined;
  }
}
