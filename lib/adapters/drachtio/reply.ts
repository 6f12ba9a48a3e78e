import {CpmError} from '../../errors.ts';
import type {SipReply, SipRequestView} from '../../ports/sip.ts';
import type {SipServer} from './connection.ts';
import {messageView, outgoingHeaders} from './headers.ts';
import type {SrfMessage, SrfRequest, SrfResponse} from './srf-types.ts';
import {frameBody, sendingError} from './transaction.ts';

/** A request as the procedures see it. */
export function requestView(req: SrfRequest, server: SipServer): SipRequestView {
  const view = messageView(req.msg.raw ?? '', server.wire.exactBody);
  return Object.assign(view, {
    method: req.method,
    uri: req.uri,
    callId: view.header('Call-ID') ?? '',
    source: {address: req.source_address, port: req.source_port, protocol: req.protocol},
  });
}

/**
 * Sends a response; calls `sent` with the message as it left, or an error. The headers go straight into drachtio-srf's message, since its own
 * way writes `Conversation-ID` in lower case and the server then makes `Conversation-Id` of it.
 * @throws CpmError when the reply has a body without Content-Type; nothing was sent then.
 */
export function sendReply(
  server: SipServer,
  res: SrfResponse,
  {status, reason, headers = {}, body}: {readonly status: number} & SipReply,
  sent: (error: CpmError | undefined, message?: SrfMessage) => void,
): void {
  const before = res.msg.headers;
  res.msg.headers = {...before, ...outgoingHeaders(headers, {body})};
  const text = frameBody(body, server);
  try {
    res.send(knownStatus(status), reason, text === undefined ? {} : {body: text}, (error, message) => {
      if (message !== undefined) {
        sent(undefined, message);
        return;
      }
      const failure = sendingError(error);
      // What was too large has not been answered: another answer can still go.
      if (failure.status === 513) res.finished = false;
      sent(failure);
    });
  } catch (error) {
    sent(sendingError(error));
  } finally {
    res.msg.headers = before;
  }
}

/** `sendReply` as a promise; rejects only with what the caller can mend: too large, no Content-Type. The rest is told to `dropped`. */
export function reply(
  server: SipServer,
  res: SrfResponse,
  answer: {readonly status: number} & SipReply,
  dropped: (error: CpmError) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const release = server.ifLost(() => {
      dropped(new CpmError('CPM_SIP_SERVER_AWAY', 503, 'the connection to the SIP server is lost'));
      resolve();
    });
    sendReply(server, res, answer, (error) => {
      release();
      if (error?.status === 513) {
        reject(error);
        return;
      }
      if (error !== undefined) dropped(error);
      resolve();
    });
  });
}

/** drachtio-srf throws for a status that its table lacks; RFC 3261 §8.1.3.2 reads an unknown one as x00 anyhow. */
function knownStatus(status: number): number {
  return statuses.has(status) ? status : Math.floor(status / 100) * 100;
}

const statuses = new Set([
  100, 180, 181, 182, 183, 199, 200, 202, 204, 300, 301, 302, 305, 380, 400, 401, 402, 403, 404, 405, 406, 407, 408,
  409, 410, 411, 412, 413, 414, 415, 416, 417, 420, 421, 422, 423, 424, 428, 429, 430, 433, 436, 437, 438, 439, 470,
  480, 481, 482, 483, 484, 485, 486, 487, 488, 489, 491, 493, 494, 500, 501, 502, 503, 504, 505, 513, 580, 600, 603,
  604, 606,
]);
