/** The MSRP side of a simulated phone: its listener, its sessions, and who connects to whom (RFC 4975 §5.4, RFC 6135, RFC 4976 §5). */
import {createHash, randomBytes, X509Certificate} from 'node:crypto';
import {connect, createServer, isIP, type AddressInfo, type Socket} from 'node:net';
import {connect as connectTls, createServer as createTlsServer, TLSSocket} from 'node:tls';
import {CpmError} from '../errors.ts';
import {parseMsrpUri} from '../codecs/msrp/uri.ts';
import {expectedFingerprints} from '../codecs/sdp-fingerprint.ts';
import type {MsrpMedia} from '../codecs/sdp-msrp.ts';
import {MsrpConnection, type ConnectionFaults, type Frame} from './msrp-connection.ts';
import {MsrpSession, newTransactionId, respond, type SessionBehaviour} from './msrp-session.ts';

export interface EndpointOptions {
  /** `msrp://host:port;tcp` of a relay that we use (RFC 4976): our paths lead through it. */
  readonly relay?: string | undefined;
  readonly faults?: ConnectionFaults | undefined;
  /** All sessions are over TLS, with this certificate. */
  readonly tls?: PhoneCertificate | undefined;
}

/** PEM. */
export interface PhoneCertificate {
  readonly cert: string;
  readonly key: string;
  /** What our descriptions say of it where that is not true. */
  readonly announced?: string;
}

/** What a peer's description says of its MSRP session. */
export type PeerMedia = Pick<MsrpMedia, 'path' | 'fingerprints'>;

export interface MsrpEndpoint {
  readonly port: number;
  /** Value of a=fingerprint; undefined without TLS. */
  readonly fingerprint: string | undefined;
  /** A new session; with a relay, once the relay has given it a path. */
  openSession(behaviour?: Partial<SessionBehaviour>): Promise<MsrpSession>;
  /**
   * The negotiation is done. `active`: we connect to the leftmost URI of the peer's path and bind the session by an empty SEND; `passive`:
   * the peer connects to us, and his first frame binds. Behind a relay the connection to it serves both. Rejects with `CpmError`: 408, or 403
   * where the peer has not the certificate that he announced.
   */
  connect(session: MsrpSession, peer: PeerMedia, role: 'active' | 'passive'): Promise<void>;
  closeSession(session: MsrpSession): void;
  close(): Promise<void>;
}

/** Opens an endpoint on a loopback port of the system's choice. */
export async function createMsrpEndpoint(options: EndpointOptions = {}): Promise<MsrpEndpoint> {
  const sessions = new Map<string, MsrpSession>();
  const connections = new Set<MsrpConnection>();
  /** What the other ends of TLS connections have shown. */
  const certificates = new Map<MsrpConnection, Buffer | undefined>();
  const peers = new Map<MsrpSession, PeerMedia>();
  const waitingForRelay = new Map<string, (frame: Frame) => void>();
  let toRelay: MsrpConnection | undefined;

  const {tls} = options;
  const accept = (socket: Socket) => void adopt(socket);
  const server =
    tls === undefined
      ? createServer(accept)
      : createTlsServer({cert: tls.cert, key: tls.key, requestCert: true, rejectUnauthorized: false}, accept);
  const announced = tls && (tls.announced ?? `SHA-256 ${new X509Certificate(tls.cert).fingerprint256}`);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const {port} = server.address() as AddressInfo;

  function adopt(socket: Socket): MsrpConnection {
    const connection = new MsrpConnection(socket, {onFrame, onClose}, options.faults);
    if (socket instanceof TLSSocket) certificates.set(connection, socket.getPeerX509Certificate()?.raw);
    connections.add(connection);
    return connection;
  }

  function onClose(connection: MsrpConnection): void {
    connections.delete(connection);
    certificates.delete(connection);
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
    if (session.connection === undefined) {
      if (!isPeer(session, connection)) {
        void connection.write(respond(frame, 403));
        return;
      }
      session.attach(connection);
    }
    if (session.connection !== connection) {
      if (frame.kind === 'SEND') void connection.write(respond(frame, 506));
      return;
    }
    void session.receive(frame, connection);
  }

  /** Whether a connection may be a session's, as far as the peer's description is here. */
  function isPeer(session: MsrpSession, connection: MsrpConnection): boolean {
    const peer = peers.get(session);
    if (tls === undefined || peer === undefined) return true;
    const expected = expectedFingerprints(peer.fingerprints);
    const shown = certificates.get(connection);
    if (expected === undefined || shown === undefined) return false;
    const digest = createHash(expected.hash.replace('-', '')).update(shown).digest('hex');
    return expected.digests.includes(digest);
  }

  function refuseStranger(session: MsrpSession, connection: MsrpConnection | undefined): void {
    if (connection === undefined || isPeer(session, connection)) return;
    connection.destroy();
    throw new CpmError('CPM_PHONE_MSRP', 403, 'the peer has not the certificate that he announced');
  }

  async function connectTo(uri: string): Promise<MsrpConnection> {
    const {host, port: remotePort = 2855, secure} = parseMsrpUri(uri);
    const name = isIP(host) === 0 ? {servername: host} : {};
    const pair = tls && {cert: tls.cert, key: tls.key};
    const socket = secure
      ? connectTls({host, port: remotePort, ...name, ...pair, rejectUnauthorized: false})
      : connect(remotePort, host);
    await new Promise<void>((resolve, reject) => {
      socket.once(secure ? 'secureConnect' : 'connect', resolve);
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
    fingerprint: announced,
    async openSession(behaviour = {}) {
      const id = randomBytes(12).toString('hex');
      const uri = `msrp${tls === undefined ? '' : 's'}://127.0.0.1:${port}/${id};tcp`;
      const relays = options.relay === undefined ? [] : (await relayPath(options.relay, uri)).split(' ');
      const session = new MsrpSession(id, uri, relays, behaviour);
      sessions.set(id, session);
      return session;
    },
    async connect(session, peer, role) {
      session.remotePath = peer.path;
      peers.set(session, peer);
      refuseStranger(session, session.connection);
      if (toRelay !== undefined) session.attach(toRelay);
      else if (role === 'active') {
        const connection = await connectTo(peer.path[0] ?? '');
        refuseStranger(session, connection);
        session.attach(connection);
      } else return;
      await session.ping();
    },
    closeSession(session) {
      const {connection} = session;
      sessions.delete(session.id);
      peers.delete(session);
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
