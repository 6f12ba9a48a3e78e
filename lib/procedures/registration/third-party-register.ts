import {isMultipart, parseMultipart} from '../../codecs/multipart.ts';
import {parseAssertedIdentity} from '../../codecs/sip-headers/asserted.ts';
import {parseContacts} from '../../codecs/sip-headers/contact.ts';
import {hasIcsi, hasSipIm, sipInstance} from '../../codecs/sip-headers/features.ts';
import {parseNameAddr, type NameAddr} from '../../codecs/sip-headers/name-addr.ts';
import {
  headerOf,
  headersOf,
  parseSipMessage,
  streamLimits,
  type SipMessage,
} from '../../embedded-drachtio/sip-message.ts';
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

  let registration = readRegistration(request, servedUser, address, expires, clock.now());
  const told = registration.contacts.every(({id}) => id !== unknownId);
  // A reg event has told the devices already: a REGISTER without a body does not make us forget them.
  const before = told || regEvents === undefined ? undefined : await users.registration(servedUser);
  if (before !== undefined) registration = {...registration, contacts: before.contacts};
  await users.learn(registration);
  await request.respond(200, reply);
  const cpm = registration.contacts.some((contact) => contact.cpm !== 'no');
  log.info(
    {clause: 'CPM-CF 8.3.2.9.1.2 C1', devices: registration.contacts.length, cpm, node: policy.node},
    'a served user is registered',
  );
  if (cpm) deliveries.trigger(servedUser, 'registration');
  if (!told) void regEvents?.watch(registration);
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

function readRegistration(
  request: SipRequestView,
  servedUser: string,
  address: string,
  expires: number,
  now: number,
): Registration {
  const expiresAt = now + expires * 1000;
  const embedded = embeddedMessages(request);
  const register = embedded.find((message) => message.kind === 'request' && message.method === 'REGISTER');
  const response = embedded.find((message) => message.kind === 'response' && message.status === 200);
  const associated = joined(response, 'P-Associated-URI');
  const addresses = [
    address,
    ...(associated === undefined ? [] : parseAssertedIdentity(associated).map(({uri}) => uri)),
  ];
  const identities = new Set([
    servedUser,
    ...addresses.map((uri) => canonicalAddress(uri)).filter((key) => key !== undefined),
  ]);
  // The registrar's 200 lists every contact of the user with its GRUU; the request only the one that came now.
  const contacts = parseContacts(joined(response, 'Contact') ?? joined(register, 'Contact') ?? '*');
  const [node] = parseContacts(request.header('Contact') ?? '*');
  return {
    servedUser,
    identities: [...identities],
    contacts:
      contacts.length === 0
        ? [unknownDevice(expiresAt)]
        : contacts.map((contact) => toContact(contact, register, expiresAt, now)),
    servingNode: node?.uri,
    expiresAt,
  };
}

const unknownDevice = (expiresAt: number): RegisteredContact => ({
  id: unknownId,
  uri: undefined,
  instance: undefined,
  publicGruu: undefined,
  cpm: 'unknown',
  userAgent: undefined,
  expiresAt,
});

function toContact(
  contact: NameAddr,
  register: SipMessage | undefined,
  expiresAt: number,
  now: number,
): RegisteredContact {
  const instance = sipInstance(contact.params);
  const seconds = Number.parseInt(contact.params.get('expires') ?? '', 10);
  return {
    id: instance ?? contact.uri,
    uri: contact.uri,
    instance,
    publicGruu: contact.params.get('pub-gruu'),
    cpm: hasIcsi(contact.params, ICSI.session) || hasSipIm(contact.params) ? 'yes' : 'no',
    userAgent: register && headerOf(register, 'User-Agent'),
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
    .map((part) => parseSipMessage(part.body, streamLimits));
}
