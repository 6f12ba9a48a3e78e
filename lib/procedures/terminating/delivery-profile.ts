import type {DeferredMessage} from '../../cpm/deferred-message.ts';
import type {RegisteredContact} from '../../ports/registrations.ts';
import type {Policy} from '../context.ts';

/** What a delivery to a device has beside, or instead of, what 8.3.2.9.1.1 says. */
export interface DeliveryForm {
  readonly direction: 'sendrecv' | 'sendonly';
  /** Rides in the INVITE; its 200 is the 200 to this message, too. */
  readonly firstMessage: DeferredMessage | undefined;
}

/** Octets of a message that may ride in an INVITE: with everything else it stays far below what SIP servers take. */
const shortBytes = 4096;

/**
 * The form of a delivery for a device: the usual one, unless a profile knows its client by the User-Agent of its REGISTER.
 * @clause CPM-CF 8.3.2.9.1.1 A9
 */
export function deliveryForm(
  {deliveryProfiles}: Pick<Policy, 'deliveryProfiles'>,
  {userAgent}: Pick<RegisteredContact, 'userAgent'>,
  first: DeferredMessage,
): DeliveryForm {
  const profile =
    userAgent === undefined ? undefined : deliveryProfiles.find(({userAgent: pattern}) => pattern.test(userAgent));
  const isShort = first.kind === 'chat' && first.bytes.byteLength <= shortBytes;
  return {
    direction: profile?.sendonly === true ? 'sendonly' : 'sendrecv',
    firstMessage: profile?.firstMessageInInvite === true && isShort ? first : undefined,
  };
}
