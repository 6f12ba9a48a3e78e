/** Two identities turned out to be one user: everything of one key goes to the other, message by message; it can be repeated. */
import type {Db} from 'mongodb';
import {progressOf} from '../../cpm/deferred-message.ts';
import {isDuplicateKey} from './connection.ts';
import {collections} from './documents.ts';
import type {MessageDocument} from './documents.ts';
import {digestOf, identityOf} from './identity.ts';
import {deleteParts} from './parts.ts';
import type {Sequences} from './sequences.ts';

type Movable = Pick<
  MessageDocument,
  '_id' | 'identity' | 'sender' | 'kind' | 'imdnMessageId' | 'sequence' | 'state' | 'pending' | 'parts'
>;

/** Answers how many pending messages moved. */
export async function adopt(database: Db, sequences: Sequences, fromUser: string, toUser: string): Promise<number> {
  if (fromUser === toUser) return 0;
  const projection = {identity: 1, sender: 1, kind: 1, imdnMessageId: 1, sequence: 1, state: 1, pending: 1, parts: 1};
  const own: Movable[] = await collections.messages(database).find({servedUser: fromUser}, {projection}).toArray();
  for (const sender of new Set(own.map((message) => message.sender)))
    await sequences.follow(database, fromUser, toUser, sender);

  let moved = 0;
  for (const message of own.sort((a, b) => a.sequence - b.sequence))
    if ((await move(database, message, toUser)) && message.pending === true) moved += 1;
  return moved;
}

async function move(database: Db, message: Movable, toUser: string): Promise<boolean> {
  const messages = collections.messages(database);
  const {_id, sender, kind, imdnMessageId} = message;
  const identity = identityOf({id: _id, servedUser: toUser, sender, kind, imdnMessageId}, digestOf(message.identity));
  for (;;) {
    try {
      const sequence = await freePlace(database, message, toUser);
      const change = {$set: {servedUser: toUser, sequence, ...identity}};
      return (await messages.updateOne({_id}, change)).modifiedCount === 1;
    } catch (error) {
      if (!isDuplicateKey(error)) throw error;
    }
    // The same message under both keys: the one that is further on stays, else the earlier one.
    const other = await messages.findOne({identity: identity.identity});
    if (other === null) continue;
    const sameProgress = progressOf(message.state) === progressOf(other.state);
    const keep = sameProgress ? message.sequence < other.sequence : progressOf(message.state) > progressOf(other.state);
    await remove(database, keep ? other : message);
    if (!keep) return false;
  }
}

/** Its own place; the next one where another message stands there by chance. */
async function freePlace(database: Db, {sender, sequence}: Movable, toUser: string): Promise<number> {
  const state = {$in: ['queued' as const, 'sent' as const, 'held' as const]};
  const taken = await collections
    .messages(database)
    .findOne({state, servedUser: toUser, sender, sequence}, {projection: {_id: 1}});
  return taken === null ? sequence : freePlace(database, {sender, sequence: sequence + 1} as Movable, toUser);
}

async function remove(database: Db, {_id, parts}: Pick<Movable, '_id' | 'parts'>): Promise<void> {
  await collections.messages(database).deleteOne({_id});
  if (parts !== undefined) await deleteParts(database, _id, parts);
}
