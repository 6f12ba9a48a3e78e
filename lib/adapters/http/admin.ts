import {randomBytes} from 'node:crypto';
import {createServer} from 'node:http';
import type {IncomingMessage, ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import {CpmError} from '../../errors.ts';
import type {DeliveryReport, LoadReport, ReadyReport} from '../../ports/app.ts';
import {addsUp} from '../../ports/deferred-queue.ts';
import type {Ledger} from '../../ports/deferred-queue.ts';
import type {RelayCounts} from '../../ports/media-plane.ts';
import type {Operator} from '../../ports/operator.ts';
import {formatMetrics} from './metrics.ts';
import {operatorEndpoint} from './operator-endpoint.ts';
import {removePortFile, writePortFile} from './port-file.ts';

/** What `/status` tells; `/ready` tells its `state` and `parts`. */
export interface AdminStatus {
  readonly node: string;
  readonly version: string;
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly state: 'starting' | 'running' | 'draining';
  /** Undefined until the parts are there. */
  readonly parts: ReadyReport | undefined;
  readonly load: LoadReport | undefined;
  readonly deliveries: DeliveryReport | undefined;
  readonly ledger: (Ledger & {readonly addsUp: boolean}) | undefined;
  readonly relays: readonly RelayCounts[];
}

export interface AdminOptions {
  /** A loopback address: only what concerns messages asks for a key. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Where the port file goes, by which the command line finds this process. */
  readonly runtimeDirectory: string;
  /** Without what the store and the relays are asked for. */
  readonly status: () => Omit<AdminStatus, 'ledger' | 'relays'>;
  readonly relays: () => Promise<readonly RelayCounts[]>;
  /** Undefined until the parts are there. */
  readonly operator: () => Operator | undefined;
  readonly ledger: () => Promise<Ledger | undefined>;
}

export interface Admin {
  readonly url: string;
  /** Idempotent. */
  close(): Promise<void>;
}

/** A request has so long to arrive, and an idle connection to live: a probe needs milliseconds. */
const patienceMilliseconds = 5000;

/**
 * Starts the admin endpoint: `/live` (the process answers), `/ready` (200 when running with all parts up, else 503), `/status`,
 * `/metrics` (Prometheus); with the key of the port file `/messages`, `/recorded`, `/groups`, `/queue/…` and `/erase`.
 * Rejects with `CPM_ADMIN_ADDRESS` (500) when it cannot listen.
 */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const {host, port, runtimeDirectory} = options;
  const key = randomBytes(24).toString('base64url');
  const server = createServer(
    {
      maxHeaderSize: 8192,
      headersTimeout: patienceMilliseconds,
      requestTimeout: patienceMilliseconds,
      keepAliveTimeout: patienceMilliseconds,
      connectionsCheckingInterval: patienceMilliseconds,
    },
    (request, response) => {
      answer(request, response, options, key).catch((error: unknown) => {
        response.destroy(error instanceof Error ? error : undefined);
      });
    },
  );
  server.maxConnections = 64;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, host, resolve);
  }).catch((error: unknown) => {
    throw new CpmError('CPM_ADMIN_ADDRESS', 500, `the admin endpoint cannot listen on ${host} port ${port}`, {
      cause: error,
    });
  });

  const {address, family, port: taken} = server.address() as AddressInfo;
  const url = `http://${family === 'IPv6' ? `[${address}]` : address}:${taken}`;
  writePortFile(runtimeDirectory, {url, pid: process.pid, key});
  return {
    url,
    close: () =>
      new Promise((resolve) => {
        removePortFile(runtimeDirectory, process.pid);
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: AdminOptions,
  key: string,
): Promise<void> {
  const reply = await operatorEndpoint(request, key, options.operator());
  if (reply !== undefined) {
    for (const [name, value] of Object.entries(reply.headers ?? {})) response.setHeader(name, value);
    send(response, reply.status, reply.body);
    return;
  }

  const path = request.url?.split('?', 1)[0] ?? '';
  if (!['/live', '/ready', '/status', '/metrics'].includes(path)) {
    send(response, 404, {
      error: 'there is /live, /ready, /status, /metrics, /messages, /recorded, /groups, /queue/… and /erase',
    });
    return;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    send(response, 405, {error: 'only GET and HEAD'});
    return;
  }

  const status = options.status();
  if (path === '/live') send(response, 200, {live: true});
  else if (path === '/ready') send(response, isReady(status) ? 200 : 503, {state: status.state, ...status.parts});
  else {
    const [ledger, relays] = await Promise.all([options.ledger(), options.relays()]);
    const whole = {...status, ledger: ledger && {...ledger, addsUp: addsUp(ledger)}, relays};
    if (path === '/status') send(response, 200, whole);
    else write(response, 200, formatMetrics(whole), 'text/plain; version=0.0.4; charset=utf-8');
  }
}

/** Whether new sessions can be served in full. */
export function isReady({state, parts}: Pick<AdminStatus, 'state' | 'parts'>): boolean {
  return state === 'running' && parts !== undefined && Object.values(parts).every((part) => part === 'up');
}

const send = (response: ServerResponse, status: number, body: object): void => {
  write(response, status, `${JSON.stringify(body)}\n`, 'application/json');
};

/** A refused request's connection is closed, so that its body is not read. */
function write(response: ServerResponse, status: number, text: string, contentType: string): void {
  response.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
    ...(status >= 400 && status < 500 ? {Connection: 'close'} : {}),
  });
  response.end(text);
}
