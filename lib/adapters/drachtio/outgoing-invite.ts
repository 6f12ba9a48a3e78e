import type {Clock} from '../../ports/clock.ts';
import type {Log} from '../../ports/log.ts';
import type {InviteOutcome, OutgoingInvite, SipResponseView} from '../../ports/sip.ts';
import type {SipServer} from './connection.ts';
import {DrachtioDialog, ownContact} from './dialog.ts';
import {outgoingHeaders} from './headers.ts';
import {agreedTimer} from './session-timer.ts';
import type {SrfRequest, SrfRequestOptions} from './srf-types.ts';
import {madeResponse, transact, type FinalAnswer} from './transaction.ts';

/** A CANCEL is answered with 487 within 64·T1 (RFC 3261 §9.1); a peer that says nothing more is not waited for. */
const cancelMilliseconds = 40_000;
/** The server itself ends a dialog whose 200 crossed the CANCEL, right after our ACK; one that lives so long had its 200 before the CANCEL. */
const crossedMilliseconds = 500;

export interface InviteTransaction {
  readonly server: SipServer;
  readonly uri: string;
  readonly options: Omit<SrfRequestOptions, 'method'>;
  readonly body: string | Uint8Array;
  readonly byeAnswerMilliseconds: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Sends an INVITE. drachtio shows only one 200 per INVITE and leaves other forks alone: one INVITE per device, by the procedures. */
export function sendInvite(invite: InviteTransaction): OutgoingInvite {
  const {server, uri, options, clock, log} = invite;
  let sent: SrfRequest | undefined;
  let cancelled: {readonly reason: string | undefined} | undefined;
  let settled = false;
  let isRetried = false;
  let settle: (outcome: InviteOutcome) => void;
  const outcome = new Promise<InviteOutcome>((resolve) => {
    settle = (result) => {
      settled = true;
      resolve(result);
    };
  });

  function sendCancel(req: SrfRequest): void {
    const headers: Record<string, string> = outgoingHeaders(
      cancelled?.reason === undefined ? {} : {Reason: cancelled.reason},
    );
    try {
      req.cancel({headers}, (error) => {
        if (error !== null && error !== undefined) log.info({error}, 'a CANCEL was not sent');
      });
    } catch (error) {
      log.info({error}, 'a CANCEL was not sent');
    }

    clock.after(cancelMilliseconds, () => {
      if (!settled) settle({kind: 'refused', response: madeResponse(487, 'Request Terminated')});
    });
  }

  function finish(answer: FinalAnswer): void {
    if (answer.kind === 'failed') {
      settle({kind: 'failed', status: answer.status, why: answer.why});
      return;
    }
    const {response, res, ack} = answer;
    const longer =
      response.status === 422 && !isRetried && cancelled === undefined ? longerTimer(options, response) : undefined;
    if (longer !== undefined) {
      isRetried = true;
      send(longer);
      return;
    }

    if (response.status >= 300) {
      settle({kind: 'refused', response});
      return;
    }
    const dialog = new DrachtioDialog({
      ...invite,
      id: res.stackDialogId ?? '',
      callId: response.header('Call-ID') ?? '',
      socket: res.socket,
      contact: ownContact(sent?.headers ?? {}),
      timer: agreedTimer(response.header('Session-Expires'), 'uac'),
    });
    ack();
    if (cancelled === undefined) {
      settle({kind: 'accepted', dialog, response});
      return;
    }
    clock.after(crossedMilliseconds, () => {
      if (settled) void dialog.bye(cancelled?.reason === undefined ? {} : {Reason: cancelled.reason});
      else if (dialog.ended) settle({kind: 'refused', response: madeResponse(487, 'Request Terminated')});
      else settle({kind: 'accepted', dialog, response});
    });
  }

  const result: OutgoingInvite = {
    outcome,
    onProvisional: undefined,
    cancel(reason) {
      if (settled || cancelled !== undefined) return;
      cancelled = {reason};
      if (sent !== undefined) sendCancel(sent);
    },
  };
  function send(sending: InviteTransaction['options']): void {
    transact(
      {
        server,
        method: 'INVITE',
        uri,
        options: sending,
        onSent(req) {
          sent = req;
          if (cancelled !== undefined) sendCancel(req);
        },
        onProvisional: (response) => result.onProvisional?.(response),
        onFinal: finish,
      },
      invite,
    );
  }

  send(options);
  return result;
}

/** The INVITE with the session timer that a 422 asks for at least (RFC 4028 §7.3); undefined where it names none. */
function longerTimer(
  options: InviteTransaction['options'],
  response: SipResponseView,
): InviteTransaction['options'] | undefined {
  const seconds = Number.parseInt(response.header('Min-SE') ?? '', 10);
  if (Number.isNaN(seconds)) return undefined;
  const timer = {Supported: 'timer', 'Session-Expires': String(seconds), 'Min-SE': String(seconds)};
  return {...options, headers: {...options.headers, ...timer}};
}

/** An INVITE that could not be sent at all. */
export function unsentInvite(status: number, why: string): OutgoingInvite {
  return {outcome: Promise.resolve({kind: 'failed', status, why}), onProvisional: undefined, cancel: () => undefined};
}
