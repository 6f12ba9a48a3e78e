import {ICSI, isService} from '../../cpm/feature-tags.ts';
import {asSipRequestUri, canonicalAddress} from '../../cpm/address.ts';
import {isMultipart, parseMultipart} from '../../codecs/multipart.ts';
import {asksForIcsi} from '../../codecs/sip-headers/accept-contact.ts';
import {parseAssertedIdentity, parseAssertedService, parseServedUser} from '../../codecs/sip-headers/asserted.ts';
import {isFocus, parseContacts} from '../../codecs/sip-headers/contact.ts';
import {opaqueId} from '../../codecs/sip-headers/cpm-ids.ts';
import {hasIcsi, sipInstance} from '../../codecs/sip-headers/features.ts';
import {formatNameAddr, parseNameAddr, parseNameAddrs} from '../../codecs/sip-headers/name-addr.ts';
import {parseSipUri} from '../../codecs/sip-headers/sip-uri.ts';
import {parseReferredBy} from '../../codecs/sip-headers/referred-by.ts';
import {CpmError} from '../../errors.ts';
import type {MsrpTransport} from '../../ports/media-plane.ts';
import type {IncomingRequest, SipMessageView, SipRequestView, SipResponseView} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import {offeredTransports} from '../session-description.ts';

/** A 1-1 CPM session invitation for a served user, read once. */
export interface Invitation {
  readonly servedUser: string;
  /** The identity that was addressed, as a SIP URI. */
  readonly recipientAddress: string;
  /** Canonical address of the authenticated originator (6.1). */
  readonly sender: string;
  readonly senderAddress: string;
  readonly senderInstance: string | undefined;
  readonly conversationId: string;
  readonly contributionId: string;
  readonly subject: string | undefined;
  /** The SDP offer, text. */
  readonly offer: string;
  /** Those of the MSRP sessions it offers, in its order. */
  readonly transports: readonly MsrpTransport[];
  /** A first message that rode in the INVITE. */
  readonly firstMessage: {readonly contentType: string; readonly bytes: Uint8Array} | undefined;
  /** Where the B2BUA's own requests go on: what the Route names after the PF (decision: the core's way is kept). */
  readonly route: readonly string[];
  /** Headers that pass from leg to leg (row E7), by their written names. */
  readonly passed: Readonly<Record<string, string>>;
  /** The SIP server that it came through: the call stays on it. */
  readonly server: string;
  /** What the core says of the user's registration (RFC 5502 `regstate`); undefined where it says nothing. */
  readonly registered: boolean | undefined;
}

/** Headers which belong to the CPM session and not to one dialog; all others are each leg's own (T60). */
export const passedNames = [
  'Conversation-ID',
  'Contribution-ID',
  'InReplyTo-Contribution-ID',
  'Session-Replaces',
  'Subject',
  'Privacy',
  'Referred-By',
  'History-Info',
  'P-Asserted-Identity',
  'P-Asserted-Service',
  'P-Charging-Vector',
  'P-Charging-Function-Addresses',
  'P-Access-Network-Info',
  'Date',
];

/** Headers of a device's 200 that belong to the call, and pass back (RFC 3325, RFC 7315 §4). */
const passedBackNames = [
  'P-Asserted-Identity',
  'Privacy',
  'P-Charging-Vector',
  'P-Charging-Function-Addresses',
  'P-Access-Network-Info',
];

/** Whether a request asks for a CPM session: by Accept-Contact, by the asserted service, or by the inviter's own Contact. */
export function isCpmSession(request: SipRequestView): boolean {
  const service = request.header('P-Asserted-Service') ?? request.header('P-Preferred-Service');
  return (
    asksForIcsi(request.header('Accept-Contact'), ICSI.session) ||
    (service !== undefined && parseAssertedService(service).some((icsi) => isService(icsi, ICSI.session))) ||
    contactOf(request)?.cpm === true
  );
}

