import {expectedFingerprints} from '../codecs/sdp-fingerprint.ts';
import {parseSdp, type Sdp} from '../codecs/sdp.ts';
import {
  buildAnswer,
  buildOffer,
  connectionRole,
  msrpSections,
  onlySection,
  usableSections,
  type Direction,
  type MsrpMedia,
  type OwnMedia,
  type SdpOrigin,
} from '../codecs/sdp-msrp.ts';
import {CpmError} from '../errors.ts';
import type {Leg, MsrpTransport, RemoteMedia} from '../ports/media-plane.ts';
import type {SipMessageView} from '../ports/sip.ts';

/** A message's body as text: session descriptions are UTF-8 (RFC 4566 §5). */
export const bodyText = ({body}: SipMessageView): string => Buffer.from(body).toString('utf8');

/** In m= of who connects and is not connected to (RFC 4145 §4.1). */
const discardPort = 9;

/** What we said of our side in a dialog: sent again unchanged when a refresh asks (row E6). */
export interface LocalDescription {
  readonly text: string;
  readonly origin: SdpOrigin;
}

/**
 * The offer for a device or for a delivery: the far side's capabilities, our own connection, `a=sendrecv` so that notifications can come back
 * (rows A9, T19, T20), but for clients that are known to need it otherwise. Without the original offer a chat for any content is offered.
 * @clause CPM-CF 8.3.2.9.1.1 A9
 */
export function offerFor(
  original: string | undefined,
  leg: Leg,
  maxMessageBytes: number,
  direction: Direction = 'sendrecv',
): string {
  return offerWith(originOf(leg, 1), original, leg, maxMessageBytes, direction);
}

function offerWith(
  origin: SdpOrigin,
  original: string | undefined,
  leg: Leg,
  maxMessageBytes: number,
  direction: Direction | undefined,
): string {
  const {setup, cema} = leg.terms;
  return buildOffer({
    origin,
    own: [ownMedia(leg, setup === 'active-only' ? 'active' : 'actpass', cema)],
    capabilities: original === undefined ? undefined : capabilitiesOf(parseSdp(original)),
    direction,
    maxSize: maxMessageBytes,
  });
}

/** The same, with what a refresh of it needs. */
export function localOffer(...[original, leg, ...more]: Parameters<typeof offerFor>): LocalDescription {
  return {origin: originOf(leg, 1), text: offerFor(original, leg, ...more)};
}

/** The offer for a device in a live session: as the inviter's own, his direction too, with our connection (5.2.1.2). */
export function liveOffer(inviter: string, leg: Leg, maxMessageBytes: number): LocalDescription {
  return localOffer(inviter, leg, maxMessageBytes, directionIn(inviter));
}

/** The offer to a party that has `before` of us, when the far side wants something else: one version on (RFC 3264 §8). */
export function offerAgain(
  far: string,
  leg: Leg,
  maxMessageBytes: number,
  {origin}: LocalDescription,
): LocalDescription {
  const next = {...origin, version: origin.version + 1};
  return {origin: next, text: offerWith(next, far, leg, maxMessageBytes, directionIn(far))};
}

/** Whether two descriptions of a far side would make the same offer: they differ in its connection alone, or not at all. */
export const hasSameCapabilities = (one: string, other: string, leg: Leg): boolean =>
  liveOffer(one, leg, Infinity).text === liveOffer(other, leg, Infinity).text;

const directionIn = (far: string): Direction | undefined => usableSections(parseSdp(far))[0]?.direction;

/**
 * The answer to an inviter: with the device's own answer its capabilities, without one the offer's. Of several MSRP sessions the first one
 * that our leg has the transport for is taken, the others get port 0. `before` is what we answered earlier in this dialog: the same answer
 * keeps its version, and the MSRP session with it.
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
  const media = chosenMedia(offer, leg);
  const live = msrpSections(description).filter(({refused}) => !refused);
  const own = ownMedia(leg, roleOf(media, 'offer', leg), leg.terms.cema && media.cema);
  const write = (origin: SdpOrigin): LocalDescription => ({
    origin,
    text: buildAnswer({
      offer: description,
      origin,
      own: live.map(({index}) => (index === media.index ? own : undefined)),
      capabilities: device === undefined ? undefined : capabilitiesOf(parseSdp(device)),
      maxSize: maxMessageBytes,
    }),
  });
  if (before === undefined) return write(originOf(leg, 1));
  const same = write(before.origin);
  return same.text === before.text ? before : write({...before.origin, version: before.origin.version + 1});
}

/**
 * The transports that an offer names for MSRP sessions that can be used, in its order.
 * @throws CpmError `CPM_NO_MSRP_PATH` (488) when there is no such session: none at all, refused ones, or a path that leads nowhere.
 */
