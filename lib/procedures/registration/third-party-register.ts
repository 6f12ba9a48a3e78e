import {isMultipart, parseMultipart} from '../../codecs/multipart.ts';
import {parseAssertedIdentity} from '../../codecs/sip-headers/asserted.ts';
import {parseContacts} from '../../codecs/sip-headers/contact.ts';
import {hasIcsi, hasSipIm, sipInstance} from '../../codecs/sip-headers/features.ts';
import {parseNameAddr, type NameAddr} from '../../codecs/sip-headers/name-addr.ts';
import {headerOf, headersOf, parseSipMessage, streamLimits, type SipMessage} from '../../codecs/sip-message.ts';
import {canonicalAddress} from '../../cpm/address.ts';
import {ICSI} from '../../cpm/feature-tags.ts';
import {CpmError} from '../../errors.ts';
import type {RegisteredContact, Registration} from '../../ports/registrations.ts';
import type {IncomingRequest, SipRequestView} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import type {RegEvents} from './reg-event.ts';

/** Seconds that count when a third-party REGISTER names none (RFC 3261 §10.2). */
const defaultExpires = 3600;

/** The device that is there when nobody tells which. */
const unknownId = 'unknown';

/** The S-CSCF registers for somebody else: From is its own, To is the user's (TS 24.229 §5.4.1.7). */
export function isThirdPartyRegister(request: SipRequestView): boolean {
  const from = request.header('From');
  const to = request.header('To');
  return from !== undefined && to !== undefined && parseNameAddr(from).uri !== parseNameAddr(to).uri;
}

/**
 * A third-party REGISTER: who is there, with which devices, and the trigger to hand over what waits. Always answered at once: while the
 * store is away it is remembered. Without a body the user has one device of unknown instance (T37: Expires 0 is nobody).
 * @clause CPM-CF 8.3.2.9.1.2 C1
 */
export async function handleThirdPartyRegister(
  context: Context,
  regEvents: RegEvents | undefined,
  request: IncomingRequest,
): Promise<void> {
  const {users, deliveries, clock, log, policy} = context;
  const address = parseNameAddr(request.header('To') ?? '').uri;
  const servedUser = await users.resolve(address);
  const expires = expiresOf(request);
  const reply = {headers: {...contactEcho(request, expires)}};
  if (servedUser === undefined) {
    log.info({clause: 'TS 24.229 §5.4.1.7'}, 'a registration of a user who is not served here changes nothing');
    await request.respond(200, reply);
    return;
  }

  if (expires === 0) {
    await users.forget(servedUser);
    await regEvents?.unwatch(servedUser);
    await request.respond(200, reply);
    log.info({clause: 'CPM-CF 8.3.2.9.1.2 C1'}, 'a served user is no longer registered');
    return;
  }

  const before = await users.registration(servedUser);
  const registration = readRegistration({request, servedUser, address, expires, before, now: clock.now()});
  await users.learn(registration);
  await request.respond(200, reply);
  const cpm = registration.contacts.some((contact) => contact.cpm !== 'no');
  log.info(
    {clause: 'CPM-CF 8.3.2.9.1.2 C1', devices: registration.contacts.length, cpm, node: policy.node},
    'a served user is registered',
  );
  if (cpm) deliveries.trigger(servedUser, 'registration');
  if (registration.contacts.some(({id}) => id === unknownId)) void regEvents?.watch(registration);
}

function expiresOf(request: SipRequestView): number {
  const [contact] = parseContacts(request.header('Contact') ?? '*');
  const text = contact?.params.get('expires') ?? request.header('Expires');
  if (text === undefined) return defaultExpires;
  if (!/^\d{1,10}$/.test(text.trim())) throw new CpmError('CPM_EXPIRES', 400, 'Expires is no number of seconds');
  return Number(text);
}

function contactEcho(request: SipRequestView, expires: number): Record<string, string> {
  const contact = request.header('Contact');
  return {Expires: String(expires), ...(contact === undefined || contact.trim() === '*' ? {} : {Contact: contact})};
}

interface Told {
  readonly request: SipRequestView;
  readonly servedUser: string;
  readonly address: string;
  /** Seconds. */
  readonly expires: number;
  readonly before: Registration | undefined;
  readonly now: number;
}

