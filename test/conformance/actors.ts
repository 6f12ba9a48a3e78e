/** The two sides of a scenario: applications that speak drachtio's admin protocol in bare frames, and peers that speak SIP. */
import {randomBytes} from 'node:crypto';
import {once} from 'node:events';
import {connect, type Socket} from 'node:net';
import {createFrameParser, formatFrame, type Frame} from '../../lib/embedded-drachtio/admin-protocol.ts';
import {parseRaw, rawSip, type RawMessage, type RawSip} from '../support/raw-sip.ts';

/** What takes part has a name, and remembers what it received. */
export interface Actor {
  readonly name: string;
  /** Messages as received, repeated ones once. */
  readonly texts: readonly string[];
  /** Its addresses, by what they are called. */
  readonly ports: ReadonlyMap<number, string>;
  close(): Promise<void>;
}

/** A header line, `Name: value`. */
type Lines = readonly string[];

/** Items that are taken by what they look like, in any order. */
class Inbox<T> {
  readonly #items: T[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #deadline: number;

  constructor(deadlineMilliseconds: number) {
    this.#deadline = deadlineMilliseconds;
  }

  put(item: T): void {
    this.#items.push(item);
    for (const look of this.#waiting) look();
  }

  take(what: string, fits: (item: T) => boolean): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(new Error(`${what} did not come`));
      }, this.#deadline);
      const look = (): void => {
        const index = this.#items.findIndex(fits);
        const [found] = index < 0 ? [] : this.#items.splice(index, 1);
        if (found === undefined) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }
}

/** A SIP message that an application was handed, or the echo of one that it sent. */
export interface Handed extends RawMessage {
  readonly transactionId: string;
  readonly dialogId: string;
}

/** An application. */
export class App implements Actor {
  readonly name: string;
  readonly texts: string[] = [];
  readonly ports = new Map<number, string>();
  /** Resolves when the server has closed the connection. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #inbox: Inbox<Frame & {readonly text: string}>;
  #commands = 0;

  constructor(name: string, socket: Socket, deadlineMilliseconds: number) {
    this.name = name;
    this.#socket = socket;
    this.#inbox = new Inbox(deadlineMilliseconds);
    const parser = createFrameParser();
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      for (const frame of parser.push(chunk)) {
        // Its own id, the first field, is never named again.
        const line = frame.fields.slice(1).join('|');
        const text = frame.message === undefined ? line : `${line}\r\n${frame.message.toString()}`;
        this.texts.push(text);
        this.#inbox.put({...frame, text});
      }
    });
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        resolve();
      });
    });
  }

  static async connect(name: string, port: number, deadlineMilliseconds: number): Promise<App> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new App(name, socket, deadlineMilliseconds);
  }

  /** Sends a frame with an id of its own, which is returned. */
  command(fields: readonly string[], message?: string | Uint8Array): string {
    const id = `${this.name}-${++this.#commands}`;
    this.#socket.write(formatFrame([id, ...fields], message === undefined ? undefined : Buffer.from(message)));
    return id;
  }

  /** Octets as they are. */
  write(text: string): void {
    this.#socket.write(text);
  }

