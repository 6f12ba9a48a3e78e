import {createSocket} from 'node:dgram';
import {once} from 'node:events';
import {connect, createServer, type Socket} from 'node:net';

/** A SIP message as it was on the wire. */
export interface RawMessage {
  readonly startLine: string;
  /** Header lines in order, folded ones unfolded, names as they came. */
  readonly headerLines: readonly string[];
  readonly body: Buffer;
  readonly text: string;
  /** The first line of a header, by its name whatever its case; empty when there is none. */
  header(name: string): string;
  /** All lines of a header. */
  headers(name: string): readonly string[];
}

/** A scripted SIP peer that says literally what the test says. */
export interface RawSip {
  /** `127.0.0.1:port`, where it is reached. */
  readonly address: string;
  /** To-tag of its answers. */
  readonly tag: string;
  readonly received: readonly RawMessage[];
  /** Its ports: where it listens, and those of connections that it opened. */
  readonly ports: readonly number[];
  /** Told of every message, besides `received` and `next`. */
  onMessage(listener: (message: RawMessage) => void): void;
  /** Sends octets as they are. */
  write(bytes: Uint8Array): void;
  /** Sends a message as written in the test: line ends become CRLF, a missing Content-Length is counted. */
  send(message: string, body?: string | Uint8Array): void;
  /** The first message not yet taken whose start line begins so; waits for it. */
  next(start: string): Promise<RawMessage>;
  /** Answers a request: Via, From, To (with our tag), Call-ID, CSeq and Record-Route as RFC 3261 §8.2.6 wants them, then these header lines. */
  answer(request: RawMessage, status: string, headerLines?: readonly string[], body?: string | Uint8Array): void;
  close(): Promise<void>;
}

export interface RawSipOptions {
  /** `host:port` of the SIP server. */
  readonly server: string;
  readonly transport?: 'udp' | 'tcp';
  /** To-tag of its answers. */
  readonly tag?: string;
}

const deadlineMilliseconds = 10_000;

/** Starts a peer on a loopback port of its own. */
export async function rawSip({server, transport = 'udp', tag = 'raw'}: RawSipOptions): Promise<RawSip> {
  const received: RawMessage[] = [];
  const inbox: RawMessage[] = [];
  const waiting = new Set<() => void>();
  let listener: ((message: RawMessage) => void) | undefined;
  const take = (bytes: Buffer): void => {
    const message = parseRaw(bytes);
    received.push(message);
    inbox.push(message);
    listener?.(message);
    for (const look of waiting) look();
  };
  const wire = await (transport === 'udp' ? udp(server, take) : tcp(server, take));

  const peer: RawSip = {
    address: `127.0.0.1:${wire.ports[0]}`,
    tag,
    received,
    get ports() {
      return wire.ports;
    },
    onMessage(next) {
      listener = next;
    },
    write(bytes) {
      wire.write(Buffer.from(bytes));
    },
    send(message, body = '') {
      const bytes = Buffer.from(body);
      const lines = message
        .trim()
        .split(/\r?\n/)
        .map((line) => line.trim());
      if (!lines.some((line) => /^(content-length|l)\s*:/i.test(line))) lines.push(`Content-Length: ${bytes.length}`);
      wire.write(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), bytes]));
    },
    next(start) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(look);
          const seen = received.map(({startLine}) => startLine).join('; ');
          reject(new Error(`no message "${start}" came; these did: ${seen}`));
        }, deadlineMilliseconds);
        const look = (): void => {
          const index = inbox.findIndex(({startLine}) => startLine.startsWith(start));
          const [message] = index === -1 ? [] : inbox.splice(index, 1);
          if (message === undefined) return;
          clearTimeout(timer);
          waiting.delete(look);
          resolve(message);
        };
        waiting.add(look);
        look();
      });
    },
    answer(request, status, headerLines = [], body = '') {
      const to = request.header('To');
      const lines = [
        `SIP/2.0 ${status}`,
        ...request.headers('Via').map((value) => `Via: ${value}`),
        ...request.headers('Record-Route').map((value) => `Record-Route: ${value}`),
        `From: ${request.header('From')}`,
        `To: ${to.includes(';tag=') || status.startsWith('100') ? to : `${to};tag=${tag}`}`,
        `Call-ID: ${request.header('Call-ID')}`,
        `CSeq: ${request.header('CSeq')}`,
        ...headerLines,
      ];
      peer.send(lines.join('\n'), body);
    },
    close: () => wire.close(),
  };
  return peer;
}

interface Transport {
  readonly ports: readonly number[];
  write(bytes: Buffer): void;
  close(): Promise<void>;
}

async function udp(server: string, take: (bytes: Buffer) => void): Promise<Transport> {
  const [host, port] = server.split(':');
  const socket = createSocket('udp4');
  socket.on('message', take);
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    ports: [socket.address().port],
    write: (bytes) => {
      socket.send(bytes, Number(port), host);
    },
    close: async () => {
      const closed = once(socket, 'close');
      socket.close();
      await closed;
    },
  };
}

/** Takes the server's connections, and opens one of its own when it speaks first. */
async function tcp(server: string, take: (bytes: Buffer) => void): Promise<Transport> {
  const [host = '127.0.0.1', port] = server.split(':');
  const sockets = new Set<Socket>();
  let last: Socket | undefined;
  const serve = (socket: Socket): void => {
    let rest = Buffer.alloc(0);
    last = socket;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      sockets.delete(socket);
      if (last === socket) last = undefined;
    });
    socket.on('data', (chunk) => {
      last = socket;
      rest = Buffer.concat([rest, chunk]);
      for (let end = messageEnd(rest); end !== undefined; end = messageEnd(rest)) {
        take(rest.subarray(0, end));
        rest = rest.subarray(end);
      }
    });
  };
  const listener = createServer(serve).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  const ports = [typeof address === 'object' && address !== null ? address.port : 0];
  return {
    ports,
    write(bytes) {
      if (last === undefined) {
        const socket = connect(Number(port), host);
        socket.once('connect', () => ports.push(socket.localPort ?? 0));
        serve(socket);
      }
      last?.write(bytes);
    },
    close: async () => {
      const closed = once(listener, 'close');
      listener.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function messageEnd(bytes: Buffer): number | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const length = Number(/^(?:content-length|l)\s*:\s*(\d+)/im.exec(bytes.toString('latin1', 0, end))?.[1] ?? 0);
  return bytes.length < end + 4 + length ? undefined : end + 4 + length;
}

/** Reads a message leniently: whatever it is, its parts can be looked at. */
export function parseRaw(bytes: Buffer): RawMessage {
  const end = bytes.indexOf('\r\n\r\n');
  const [startLine = '', ...headerLines] = bytes
    .toString('utf8', 0, end === -1 ? bytes.length : end)
    .split(/\r\n(?![ \t])/);
  const headers = (name: string): string[] =>
    headerLines
      .filter((line) => line.slice(0, line.indexOf(':')).trim().toLowerCase() === name.toLowerCase())
      .map((line) => line.slice(line.indexOf(':') + 1).trim());
  return {
    startLine,
    headerLines,
    body: end === -1 ? Buffer.alloc(0) : bytes.subarray(end + 4),
    text: bytes.toString('utf8'),
    header: (name) => headers(name)[0] ?? '',
    headers,
  };
}
