/** SIP over UDP and TCP: listeners, connections that are used again, `rport` and `received` (RFC 3261 §18, RFC 3581). */
import {createSocket, type Socket as UdpSocket} from 'node:dgram';
import {isIPv6} from 'node:net';
import {CpmError} from '../errors.ts';
import {systemClock, type Clock} from '../ports/clock.ts';
import {
  datagramLimits,
  formatSipMessage,
  parseSipMessage,
  streamLimits,
  type SipLimits,
  type SipMessage,
} from '../codecs/sip-message.ts';
import {asCpmError, parseContact, unreachable, type Flow} from './flow.ts';
import {parseVia, topVia, withTopVia, type SipAddress} from './sip-values.ts';
import {createTcpConnections, type TcpConnections} from './tcp-connections.ts';

export interface TransportOptions {
  /** Addresses to listen on, `udp:127.0.0.1:5060` or `tcp:[::1]:0`; port 0 takes any free one. */
  readonly contacts: readonly string[];
  /** A connection on which nothing moved for so long is closed; default 600. */
  readonly idleSeconds?: number;
  /** How long a connection may take to come up; default 10. */
  readonly connectSeconds?: number;
  /** Bytes that may wait for a peer that does not read; beyond it his connection is closed. Default 1 MiB. */
  readonly maxUnsentBytes?: number;
  /** TCP connections held at once, the newest is refused beyond it; default 1000. */
  readonly maxConnections?: number;
  readonly udpLimits?: SipLimits;
  readonly tcpLimits?: SipLimits;
  readonly clock?: Clock;
  /** Note the sender's port in every Via, also where he did not ask (the real server does); default false. */
  readonly alwaysRport?: boolean;
  /** Told of messages that can't be read, for an answer. */
  readonly onUnreadable?: (bytes: Buffer, flow: Flow) => void;
  /** Told of what a peer did wrong (malformed message, lost connection): for a log line. */
  readonly onPeerError?: (error: CpmError, remote: SipAddress) => void;
}

export interface Transport {
  /** Where it listens, with the ports that were really taken. */
  readonly contacts: readonly SipAddress[];
  /** The address of ours that a peer of that protocol is told in Via and Contact; throws `CpmError` 503 where we have none. */
  localAddress(protocol: SipAddress['protocol'], toHost?: string): SipAddress;
  /** Whether a host and port is one of ours. */
  isOwn(host: string, port: number): boolean;
  /** Sets who is told of every message that came; one receiver. */
  receive(receiver: (message: SipMessage, flow: Flow) => void): void;
  /**
   * Sends to an address, or back along a flow; gives the bytes that went out. A TCP connection to the address is used again or opened.
   * Rejects with `CpmError` 503 if the peer can't be reached, 513 if a datagram would be too large.
   */
  send(message: SipMessage, to: SipAddress | Flow): Promise<number>;
  /** Closes listeners and connections; may be called twice. */
  close(): Promise<void>;
}

/**
 * Opens all listeners; rejects with `CpmError` `CPM_SIP_LISTEN` and leaves nothing open if one of them fails. Where port 0 is asked for
 * UDP and TCP on one host, both get the same port, so that one `host:port` names them.
 */
export async function createTransport(options: TransportOptions): Promise<Transport> {
  const wanted = options.contacts.map(parseContact);
  for (let attempt = 1; ; attempt++) {
    try {
      return await openTransport(options, wanted);
    } catch (error) {
      // The port that was free for one protocol may be taken for the other: another one is tried.
      if (attempt === 10 || !wanted.some(({port}) => port === 0)) throw error;
    }
  }
}