  /** The reply to a command; the fields begin with OK, NO or NOK. */
  async reply(id: string): Promise<Handed & {readonly fields: readonly string[]}> {
    const frame = await this.#inbox.take(
      `the reply to ${id}`,
      ({fields}) => fields[1] === 'response' && fields[2] === id,
    );
    return {
      ...parseRaw(frame.message ?? Buffer.alloc(0)),
      transactionId: frame.fields[10] ?? '',
      dialogId: '',
      fields: frame.fields.slice(3),
    };
  }

  /** Sends a command and waits for its reply. */
  ask(fields: readonly string[], message?: string | Uint8Array): ReturnType<App['reply']> {
    return this.reply(this.command(fields, message));
  }

  async authenticate(secret: string, routes: readonly string[], tags = ''): Promise<void> {
    await this.ask(['authenticate', secret, tags]);
    for (const verb of routes) await this.ask(['route', verb]);
  }

  /** A SIP message of the network, or an unsolicited one of the server, by how its start line begins. */
  async sip(start: string): Promise<Handed> {
    const fits = ({fields, message}: Frame): boolean =>
      fields[1] === 'sip' && (message ?? Buffer.alloc(0)).toString().startsWith(start);
    const {fields, message} = await this.#inbox.take(`${start} at ${this.name}`, fits);
    return {...parseRaw(message ?? Buffer.alloc(0)), transactionId: fields[8] ?? '', dialogId: fields[9] ?? ''};
  }

  /** A frame of that type which carries no SIP of the network: `cdr:attempt`. */
  async event(type: string): Promise<void> {
    await this.#inbox.take(type, ({fields}) => fields[1] === type);
  }

  /** Answers a request; waits for the reply. */
  respond(request: Handed, status: string, lines: Lines = [], body = ''): ReturnType<App['reply']> {
    return this.ask(['sip', request.transactionId, ''], message(`SIP/2.0 ${status}`, lines, body));
  }

  /** Sends a request: new, within a dialog, or a CANCEL of a transaction; waits for the reply. */
  send(
    startLine: string,
    lines: Lines = [],
    body = '',
    {
      transactionId = '',
      dialogId = '',
      proxy,
    }: {readonly transactionId?: string; readonly dialogId?: string; readonly proxy?: string} = {},
  ): ReturnType<App['reply']> {
    const fields = ['sip', transactionId, dialogId, ...(proxy === undefined ? [] : [proxy])];
    return this.ask(fields, message(`${startLine} SIP/2.0`, lines, body));
  }

  async close(): Promise<void> {
    this.#socket.destroy();
    await this.closed;
  }
}

/** drachtio-srf counts characters, not octets, and always counts. */
function message(startLine: string, lines: Lines, body: string): string {
  return [startLine, ...lines, `Content-Length: ${body.length}`, '', body].join('\r\n');
}

/** What a request of a peer may say; the rest is filled in. */
export interface PeerRequest {
  readonly uri?: string;
  /** In place of the header lines of the same names; further ones come last. An empty value leaves a header out. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** A dialog as a peer knows it. */
export interface PeerDialog {
  readonly from: string;
  readonly to: string;
  readonly callId: string;
  readonly uri: string;
  cseq: number;
}

/** A SIP peer. */
export class Peer implements Actor {
  readonly name: string;
  readonly texts: string[] = [];
  readonly #raw: RawSip;
  readonly #server: string;
  readonly #transport: string;
  readonly #seen = new Set<string>();
  readonly #inbox: Inbox<RawMessage>;
  readonly #repeats: Inbox<RawMessage>;
  #requests = 0;

  private constructor(name: string, raw: RawSip, server: string, transport: string, deadlineMilliseconds: number) {
    this.name = name;
    this.#raw = raw;
    this.#server = server;
    this.#transport = transport;
    this.#inbox = new Inbox(deadlineMilliseconds);
    this.#repeats = new Inbox(deadlineMilliseconds);
    raw.onMessage((received) => {
      const again = this.#seen.has(received.text);
      this.#seen.add(received.text);
      if (again) this.#repeats.put(received);
      else {
        this.texts.push(received.text);
        this.#inbox.put(received);
      }
    });
  }

  static async start(
    name: string,
    server: string,
    transport: 'udp' | 'tcp',
    deadlineMilliseconds: number,
  ): Promise<Peer> {
    const raw = await rawSip({server, transport, tag: `t-${name}`});
    return new Peer(name, raw, server, transport, deadlineMilliseconds);
  }

