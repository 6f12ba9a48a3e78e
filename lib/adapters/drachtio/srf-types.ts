import type {EventEmitter} from 'node:events';
import type {Server, Socket} from 'node:net';
import type {ConnectionOptions} from 'node:tls';

/** The parts of drachtio-srf 5 that this adapter touches, as its sources have them (its published types leave most of them out). */
export interface SrfMessage {
  headers: Record<string, string>;
  readonly raw?: string;
}

export interface SrfRequest extends EventEmitter {
  readonly method: string;
  readonly uri: string;
  readonly raw?: string;
  readonly msg: SrfMessage;
  readonly headers: Record<string, string>;
  readonly source: 'network' | 'application';
  readonly source_address: string;
  readonly source_port: number;
  readonly protocol: string;
  readonly stackTxnId: string;
  readonly stackDialogId: string | undefined;
  readonly socket: Socket;
  get(name: string): string | undefined;
  cancel(options: {headers: Record<string, string>}, sent: (error: unknown) => void): void;
  proxy(options: SrfProxyOptions, done: (error: unknown, result?: {finalStatus?: number}) => void): void;
  readonly _agent: SrfProxyAgent;
}

export interface SrfProxyOptions {
  destination: string[];
  remainInDialog: boolean;
}

/** What is behind `proxy`: it tells of each final answer when that comes, not only at the end. */
export interface SrfProxyAgent {
  proxy(
    req: SrfRequest,
    options: SrfProxyOptions & {
      stackTxnId: string;
      fullResponse: true;
      provisionalTimeout: string;
      finalTimeout: string;
    },
    told: (token: readonly string[], raw?: string) => void,
  ): void;
}

export interface SrfResponse extends EventEmitter {
  readonly status: number;
  readonly reason: string;
  readonly raw?: string;
  readonly msg: SrfMessage;
  readonly socket: Socket;
  readonly stackDialogId: string | undefined;
  finished: boolean;
  get(name: string): string | undefined;
  has(name: string): boolean;
  send(
    status: number,
    reason: string | undefined,
    options: {body?: string},
    sent: (error: unknown, message?: SrfMessage) => void,
  ): void;
}

export interface SrfRequestOptions {
  method: string;
  headers: Record<string, string>;
  body?: string | undefined;
  proxy?: string | undefined;
  stackDialogId?: string | undefined;
  _socket?: Socket | undefined;
}

/** What srf calls for each request of a dialog it knows. */
export interface SrfDialogHandler {
  readonly id: string;
  readonly dialogType: string;
  handle(req: SrfRequest, res: SrfResponse): void;
}

export type SrfMiddleware = (req: SrfRequest, res: SrfResponse, next: () => void) => void;

export interface SrfAgent {
  readonly wp: SrfWire;
  readonly mapServer: Map<Socket, {readonly authenticated: boolean; readonly hostport: string | null}>;
}

/** drachtio-srf's end of the admin connection. */
export interface SrfWire extends EventEmitter {
  send(socket: Socket, message: string): string;
  readonly mapIncomingMsg: Map<Socket, {incomingMsg: Buffer}>;
  closing?: boolean;
  installListeners(socket: Socket): void;
  /** Called for a connection that we made and that is lost, or did not come about. */
  _onConnectionGone: () => void;
}

export interface SrfApplication extends EventEmitter {
  readonly client?: SrfAgent;
}

export interface SrfInstance extends EventEmitter {
  readonly app: SrfApplication;
  connect(options: {host: string; port: number; secret: string; tls?: ConnectionOptions | undefined}): unknown;
  listen(options: {server: Server; secret: string}): unknown;
  request(uri: string, options: SrfRequestOptions, sent: (error: unknown, request?: SrfRequest) => void): unknown;
  addDialog(dialog: SrfDialogHandler): void;
  removeDialog(dialog: SrfDialogHandler): void;
  findDialogById(id: string): unknown;
  use(method: string, middleware: SrfMiddleware): unknown;
}
