/** What the tests of the server stand on: the server itself, applications (drachtio-srf, or bare frames), and a scripted UDP peer. */
import {createSocket} from 'node:dgram';
import {EventEmitter, once} from 'node:events';
import {connect} from 'node:net';
import type {ExecutionContext} from 'ava';
import Srf from 'drachtio-srf';
import type {Clock, Timer} from '../../lib/ports/clock.ts';
import {createFrameParser, formatFrame, type Frame} from '../../lib/embedded-drachtio/admin-protocol.ts';
import {
  createResponse,
  formatSipMessage,
  headerOf,
  parseSipMessage,
  type SipMessage,
  type SipRequest,
} from '../../lib/codecs/sip-message.ts';
import {
  startEmbeddedServer,
  type EmbeddedServer,
  type EmbeddedServerOptions,
} from '../../lib/embedded-drachtio/server.ts';

export const sdp = ['v=0', 'o=raw 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0', ''].join('\r\n');
export const secret = 'cymru';

/** Rejects when an event is late; nothing is asserted about time. */
export async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no ${what} within 30 s`));
    }, 30_000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Things that come one by one and are taken one by one, by what they look like. */
export class Mailbox<T> {
  readonly #items: T[] = [];
  readonly #arrived = new EventEmitter();

  put(item: T): void {
    this.#items.push(item);
    this.#arrived.emit('item');
  }

  /** What has come and was not taken. */
  get left(): readonly T[] {
    return this.#items;
  }

  /** Takes the first one that fits, or waits for it. */
  async take(what: string, fits: (item: T) => boolean): Promise<T> {
    for (;;) {
      const at = this.#items.findIndex(fits);
      const [found] = at < 0 ? [] : this.#items.splice(at, 1);
      if (found !== undefined) return found;
      await within(what, once(this.#arrived, 'item'));
    }
  }
}

/** A clock that stands still until it is moved. */
export class ManualClock implements Clock {
  #now = 1_800_000_000_000;
  #timers: {readonly at: number; readonly fire: () => void}[] = [];

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, fire: () => void): Timer {
    const timer = {at: this.#now + milliseconds, fire};
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  /** Moves the time on; timers fire in order, also those that are started meanwhile. */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (;;) {
      const next = this.#timers.filter((timer) => timer.at <= end).toSorted((one, other) => one.at - other.at)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#now = next.at;
      next.fire();
    }
    this.#now = end;
  }
}

export interface Running {
  readonly server: EmbeddedServer;
  /** Port of the UDP contact. */
  readonly port: number;
  /** Changes of the number of connected applications. */
  readonly apps: Mailbox<number>;
}

/** Starts a server on free ports of the loopback. */
export async function startServer(t: ExecutionContext, options: Partial<EmbeddedServerOptions> = {}): Promise<Running> {
  const apps = new Mailbox<number>();
  const server = await startEmbeddedServer({
    adminHost: '127.0.0.1',
    adminPort: 0,
    secret,
    contacts: ['udp:127.0.0.1:0', 'tcp:127.0.0.1:0'],
    onApps: (count) => {
      apps.put(count);
    },
    onError: (error) => {
      t.fail(String(error));
    },
    ...options,
  });
  t.teardown(() => server.close());
  const udp = server.contacts.find((contact) => contact.protocol === 'udp');
  return {server, port: udp?.port ?? 0, apps};
}

/** A peer that says exactly what it is told, from one UDP socket. */
export interface Peer {
  readonly port: number;
  readonly got: Mailbox<SipMessage>;
  /** Sends a message; a request gets Via, From, To, Call-ID, CSeq, Max-Forwards and Contact unless given. */
  request(method: string, headers?: Readonly<Record<string, string>>, body?: string): SipRequest;
  /** Answers a request of the server. */
  answer(request: SipRequest, status: number, headers?: Readonly<Record<string, string>>, body?: string): void;
  raw(message: SipMessage): void;
  /** Waits for a request of that method. */
  takeRequest(method: string): Promise<SipRequest>;
  /** Waits for a response of that status, to a method where given. */
  takeResponse(status: number, method?: string): Promise<SipMessage>;
}

let lastId = 0;

export async function startPeer(t: ExecutionContext, serverPort: number): Promise<Peer> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.teardown(
    () =>
      new Promise<void>((resolve) => {
        socket.close(resolve);
      }),
  );
  const {port} = socket.address();
  const got = new Mailbox<SipMessage>();
  socket.on('message', (bytes) => {
    got.put(parseSipMessage(bytes));
  });
  const raw = (message: SipMessage): void => {
    socket.send(formatSipMessage(message), serverPort, '127.0.0.1');
  };
  const isRequest = (message: SipMessage, method: string): message is SipRequest =>
    message.kind === 'request' && message.method === method;

  return {
    port,
    got,
    raw,
    request(method, headers = {}, body = '') {
      const id = ++lastId;
      const {uri = `sip:x@127.0.0.1:${serverPort}`, ...given} = headers;
      const all = {
        Via: `SIP/2.0/UDP 127.0.0.1:${port};branch=z9hG4bK-raw-${id};rport`,
        From: '<sip:alice@127.0.0.1>;tag=ft1',
        To: `<${uri}>`,
        'Call-ID': `call-${id}`,
        CSeq: `1 ${method}`,
        'Max-Forwards': '70',
        Contact: `<sip:alice@127.0.0.1:${port}>`,
        ...given,
      };
      const request: SipRequest = {
        kind: 'request',
        method,
        uri,
        headers: Object.entries(all).map(([name, value]) => ({name, value})),
        body: Buffer.from(body),
      };
      raw(request);
      return request;
    },
    answer(request, status, headers = {}, body = '') {
      const {tag = 'q', ...given} = headers;
      const response = createResponse(request, status, {
        headers: Object.entries({Contact: `<sip:bob@127.0.0.1:${port}>`, ...given}),
        body: Buffer.from(body),
      });
      raw({
        ...response,
        headers: response.headers.map((header) =>
          header.name === 'To' && !header.value.includes(';tag=')
            ? {name: 'To', value: `${header.value};tag=${tag}`}
            : header,
        ),
      });
    },
    takeRequest: async (method) => {
      const message = await got.take(method, (item) => isRequest(item, method));
      if (message.kind !== 'request') throw new Error('no request');
      return message;
    },
    takeResponse: (status, method) =>
      got.take(
        `${status} ${method ?? ''}`,
        (item) =>
          item.kind === 'response' &&
          item.status === status &&
          (method === undefined || headerOf(item, 'CSeq')?.endsWith(` ${method}`) === true),
      ),
  };
}

/** The headers of a message within the dialog which a peer's INVITE and its 2xx made. */
export function inDialog(invite: SipRequest, ok: SipMessage, cseq: number, method: string): Record<string, string> {
  return {
    From: headerOf(invite, 'From') ?? '',
    To: headerOf(ok, 'To') ?? '',
    'Call-ID': headerOf(invite, 'Call-ID') ?? '',
    CSeq: `${cseq} ${method}`,
  };
}

/** A drachtio-srf request, response and dialog, as far as the tests touch them. */
export interface AppMessage extends EventEmitter {
  readonly method: string;
  readonly status: number;
  readonly body: string;
  readonly source: string;
  readonly uri: string;
  readonly receivedOn: string;
  get(name: string): string;
  has(name: string): boolean;
  send(status: number, options?: object, callback?: (error: unknown, sent: AppMessage) => void): void;
  cancel(options: object, callback: (error: unknown, sent: AppMessage) => void): void;
}

export interface AppDialog extends EventEmitter {
  readonly id: string;
  handle(request: AppMessage, response: AppMessage): void;
  destroy(options?: object): Promise<AppMessage>;
  modify(body: string): Promise<string>;
  request(options: object): Promise<AppMessage>;
}

type Handler = (request: AppMessage, response: AppMessage) => void;

export interface AppSrf extends EventEmitter {
  connect(options: object): void;
  disconnect(): void;
  invite(handler: Handler): void;
  use(method: string, handler: Handler): void;
  request(uri: string, options: object, callback: (error: unknown, request: AppMessage) => void): void;
  createUAS(request: AppMessage, response: AppMessage, options: object): Promise<AppDialog>;
  createUAC(uri: string, options: object, progress?: object): Promise<AppDialog>;
  proxyRequest(request: AppMessage, destinations: readonly string[], options: object): Promise<{finalStatus?: number}>;
}

/** Connects an application of drachtio-srf that serves the methods with these handlers. */
export async function startApp(
  t: ExecutionContext,
  running: Running,
  handlers: Readonly<Record<string, Handler>> = {},
): Promise<AppSrf> {
  const srf = new Srf() as unknown as AppSrf;
  srf.on('error', () => undefined);
  for (const [method, handler] of Object.entries(handlers)) srf.use(method, handler);
  srf.connect({host: '127.0.0.1', port: running.server.adminPort, secret});
  let connected = true;
  const disconnect = srf.disconnect.bind(srf);
  // drachtio-srf throws when it is disconnected twice.
  srf.disconnect = () => {
    if (connected) disconnect();
    connected = false;
  };
  t.teardown(() => {
    srf.disconnect();
  });
  await within('connection of the application', once(srf, 'connect'));
  return srf;
}

/** An application that sends and reads bare frames. */
export interface BareApp {
  readonly frames: Mailbox<Frame>;
  readonly closed: Promise<void>;
  send(fields: readonly string[], message?: string): void;
  bytes(bytes: string): void;
  /** Waits for the reply to an id: its fields from `OK`, `NOK` or `NO` on. */
  reply(id: string): Promise<{readonly fields: readonly string[]; readonly message: string}>;
  close(): void;
}

export async function startBareApp(t: ExecutionContext, running: Running, authenticate = true): Promise<BareApp> {
  const socket = connect(running.server.adminPort, '127.0.0.1');
  await once(socket, 'connect');
  t.teardown(() => socket.destroy());
  const parser = createFrameParser();
  const frames = new Mailbox<Frame>();
  socket.on('data', (chunk) => {
    for (const frame of parser.push(chunk)) frames.put(frame);
  });
  socket.on('error', () => undefined);
  const app: BareApp = {
    frames,
    closed: new Promise((resolve) => {
      socket.once('close', () => {
        resolve();
      });
    }),
    send: (fields, message) => {
      socket.write(formatFrame(fields, message === undefined ? undefined : Buffer.from(message)));
    },
    bytes: (bytes) => {
      socket.write(bytes);
    },
    async reply(id) {
      const frame = await frames.take(`reply to ${id}`, ({fields}) => fields[1] === 'response' && fields[2] === id);
      return {fields: frame.fields.slice(3), message: frame.message?.toString() ?? ''};
    },
    close: () => socket.destroy(),
  };
  if (authenticate) {
    app.send(['auth', 'authenticate', secret, '']);
    await app.reply('auth');
  }
  return app;
}
