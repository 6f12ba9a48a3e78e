/**
 * Registrations in memory in front of the file. Nobody else writes that file, so what was read of it stays true until this process changes it;
 * every message for somebody who is away asks twice.
 */
import {createBoundedMap} from '../../cpm/bounded-map.ts';
import type {Registration, Registrations} from '../../ports/registrations.ts';

/** Entries of each kind; a registration has about 1 KB. */
const most = 20_000;

/** `file` while it is `available` and for all that is not remembered; what is known to be absent is remembered, too. */
export function remembered(
  file: Registrations,
  available: () => boolean,
): Registrations & {
  /** Remembers nothing any more: the file was changed by another way. */
  clear(): void;
} {
  const users = createBoundedMap<string, {readonly registration: Registration | undefined}>(most);
  const keys = createBoundedMap<string, {readonly user: string | undefined}>(most);
  /** Grows before and after each change: what was read meanwhile may be older or newer, and is not remembered. */
  let changes = 0;

  const forget = ({servedUser, identities}: Pick<Registration, 'servedUser' | 'identities'>): void => {
    changes += 1;
    users.delete(servedUser);
    for (const identity of identities) keys.delete(identity);
  };

  /** Whether the change succeeded or not: it may have been made. */
  async function change(
    what: Pick<Registration, 'servedUser' | 'identities'>,
    made: () => Promise<void>,
  ): Promise<void> {
    forget(what);
    try {
      await made();
    } finally {
      forget(what);
    }
  }

  return {
    put: (registration) => change(registration, () => file.put(registration)),
    remove: (servedUser) => change({servedUser, identities: []}, () => file.remove(servedUser)),
    clear() {
      changes += 1;
      users.clear();
      keys.clear();
    },
    identitiesOf: (servedUser) => file.identitiesOf(servedUser),
    async get(servedUser) {
      const known = available() ? users.get(servedUser) : undefined;
      if (known !== undefined) return known.registration;
      const before = changes;
      const registration = await file.get(servedUser);
      if (before === changes) users.set(servedUser, {registration});
      return registration;
    },
    async servedUserOf(identity) {
      const known = available() ? keys.get(identity) : undefined;
      if (known !== undefined) return known.user;
      const before = changes;
      const user = await file.servedUserOf(identity);
      if (before === changes) keys.set(identity, {user});
      return user;
    },
  };
}
