import {formatContact} from '../codecs/sip-headers/contact.ts';
import {ICSI} from '../cpm/feature-tags.ts';
import {CpmError} from '../errors.ts';
import type {SipReply, SipRequestView} from '../ports/sip.ts';
import type {Context} from './context.ts';
import type {Party} from './party.ts';
import {answerFor, bodyText, remoteMedia} from './session-description.ts';

type Answer = {readonly status: number} & SipReply;

/**
 * A re-INVITE or UPDATE of one party: the same path is a refresh and changes nothing (row E6); what cannot be is refused, and the session goes
 * on as it stands (RFC 3261 §14.2).
 */
export function renegotiate(
  {sip, policy}: Pick<Context, 'sip' | 'policy'>,
  party: Party,
  other: Party | undefined,
  request: SipRequestView,
): Answer {
  if (request.body.length > 0) {
    const offer = bodyText(request);
    try {
      party.leg.connect(remoteMedia(offer, 'offer', party.leg));
    } catch (error) {
      if (error instanceof CpmError) return {status: error.status};
      throw error;
    }

    party.remote = offer;
    party.local = answerFor(offer, other?.remote, party.leg, policy.maxMessageBytes, party.local);
  }

  return {
    status: 200,
    headers: {
      'Content-Type': 'application/sdp',
      Contact: formatContact(sip.contactUri, {icsi: ICSI.session}),
    },
    body: party.local.text,
  };
}
