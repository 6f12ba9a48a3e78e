/** What a phone writes into its offers and answers, and who connects to whom (RFC 4975 §8, RFC 6135 §4.2). */
import {parseSdp} from '../codecs/sdp.ts';
import {usableSections, type MsrpMedia} from '../codecs/sdp-msrp.ts';
import {CpmError} from '../errors.ts';

export interface MediaProfile {
  /** a=setup of our offers; undefined leaves the line out. */
  readonly offerSetup: 'actpass' | 'active' | 'passive' | undefined;
  /** a=setup of our answer to an offer that leaves us the choice. */
  readonly answerSetup: 'active' | 'passive';
  readonly acceptTypes: string;
  /** Undefined leaves the line out. */
  readonly acceptWrappedTypes: string | undefined;
  readonly maxSize: number | undefined;
  /** Host and port that stand in a=path instead of ours, as behind a middlebox that speaks CEMA; c= and m= are true (RFC 6714). */
  readonly pathAuthority: string | undefined;
  /** Lines added to the section as they stand: `a=x`. */
  readonly extraLines: readonly string[];
}

/** A phone behind no NAT with a client of today. */
export const usualMedia: MediaProfile = {
  offerSetup: 'actpass',
  answerSetup: 'active',
  acceptTypes: 'message/cpim application/im-iscomposing+xml',
  acceptWrappedTypes: '*',
  maxSize: undefined,
  pathAuthority: undefined,
  extraLines: [],
};

/** Where one MSRP session of the phone is, for its description. */
export interface PhoneMedia {
  readonly path: readonly string[];
  readonly port: number;
  /** Undefined leaves a=setup out. */
  readonly setup: string | undefined;
  /** Of the phone's certificate, where the session is over TLS. */
  readonly fingerprint?: string | undefined;
}

/** A description of one MSRP session. */
export function describe(profile: MediaProfile, {path, port, setup, fingerprint}: PhoneMedia): string {
  const id = Date.now();
  return [
    'v=0',
    `o=- ${id} 1 IN IP4 127.0.0.1`,
    's=-',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    // Who only connects names the discard port (RFC 6135 §4.2.2).
    `m=message ${setup === 'active' ? 9 : port} TCP/${fingerprint === undefined ? '' : 'TLS/'}MSRP *`,
    `a=path:${path.map((uri) => withAuthority(uri, profile.pathAuthority)).join(' ')}`,
    ...(fingerprint === undefined ? [] : [`a=fingerprint:${fingerprint}`]),
    ...(setup === undefined ? [] : [`a=setup:${setup}`]),
    `a=accept-types:${profile.acceptTypes}`,
    ...(profile.acceptWrappedTypes === undefined ? [] : [`a=accept-wrapped-types:${profile.acceptWrappedTypes}`]),
    ...(profile.maxSize === undefined ? [] : [`a=max-size:${profile.maxSize}`]),
    ...profile.extraLines,
    'a=sendrecv',
    '',
  ].join('\r\n');
}

function withAuthority(uri: string, authority: string | undefined): string {
  return authority === undefined ? uri : uri.replace(/(?<=:\/\/)[^/]+/, authority);
}

/** The MSRP session that a description offers or accepts, over TLS or not; throws `CpmError` 488 where it has none. */
export function mediaOf(sdp: string, isSecure = false): MsrpMedia {
  const media = usableSections(parseSdp(sdp)).find(({tls}) => tls === isSecure);
  if (media === undefined) {
    throw new CpmError('CPM_PHONE_SDP', 488, 'the description has no MSRP session');
  }
  return media;
}

/** What we are as the answerer: what the offer leaves us, else our choice; without a=setup the offerer connects. */
export function answererRole(offer: MsrpMedia, profile: MediaProfile): 'active' | 'passive' {
  if (offer.setup === 'actpass') return profile.answerSetup;
  return offer.setup === 'passive' ? 'active' : 'passive';
}

/** What we are as the offerer: the other of what the answer says; without a=setup the offerer connects. */
export function offererRole(answer: MsrpMedia): 'active' | 'passive' {
  return answer.setup === 'active' ? 'passive' : 'active';
}
