/** The admin side: applications connect, prove that they know the secret, name the methods they serve, and are served in turn. */
import {createHash, timingSafeEqual} from 'node:crypto';
import {createServer, type Socket} from 'node:net';
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

export interface Admin {
  readonly port: number;
  /** The next application that serves a method; `'nobody'` where none is connected, `undefined` where none of them serves it. */
  pick(method: string): App | 'nobody' | undefined;
  close(): Promise<void>;
}

/** Listens for applications; rejects with `CpmError` `CPM_ADMIN_LISTEN`. */
export async function createAdmin(options: AdminOptions): Promise<Admin> {
  const connections = new Set<Connection>();
  let turn = 0;

  const server = createServer((socket) => {
    if (connections.size >= (options.maxConnections ?? 100)) {
      socket.destroy();
      return;
    }
    const connection = new Connection(
      socket,
      options,
      () => {
        connections.delete(connection);
        changed();
      },
      changed,
    );
    connections.add(connection);
  });

  function apps(): Connection[] {
    return [...connections].filter((connection) => connection.authenticated);
  }

  function changed(): void {
    options.onApps(apps().length);
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new CpmError('CPM_ADMIN_LISTEN', 500, `can't listen on ${options.host}:${options.port}`, {cause}));
    });
    server.listen(options.port, options.host, resolve);
  });
  // Accepting may fail for want of descriptors; the next application may have more luck.
  server.on('error', () => undefined);
  const address = server.address();

  return {
    port: address !== null && typeof address === 'object' ? address.port : options.port,
    pick(method) {
      const all = apps();
      if (all.length === 0) return 'nobody';
      const serving = all.filter((app) => app.serves(method.toLowerCase()));
      turn += 1;
      return serving[turn % Math.max(1, serving.length)];
    },
    close() {
      for (const connection of connections) connection.close();
      return new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
      });
    },
  };
}

class Connection implements App {
  authenticated = false;
  readonly #socket: Socket;
  readonly #options: AdminOptions;
  readonly #changed: () => void;
  readonly #verbs = new Set<string>();

  constructor(socket: Socket, options: AdminOptions, gone: () => void, changed: () => void) {
    this.#socket = socket;
    this.#options = options;
    this.#changed = changed;
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
    socket.on('close', gone);
  }

  get connected(): boolean {
    return !this.#socket.destroyed && this.#socket.writable;
  }

  serves(verb: string): boolean {
    return this.connected && this.#verbs.has(verb);
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
      this.#authenticate(command.id, command.secret);
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
      case 'proxy':
        this.#options.onCommand(this, command);
        break;
      case 'unknown':
        this.#refuse(command.id, 'Unknown message type');
    }
  }

  #authenticate(id: string, secret: string): void {
    const {addresses, version} = this.#options;
    if (!sameSecret(secret, this.#options.secret)) {
      this.#refuse(id, 'incorrect secret');
      return;
    }
    this.authenticated = true;
    this.reply(id, ['OK', addresses, version, addresses]);
    this.#changed();
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