async function openTransport(options: TransportOptions, wanted: readonly SipAddress[]): Promise<Transport> {
  const onPeerError = options.onPeerError ?? (() => undefined);
  const always = options.alwaysRport ?? false;
  const udpLimits = options.udpLimits ?? datagramLimits;
  const sockets: {readonly socket: UdpSocket; readonly local: SipAddress}[] = [];
  let receiver: (message: SipMessage, flow: Flow) => void = () => undefined;
  let closed = false;

  const tcp: TcpConnections = createTcpConnections({
    idleMs: 1000 * (options.idleSeconds ?? 600),
    connectMs: 1000 * (options.connectSeconds ?? 10),
    maxUnsentBytes: options.maxUnsentBytes ?? 1_048_576,
    maxConnections: options.maxConnections ?? 1000,
    limits: options.tcpLimits ?? streamLimits,
    clock: options.clock ?? systemClock,
    onMessage: (message, flow) => {
      receiver(withSource(message, flow.remote, always), flow);
    },
    onPeerError,
  });

  function onDatagram(bytes: Buffer, remote: SipAddress, local: SipAddress): void {
    // Keep-alives are CRLFs or a few zero bytes (RFC 5626 §4.4, older phones).
    if (bytes.length <= 4 && bytes.every((byte) => byte === 0 || byte === 10 || byte === 13)) return;
    const flow: Flow = {remote, local, connectionId: undefined};
    let message: SipMessage;
    try {
      message = parseSipMessage(bytes, udpLimits);
    } catch (error) {
      onPeerError(asCpmError(error), remote);
      options.onUnreadable?.(bytes, flow);
      return;
    }
    receiver(withSource(message, remote, always), flow);
  }

  async function listenUdp(host: string, port: number): Promise<SipAddress> {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(port, host, () => {
        socket.off('error', reject);
        resolve();
      });
    }).catch((error: unknown) => {
      socket.close();
      throw error;
    });
    const local: SipAddress = {protocol: 'udp', host, port: socket.address().port};
    socket.on('error', (cause) => {
      onPeerError(new CpmError('CPM_SIP_TRANSPORT', 503, 'a UDP socket failed', {cause}), local);
    });
    socket.on('message', (bytes, from) => {
      onDatagram(bytes, {protocol: 'udp', host: from.address, port: from.port}, local);
    });
    sockets.push({socket, local});
    return local;
  }

  function sendDatagram(bytes: Buffer, remote: SipAddress, local: SipAddress | undefined): Promise<number> {
    const family = isIPv6(remote.host);
    const from =
      sockets.find((entry) => entry.local === local) ?? sockets.find((entry) => isIPv6(entry.local.host) === family);
    if (from === undefined) return Promise.reject(unreachable(remote, new Error('no UDP socket of that family')));
    if (bytes.length > 65_507) {
      return Promise.reject(new CpmError('CPM_SIP_TOO_LARGE', 513, 'the message does not fit into a datagram'));
    }
    return new Promise((resolve, reject) => {
      from.socket.send(bytes, remote.port, remote.host, (cause) => {
        if (cause === null) resolve(bytes.length);
        else reject(unreachable(remote, cause));
      });
    });
  }

  async function close(): Promise<void> {
    if (closed) return;
    closed = true;
    const udpClosed = sockets.map(
      ({socket}) =>
        new Promise<void>((resolve) => {
          socket.close(resolve);
        }),
    );
    await Promise.all([...udpClosed, tcp.close()]);
  }

  const contacts: SipAddress[] = [];
  try {
    for (const {protocol, host, port} of wanted) {
      const sibling = contacts.find(
        (other) =>
          other.host === host &&
          other.protocol !== protocol &&
          !contacts.some((same) => same.protocol === protocol && same.port === other.port),
      );
      const at = port === 0 ? (sibling?.port ?? 0) : port;
      contacts.push(protocol === 'tcp' ? await tcp.listen(host, at) : await listenUdp(host, at));
    }
  } catch (cause) {
    await close();
    throw cause instanceof CpmError
      ? cause
      : new CpmError('CPM_SIP_LISTEN', 500, `can't listen on ${options.contacts.join(' ')}: ${String(cause)}`, {cause});
  }

  return {
    contacts,
    localAddress(protocol, toHost) {
      const own = contacts.filter((contact) => contact.protocol === protocol);
      const family = toHost === undefined ? undefined : isIPv6(toHost);
      const local = own.find((contact) => isIPv6(contact.host) === family) ?? own[0];
      // A phone that listens on UDP alone may still open TCP connections: it names its UDP address.
      const any = local ?? contacts[0];
      if (any === undefined) throw new CpmError('CPM_SIP_TRANSPORT', 503, `no ${protocol} address is ours`);
      return any;
    },
    isOwn: (host, port) => contacts.some((contact) => contact.host === host && contact.port === port),
    receive(next) {
      receiver = next;
    },
    send(message, to) {
      if (closed) return Promise.reject(new CpmError('CPM_SIP_TRANSPORT', 503, 'the transport is closed'));
      const bytes = formatSipMessage(message);
      const remote = 'remote' in to ? to.remote : to;
      if (remote.protocol === 'tcp') return tcp.send(bytes, remote, 'remote' in to ? to.connectionId : undefined);
      return sendDatagram(bytes, remote, 'remote' in to ? to.local : undefined);
    },
    close,
  };
}

/** Fills `rport`, and `received` where the sender's address is not the one he wrote (RFC 3261 §18.2.1, RFC 3581 §4). */
export function withSource<T extends SipMessage>(message: T, remote: SipAddress, always = false): T {
  if (message.kind === 'response') return message;
  const text = topVia(message);
  const via = text === undefined ? undefined : parseVia(text);
  if (text === undefined || via === undefined) return message;
  const rport = via.params.has('rport');
  const elsewhere = via.host !== remote.host;
  if (!rport && !elsewhere && !always) return message;
  const filled = rport
    ? text.replace(/;\s*rport(\s*=\s*[^;]*)?(?=;|$)/i, `;rport=${remote.port}`)
    : always
      ? `${text};rport=${remote.port}`
      : text;
  const cleaned = filled.replace(/;\s*received\s*=\s*[^;]*/gi, '');
  return withTopVia(message, elsewhere ? `${cleaned};received=${remote.host}` : cleaned);
}
