import {parseReginfo, type ContactInfo, type RegistrationInfo, type Reginfo} from '../../codecs/reginfo.ts';
import {hasIcsi, hasSipIm, sipInstance} from '../../codecs/sip-headers/features.ts';
import {asSipRequestUri, canonicalAddress} from '../../cpm/address.ts';
import {ICSI} from '../../cpm/feature-tags.ts';
import type {RegisteredContact, Registration} from '../../ports/registrations.ts';
import type {Subscription} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import {routeTo} from '../terminating/delivery-invite.ts';

/** Longer than any registration; the S-CSCF shortens it (TS 24.229 §5.7.1.1). */
const subscriptionSeconds = 600_000;
/** Contacts whose document names no expiry live as long as the third-party registration says, at least this long. */
const contactSeconds = 3600;

/** Subscriptions to the reg event: which devices a registered user has (RFC 3680), where the third-party REGISTER tells only that he is there. */
export interface RegEvents {
  /** Subscribes once per user; says nothing when the core refuses, the third-party REGISTER alone counts then. */
  watch(registration: Registration): Promise<void>;
  unwatch(servedUser: string): Promise<void>;
}

/** What the documents of one subscription have told so far (RFC 3680 §5.2): tables by registration and contact id. */
export interface RegState {
  readonly version: number | undefined;
  readonly registrations: ReadonlyMap<string, RegistrationInfo>;
}

/**
 * The state after one more document. `refresh` asks for a full document: something was missed. An old document changes nothing.
 * @clause RFC 3680 §5.2 E9
 */
export function applyReginfo(
  state: RegState,
  document: Reginfo,
): {readonly state: RegState; readonly refresh: boolean} {
  const {version} = state;
  if (version !== undefined && document.version <= version) return {state, refresh: false};
  const registrations = new Map(document.state === 'full' ? [] : state.registrations);
  for (const registration of document.registrations) {
    const contacts = new Map(registrations.get(registration.id)?.contacts.map((contact) => [contact.id, contact]));
    for (const contact of registration.contacts) contacts.set(contact.id, contact);
    registrations.set(registration.id, {...registration, contacts: [...contacts.values()]});
  }

  const missed = document.state === 'partial' && document.version > (version ?? -1) + 1;
  return {state: {version: document.version, registrations}, refresh: missed};
}

/** The registration that the tables amount to; undefined when nobody is registered any more. */
export function registrationOf({registrations}: RegState, known: Registration, now: number): Registration | undefined {
  const active = [...registrations.values()].filter(({state}) => state === 'active');
  if (active.length === 0) return undefined;
  const contacts = new Map<string, RegisteredContact>();
  for (const {contacts: listed} of active) {
    for (const contact of listed) {
      if (contact.state === 'active')
        contacts.set(sipInstance(contact.params) ?? contact.uri, toContact(contact, known, now));
    }
  }

  const identities = active.map(({aor}) => canonicalAddress(aor)).filter((key) => key !== undefined);
  return {...known, identities: [...new Set([...known.identities, ...identities])], contacts: [...contacts.values()]};
}

function toContact(contact: ContactInfo, known: Registration, now: number): RegisteredContact {
  const instance = sipInstance(contact.params);
  const seconds = contact.expiresSeconds;
  return {
    id: instance ?? contact.uri,
    uri: contact.uri,
    instance,
    publicGruu: contact.publicGruu,
    cpm: hasIcsi(contact.params, ICSI.session) || hasSipIm(contact.params) ? 'yes' : 'no',
    userAgent: undefined,
    expiresAt: seconds === undefined ? Math.max(known.expiresAt, now + contactSeconds * 1000) : now + seconds * 1000,
  };
}

/** Keeps one subscription per registered user on this node. */
export function createRegEvents(context: Context): RegEvents {
  const {sip, users, deliveries, clock, log, policy} = context;
  const subscriptions = new Map<string, Subscription | 'asking'>();
  const where = {clause: 'CPM-CF 8.3.2.9.1.2 C1'};

  async function watch(registration: Registration): Promise<void> {
    const {servedUser, servingNode} = registration;
    if (subscriptions.has(servedUser)) return;
    subscriptions.set(servedUser, 'asking');
    const [identity = servedUser] = registration.identities;
    try {
      const subscription = await sip.subscribe({
        uri: asSipRequestUri(identity, policy.homeDomain),
        event: 'reg',
        expiresSeconds: subscriptionSeconds,
        headers: {Accept: 'application/reginfo+xml', 'P-Asserted-Identity': `<${policy.deferredMsgMgmtUri}>`},
        ...(servingNode === undefined ? {} : {route: [routeTo(servingNode)]}),
        ...(servingNode === undefined && policy.outboundProxy !== undefined ? {nextHop: policy.outboundProxy} : {}),
      });
      subscriptions.set(servedUser, subscription);
      listen(subscription, registration);
    } catch (error) {
      subscriptions.delete(servedUser);
      log.info({...where, error}, 'the core gives no reg event; the third-party REGISTER alone counts');
    }
  }

  function listen(subscription: Subscription, registration: Registration): void {
    const {servedUser} = registration;
    let state: RegState = {version: undefined, registrations: new Map()};
    let learning = Promise.resolve();
    subscription.onEnd = (why, lost) => {
      if (subscriptions.get(servedUser) !== subscription) return;
      subscriptions.delete(servedUser);
      log.info({...where, why}, 'a reg event subscription ended');
      if (lost) void watch(registration);
    };
    subscription.onNotify = (notify) => {
      try {
        const next = applyReginfo(state, parseReginfo(notify.body));
        state = next.state;
        if (next.refresh) void subscription.refresh();
        const told = state;
        learning = learning.then(async () => {
          // What the core said of the user meanwhile counts: until when, and where.
          const known = (await users.registration(servedUser)) ?? registration;
          await learn(registrationOf(told, known, clock.now()), servedUser);
        });
      } catch (error) {
        log.info({...where, error}, 'a reg event document cannot be read and changes nothing');
      }
    };
  }

  async function learn(registration: Registration | undefined, servedUser: string): Promise<void> {
    if (registration === undefined) {
      await users.forget(servedUser);
      log.info(where, 'the reg event says that a served user is no longer registered');
      return;
    }

    await users.learn(registration);
    if (registration.contacts.some(({cpm}) => cpm !== 'no')) deliveries.trigger(servedUser, 'registration');
  }

  return {
    watch,
    async unwatch(servedUser) {
      const subscription = subscriptions.get(servedUser);
      subscriptions.delete(servedUser);
      if (subscription !== undefined && subscription !== 'asking') await subscription.end();
    },
  };
}