/** Whether a client asks for a session of a group: with a conference factory, or a focus. */
export function asksForGroupSession(request: SipRequestView): boolean {
  const service = request.header('P-Asserted-Service') ?? request.header('P-Preferred-Service');
  return (
    /\brecipient-list-invite\b/i.test(request.header('Require') ?? '') ||
    asksForIcsi(request.header('Accept-Contact'), ICSI.sessionGroup) ||
    (service !== undefined && parseAssertedService(service).some((icsi) => isService(icsi, ICSI.sessionGroup)))
  );
}

/** Whether a conference focus invites: a group session. */
export const isGroupInvitation = (request: SipRequestView): boolean => contactOf(request)?.focus === true;

/** `+sip.instance` of whoever says it. */
export const instanceOf = (message: SipMessageView): string | undefined => contactOf(message)?.instance;

function contactOf(message: SipMessageView): {cpm: boolean; focus: boolean; instance: string | undefined} | undefined {
  const header = message.header('Contact');
  if (header === undefined) return undefined;
  const [contact] = parseContacts(header);
  if (contact === undefined) return undefined;
  return {
    cpm: hasIcsi(contact.params, ICSI.session),
    focus: isFocus(contact),
    instance: sipInstance(contact.params),
  };
}

/**
 * In which direction the core invokes the PF: P-Served-User (RFC 5502) from a trusted peer, else the configured markers, else terminating
 * where the Request-URI's user is served.
 */
export function directionOf(request: SipRequestView, context: Pick<Context, 'policy'>): 'originating' | 'terminating' {
  const sessionCase = servedUserOf(request, context)?.sessionCase;
  if (sessionCase !== undefined) return sessionCase === 'orig' ? 'originating' : 'terminating';
  const {policy} = context;
  return isMarked(request, policy.originatingMarker) && !isMarked(request, policy.terminatingMarker)
    ? 'originating'
    : 'terminating';
}

function isMarked(request: SipRequestView, marker: string): boolean {
  const route = request.header('Route');
  const uris = [
    request.uri,
    ...(route === undefined
      ? []
      : parseNameAddrs(route)
          .slice(0, 1)
          .map(({uri}) => uri)),
  ];
  const [, top] = uris;
  if (top !== undefined && /^sips?:/i.test(top) && parseSipUri(top).user === marker) return true;
  return uris.some((uri) => /^sips?:/i.test(uri) && parseSipUri(uri).params.has(marker.toLowerCase()));
}

/** What our 200 says of the call: what the device's said; where the PF itself accepts, the charging identifier of the INVITE (RFC 7315 §4.6). */
export function passedBack({passed}: Invitation, answer: SipResponseView | undefined): Record<string, string> {
  return answer === undefined
    ? pickHeaders(['P-Charging-Vector'], {header: (name) => passed[name]})
    : pickHeaders(passedBackNames, answer);
}

/** Those of the headers that are there, as they stand. */
export function pickHeaders(names: readonly string[], message: Pick<SipMessageView, 'header'>): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const name of names) {
    const value = message.header(name);
    if (value !== undefined) picked[name] = value;
  }

  return picked;
}

/** The served user as a trusted core names him (RFC 5502). */
function servedUserOf(
  request: SipRequestView,
  {policy}: Pick<Context, 'policy'>,
): ReturnType<typeof parseServedUser> | undefined {
  const served = request.header('P-Served-User');
  return served !== undefined && policy.trusts(request.source.address) ? parseServedUser(served) : undefined;
}

/** What the core says of the user's registration (RFC 5502 `regstate`); undefined where it says nothing. */
export function isRegistered(request: SipRequestView, context: Pick<Context, 'policy'>): boolean | undefined {
  const state = servedUserOf(request, context)?.registrationState;
  return state === undefined ? undefined : state === 'reg';
}

/** The identity that a terminating request is for: P-Served-User of a trusted peer, else the Request-URI. */
export function recipientOf(request: SipRequestView, context: Pick<Context, 'policy'>): string {
  return servedUserOf(request, context)?.uri ?? request.uri;
}

