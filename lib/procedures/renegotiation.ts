import {CpmError} from '../errors.ts';
import type {SipModification, SipRequestView} from '../ports/sip.ts';
import type {Context} from './context.ts';
import type {Party} from './party.ts';
import {answerFor, bodyText, hasSameCapabilities, offerAgain, remoteMedia} from './session-description.ts';

type Needs = Pick<Context, 'policy' | 'log'>;

/** Who makes an offer in a session that stands, and who is at its other end. */
export interface Negotiation {
  readonly party: Party;
  readonly other: Party | undefined;
  /** The other party's dialog is gone without a word: the session draws its conclusions. */
  readonly lost: () => void;
}

/**
 * A re-INVITE or UPDATE of one party. Where only its connection is another one, or nothing is, that is between it and us (row E6); what it
 * wants of the session (hold, types, sizes) is offered to the other party first, whose answer counts for both. What cannot be, or is refused,
 * leaves the session as it was (RFC 3261 §14.2), the versions of all descriptions included.
 * @clause CPM-CF 8.3.2.1 E6
 */
export async function renegotiate(
  context: Needs,
  {party, other, lost}: Negotiation,
  request: SipRequestView,
): Promise<SipModification> {
  // An UPDATE without an offer only refreshes the session timer; a re-INVITE without one asks for ours, its ACK brings the answer.
  if (request.body.length === 0)
    return request.method === 'UPDATE'
      ? ok()
      : {
          ...ok(party.local.text),
          onAnswer: (answer) => {
            answered(context, party, answer);
          },
        };

  const offer = bodyText(request);
  try {
    const media = remoteMedia(offer, 'offer', party.leg);
    let far = other;
    if (other !== undefined && !hasSameCapabilities(party.remote, offer, other.leg)) {
      const status = await offerOn(context, offer, other);
      if (status === 'lost') {
        lost();
        if (party.dialog.ended) return {status: 500};
        far = undefined;
      } else if (status >= 300) {
        return {status};
      }
    }

    const local = answerFor(offer, far?.remote, party.leg, context.policy.maxMessageBytes, party.local);
    party.leg.connect(media);
    party.remote = offer;
    party.local = local;
    // Whoever has his 200 may speak from his new place at once: the media plane knows it by then.
    await party.leg.copied();
    return ok(local.text);
  } catch (error) {
    if (!(error instanceof CpmError)) throw error;
    context.log.info(
      {clause: 'RFC 3261 §14.2', code: error.code},
      'an offer inside a session is refused; it goes on as it stands',
    );
    return {status: error.status, headers: {Warning: `399 cpm-pf "${error.message}"`}};
  }
}

/** Offers the other party what one wants; resolves with what its answer means to that one. */
async function offerOn({policy, log}: Needs, offer: string, other: Party): Promise<number | 'lost'> {
  const local = offerAgain(offer, other.leg, policy.maxMessageBytes, other.local);
  const answer = await other.dialog.modify(local.text);
  const {status} = answer;
  if (status < 300) {
    other.local = local;
    answered({log}, other, bodyText(answer));
    return status;
  }

  log.info(
    {clause: 'RFC 3261 §14.1', status},
    'an offer of one party is refused by the other; the session stays as it was',
  );
  // RFC 3261 §12.2.1.2: these end the dialog.
  if (status === 481 || status === 408) return 'lost';
  // A challenge or a redirection is not for the one who offered.
  return status < 400 || status === 401 || status === 407 || status === 422 ? 488 : status;
}

/** A party has answered our offer: it may have moved. An answer without an MSRP session of any use leaves the connection as it is. */
function answered({log}: Pick<Needs, 'log'>, party: Party, answer: string): void {
  try {
    party.leg.connect(remoteMedia(answer, 'answer', party.leg));
    party.remote = answer;
  } catch (error) {
    if (!(error instanceof CpmError)) throw error;
    log.info(
      {clause: 'RFC 3264 §8', code: error.code},
      'an answer inside a session leads nowhere; the connection stays',
    );
  }
}

/** Our Contact is that with which the dialog began: it says what we are there, the focus of a group among others (T46). */
const ok = (description?: string): SipModification =>
  description === undefined
    ? {status: 200}
    : {status: 200, headers: {'Content-Type': 'application/sdp'}, body: description};
