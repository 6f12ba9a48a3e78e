import type {Socket} from 'node:net';
import {CpmError} from '../../errors.ts';
import type {Clock, Timer} from '../../ports/clock.ts';
import type {Log} from '../../ports/log.ts';
import type {OutgoingRequest, SipReply, SipResponseView} from '../../ports/sip.ts';
import type {SipServer} from './connection.ts';
import {messageView, outgoingHeaders, requestUri, checkUri, withDefaults} from './headers.ts';
import type {SrfRequest, SrfRequestOptions, SrfResponse} from './srf-types.ts';

/** The server gives up a request other than INVITE after 32 s (RFC 3261 §17.1.2.2, Timer F); we only when it forgot to say so. */
const transactionMilliseconds = 40_000;

/** A final answer, or why there is none. */
export type FinalAnswer =
  | {readonly kind: 'answered'; readonly response: SipResponseView; readonly res: SrfResponse; readonly ack: () => void}
  | {readonly kind: 'failed'; readonly status: number; readonly why: string};

export interface Transaction {
  readonly server: SipServer;
  readonly method: string;
  readonly uri: string;
  readonly options: Omit<SrfRequestOptions, 'method'>;
  /** The request as it left. */
  readonly onSent?: (req: SrfRequest) => void;
  readonly onProvisional?: (response: SipResponseView) => void;
  /** Called exactly once, within the event that brought the answer, so that what follows in the same packet finds its dialog. */
  readonly onFinal: (answer: FinalAnswer) => void;
}

/**
 * Sends a request, in or out of a dialog. Uses the callback form of `srf.request`: awaiting it loses answers that come in the same packet.
 * An INVITE has no deadline here; whoever sends one cancels it. A connection that goes, or is not there, is a 503. Never throws.
 */
export function transact(transaction: Transaction, {clock, log}: {clock: Clock; log: Log}): void {
  const {server, method, uri, options} = transaction;
  let done = false;
  let deadline: Timer | undefined;
  const release = server.ifLost(() => {
    fail(503, 'the connection to the SIP server is lost');
  });

  function finish(answer: FinalAnswer): void {
    if (done) return;
    done = true;
    release();
    deadline?.cancel();
    transaction.onFinal(answer);
  }

  function fail(status: number, why: string): void {
    finish({kind: 'failed', status, why});
  }

  function received(res: SrfResponse, ack: () => void): void {
    const response = responseView(res, server);
    if (res.status >= 200) {
      finish({
        kind: 'answered',
        response,
        res,
        ack: () => {
          acknowledge(ack);
        },
      });
      return;
    }

    if (res.has('RSeq')) acknowledge(ack);
    if (!done) transaction.onProvisional?.(response);
  }

  function acknowledge(ack: () => void): void {
    try {
      ack();
    } catch (error) {
      log.warn({error}, 'an ACK could not be sent');
    }
  }

  if (method !== 'INVITE') {
    deadline = clock.after(transactionMilliseconds, () => {
      fail(408, 'no answer');
    });
  }

  try {
    if (!server.connected) throw new CpmError('CPM_SIP_SERVER_AWAY', 503, 'no connection to the SIP server');
    server.srf.request(uri, {...options, method}, (error, req) => {
      if (req === undefined) {
        const {status, message} = sendingError(error);
        fail(status, message);
        return;
      }

      req.on('response', received);
      // drachtio-srf brings a peer's UPDATE that crosses an INVITE of ours here: glare (RFC 3311 §5.2).
      req.on('update', (_update: SrfRequest, res: SrfResponse) => {
        res.send(491, undefined, {}, () => undefined);
      });
      transaction.onSent?.(req);
    });
  } catch (error) {
    const {status, message} = sendingError(error);
    fail(status, message);
  }
}

/** What an error of drachtio-srf, or the server's refusal to send, means to a peer. */
export function sendingError(error: unknown): CpmError {
  if (error instanceof CpmError) return error;
  const why = error instanceof Error ? error.message : typeof error === 'string' ? error : 'not sent';
  if (why.startsWith('frame of ')) return new CpmError('CPM_SIP_TOO_LARGE', 513, why);
  if (why.startsWith('invalid request-uri'))
    return new CpmError('CPM_SIP_URI', 414, 'the Request-URI is too long or none');
  if (/unable to find dialog/i.test(why)) return new CpmError('CPM_SIP_NO_DIALOG', 481, why);
  if (why.includes('request to myself')) return new CpmError('CPM_SIP_LOOP', 482, why);
  return new CpmError('CPM_SIP_NOT_SENT', 503, why);
}

/**
 * What `srf.request` takes, from a request outside a dialog.
 * @throws CpmError for what may not reach the server: another scheme than sip:, a body without Content-Type.
 */
export function requestOptions(
  request: OutgoingRequest,
  server: SipServer,
  defaults: Readonly<Record<string, string | undefined>>,
): {readonly uri: string; readonly options: Omit<SrfRequestOptions, 'method'>} {
  if (request.nextHop !== undefined) checkUri(request.nextHop);
  const uri = requestUri(request.uri, request.route);
  const headers = outgoingHeaders(
    withDefaults(request.headers, {To: `<${requestUri(request.uri)}>`, ...defaults}),
    request,
  );
  return {uri, options: {headers, body: frameBody(request.body, server), proxy: request.nextHop}};
}

/** What `srf.request` takes inside a dialog. The socket on which the dialog began is used while it lives. */
export function dialogRequestOptions(
  server: SipServer,
  {id, socket}: {id: string; socket?: Socket},
  {headers = {}, body}: SipReply,
): Omit<SrfRequestOptions, 'method'> {
  return {
    headers: outgoingHeaders(headers, {body}),
    body: frameBody(body, server),
    stackDialogId: id,
    ...(socket?.destroyed === false ? {_socket: socket} : {}),
  };
}

/** The Request-URI that the server replaces by the dialog's remote target. */
export const dialogUri = 'sip:placeholder';

export function frameBody(body: string | Uint8Array | undefined, server: SipServer): string | undefined {
  return body === undefined || body.length === 0 ? undefined : server.wire.bodyText(body);
}

export function responseView(res: SrfResponse, server: SipServer): SipResponseView {
  return Object.assign(messageView(res.msg.raw ?? '', server.wire.exactBody), {status: res.status, reason: res.reason});
}

/** A response that no peer sent: the server is away, nothing came. */
export function madeResponse(status: number, reason: string): SipResponseView {
  return {status, reason, header: () => undefined, body: new Uint8Array(0)};
}
