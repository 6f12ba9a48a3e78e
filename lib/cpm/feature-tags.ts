import {resolveEscapes} from './percent-escapes.ts';

const CPM = 'urn:urn-7:3gpp-service.ims.icsi.oma.cpm';

/** IMS communication service identifiers of CPM, raw, as P-Asserted-Service carries them (RFC 6050). */
export const ICSI = {
  pagerMessage: `${CPM}.msg`,
  pagerMessageGroup: `${CPM}.msg.group`,
  largeMessage: `${CPM}.largemsg`,
  largeMessageGroup: `${CPM}.largemsg.group`,
  deferred: `${CPM}.deferred`,
  session: `${CPM}.session`,
  sessionGroup: `${CPM}.session.group`,
  fileTransfer: `${CPM}.filetransfer`,
  fileTransferGroup: `${CPM}.filetransfer.group`,
  systemMessage: `${CPM}.systemmsg`,
} as const;

/** Media feature tag whose value lists ICSIs, percent-encoded (TS 24.229 §7.2A.8.2). */
export const ICSI_REF = '+g.3gpp.icsi-ref';
/** Device identifier in Contact and Accept-Contact (RFC 5626 §4.1). */
export const SIP_INSTANCE = '+sip.instance';
/** Chat feature tag of the generation before CPM. */
export const SIP_IM = '+g.oma.sip-im';

/** An ICSI as a media feature tag's value needs it: what RFC 3840 does not allow there is percent-encoded (TS 24.229 §7.2A.8.2). */
export function encodeIcsi(icsi: string): string {
  const encode = (character: string) => encodeURIComponent(character.replace(/\p{Surrogate}/u, '\ufffd')).toUpperCase();
  return icsi.replace(/[^A-Za-z0-9.\-_!]/gu, encode);
}

/** The raw ICSI of a media feature tag's value. */
export function decodeIcsi(value: string): string {
  return resolveEscapes(value);
}

/**
 * Whether a service is the wanted one or a special case of it: a dotted suffix narrows, so `…cpm.session.group` is a
 * `…cpm.session`, and never the other way round (TS 24.229 §7.2A.8.2). Both raw; letter case does not count.
 */
export function isService(service: string, wanted: string): boolean {
  const given = service.toLowerCase();
  const general = wanted.toLowerCase();
  return given === general || given.startsWith(`${general}.`);
}
