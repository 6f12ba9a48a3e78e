/** What a peer's SDP lets us send it: types by a=accept-types and a=accept-wrapped-types, octets by a=max-size (RFC 4975 §8.6). */
import {parseCpim} from '../../codecs/cpim.ts';
import {isType} from '../../codecs/mime.ts';
import type {OutgoingMessage, RemoteMedia} from '../../ports/media-plane.ts';

type Peer = Pick<RemoteMedia, 'acceptTypes' | 'acceptWrappedTypes' | 'maxSize'>;

/** Why a message may not be sent; undefined where it may. */
export function admits(remote: Peer, message: OutgoingMessage): 'type' | 'size' | undefined {
  if (remote.maxSize !== undefined && message.bytes.length > remote.maxSize) return 'size';
  if (message.regardless) return undefined;
  const {acceptTypes, acceptWrappedTypes} = remote;
  if (!isAmong(acceptTypes, message.contentType)) return 'type';
  // A peer that names no wrapped types leaves open what CPIM may hold.
  if (acceptWrappedTypes === undefined || acceptWrappedTypes.includes('*') || acceptTypes.includes('*'))
    return undefined;
  const wrapped = wrappedType(message);
  return wrapped === undefined || isAmong([...acceptTypes, ...acceptWrappedTypes], wrapped) ? undefined : 'type';
}

function isAmong(types: readonly string[], contentType: string): boolean {
  const type = (contentType.split(';')[0] ?? '').trim().toLowerCase();
  return types.some((each) => {
    const accepted = each.toLowerCase();
    return accepted === '*' || accepted === type || (accepted.endsWith('/*') && type.startsWith(accepted.slice(0, -1)));
  });
}

/** What CPIM holds; undefined for other content, and where nobody can tell. */
function wrappedType({contentType, bytes}: OutgoingMessage): string | undefined {
  try {
    return isType(contentType, 'message/cpim') ? parseCpim(bytes).contentType : undefined;
  } catch {
    return undefined;
  }
}
