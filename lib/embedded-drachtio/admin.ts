/** The admin side: applications connect, prove that they know the secret, name the methods they serve, and are served in turn. */
import {createHash, timingSafeEqual} from 'node:crypto';
import {connect, createServer, type Server, type Socket} from 'node:net';
import {connect as connectTls, createServer as createTlsServer} from 'node:tls';
import {CpmError} from '../errors.ts';
import {
  createFrameParser,
  formatFrame,
  parseCommand,
  type AppCommand,
  type ProxyCommand,
  type SipCommand,
} from './admin-protocol.ts';

/** A connected application that has authenticated. */
export interface App {
  /** Whether its connection is still there. */
  readonly connected: boolean;
  /** Sends a frame of these fields, our own id in front. */
  send(fields: readonly string[], message?: Uint8Array): void;
  /** Answers one of its commands: `OK…`, `NOK…`. */
  reply(id: string, fields: readonly string[], message?: Uint8Array): void;
}

export interface AdminOptions {
  readonly host: string;
  readonly port: number;
  /** A second listener, for TLS. */
  readonly tls?: AdminTls | undefined;
  readonly secret: string;
  /** What the reply to `authenticate` tells: our addresses, and the version. */
  readonly addresses: string;
  readonly version: string;
  readonly newId: () => string;
  readonly onCommand: (app: App, command: SipCommand | ProxyCommand) => void;
  /** Told when an application came or went, with how many there are. */
  readonly onApps: (count: number) => void;
  /** Bytes that may wait for an application that does not read; beyond it its connection is closed. Default 16 MiB. */
  readonly maxUnsentBytes?: number;
  /** Default 100. */
  readonly maxConnections?: number;
}

/** Where applications connect over TLS, with certificate (its chain behind it) and key as PEM; 0 takes any free port. */
export interface AdminTls {
  readonly port: number;
  readonly cert: string;
  readonly key: string;
}

/** Where an application waits for connections of ours. */
export interface AppAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
}

export interface Admin {
  readonly port: number;
  readonly tlsPort: number | undefined;
  /** The next application that serves a method, of those with that tag where one is given; `undefined` where there is none. */
  pick(method: string, tag?: string): App | undefined;
  /**
   * Connects to an application (its certificate is not looked at, as by the real server); resolves when it has proved that it knows the
   * secret. Rejects with `CpmError` `CPM_ADMIN_CONNECT` where it can't be reached, or goes away before.
   */
  connect(address: AppAddress): Promise<App>;
  close(): Promise<void>;
}

/** Listens for applications; rejects with `CpmError` `CPM_ADMIN_LISTEN`. */
export async function createAdmin(options: AdminOptions): Promise<Admin> {
  const connections = new Set<Connection>();
  /** Whose turn it is, for each method. */
  const turns = new Map<string, number>();

  function adopt(socket: Socket, onAuthenticated?: () => void): Connection {
    const connection = new Connection(socket, options, {
      gone: () => {
        connections.delete(connection);
        changed();
      },
      authenticated: () => {
        changed();
        onAuthenticated?.();
      },
    });
    connections.add(connection);
    return connection;
  }

  function full(): boolean {
    return connections.size >= (options.maxConnections ?? 100);
  }

  function accept(socket: Socket): void {
    if (full()) socket.destroy();
    else adopt(socket);
  }

  function apps(): Connection[] {
    return [...connections].filter((connection) => connection.authenticated);
  }

  function changed(): void {
    options.onApps(apps().length);
  }

  const servers: Server[] = [];
  async function listen(make: () => Server, port: number): Promise<number> {
    try {
      const server = make();
      servers.push(server);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, options.host, resolve);
      });
      // Accepting may fail for want of descriptors; the next application may have more luck.
      server.on('error', () => undefined);
      const address = server.address();
      return address !== null && typeof address === 'object' ? address.port : port;
    } catch (cause) {
      await close();
      throw new CpmError('CPM_ADMIN_LISTEN', 500, `can't listen on ${options.host}:${port}`, {cause});
    }
  }

  async function close(): Promise<void> {
    for (const connection of connections) connection.close();
    const closed = servers.map((server) => new Promise<unknown>((resolve) => server.close(resolve)));
    await Promise.all(closed);
  }

  const {tls} = options;
  const port = await listen(() => createServer(accept), options.port);
  // A handshake that fails destroys its socket; nobody else is concerned.
  const secure = (): Server =>
    createTlsServer({cert: tls?.cert, key: tls?.key}, accept).on('tlsClientError', () => undefined);
  const tlsPort = tls === undefined ? undefined : await listen(secure, tls.port);

  return {
    port,
    tlsPort,
    pick(method, tag) {
      const verb = method.toLowerCase();
      const serving = apps().filter((app) => app.serves(verb, tag));
      const turn = (turns.get(verb) ?? 0) % Math.max(1, serving.length);
      if (serving.length > 0) turns.set(verb, turn + 1);
      return serving[turn];
    },
    connect: ({host, port, tls}) =>
      new Promise((resolve, reject) => {
        const failed = (): void => {
          reject(new CpmError('CPM_ADMIN_CONNECT', 480, `no application at ${host}:${port}`));
        };
        if (full()) {
          failed();
          return;
        }
        const socket = tls ? connectTls({host, port, rejectUnauthorized: false}) : connect({host, port});
        const connection = adopt(socket, () => {
          resolve(connection);
        });
        socket.on('close', failed);
      }),
    close,
  };
}

