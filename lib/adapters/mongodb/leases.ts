/**
 * Leases on MongoDB (T36). The primary's clock decides, never a node's own: each call asks it for the time first. As that answer is a
 * little old when it is used, a lease ends a little early for its owner and is never taken over too soon. After a failover the new
 * primary's clock counts; let servers keep their clocks within a fraction of a lease.
 */
import type {Db} from 'mongodb';
import {MongoServerError} from 'mongodb';
import type {Ids} from '../../ports/ids.ts';
import type {LeaseOwner, Leases} from '../../ports/leases.ts';
import {isDuplicateKey} from './connection.ts';
import type {Connection} from './connection.ts';
import {collections} from './documents.ts';

export function leases(connection: Connection, ids: Ids): Leases {
  return {
    claim: (key, owner, milliseconds) =>
      connection.run(async (database) => {
        const now = await serverTime(database);
        const token = ids.token();
        const change = {
          $set: {node: owner.node, token, expiresAt: after(now, milliseconds), ...withAddress(owner)},
          ...(owner.address === undefined ? {$unset: {address: true as const}} : {}),
        };
        try {
          await collections.leases(database).updateOne({_id: key, expiresAt: {$lte: now}}, change, {upsert: true});
          return {key, owner, token};
        } catch (error) {
          // Somebody's lease runs: the filter did not find it, and a second one is refused.
          if (isDuplicateKey(error)) return undefined;
          throw error;
        }
      }),

    renew: (lease, milliseconds) =>
      connection.run(async (database) => {
        const expiresAt = after(await serverTime(database), milliseconds);
        const filter = {_id: lease.key, token: lease.token};
        return (await collections.leases(database).updateOne(filter, {$set: {expiresAt}})).matchedCount === 1;
      }),

    release: (lease) =>
      connection.run(async (database) => {
        await collections.leases(database).deleteOne({_id: lease.key, token: lease.token});
      }),

    holder: (key) =>
      connection.run(async (database) => {
        const now = await serverTime(database);
        const found = await collections.leases(database).findOne({_id: key, expiresAt: {$gt: now}});
        return found === null ? undefined : {node: found.node, address: found.address};
      }),

    releaseNode: (node) =>
      connection.run(async (database) => (await collections.leases(database).deleteMany({node})).deletedCount),
  };
}

function withAddress({address}: LeaseOwner): {address?: string} {
  return address === undefined ? {} : {address};
}

function after(now: Date, milliseconds: number): Date {
  return new Date(now.getTime() + milliseconds);
}

async function serverTime(database: Db): Promise<Date> {
  const {localTime} = await hello(database);
  if (!(localTime instanceof Date)) throw new TypeError('the server does not tell its time');
  return localTime;
}

async function hello(database: Db): Promise<{localTime?: unknown}> {
  try {
    return await database.command({hello: 1});
  } catch (error) {
    // Servers before 4.4.2, and those that only resemble one, know the command by its old name.
    if (error instanceof MongoServerError && error.code === 59) return database.command({isMaster: 1});
    throw error;
  }
}
