import {parseSdp} from '../codecs/sdp.ts';
import {buildAnswer, buildOffer, connectionRole, msrpMedia, type OwnMedia, type SdpOrigin} from '../codecs/sdp-msrp.ts';
import {CpmError} from '../errors.ts';
import type {Leg, RemoteMedia} from '../ports/media-plane.ts';
import type {SipMessageView} from '../ports/sip.ts';

/** A message's body as text: session descriptions are UTF-8 (RFC 4566 §5). */
export const bodyText = ({body}: SipMessageView): string => Buffer.from(body).toString('utf8');

/** What we said of our side in a dialog: sent again unchanged when a refresh asks (row E6). */
export interface LocalDescription {
  readonly text: string;
  readonly origin: SdpOrigin;
}

/**
 * The offer for a device or for a delivery: the far side's capabilities, our own connection, always `a=sendrecv` so that notifications can
 * come back (rows A9, T19, T20). Without the original offer a chat for any content is offered.
 * @clause CPM-CF 8.3.2.9.1.1 A9
 */
export function offerFor(original: string | undefined, leg: Leg, maxMessageBytes: number): string {
  return buildOffer({
    origin: originOf(leg, 1),
    own: [ownMedia(leg, 'actpass')],
    capabilities: original === undefined ? undefined : parseSdp(original),
    direction: 'sendrecv',
    maxSize: maxMessageBytes,
  });
}

/**
 * The answer to an inviter: with the device's own answer its capabilities, without one the offer's. `before` is what we answered earlier
 * in this dialog: the same answer keeps its version, and the MSRP session with it.
 * @clause CPM-CF 8.3.2.1 E6
 */
export function answerFor(
  offer: string,
  device: string | undefined,
  leg: Leg,
  maxMessageBytes: number,
  before?: LocalDescription,
): LocalDescription {
  const description = parseSdp(offer);
  const media = offeredMedia(offer);
  const capabilities = device === undefined ? undefined : parseSdp(device);
  const write = (origin: SdpOrigin): LocalDescription => ({
    origin,
    text: buildAnswer({
      offer: description,
      origin,
      own: [ownMedia(leg, connectionRole(media, 'answer'))],
      capabilities,
      maxSize: maxMessageBytes,
    }),
  });
  if (before === undefined) return write(originOf(leg, 1));
  const same = write(before.origin);
  return same.text === before.text ? before : write({...before.origin, version: before.origin.version + 1});
}

/**
 * Where and how the peer wants its MSRP session.
 * @throws CpmError `CPM_NO_MSRP_PATH` (488) when the description has no MSRP section, a refused one, or one without path.
 */
export function remoteMedia(description: string, kind: 'offer' | 'answer'): RemoteMedia {
  const media = offeredMedia(description);
  return {
    path: media.path,
    connection: connectionRole(media, kind === 'offer' ? 'answer' : 'offered'),
    acceptTypes: media.acceptTypes,
    maxSize: media.maxSize,
    // A path of several URIs leads through relays, which keep a frame whole: Kamailio 5.6.3 answers 501 to one of more than 11 KB.
    chunks: media.path.length > 1 ? 'explicit' : 'interruptible',
  };
}

function offeredMedia(description: string): NonNullable<ReturnType<typeof msrpMedia>> {
  const media = msrpMedia(parseSdp(description));
  if (media === undefined || media.path.length === 0) {
    throw new CpmError('CPM_NO_MSRP_PATH', 488, 'the session description has no MSRP session with a path');
  }

  return media;
}

const ownMedia = (leg: Leg, setup: OwnMedia['setup']): OwnMedia => ({
  host: leg.address.host,
  port: leg.address.port,
  path: leg.path,
  setup,
});

/** The session id is a number of the leg's own: its path is random already (RFC 4566 §5.2). */
const originOf = (leg: Leg, version: number): SdpOrigin => ({
  host: leg.address.host,
  sessionId: [...Buffer.from(leg.id)]
    .reduce((hash, octet) => (hash * 31n + BigInt(octet)) % 0x7fff_ffff_ffff_ffffn, 7n)
    .toString(),
  version,
});
