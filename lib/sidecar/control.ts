/** The control side of a relay process: PFs come, command, go and come back as new lives of themselves. */
import {Server, type sendUnaryData} from '@grpc/grpc-js';
import {CpmError} from '../errors.ts';
import {Channel} from './channel.ts';
import {channelOptions, relayService, serverCredentials, type ServerStream} from './contract/grpc.ts';
import type {Commands, Welcome} from './contract/messages.ts';
import type {Exchange} from './exchange.ts';
import type {Session} from './session.ts';

export interface ControlParts {
  readonly exchange: Exchange;
  readonly welcome: Welcome;
  /** No PF was there for too long. */
  readonly onOrphaned: () => void;
}

export class Control {
  readonly #parts: ControlParts;
  readonly #server: Server;
  readonly #channels = new Set<Channel>();
  /** Pairs that outlive their PF, by its name. */
  readonly #left = new Map<string, Set<Session>>();
  #orphanedSince: number | undefined;

  constructor(parts: ControlParts) {
    this.#parts = parts;
    this.#server = new Server(channelOptions);
    this.#server.addService(relayService(), {
      control: (stream: ServerStream) => {
        this.#onStream(stream);
      },
      status: (_call: unknown, done: sendUnaryData<object>) => {
        done(null, {counters: {...parts.exchange.counters}});
      },
    });
    this.#watchOrphaned();
  }

  /** Listens; resolves with the port, 0 for a unix socket. Rejects with `CPM_RELAY_CONTROL` (503). */
  async listen(): Promise<number> {
    const {control, tls} = this.#parts.exchange.options;
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(control, serverCredentials(tls), (error, port) => {
        if (error)
          reject(
            new CpmError('CPM_RELAY_CONTROL', 503, `control address ${control}: ${error.message}`, {cause: error}),
          );
        else resolve(port);
      });
    });
  }

  close(): void {
    for (const channel of this.#channels) channel.close();
    this.#server.forceShutdown();
  }

  #onStream(stream: ServerStream): void {
    let channel: Channel | undefined;
    stream.on('data', ({commands}: Commands) => {
      for (const command of commands) {
        if ('hello' in command && !channel) channel = this.#welcome(stream, command.hello);
        else channel?.do(command);
      }
    });
    const gone = () => {
      if (channel) this.#gone(channel);
      channel = undefined;
    };
    stream.on('error', gone);
    stream.on('cancelled', gone);
    stream.on('end', gone);
    stream.on('close', gone);
  }

  /** A new life of a PF: what its earlier ones left is released. */
  #welcome(stream: ServerStream, hello: {readonly owner: string; readonly epoch: string}): Channel {
    for (const channel of this.#channels) {
      if (channel.owner === hello.owner) this.#gone(channel);
    }
    for (const session of this.#left.get(hello.owner) ?? []) session.close(true);
    this.#left.delete(hello.owner);

    const channel = new Channel(this.#parts.exchange, stream, hello);
    this.#channels.add(channel);
    channel.tell({welcome: this.#parts.welcome});
    return channel;
  }

  #gone(channel: Channel): void {
    if (!this.#channels.delete(channel)) return;
    const pairs = new Set(channel.close());
    if (pairs.size === 0) return;
    this.#left.set(channel.owner, pairs);
    const {exchange} = this.#parts;
    exchange.clock.after(exchange.options.graceSeconds * 1000, () => {
      for (const session of pairs) session.close(true);
      if (this.#left.get(channel.owner) === pairs) this.#left.delete(channel.owner);
    });
  }

  #watchOrphaned(): void {
    const {exchange, onOrphaned} = this.#parts;
    const seconds = exchange.options.exitWhenOrphanedSeconds;
    if (seconds === undefined) return;
    exchange.clock.after(Math.min(1000, seconds * 250), () => {
      const now = exchange.clock.now();
      this.#orphanedSince = this.#channels.size > 0 ? undefined : (this.#orphanedSince ?? now);
      if (this.#orphanedSince !== undefined && now - this.#orphanedSince >= seconds * 1000) onOrphaned();
      else this.#watchOrphaned();
    });
  }
}
