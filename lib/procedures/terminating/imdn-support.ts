import {parseSdp} from '../../codecs/sdp.ts';
import {msrpMedia} from '../../codecs/sdp-msrp.ts';
import type {SipResponseView} from '../../ports/sip.ts';
import type {Policy} from '../context.ts';
import {bodyText} from '../session-description.ts';

/**
 * Whether a client that said 200 will report on what it gets: an old one by its User-Agent will not, nor one that names wrapped types and
 * message/imdn+xml not among them; one that names none is judged by the policy.
 * @clause CPM-CF 8.3.2.9.1.1 A19
 */
export function supportsImdn(
  response: SipResponseView,
  {trustsImdn, withoutImdn}: Pick<Policy, 'trustsImdn' | 'withoutImdn'>,
): boolean {
  const product = response.header('User-Agent') ?? response.header('Server') ?? '';
  if (withoutImdn.some((pattern) => pattern.test(product))) return false;
  const media = msrpMedia(parseSdp(bodyText(response)));
  if (media?.acceptWrappedTypes === undefined) return trustsImdn;
  return [...media.acceptTypes, ...media.acceptWrappedTypes].some((type) =>
    ['*', 'message/*', 'message/imdn+xml'].includes(type.toLowerCase()),
  );
}
