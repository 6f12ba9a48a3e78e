import {createBoundedMap} from '../../cpm/bounded-map.ts';
import {canonicalAddress} from '../../cpm/address.ts';
import type {Hooks} from '../../hooks/lifecycle.ts';
import type {Log} from '../../ports/log.ts';
import type {RegisteredContact, Registration} from '../../ports/registrations.ts';
import type {Store} from '../../ports/store.ts';
import type {Clock} from '../../ports/clock.ts';
import {viewOfRegistration} from '../views.ts';

/** Who is served, as configured: users with their identities, whole domains, number ranges, and a hook that may say more. */
export interface ServedRules {
  /** Each user's identities, the first one is his key. */
  readonly users: readonly (readonly string[])[];
  readonly domains: readonly string[];
  /** Prefixes of international numbers, `+1555`. */
  readonly numberPrefixes: readonly string[];
  /** Users (by key) whose messages are not kept while they are away; the others' are as `deferral` says. */
  readonly deferralOf: (servedUser: string) => boolean;
  /** Users (by key) who let their sessions be recorded. */
  readonly allowsOfflineStorage: (servedUser: string) => boolean;
  /** Asked when no rule knows the identity: the key, or undefined for "not served". */
  readonly lookup?: (identity: string) => Promise<string | undefined>;
}

/**
 * One served user has many identities: tel:, `sip:…;user=phone`, the implicit registration set. Here they lead to his one key, also while the
 * store is away: what was learned stays in memory.
 */
export interface ServedUsers {
  /** The user's key, or undefined where nobody here serves this identity. */
  resolve(address: string): Promise<string | undefined>;
  /** What a registration taught; kept durably, and in memory until the store took it. Resolves when it is in memory. */
  learn(registration: Registration): Promise<void>;
  /** De-registered: no contacts any more. */
  forget(servedUser: string): Promise<void>;
  /** His registration while it runs. */
  registration(servedUser: string): Promise<Registration | undefined>;
  /** Devices that can take a CPM session now (T37): active contacts which are, or may be, CPM clients. */
  devices(servedUser: string): Promise<readonly RegisteredContact[]>;
  /** Whether messages are kept for him while he is away. */
  defers(servedUser: string): boolean;
  /** Whether he lets his sessions be recorded (8.5.2). */
  allowsOfflineStorage(servedUser: string): boolean;
  /** What came for another key moves to this user's, the order of messages kept. Rejects with `CPM_STORE_AWAY`; may be repeated. */
  join(other: string, servedUser: string): Promise<void>;
  /** Writes what the store did not take yet. */
  flush(): Promise<void>;
  /** Serves those whom other rules name from now on; what registrations taught stays. */
  follow(rules: ServedRules): void;
}

/** Devices of a registration that can take a CPM session at `now` (ms): active contacts which are, or may be, CPM clients (T37). */
export const cpmDevices = (registration: Registration | undefined, now: number): readonly RegisteredContact[] =>
  registration?.contacts.filter((contact) => contact.cpm !== 'no' && contact.expiresAt > now) ?? [];

/** Bounded memory: the longest unchanged entry goes first. A million users would need ten nodes anyway. */
const mostRemembered = 100_000;