function readRegistration({request, servedUser, address, expires, before, now}: Told): Registration {
  const expiresAt = now + expires * 1000;
  const embedded = embeddedMessages(request);
  const register = embedded.find((message) => message.kind === 'request' && message.method === 'REGISTER');
  const response = embedded.find((message) => message.kind === 'response' && message.status === 200);
  const associated = joined(response, 'P-Associated-URI');
  const addresses = [
    address,
    ...(associated === undefined ? [] : parseAssertedIdentity(associated).map(({uri}) => uri)),
  ];
  const identities = [servedUser, ...addresses.map((uri) => canonicalAddress(uri)).filter((key) => key !== undefined)];
  const listed = joined(response, 'Contact') ?? joined(register, 'Contact');
  const said = parseContacts(joined(register, 'Contact') ?? '*');
  const named = parseContacts(listed ?? '*').map((contact) =>
    toContact(contact, {said, register, before, expiresAt, now}),
  );
  // The registrar's 200 lists every device; the request alone only the one that came now, or went (expires=0). Without either, what is
  // known of his devices stays.
  const others = (response === undefined ? before?.contacts : [])?.filter(
    ({id}) => id !== unknownId && named.every((contact) => contact.id !== id),
  );
  const contacts = [...(others ?? []), ...named].filter((contact) => contact.expiresAt > now);
  const [node] = parseContacts(request.header('Contact') ?? '*');
  return {
    servedUser,
    identities: [...new Set(identities)],
    contacts: contacts.length === 0 && listed === undefined ? [unknownDevice(expiresAt)] : contacts,
    servingNode: node?.uri,
    expiresAt,
  };
}

/** Some device of a user who is registered, until `expiresAt`: the core finds it. */
export const unknownDevice = (expiresAt: number): RegisteredContact => ({
  id: unknownId,
  uri: undefined,
  instance: undefined,
  publicGruu: undefined,
  cpm: 'unknown',
  userAgent: undefined,
  expiresAt,
});

interface Surroundings {
  /** Contacts of the phone's own REGISTER: they alone carry its features, a registrar's 200 need not repeat them. */
  readonly said: readonly NameAddr[];
  readonly register: SipMessage | undefined;
  readonly before: Registration | undefined;
  readonly expiresAt: number;
  readonly now: number;
}

function toContact(contact: NameAddr, {said, register, before, expiresAt, now}: Surroundings): RegisteredContact {
  const own = said.find(({uri}) => uri === contact.uri);
  const known = before?.contacts.find(({uri}) => uri === contact.uri);
  const instance = sipInstance(contact.params) ?? (own && sipInstance(own.params)) ?? known?.instance;
  const seconds = Number.parseInt(contact.params.get('expires') ?? '', 10);
  const isCpm = [contact, own].some((each) => each && (hasIcsi(each.params, ICSI.session) || hasSipIm(each.params)));
  return {
    id: instance ?? contact.uri,
    uri: contact.uri,
    instance,
    publicGruu: contact.params.get('pub-gruu') ?? known?.publicGruu,
    cpm: isCpm ? 'yes' : own === undefined ? (known?.cpm ?? 'unknown') : 'no',
    userAgent: own === undefined ? known?.userAgent : register && headerOf(register, 'User-Agent'),
    expiresAt: Number.isNaN(seconds) ? expiresAt : Math.min(expiresAt, now + seconds * 1000),
  };
}

/** All values of a header as one list; undefined where there is none. */
function joined(message: SipMessage | undefined, name: string): string | undefined {
  const values = message === undefined ? [] : headersOf(message, name);
  return values.length === 0 ? undefined : values.join(', ');
}

function embeddedMessages(request: SipRequestView): readonly SipMessage[] {
  const contentType = request.header('Content-Type');
  if (contentType === undefined || request.body.length === 0) return [];
  const parts = isMultipart(contentType)
    ? parseMultipart(request.body, contentType)
    : [{contentType, body: request.body}];
  return parts
    .filter((part) => /^message\/sip\b/i.test(part.contentType ?? ''))
    .map((part) => parseSipMessage(withEnd(part.body), streamLimits));
}

/** The line break before a boundary belongs to the boundary (RFC 2046 §5.1.1): a message without body may have lost the empty line at its end. */
const withEnd = (bytes: Uint8Array): Uint8Array =>
  Buffer.from(bytes).includes('\r\n\r\n') ? bytes : Buffer.concat([bytes, Buffer.from('\r\n\r\n')]);
