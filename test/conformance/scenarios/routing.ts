/** Request handlers: a web service or an application that listens says where new requests go. */
import {once} from 'node:events';
import {createServer as createHttpServer} from 'node:http';
import {createServer, type AddressInfo, type Server, type Socket} from 'node:net';
import {App, type Actor} from '../actors.ts';
import type {Scenario, Stage} from '../runner.ts';
import {isSdp, sdp} from './calls.ts';

/** A web service that takes part: what it is asked is in the transcript. */
class WebService implements Actor {
  readonly name = 'web';
  readonly texts: string[] = [];
  readonly ports = new Map<number, string>();
  readonly #server;

  constructor(answer: () => object | string) {
    this.#server = createHttpServer((request, response) => {
      const url = new URL(request.url ?? '', 'http://localhost');
      const query = [...url.searchParams].map(([name, value]) => `${name}=${value}`);
      this.texts.push(
        [`${request.method ?? ''} ${url.pathname}`, `Accept: ${request.headers.accept ?? ''}`, ...query].join('\n'),
      );
      const said = answer();
      response.end(typeof said === 'string' ? said : JSON.stringify(said));
    });
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const {port} = this.#server.address() as AddressInfo;
    this.ports.set(port, 'web');
    return `http://127.0.0.1:${port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** An application that waits for connections. */
class ListeningApp implements Actor {
  readonly name = 'listener';
  readonly texts: string[] = [];
  readonly ports = new Map<number, string>();
  readonly #server: Server = createServer((socket) => {
    this.texts.push('connection');
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#sockets.push(socket);
    else waiting(socket);
  });
  readonly #sockets: Socket[] = [];
  readonly #waiting: ((socket: Socket) => void)[] = [];

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const {port} = this.#server.address() as AddressInfo;
    this.ports.set(port, 'listener');
    return port;
  }

  /** The next connection, as an application of that name that takes part from now on. */
  async accept(stage: Stage, name: string): Promise<App> {
    const socket = this.#sockets.shift() ?? (await new Promise<Socket>((resolve) => this.#waiting.push(resolve)));
    const app = new App(name, socket, 15_000);
    stage.enter(app);
    return app;
  }

  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    // Connections that were taken are the applications' to close: nobody waits for them here.
    this.#server.close();
    return Promise.resolve();
  }
}

/** A scenario in which a web service says what becomes of each request. */
function asked(
  name: string,
  title: string,
  answer: (port: number) => object | string,
  play: (stage: Stage, listener: ListeningApp) => Promise<void>,
): Scenario {
  return {
    name,
    title,
    ownServer: true,
    prepare: async () => {
      const listener = new ListeningApp();
      const port = await listener.listen();
      const web = new WebService(() => answer(port));
      const url = await web.listen();
      return {
        wanted: {requestHandler: url},
        async play(stage) {
          stage.enter(listener);
          stage.enter(web);
          await play(stage, listener);
        },
      };
    },
  };
}

async function messageGets(stage: Stage, status: string): Promise<void> {
  const alice = await stage.peer('alice');
  alice.request('MESSAGE', {uri: 'sip:bob@127.0.0.1;p=1', headers: {'Content-Type': 'text/plain'}, body: 'hello'});
  await alice.next(`SIP/2.0 ${status}`);
}

export const routingScenarios: readonly Scenario[] = [
  asked(
    'handler-reject',
    'drachtio request handlers: a request is rejected with a status and a reason',
    () => ({action: 'reject', data: {status: 404, reason: 'Nobody Here'}}),
    (stage) => messageGets(stage, '404'),
  ),
  asked(
    'handler-reject-plain',
    'drachtio request handlers: a rejection without a reason has the usual one',
    () => ({action: 'reject', data: {status: 486}}),
    async (stage) => {
      const alice = await stage.peer('alice');
      const invite = alice.request('INVITE', {headers: isSdp, body: sdp});
      const busy = await alice.next('SIP/2.0 486');
      alice.same(invite, 'ACK', busy.header('To'));
    },
  ),
  asked(
    'handler-redirect',
    'drachtio request handlers: a request is redirected',
    () => ({action: 'redirect', data: {contact: ['<sip:a@127.0.0.1>', '<sip:b@127.0.0.1>']}}),
    (stage) => messageGets(stage, '302'),
  ),
  asked(
    'handler-unusable',
    'drachtio request handlers: an answer that cannot be used is 500',
    () => 'nonsense',
    (stage) => messageGets(stage, '500'),
  ),
  asked(
    'handler-unknown-action',
    'drachtio request handlers: an unknown action is 500',
    () => ({action: 'dance', data: {}}),
    (stage) => messageGets(stage, '500'),
  ),
  asked(
    'handler-no-tag',
    'drachtio request handlers: no application has the tag: 480',
    () => ({action: 'route', data: {tag: 'chat'}}),
    async (stage) => {
      await stage.app('other', ['message'], 'voice');
      await messageGets(stage, '480');
    },
  ),
  asked(
    'handler-tag',
    'drachtio request handlers: a request goes to an application with the tag',
    () => ({action: 'route', data: {tag: 'chat'}}),
    async (stage) => {
      await stage.app('other', ['message'], 'voice');
      const app = await stage.app('tagged', ['message'], 'x,chat');
      const done = messageGets(stage, '200');
      await app.respond(await app.sip('MESSAGE'), '200 OK');
      await done;
    },
  ),
  asked(
    'handler-route',
    'drachtio request handlers: a request brings a connection to the application that is named',
    (port) => ({action: 'route', data: {uri: `127.0.0.1:${port}`}}),
    async (stage, listener) => {
      const done = messageGets(stage, '200');
      const app = await listener.accept(stage, 'app');
      await app.authenticate(stage.server.secret, []);
      await app.respond(await app.sip('MESSAGE'), '200 OK');
      await done;
    },
  ),
  asked(
    'handler-wrong-secret',
    'drachtio request handlers: an application that is connected to must know the secret',
    (port) => ({action: 'route', data: {uri: `127.0.0.1:${port};transport=tcp`}}),
    async (stage, listener) => {
      const alice = await stage.peer('alice');
      alice.request('MESSAGE', {headers: {'Content-Type': 'text/plain'}, body: 'hello'});
      const app = await listener.accept(stage, 'app');
      await app.ask(['authenticate', 'wrong', '']);
      await app.closed;
    },
  ),
  asked(
    'handler-unreachable',
    'drachtio request handlers: nobody listens where the request should go: 480',
    () => ({action: 'route', data: {uri: '127.0.0.1:1'}}),
    (stage) => messageGets(stage, '480'),
  ),
  asked(
    'handler-call',
    'drachtio outbound: a call lives on the connection that its INVITE brought; each call brings its own',
    (port) => ({action: 'route', data: {uri: `127.0.0.1:${port}`}}),
    async (stage, listener) => {
      const alice = await stage.peer('alice');
      const calls = [];
      for (const name of ['first', 'second']) {
        const invite = alice.request('INVITE', {headers: isSdp, body: sdp});
        const app = await listener.accept(stage, name);
        await app.authenticate(stage.server.secret, []);
        await app.respond(await app.sip('INVITE'), '200 OK', [], sdp);
        const dialog = alice.dialogOf(invite, await alice.next('SIP/2.0 200'));
        alice.within(dialog, 'ACK');
        await app.sip('ACK');
        calls.push({app, dialog});
      }
      for (const {app, dialog} of calls) {
        alice.within(dialog, 'BYE');
        await app.respond(await app.sip('BYE'), '200 OK');
        await alice.next('SIP/2.0 200');
        await app.close();
      }
    },
  ),
  asked(
    'handler-cancelled',
    'drachtio outbound: a call that is cancelled before its application has authenticated',
    (port) => ({action: 'route', data: {uri: `127.0.0.1:${port}`}}),
    async (stage, listener) => {
      const alice = await stage.peer('alice');
      const invite = alice.request('INVITE', {headers: isSdp, body: sdp});
      const app = await listener.accept(stage, 'app');
      alice.same(invite, 'CANCEL');
      const terminated = await alice.next('SIP/2.0 487');
      alice.same(invite, 'ACK', terminated.header('To'));
      await app.authenticate(stage.server.secret, []);
      await app.ask(['ping']);
    },
  ),
  {
    name: 'outbound-direct',
    title: 'drachtio outbound: a handler that is an application itself is connected to without any question',
    ownServer: true,
    prepare: async () => {
      const listener = new ListeningApp();
      const port = await listener.listen();
      return {
        wanted: {requestHandler: `tcp://127.0.0.1:${port}`},
        async play(stage) {
          stage.enter(listener);
          const done = messageGets(stage, '202');
          const app = await listener.accept(stage, 'app');
          await app.authenticate(stage.server.secret, []);
          await app.respond(await app.sip('MESSAGE'), '202 Accepted');
          await done;
          await app.close();
        },
      };
    },
  },
];