export function offeredTransports(offer: string): readonly MsrpTransport[] {
  const transports = usableSections(parseSdp(offer)).map(transportOf);
  if (transports.length === 0) throw noMsrp();
  return transports;
}

/**
 * Where and how the peer wants its MSRP session, of its offer or of its answer to ours.
 * @throws CpmError (488) `CPM_NO_MSRP_PATH` when the description has no such session over the leg's transport, `CPM_MSRP_SETUP` when nobody
 * could connect, `CPM_MSRP_FINGERPRINT` when a peer over TLS does not say how to know it.
 */
export function remoteMedia(description: string, kind: 'offer' | 'answer', leg: Pick<Leg, 'terms'>): RemoteMedia {
  const media = chosenMedia(description, leg);
  if (media.tls && expectedFingerprints(media.fingerprints) === undefined && !leg.terms.hasAuthority)
    throw new CpmError('CPM_MSRP_FINGERPRINT', 488, 'MSRP is over TLS, and no fingerprint names the certificate');
  return {
    path: media.path,
    address: anchorOf(media, leg),
    fingerprints: media.fingerprints,
    connection: roleOf(media, kind, leg),
    acceptTypes: media.acceptTypes,
    acceptWrappedTypes: media.acceptWrappedTypes,
    maxSize: media.maxSize,
    // A path of several URIs leads through relays, which keep a frame whole: Kamailio 5.6.3 answers 501 to one of more than 11 KB.
    chunks: media.path.length > 1 ? 'explicit' : 'interruptible',
  };
}

/**
 * Where CEMA is in use c= and m= say where to connect, since a middlebox anchors the connection there; without a=msrp-cema it is the path, even
 * where c= says something else. Over TLS only a fingerprint makes sure that beyond the middlebox is the peer (RFC 6714 §5, §6).
 */
function anchorOf(media: MsrpMedia, {terms}: Pick<Leg, 'terms'>): RemoteMedia['address'] {
  if (!terms.cema || !media.cema || media.host === undefined) return undefined;
  if (media.tls && expectedFingerprints(media.fingerprints) === undefined) return undefined;
  return {host: media.host, port: media.port};
}

function roleOf(media: MsrpMedia, kind: 'offer' | 'answer', {terms}: Pick<Leg, 'terms'>): 'active' | 'passive' {
  const {setup} = terms;
  const we = kind === 'offer' ? 'answer' : 'offered';
  const role = connectionRole(media, we, setup === 'passive' ? 'passive' : 'active');
  if (role === 'passive' && setup === 'active-only')
    throw new CpmError('CPM_MSRP_SETUP', 488, 'neither side of the MSRP session can be connected to');
  return role;
}

/** The first session that the leg has the transport for. */
function chosenMedia(description: string, {terms}: Pick<Leg, 'terms'>): MsrpMedia {
  const media = usableSections(parseSdp(description)).find((each) => transportOf(each) === terms.transport);
  if (media === undefined) throw noMsrp();
  return media;
}

/** What a far description says of its first session that can be used: the one that was, or will be, taken. */
function capabilitiesOf(far: Sdp): Sdp {
  const [media] = usableSections(far);
  return media === undefined ? far : onlySection(far, media);
}

const transportOf = ({tls}: MsrpMedia): MsrpTransport => (tls ? 'tls' : 'tcp');

const noMsrp = (): CpmError =>
  new CpmError('CPM_NO_MSRP_PATH', 488, 'the session description has no MSRP session with a path');

const ownMedia = (leg: Leg, setup: OwnMedia['setup'], cema: boolean): OwnMedia => ({
  host: leg.address.host,
  port: setup === 'active' ? discardPort : leg.address.port,
  path: leg.path,
  setup,
  fingerprint: leg.terms.fingerprint,
  cema,
});

/** The session id is a number of the leg's own: its path is random already (RFC 4566 §5.2). */
const originOf = (leg: Leg, version: number): SdpOrigin => ({
  host: leg.address.host,
  sessionId: [...Buffer.from(leg.id)]
    .reduce((hash, octet) => (hash * 31n + BigInt(octet)) % 0x7fff_ffff_ffff_ffffn, 7n)
    .toString(),
  version,
});
