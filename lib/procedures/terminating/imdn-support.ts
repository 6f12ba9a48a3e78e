import {parseSdp} from '../../codecs/sdp.ts';
import {msrpMedia} from '../../codecs/sdp-msrp.ts';
import type {SipMessageView} from '../../ports/sip.ts';
import type {Policy} from '../context.ts';

/**
 * Whether a client will report on what it gets, by its 200 or its INVITE: an old one by its User-Agent will not, nor one that names wrapped types and
 * message/imdn+xml not among them; one that names none is judged by the policy.
 * @clause CPM-CF 8.3.2.9.1.1 A19
 */
export function supportsImdn(
  said: SipMessageView,
  description: string,
  {trustsImdn, withoutImdn}: Pick<Policy, 'trustsImdn' | 'withoutImdn'>,
): boolean {
  const product = said.header('User-Agent') ?? said.header('Server') ?? '';
  if (withoutImdn.some((pattern) => pattern.test(product))) return false;
  const media = msrpMedia(parseSdp(description));
  if (media?.acceptWrappedTypes === undefined) return trustsImdn;
  return [...media.acceptTypes, ...media.acceptWrappedTypes].some((type) =>
    ['*', 'message/*', 'message/imdn+xml'].includes(type.toLowerCase()),
  );
}
