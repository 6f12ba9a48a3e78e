/** What a peer's SDP lets us send it: types by a=accept-types, octets by a=max-size (RFC 4975 §8.6). */
import type {OutgoingMessage, RemoteMedia} from '../../ports/media-plane.ts';

/** Why a message may not be sent; undefined where it may. */
export function admits(remote: RemoteMedia, message: OutgoingMessage): 'type' | 'size' | undefined {
  if (remote.maxSize !== undefined && message.bytes.length > remote.maxSize) return 'size';
  const type = (message.contentType.split(';')[0] ?? '').trim().toLowerCase();
  const admitted = remote.acceptTypes.some((each) => {
    const accepted = each.toLowerCase();
    return accepted === '*' || accepted === type || (accepted.endsWith('/*') && type.startsWith(accepted.slice(0, -1)));
  });
  return admitted ? undefined : 'type';
}
