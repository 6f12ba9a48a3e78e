/** Counts of what became of messages, exact although identities are forgotten and no transaction spans documents. */
import type {Db, Filter} from 'mongodb';
import {isSettled} from '../../cpm/deferred-message.ts';
import type {Settlement} from '../../cpm/deferred-message.ts';
import type {Ledger} from '../../ports/deferred-queue.ts';
import {isDuplicateKey} from './connection.ts';
import {collections} from './documents.ts';
import type {MessageDocument} from './documents.ts';

const settlements: readonly Settlement[] = ['delivered', 'expired', 'dropped', 'failed'];
const none: Record<Settlement, number> = {delivered: 0, expired: 0, dropped: 0, failed: 0};
const atATime = 500;

export async function ledger(database: Db): Promise<Ledger> {
  const forgotten = await collections.forgotten(database).findOne({_id: 'forgotten'});
  // Until a note has counts, its messages are all there.
  const underWay = forgotten?.underWay?.counts && forgotten.underWay;
  const groups = await collections
    .messages(database)
    .aggregate<{_id: MessageDocument['state']; count: number}>([
      ...(underWay === undefined ? [] : [{$match: {_id: {$nin: [...underWay.ids]}}}]),
      {$group: {_id: '$state', count: {$sum: 1}}},
    ])
    .toArray();
  const count = (state: MessageDocument['state']): number => groups.find(({_id}) => _id === state)?.count ?? 0;
  const settled = (how: Settlement): number => count(how) + (forgotten?.[how] ?? 0) + (underWay?.counts?.[how] ?? 0);
  const all = {
    delivered: settled('delivered'),
    expired: settled('expired'),
    dropped: settled('dropped'),
    failed: settled('failed'),
  };
  const gone = settlements.reduce((sum, how) => sum + (forgotten?.[how] ?? 0) + (underWay?.counts?.[how] ?? 0), 0);
  // All documents, whatever their state: one in a state that nobody knows is missed on the other side.
  const accepted = groups.reduce((sum, group) => sum + group.count, gone);
  return {accepted, pending: count('queued') + count('sent'), held: count('held'), ...all};
}

/**
 * Deletes the settled messages of a filter and keeps their counts. First it is noted which messages go, then how they had been settled, then
 * they go, then the counts are added under the token of the note: whoever finds a note, after a crash or on another node, goes on with it,
 * and it counts once.
 */
export async function forgetSettled(
  database: Db,
  filter: Filter<MessageDocument>,
  token: () => string,
): Promise<number> {
  let total = await finish(database);
  for (;;) {
    const gone = await collections
      .messages(database)
      .find(filter, {projection: {_id: 1}, limit: atATime})
      .toArray();
    if (gone.length === 0) return total;
    const underWay = {token: token(), ids: gone.map(({_id}) => _id)};
    try {
      const free = {_id: 'forgotten' as const, underWay: {$exists: false}};
      await collections.forgotten(database).updateOne(free, {$set: {underWay}}, {upsert: true});
    } catch (error) {
      // Another node's note is there: it is finished first.
      if (!isDuplicateKey(error)) throw error;
    }
    total += await finish(database);
  }
}

async function finish(database: Db): Promise<number> {
  const forgotten = collections.forgotten(database);
  const note = await forgotten.findOne({_id: 'forgotten'});
  if (note?.underWay === undefined) return 0;
  const {token, ids} = note.underWay;
  const mine = {_id: 'forgotten' as const, 'underWay.token': token};

  // Nothing of a note is deleted before its counts are written, so whoever counts first counts right.
  const counts = await countSettled(database, ids);
  await forgotten.updateOne({...mine, 'underWay.counts': {$exists: false}}, {$set: {'underWay.counts': counts}});
  const agreed = (await forgotten.findOne(mine))?.underWay?.counts;
  if (agreed === undefined) return 0;

  await collections.messages(database).deleteMany({_id: {$in: [...ids]}});
  const added = await forgotten.updateOne(mine, {$inc: agreed, $unset: {underWay: true}});
  return added.modifiedCount === 1 ? settlements.reduce((sum, how) => sum + agreed[how], 0) : 0;
}

async function countSettled(database: Db, ids: readonly string[]): Promise<Record<Settlement, number>> {
  const counts = {...none};
  for (const {state} of await collections
    .messages(database)
    .find({_id: {$in: [...ids]}}, {projection: {state: 1}})
    .toArray())
    if (isSettled(state)) counts[state] += 1;
  return counts;
}
