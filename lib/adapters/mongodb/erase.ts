/** Everything of one user leaves the database: in steps that can be repeated, each of them sound by itself. */
import type {Db, Filter} from 'mongodb';
import type {Erased} from '../../ports/store.ts';
import {notedAs, settle} from './deferred-queue.ts';
import {collections} from './documents.ts';
import type {MessageDocument} from './documents.ts';
import {forgetSettled} from './ledger.ts';
import {removeStored} from './message-store.ts';

export async function erase(database: Db, servedUser: string, at: number, token: () => string): Promise<Erased> {
  const own = await collections.identities(database).find({servedUser}).toArray();
  const keys = [...new Set([servedUser, ...own.map(({_id}) => _id)])];
  const messagesTo = await eraseMessages(database, {servedUser: {$in: keys}}, at, token);
  const messagesFrom = await eraseMessages(database, {sender: {$in: keys}}, at, token);
  const recorded = await removeStored(database, {$or: [{servedUser: {$in: keys}}, {from: {$in: keys}}]});
  const {deletedCount: groups} = await collections.groupSessions(database).deleteMany({servedUser: {$in: keys}});
  for (const key of keys.map((one) => JSON.stringify(one).replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')))
    await collections.sequences(database).deleteMany({_id: {$regex: `^\\[${key},|,${key}\\]$`}});
  const {deletedCount: registrations} = await collections.registrations(database).deleteMany({_id: {$in: keys}});
  // Last, as they lead to all the others when this is said again.
  const {deletedCount: identities} = await collections
    .identities(database)
    .deleteMany({$or: [{_id: {$in: keys}}, {servedUser: {$in: keys}}]});
  return {messagesTo, messagesFrom, recorded, groups, registrations, identities};
}

/** What waits is settled first, so that its counts go where those of all settled messages go. */
async function eraseMessages(
  database: Db,
  filter: Filter<MessageDocument>,
  at: number,
  token: () => string,
): Promise<number> {
  const messages = collections.messages(database);
  const entry = notedAs({at, node: '', what: 'dropped'});
  for await (const {_id} of messages.find({...filter, pending: true}, {projection: {_id: 1}}))
    await settle(database, _id, 'dropped', at, entry);
  return forgetSettled(database, {...filter, settledAt: {$exists: true}}, token);
}
