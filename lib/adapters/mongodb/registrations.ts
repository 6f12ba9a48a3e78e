/** Registrations on MongoDB (CPM-CF 8.3.2.9.1.2). */
import type {Registrations} from '../../ports/registrations.ts';
import type {Connection} from './connection.ts';
import {collections} from './documents.ts';

export function registrations(connection: Connection): Registrations {
  return {
    put: (registration) =>
      connection.run(async (database) => {
        const {servedUser, ...rest} = registration;
        await collections.registrations(database).replaceOne({_id: servedUser}, rest, {upsert: true});
        for (const _id of registration.identities)
          await collections.identities(database).updateOne({_id}, {$set: {servedUser}}, {upsert: true});
      }),

    get: (servedUser) =>
      connection.run(async (database) => {
        const found = await collections.registrations(database).findOne({_id: servedUser});
        return found === null
          ? undefined
          : {
              servedUser,
              identities: found.identities,
              // Absent fields are said again: a document has no `undefined`.
              contacts: found.contacts.map((contact) => ({
                ...contact,
                uri: contact.uri,
                instance: contact.instance,
                publicGruu: contact.publicGruu,
                userAgent: contact.userAgent,
              })),
              servingNode: found.servingNode,
              expiresAt: found.expiresAt,
            };
      }),

    remove: (servedUser) =>
      connection.run(async (database) => {
        await collections.registrations(database).deleteOne({_id: servedUser});
      }),

    servedUserOf: (identity) =>
      connection.run(async (database) => (await collections.identities(database).findOne({_id: identity}))?.servedUser),

    identitiesOf: (servedUser) =>
      connection.run(async (database) => {
        const found = await collections.identities(database).find({servedUser}).toArray();
        return found.map(({_id}) => _id);
      }),
  };
}
