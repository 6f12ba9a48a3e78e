/**
 * Order of arrival with any number of PF nodes. A sequence is a time in microseconds, pushed on where the time has not moved: one
 * document per (served user, sender) holds the last one, and grows in one atomic step, so that a message whose predecessor was
 * acknowledged always gets a larger number, whatever the nodes' clocks say. As sequences of different keys are times too, messages of
 * two keys that are put together stand in the order of arrival: exactly where one node took them, else within the clocks' difference.
 */
import {randomInt} from 'node:crypto';
import type {Db} from 'mongodb';
import type {Clock} from '../../ports/clock.ts';
import {isDuplicateKey} from './connection.ts';
import {collections} from './documents.ts';

export interface Sequences {
  /** The first of `count` consecutive numbers, larger than all given before for this pair. */
  allocate(database: Db, servedUser: string, sender: string, count: number): Promise<number>;
  /** Makes later numbers of one pair larger than those of another. */
  follow(database: Db, fromUser: string, toUser: string, sender: string): Promise<void>;
  /** Drops the pairs unused since `before` (ms): the time alone keeps their next numbers larger. */
  forget(database: Db, before: number): Promise<void>;
}

export function openSequences(clock: Clock): Sequences {
  // Two nodes that are asked in the same millisecond should not give the same number.
  const offset = randomInt(1000);
  let last = 0;

  return {
    async allocate(database, servedUser, sender, count) {
      const first = (last = Math.max(clock.now() * 1000 + offset, last + 1));
      last += count - 1;
      const sequences = collections.sequences(database);
      const _id = keyOf(servedUser, sender);
      try {
        const filter = {_id, value: {$lt: first}};
        await sequences.updateOne(filter, {$set: {value: first + count - 1}}, {upsert: true});
        return first;
      } catch (error) {
        if (!isDuplicateKey(error)) throw error;
      }
      const grown = await sequences.findOneAndUpdate(
        {_id},
        {$inc: {value: count}},
        {upsert: true, returnDocument: 'after'},
      );
      return (grown?.value ?? first) - count + 1;
    },

    async follow(database, fromUser, toUser, sender) {
      const sequences = collections.sequences(database);
      const from = await sequences.findOne({_id: keyOf(fromUser, sender)});
      if (from === null) return;
      await sequences.updateOne({_id: keyOf(toUser, sender)}, {$max: {value: from.value}}, {upsert: true});
    },

    async forget(database, before) {
      await collections.sequences(database).deleteMany({value: {$lt: before * 1000}});
    },
  };
}

function keyOf(servedUser: string, sender: string): string {
  return JSON.stringify([servedUser, sender]);
}
