import {once} from 'node:events';
import {connect, createServer, type AddressInfo, type Server, type Socket} from 'node:net';

/** A frame as it came, its pieces as text of one character an octet. */
export interface RawFrame {
  /** `SEND`, `REPORT`, `200` … */
  readonly what: string;
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly flag: string;
  readonly raw: string;
}

/**
 * An MSRP peer that does nothing by itself: a socket, octets written as a test spells them, frames read by a reader of its own that shares
 * nothing with the one under test.
 */
export class MsrpPeer {
  readonly socket: Socket;
  readonly frames: RawFrame[] = [];
  /** All octets that came. */
  bytes = 0;
  /** Whether an end-line ever came in a read of its own: its frame's body had all come before. */
  closed = false;
  /** Is asked for each SEND; its text is written at once. */
  onSend: ((frame: RawFrame) => string | undefined) | undefined;
  #text = '';
  #taken = 0;
  readonly #waiting = new Set<() => void>();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (data: Buffer) => {
      this.bytes += data.length;
      this.#text += data.toString('latin1');
      this.#cut();
      this.#wake();
    });
    socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
  }

  /** Connects to an MSRP URI's host and port, from an address of ours where one is named. */
  static async to(uri: string, localAddress?: string): Promise<MsrpPeer> {
    const [, v6, name = '', port = ''] = /^msrp:\/\/(?:\[([^\]]+)\]|([^:/;]+)):(\d+)/.exec(uri) ?? [];
    const host = v6 ?? name;
    const socket = connect({host, port: Number(port), ...(localAddress === undefined ? {} : {localAddress})});
    await once(socket, 'connect');
    socket.setNoDelay(true);
    return new MsrpPeer(socket);
  }

  /** Writes text, an octet for each character. */
  write(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** The next frame that was not taken yet, or the next one of a kind; rejects after some seconds, or at the connection's end. */
  async next(what?: string): Promise<RawFrame> {
    for (;;) {
      const at = this.frames.findIndex(
        (frame, index) => index >= this.#taken && (what === undefined || frame.what === what),
      );
      if (at >= 0) {
        this.#taken = at + 1;
        return this.frames[at] ?? nothing;
      }
      if (this.closed) throw new Error(`closed, no ${what ?? 'frame'} among ${this.#seen()}`);
      await this.#change(`no ${what ?? 'frame'} among ${this.#seen()}`);
    }
  }

  /** Resolves when a condition holds; looked at whenever octets come, or the connection ends. */
  async until(condition: () => boolean, what = 'it'): Promise<void> {
    while (!condition()) await this.#change(`${what} never came; ${this.#seen()}`);
  }

  async end(): Promise<void> {
    await this.until(() => this.closed, 'the end of the connection');
  }

  destroy(): void {
    this.socket.destroy();
  }

  #seen(): string {
    return this.frames.map((frame) => frame.what).join(' ');
  }

  #change(why: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(wake);
        reject(new Error(why));
      }, 20_000);
      const wake = () => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.add(wake);
    });
  }

  #wake(): void {
    for (const each of [...this.#waiting]) each();
  }

  #cut(): void {
    for (;;) {
      const start = /^MSRP (\S+) (\S+)/.exec(this.#text);
      const [, id = '', what = ''] = start ?? [];
      const found = start ? this.#text.slice(start[0].length).search(endOf(id)) : -1;
      if (found < 0) return;
      const end = (start?.[0].length ?? 0) + found;
      const length = end + '\r\n-------'.length + id.length + 3;
      const raw = this.#text.slice(0, length);
      this.#text = this.#text.slice(length);
      const blank = raw.indexOf('\r\n\r\n');
      const hasBody = blank >= 0 && blank <= end;
      const head = raw
        .slice(0, hasBody ? blank : end)
        .split('\r\n')
        .slice(1);
      const headers = Object.fromEntries(
        head.map((line) => [line.split(': ')[0]?.toLowerCase() ?? '', line.slice(line.indexOf(': ') + 2)]),
      );
      const body = hasBody ? raw.slice(blank + 4, end) : undefined;
      const frame = {what, id, headers, body, flag: raw.at(-3) ?? '', raw};
      this.frames.push(frame);
      const answer = what === 'SEND' ? this.onSend?.(frame) : undefined;
      if (answer !== undefined) this.write(answer);
    }
  }
}

const nothing: RawFrame = {what: '', id: '', headers: {}, body: undefined, flag: '', raw: ''};

function endOf(id: string): RegExp {
  return new RegExp(`\\r\\n-------${id.replace(/[.+%=-]/g, '\\$&')}[$+#]\\r\\n`);
}

/** A peer that waits for connections. */
export interface Listening {
  readonly server: Server;
  /** An MSRP URI of it with the session-id `peer`. */
  readonly uri: string;
  accepted(): Promise<MsrpPeer>;
  close(): void;
}

export async function listeningPeer(): Promise<Listening> {
  const peers: MsrpPeer[] = [];
  const waiting: ((peer: MsrpPeer) => void)[] = [];
  const server = createServer((socket) => {
    const peer = new MsrpPeer(socket);
    const next = waiting.shift();
    if (next) next(peer);
    else peers.push(peer);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const {port} = server.address() as AddressInfo;
  return {
    server,
    uri: `msrp://127.0.0.1:${port}/peer;tcp`,
    accepted: () => {
      const peer = peers.shift();
      return peer ? Promise.resolve(peer) : new Promise((resolve) => waiting.push(resolve));
    },
    close: () => server.close(),
  };
}

/** A SEND as text. `range` undefined: no Byte-Range; `body` undefined: no body. */
export function sendText(frame: {
  readonly id: string;
  readonly to: string;
  readonly from: string;
  readonly message?: string;
  readonly range?: string;
  readonly headers?: readonly string[];
  readonly type?: string;
  readonly body?: string;
  readonly flag?: string;
}): string {
  const {id, to, from, message = `m-${id}`, range, headers = [], type = 'text/plain', body, flag = '$'} = frame;
  return [
    `MSRP ${id} SEND`,
    `To-Path: ${to}`,
    `From-Path: ${from}`,
    `Message-ID: ${message}`,
    ...(range === undefined ? [] : [`Byte-Range: ${range}`]),
    ...headers,
    ...(body === undefined ? [] : [`Content-Type: ${type}`, '', body]),
    `-------${id}${flag}`,
    '',
  ].join('\r\n');
}

/** The answer to a SEND as text. */
export function answerText(send: RawFrame, status: string | number): string {
  return [
    `MSRP ${send.id} ${status}`,
    `To-Path: ${send.headers['from-path'] ?? ''}`,
    `From-Path: ${send.headers['to-path'] ?? ''}`,
    `-------${send.id}$`,
    '',
  ].join('\r\n');
}