/** Told of what becomes of a connection. */
interface ConnectionUser {
  readonly gone: () => void;
  readonly authenticated: () => void;
}

class Connection implements App {
  authenticated = false;
  readonly #socket: Socket;
  readonly #options: AdminOptions;
  readonly #user: ConnectionUser;
  readonly #verbs = new Set<string>();
  #tags: readonly string[] = [];

  constructor(socket: Socket, options: AdminOptions, user: ConnectionUser) {
    this.#socket = socket;
    this.#options = options;
    this.#user = user;
    const parser = createFrameParser();
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      try {
        for (const frame of parser.push(chunk)) if (!socket.destroyed) this.#handle(parseCommand(frame));
      } catch (error) {
        // A frame we can't read closes this connection and nothing else; a fault of ours must be seen.
        socket.destroy();
        if (!(error instanceof CpmError)) throw error;
      }
    });
    // An error is always followed by 'close', where all is cleaned up.
    socket.on('error', () => undefined);
    socket.on('close', user.gone);
  }

  get connected(): boolean {
    return !this.#socket.destroyed && this.#socket.writable;
  }

  serves(verb: string, tag: string | undefined): boolean {
    return this.connected && this.#verbs.has(verb) && (tag === undefined || this.#tags.includes(tag));
  }

  send(fields: readonly string[], message?: Uint8Array): void {
    if (!this.connected) return;
    this.#socket.write(formatFrame([this.#options.newId(), ...fields], message));
    if (this.#socket.writableLength > (this.#options.maxUnsentBytes ?? 16_777_216)) this.#socket.destroy();
  }

  reply(id: string, fields: readonly string[], message?: Uint8Array): void {
    this.send(['response', id, ...fields], message);
  }

  close(): void {
    this.#socket.destroy();
  }

  #handle(command: AppCommand): void {
    if (command.kind === 'authenticate') {
      this.#authenticate(command.id, command.secret, command.tags);
      return;
    }
    if (!this.authenticated) {
      this.#socket.destroy();
      return;
    }
    switch (command.kind) {
      case 'ping':
        this.reply(command.id, ['OK', 'pong']);
        break;
      case 'route':
        this.#verbs.add(command.verb);
        this.reply(command.id, ['OK']);
        break;
      case 'remove_route':
        // The real server forgets every method of the application, whichever one is named.
        this.#verbs.clear();
        this.reply(command.id, ['OK']);
        break;
      case 'sip':
        if (command.transactionId === undefined && command.message.subarray(0, 4).toString() === 'SIP/') {
          this.#refuse(command.id, 'transaction id missing');
          break;
        }
        this.#options.onCommand(this, command);
        break;
      case 'proxy':
        this.#options.onCommand(this, command);
        break;
      case 'unknown':
        this.#refuse(command.id, 'Unknown message type');
    }
  }

  #authenticate(id: string, secret: string, tags: readonly string[]): void {
    const {addresses, version} = this.#options;
    if (!sameSecret(secret, this.#options.secret)) {
      this.#refuse(id, 'incorrect secret');
      return;
    }
    this.authenticated = true;
    this.#tags = tags;
    this.reply(id, ['OK', addresses, version, addresses]);
    this.#user.authenticated();
  }

  #refuse(id: string, reason: string): void {
    this.reply(id, ['NO', reason]);
    this.authenticated = false;
    this.#socket.destroySoon();
  }
}

function sameSecret(given: string, known: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(known));
}