  get ports(): ReadonlyMap<number, string> {
    return new Map(this.#raw.ports.map((port, index) => [port, index === 0 ? this.name : `${this.name}.connection`]));
  }

  /** `127.0.0.1:port`. */
  get address(): string {
    return this.#raw.address;
  }

  get contact(): string {
    return `<sip:${this.name}@${this.address}${this.#transport === 'tcp' ? ';transport=tcp' : ''}>`;
  }

  /** Sends a request, new unless the headers say otherwise; gives it as it was sent. */
  request(method: string, {uri = `sip:x@${this.#server}`, headers = {}, body = ''}: PeerRequest = {}): RawMessage {
    const id = `${this.name}-${++this.#requests}-${randomBytes(4).toString('hex')}`;
    const all: Record<string, string> = {
      Via: `SIP/2.0/${this.#transport.toUpperCase()} ${this.address};branch=z9hG4bK-s-${id};rport`,
      From: `<sip:${this.name}@127.0.0.1>;tag=t-${this.name}`,
      To: `<${uri}>`,
      'Call-ID': `call-${id}`,
      CSeq: `1 ${method}`,
      'Max-Forwards': '70',
      Contact: this.contact,
      ...headers,
    };
    const lines = Object.entries(all).flatMap(([name, value]) => (value === '' ? [] : [`${name}: ${value}`]));
    return this.send([`${method} ${uri} SIP/2.0`, ...lines].join('\n'), body);
  }

  /** Sends a message as it is written, but for line ends and a missing Content-Length; gives it as it was sent. */
  send(text: string, body: string | Uint8Array = ''): RawMessage {
    this.#raw.send(text, body);
    return parseRaw(
      Buffer.concat([Buffer.from(`${text.trim().replaceAll(/\r?\n/g, '\r\n')}\r\n\r\n`), Buffer.from(body)]),
    );
  }

  /** Sends octets as they are. */
  write(bytes: string | Uint8Array): void {
    this.#raw.write(Buffer.from(bytes));
  }

  /** Repeats a message: what UDP may do to it. */
  repeat({text}: RawMessage): void {
    const [head = '', ...rest] = text.split('\r\n\r\n');
    this.#raw.send(head, rest.join('\r\n\r\n'));
  }

  /** A message that has not come before, by how its start line begins. */
  next(start: string): Promise<RawMessage> {
    return this.#inbox.take(`${start} at ${this.name}`, ({startLine}) => startLine.startsWith(start));
  }

  /** Waits until a message comes once more, and notes that it did. */
  async again(received: RawMessage): Promise<void> {
    await this.#repeats.take(`${received.startLine} again`, ({text}) => text === received.text);
    this.texts.push(`${received.startLine} (again)`);
  }

  answer(request: RawMessage, status: string, lines: Lines = [], body: string | Uint8Array = ''): void {
    this.#raw.answer(request, status, lines, body);
  }

  /** The dialog which an INVITE or SUBSCRIBE of this peer and its 2xx made. */
  dialogOf(request: RawMessage, success: RawMessage): PeerDialog {
    const contact = /<([^>]+)>/.exec(success.header('Contact'))?.[1] ?? `sip:${this.#server}`;
    return {
      from: request.header('From'),
      to: success.header('To'),
      callId: request.header('Call-ID'),
      uri: contact,
      cseq: 1,
    };
  }

  /** The dialog which a request of the server and our 2xx made. */
  calledDialog(request: RawMessage): PeerDialog {
    const contact = /<([^>]+)>/.exec(request.header('Contact'))?.[1] ?? `sip:${this.#server}`;
    return {
      from: `${request.header('To')};tag=t-${this.name}`,
      to: request.header('From'),
      callId: request.header('Call-ID'),
      uri: contact,
      cseq: 100,
    };
  }

  /** A request within a dialog. */
  within(
    dialog: PeerDialog,
    method: string,
    headers: Readonly<Record<string, string>> = {},
    body: string | Uint8Array = '',
  ): RawMessage {
    const number = method === 'ACK' ? dialog.cseq : ++dialog.cseq;
    const identity = {From: dialog.from, To: dialog.to, 'Call-ID': dialog.callId, CSeq: `${number} ${method}`};
    return this.request(method, {uri: dialog.uri, headers: {...identity, ...headers}, body});
  }

  /** A request that belongs to the transaction of another one: CANCEL, or the ACK to a failure. */
  same(request: RawMessage, method: 'CANCEL' | 'ACK', to = request.header('To')): RawMessage {
    const [, uri = ''] = request.startLine.split(' ');
    const headers = {
      Via: request.header('Via'),
      To: to,
      'Call-ID': request.header('Call-ID'),
      CSeq: request.header('CSeq').replace(/\S+$/, method),
      Contact: '',
    };
    return this.request(method, {uri, headers});
  }

  close(): Promise<void> {
    return this.#raw.close();
  }
}
