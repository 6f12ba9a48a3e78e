/** Registrations on the libsql file (CPM-CF 8.3.2.9.1.2). Runs in the worker thread, inside the transaction of a batch. */
import type {Registration, Registrations} from '../../ports/registrations.ts';
import type {Database, Query} from './database.ts';
import type {Sync} from './sync.ts';

export function registrations(database: Database): Sync<Registrations> {
  return {
    put(registration) {
      database.run(
        'INSERT OR REPLACE INTO registration VALUES (?, ?)',
        registration.servedUser,
        JSON.stringify(registration),
      );
      for (const identity of registration.identities)
        database.run(
          'INSERT INTO identity VALUES (?, ?) ON CONFLICT (identity) DO UPDATE SET served_user = excluded.served_user',
          ...[identity, registration.servedUser],
        );
    },

    get(servedUser) {
      const row = database.get(
        'SELECT registration FROM registration WHERE served_user = ?' as Query<{registration: string}>,
        servedUser,
      );
      return row === undefined ? undefined : withAbsence(JSON.parse(row.registration) as Registration);
    },

    remove(servedUser) {
      database.run('DELETE FROM registration WHERE served_user = ?', servedUser);
    },

    servedUserOf: (identity) =>
      database.get('SELECT served_user AS user FROM identity WHERE identity = ?' as Query<{user: string}>, identity)
        ?.user,

    identitiesOf: (servedUser) =>
      database
        .all(
          'SELECT identity FROM identity WHERE served_user = ? ORDER BY rowid' as Query<{identity: string}>,
          servedUser,
        )
        .map(({identity}) => identity),
  };
}

/** JSON has no `undefined`: what was absent is said again. */
function withAbsence(registration: Registration): Registration {
  return {
    ...registration,
    servingNode: registration.servingNode,
    contacts: registration.contacts.map((contact) => ({
      ...contact,
      uri: contact.uri,
      instance: contact.instance,
      publicGruu: contact.publicGruu,
      userAgent: contact.userAgent,
    })),
  };
}
