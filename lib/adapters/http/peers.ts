/** What nodes on one store ask each other, over HTTP on loopback and over mutual TLS beyond it: `POST /give-way`. */
import {
  createServer,
  request as plainRequest,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from 'node:http';
import {createServer as createTlsServer, request as tlsRequest} from 'node:https';
import type {AddressInfo} from 'node:net';
import {z} from 'zod';
import {CpmError} from '../../errors.ts';
import type {Clock} from '../../ports/clock.ts';
import type {LeaseOwner} from '../../ports/leases.ts';
import type {GiveWayAnswer, GiveWayRequest, Peers} from '../../ports/peers.ts';

export interface PeersOptions {
  /** Name of this node. */
  readonly node: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Host in our address; unset: `host`. */
  readonly advertisedHost?: string | undefined;
  /** PEM: each side shows its certificate, signed by `ca`, and made out to the host in its address. Without it everybody is on loopback. */
  readonly tls?: {readonly cert: Buffer; readonly key: Buffer; readonly ca: Buffer} | undefined;
  readonly clock: Clock;
}

/** A question is two addresses and a number. */
const maxBodyBytes = 8192;
/** A question has so long to arrive. */
const patienceMilliseconds = 5000;
/** The answer comes when the time is over, at the latest, and this much is given to its way. */
const wayMilliseconds = 500;

const question = z.strictObject({
  /** Who is meant: an address may have become somebody else's. */
  node: z.string(),
  servedUser: z.string().min(1),
  sender: z.string().min(1),
  milliseconds: z.number().int().min(0).max(60_000),
});
const answer = z.object({answer: z.enum(['free', 'busy'])});

/**
 * Listens for other nodes, and asks them.
 * Rejects with `CPM_PEERS_ADDRESS` (500) when it cannot listen.
 */
export async function openPeers(options: PeersOptions): Promise<Peers> {
  const {host, port, tls} = options;
  const listener: RequestListener = (request, response) => {
    void answerTo(request, peers, options.node).then(([status, body]) => {
      response.writeHead(status, {'Content-Type': 'application/json', Connection: 'close'});
      response.end(JSON.stringify(body));
    });
  };
  const limits = {maxHeaderSize: 8192, headersTimeout: patienceMilliseconds, requestTimeout: patienceMilliseconds};
  const server: Server =
    tls === undefined
      ? createServer(limits, listener)
      : createTlsServer({...limits, ...tls, requestCert: true, rejectUnauthorized: true}, listener);
  server.maxConnections = 256;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, host, resolve);
  }).catch((error: unknown) => {
    throw new CpmError('CPM_PEERS_ADDRESS', 500, `other nodes cannot be listened for on ${host} port ${port}`, {
      cause: error,
    });
  });

  const {port: taken} = server.address() as AddressInfo;
  const name = options.advertisedHost ?? host;
  const peers: Peers = {
    address: `${tls === undefined ? 'http' : 'https'}://${name.includes(':') ? `[${name}]` : name}:${taken}`,
    giveWay: async (owner, request) => ask(owner, request, options),
    onGiveWay: undefined,
    close: async () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
  return peers;
}

async function answerTo(
  request: IncomingMessage,
  {onGiveWay}: Peers,
  node: string,
): Promise<readonly [status: number, body: object]> {
  if (request.url !== '/give-way' || request.method !== 'POST') return [404, {error: 'there is POST /give-way'}];
  try {
    const {node: meant, ...asked} = question.parse(JSON.parse(await textOf(request)));
    if (meant !== node) return [421, {error: 'this is another node'}];
    return [200, {answer: (await onGiveWay?.(asked)) ?? 'busy'}];
  } catch {
    return [400, {error: 'the question cannot be read'}];
  }
}

async function ask(
  {node, address = ''}: LeaseOwner,
  asked: GiveWayRequest,
  {tls, clock}: PeersOptions,
): Promise<GiveWayAnswer> {
  const away = (why: string, cause?: unknown) =>
    new CpmError('CPM_PEER_AWAY', 503, `node ${node} at ${address}: ${why}`, {cause});
  const url = URL.canParse(address) ? new URL('/give-way', address) : undefined;
  // A certificate is not kept in the pocket because an address says so.
  if (url?.protocol !== (tls === undefined ? 'http:' : 'https:')) throw away('is not asked without TLS, or only so');
  const send = tls === undefined ? plainRequest : tlsRequest;
  return new Promise((resolve, reject) => {
    const options = {method: 'POST', headers: {'Content-Type': 'application/json'}, agent: false, ...tls};
    const request = send(url, options, (response) => {
      textOf(response)
        .then((text) => {
          if (response.statusCode !== 200) throw new Error(`answers ${response.statusCode}`);
          resolve(answer.parse(JSON.parse(text)).answer);
        })
        .catch((error: unknown) => {
          reject(away('gives no answer', error));
        })
        .finally(() => {
          timer.cancel();
        });
    });
    const timer = clock.after(asked.milliseconds + wayMilliseconds, () => {
      request.destroy(new Error('says nothing'));
    });
    request.on('error', (error) => {
      timer.cancel();
      reject(away(error.message, error));
    });
    request.end(JSON.stringify({node, ...asked}));
  });
}

async function textOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) throw new Error('is too long');
    chunks.push(chunk);
  }

  return Buffer.concat(chunks).toString();
}