/** The identity of the served user who calls: P-Served-User of a trusted peer, else as `senderOf`. */
export function originatorOf(request: SipRequestView, context: Pick<Context, 'policy'>): string {
  return servedUserOf(request, context)?.uri ?? senderOf(request).address;
}

/**
 * The authenticated originator's CPM address (6.1): Referred-By, else P-Asserted-Identity, else, behind a core that asserts nothing, From.
 * @throws CpmError `CPM_NO_SENDER` (400) when no header names one.
 */
export function senderOf(request: SipRequestView): {readonly key: string; readonly address: string} {
  const referredBy = request.header('Referred-By');
  const asserted = request.header('P-Asserted-Identity');
  const from = request.header('From');
  const candidates = [
    ...(referredBy === undefined ? [] : [parseReferredBy(referredBy)]),
    ...(asserted === undefined ? [] : parseAssertedIdentity(asserted).map(({uri}) => uri)),
    ...(from === undefined ? [] : [parseNameAddr(from).uri]),
  ];
  for (const address of candidates) {
    const key = canonicalAddress(address);
    if (key !== undefined) return {key, address};
  }

  throw new CpmError('CPM_NO_SENDER', 400, 'no header names the sender');
}

/**
 * Reads a terminating 1-1 invitation.
 * @throws CpmError with the SIP status that answers it: `CPM_NO_SESSION_IDS` (400), `CPM_NO_SENDER` (400), `CPM_NO_OFFER` (488), or a codec's.
 */
export function readInvitation(
  request: IncomingRequest,
  servedUser: string,
  {policy, sip}: Pick<Context, 'policy' | 'sip'>,
): Invitation {
  const conversationId = opaqueId(request.header('Conversation-ID'));
  const contributionId = opaqueId(request.header('Contribution-ID'));
  if (conversationId === undefined || contributionId === undefined) {
    throw new CpmError('CPM_NO_SESSION_IDS', 400, 'Conversation-ID or Contribution-ID is missing');
  }

  const sender = senderOf(request);
  const {offer, firstMessage} = readBody(request);
  return {
    servedUser,
    recipientAddress: asSipRequestUri(recipientOf(request, {policy}), policy.homeDomain),
    sender: sender.key,
    senderAddress: sender.address,
    senderInstance: instanceOf(request),
    conversationId,
    contributionId,
    subject: request.header('Subject'),
    offer,
    transports: offeredTransports(offer),
    firstMessage,
    route: remainingRoute(request, sip.isOwn),
    server: request.server,
    passed: pickHeaders(passedNames, request),
    registered: isRegistered(request, {policy}),
  };
}

function readBody(request: SipRequestView): Pick<Invitation, 'offer' | 'firstMessage'> {
  const contentType = request.header('Content-Type') ?? '';
  const parts = isMultipart(contentType)
    ? parseMultipart(request.body, contentType).map((part) => ({contentType: part.contentType ?? '', bytes: part.body}))
    : [{contentType, bytes: request.body}];
  const offer = parts.find((part) => /^application\/sdp\b/i.test(part.contentType));
  if (offer === undefined) throw new CpmError('CPM_NO_OFFER', 488, 'the INVITE offers no session description');
  return {
    offer: Buffer.from(offer.bytes).toString('utf8'),
    firstMessage: parts.find((part) => /^message\/cpim\b/i.test(part.contentType)),
  };
}

/**
 * What the Route names after the PF itself, as it stands: the original dialog identifier is in there (TS 24.229 §5.7.5). The topmost one led here
 * (RFC 3261 §16.4), maybe under a name that we do not know; a single one that is not ours is where to go on.
 */
export function remainingRoute(request: SipRequestView, isOwn: (uri: string) => boolean): readonly string[] {
  const header = request.header('Route');
  if (header === undefined) return [];
  const route = parseNameAddrs(header);
  const rest = route.slice(route.length > 1 ? 1 : 0);
  const next = rest.findIndex(({uri}) => !isOwn(uri));
  return (next === -1 ? [] : rest.slice(next)).map((entry) => formatNameAddr(entry));
}