export function createServedUsers(deps: {
  readonly rules: ServedRules;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly hooks?: Pick<Hooks, 'afterRegistration'>;
  /** Another key turned out to be this user's: resolves once nothing is written under it any more. */
  readonly onJoin?: (other: string, servedUser: string) => Promise<void>;
}): ServedUsers {
  const {store, clock, log, hooks = {}, onJoin} = deps;
  let {rules} = deps;
  let configured = keysByIdentity(rules);
  const unwritten = new Map<string, Registration>();
  const known = createBoundedMap<string, string>(mostRemembered);
  /** The last word on each user, for the time when the store is away. */
  const remembered = createBoundedMap<string, Registration>(mostRemembered);

  const inRules = (identity: string): boolean => {
    if (identity.startsWith('tel:')) {
      return rules.numberPrefixes.some((prefix) => identity.startsWith(`tel:${prefix}`));
    }

    const domain = identity.slice(identity.indexOf('@') + 1);
    return rules.domains.some((served) => served.toLowerCase() === domain);
  };

  async function learnedKey(identity: string): Promise<string | undefined> {
    const learned = known.get(identity);
    if (learned !== undefined) return learned;
    try {
      const key = await store.registrations.servedUserOf(identity);
      if (key !== undefined) known.set(identity, key);
      return key;
    } catch (error) {
      log.debug({error}, 'identities cannot be looked up while the store is away');
      return undefined;
    }
  }

  async function write(registration: Registration): Promise<void> {
    const {servedUser} = registration;
    const others = new Set<string>();
    for (const identity of registration.identities) {
      const former = await store.registrations.servedUserOf(identity);
      if (former !== undefined && former !== servedUser) others.add(former);
      if (former === undefined && identity !== servedUser) others.add(identity);
    }

    // Once before, so that a failure leaves them to be found again, and once after: something may have come for them meanwhile.
    for (const other of others) await join(other, servedUser);
    await store.registrations.put(registration);
    for (const other of others) await join(other, servedUser);
  }

  /** What came for an identity before it was known to be this user's moves to his key. */
  async function join(other: string, servedUser: string): Promise<void> {
    await onJoin?.(other, servedUser);
    const [moved] = await Promise.all([
      store.deferredQueue.adopt(other, servedUser),
      store.messageStore.adopt(other, servedUser),
      store.groupSessions.adopt(other, servedUser),
    ]);
    if (moved > 0)
      log.info({clause: 'CPM-CF 8.3.2.9.1.1', moved}, 'pending messages of another identity joined their user');
  }

  const users: ServedUsers = {
    async resolve(address) {
      const identity = canonicalAddress(address);
      if (identity === undefined) return undefined;
      const key = configured.get(identity) ?? (await learnedKey(identity));
      if (key !== undefined) return key;
      if (inRules(identity)) return identity;
      return rules.lookup?.(identity);
    },
    async learn(registration) {
      for (const identity of registration.identities) known.set(identity, registration.servedUser);
      unwritten.set(registration.servedUser, registration);
      remembered.set(registration.servedUser, registration);
      await users.flush();
      hooks.afterRegistration?.(viewOfRegistration(registration, true));
    },
    async forget(servedUser) {
      unwritten.delete(servedUser);
      remembered.delete(servedUser);
      try {
        await store.registrations.remove(servedUser);
      } catch (error) {
        log.warn({error}, 'a de-registration is remembered until the store is back');
        unwritten.set(servedUser, {servedUser, identities: [], contacts: [], servingNode: undefined, expiresAt: 0});
      }

      hooks.afterRegistration?.(viewOfRegistration({servedUser, identities: [], contacts: []}, false));
    },
    async registration(servedUser) {
      let registration = unwritten.get(servedUser);
      if (registration === undefined) {
        try {
          registration = await store.registrations.get(servedUser);
          if (registration === undefined) remembered.delete(servedUser);
          else remembered.set(servedUser, registration);
        } catch (error) {
          log.debug({error}, 'the store is away: the last known registration counts');
          registration = remembered.get(servedUser);
        }
      }

      return registration !== undefined && registration.expiresAt > clock.now() ? registration : undefined;
    },
    async devices(servedUser) {
      return cpmDevices(await users.registration(servedUser), clock.now());
    },
    join,
    defers: (servedUser) => rules.deferralOf(servedUser),
    allowsOfflineStorage: (servedUser) => rules.allowsOfflineStorage(servedUser),
    follow(next) {
      rules = next;
      configured = keysByIdentity(next);
    },
    async flush() {
      for (const registration of [...unwritten.values()]) {
        try {
          if (registration.contacts.length === 0 && registration.identities.length === 0) {
            await store.registrations.remove(registration.servedUser);
          } else {
            await write(registration);
          }

          if (unwritten.get(registration.servedUser) === registration) unwritten.delete(registration.servedUser);
        } catch (error) {
          log.warn({error}, 'a registration is remembered until the store is back');
          return;
        }
      }
    },
  };
  return users;
}

/** The key of each user whom the rules name, by each of his identities. */
function keysByIdentity(rules: ServedRules): ReadonlyMap<string, string> {
  const configured = new Map<string, string>();
  for (const identities of rules.users) {
    const keys = identities.map((identity) => canonicalAddress(identity)).filter((key) => key !== undefined);
    for (const key of keys) configured.set(key, keys[0] ?? key);
  }

  return configured;
}
