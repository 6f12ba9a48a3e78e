import {randomUUID} from 'node:crypto';
import {once} from 'node:events';
import {createServer, type Socket} from 'node:net';

/** A drachtio server's admin side that does only what the test says: for what a real one does seldom, or never should. */
export interface ScriptedDrachtio {
  readonly port: number;
  /** Payloads of the frames received, pings left out. */
  readonly frames: readonly string[];
  /** Largest number of octets that were unanswered at one time. */
  mostUnanswered: number;
  /** Whether pings are answered. */
  answersPings: boolean;
  /** Whether the secret is accepted. */
  acceptsSecret: boolean;
  /** Where it says that it listens for SIP. */
  contact: string;
  /** The first frame not yet taken whose payload, after its id, begins so. */
  next(start: string): Promise<string>;
  /** Sends a frame; `$id` in it stands for a fresh id. */
  send(payload: string): void;
  sendOctets(octets: string): void;
  /** Closes the connections, and goes on listening. */
  drop(): void;
  close(): Promise<void>;
}

/** Listens on a loopback port, that one if given. */
export async function scriptedDrachtio(port = 0): Promise<ScriptedDrachtio> {
  const frames: string[] = [];
  const inbox: string[] = [];
  const waiting = new Set<() => void>();
  const sockets = new Set<Socket>();
  let unanswered = 0;

  const listener = createServer((socket) => {
    let rest = Buffer.alloc(0);
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk) => {
      unanswered += chunk.length;
      server.mostUnanswered = Math.max(server.mostUnanswered, unanswered);
      rest = Buffer.concat([rest, chunk]);
      for (let hash = rest.indexOf('#'); hash !== -1; hash = rest.indexOf('#')) {
        const end = hash + 1 + Number(rest.toString('latin1', 0, hash));
        if (rest.length < end) return;
        take(socket, rest.toString('utf8', hash + 1, end));
        rest = rest.subarray(end);
      }
    });
  });

  function take(socket: Socket, payload: string): void {
    const [id = '', type] = payload.split('|', 2);
    const answer = (text: string): void => {
      write(socket, `${randomUUID()}|response|${id}|${text}`);
    };
    if (type === 'ping') {
      if (!server.answersPings) return;
      unanswered = 0;
      answer('OK|pong');
      return;
    }

    if (type === 'authenticate') {
      answer(server.acceptsSecret ? `OK|${server.contact}|v0.9.10|${server.contact}` : 'NO|incorrect secret');
      if (!server.acceptsSecret) socket.end();
    } else if (type === 'route') {
      answer('OK');
    }

    frames.push(payload);
    inbox.push(payload);
    for (const look of waiting) look();
  }

  const server = {
    port: 0,
    frames,
    mostUnanswered: 0,
    answersPings: true,
    acceptsSecret: true,
    contact: 'udp/127.0.0.1:5060',
    next: (start: string) =>
      new Promise<string>((resolve, reject) => {
        const timer = setTimeout(() => {
          reject(new Error(`no frame "${start}" came`));
        }, 10_000);
        const look = (): void => {
          const index = inbox.findIndex((payload) => payload.slice(payload.indexOf('|') + 1).startsWith(start));
          const [frame] = index === -1 ? [] : inbox.splice(index, 1);
          if (frame === undefined) return;
          clearTimeout(timer);
          waiting.delete(look);
          resolve(frame);
        };
        waiting.add(look);
        look();
      }),
    send(payload: string) {
      for (const socket of sockets) write(socket, payload.replace('$id', randomUUID()));
    },
    sendOctets(octets: string) {
      for (const socket of sockets) socket.write(octets);
    },
    drop() {
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      const closed = once(listener, 'close');
      listener.close();
      server.drop();
      await closed;
    },
  };
  listener.listen(port, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  server.port = typeof address === 'object' && address !== null ? address.port : 0;
  return server;
}

function write(socket: Socket, payload: string): void {
  const text = payload.replace(/\r?\n/g, '\r\n');
  socket.write(`${Buffer.byteLength(text)}#${text}`);
}
