import type {SipHandlers} from '../../ports/sip.ts';
import type {Socket} from 'node:net';
import type {SipServer} from './connection.ts';
import {DrachtioInvite, DrachtioRequest, type IncomingOptions} from './incoming.ts';
import type {SrfInstance, SrfRequest, SrfResponse} from './srf-types.ts';

/** What becomes of a request that the procedures pass: the application's own handlers go on with it, or it goes on along its Route. */
export type Fallback = 'next' | 'proxy';

/** Methods that the procedures look at; within an application nothing else is asked of the server, which shares requests out by method. */
const served = ['invite', 'message', 'register', 'notify', 'subscribe'];
/** Alone, everything is ours: the server leaves a request without any answer for which no application has asked. */
const rest = ['options', 'publish', 'refer', 'info', 'update'];

/** Where requests come in: a connection that we made, or all those that servers make to us. */
export interface Entrance {
  readonly srf: SrfInstance;
  readonly serverOf: (socket: Socket) => SipServer;
}

export interface AttachOptions extends Omit<IncomingOptions, 'server'> {
  /** Takes a NOTIFY that came before the answer to its SUBSCRIBE; true when it was one. */
  readonly takeNotify: (req: SrfRequest, res: SrfResponse, server: SipServer) => boolean;
}

/** Puts the procedures into the middleware of a drachtio-srf instance. */
export function attachHandlers(
  handlers: SipHandlers,
  fallback: Fallback,
  {srf, serverOf}: Entrance,
  options: AttachOptions,
): void {
  const {log, takeNotify} = options;

  async function decide(req: SrfRequest, res: SrfResponse, next: () => void): Promise<void> {
    const incoming = {...options, server: serverOf(req.socket)};
    const request =
      req.method === 'INVITE' ? new DrachtioInvite(req, res, incoming) : new DrachtioRequest(req, res, incoming);
    let verdict: 'handled' | 'pass';
    try {
      verdict = await (request instanceof DrachtioInvite ? handlers.invite(request) : handlers.request(request));
    } catch (error) {
      log.error({error, method: req.method}, 'the procedure for a request failed');
      if (!request.settled) await request.respond(500);
      return;
    }

    if (verdict === 'handled' || request.settled) return;
    if (fallback === 'proxy') return request.proxy();
    request.passed = true;
    next();
  }

  for (const method of fallback === 'next' ? served : [...served, ...rest]) {
    srf.use(method, (req, res, next) => {
      // Some methods begin like others, and drachtio-srf compares only the beginning.
      if (req.method.toLowerCase() !== method) {
        next();
        return;
      }
      if (method === 'notify' && takeNotify(req, res, serverOf(req.socket))) return;
      decide(req, res, next).catch((error: unknown) => {
        log.error({error, method: req.method}, 'a request could not be answered');
      });
    });
  }
}
