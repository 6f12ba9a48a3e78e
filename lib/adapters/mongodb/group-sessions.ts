/** Group sessions on MongoDB (CPM-CF 8.3.2.9.1.2): every step is one atomic change of one document, or can be repeated. */
import type {Db, Filter} from 'mongodb';
import {groupStandings} from '../../cpm/group-session.ts';
import type {GroupSession} from '../../cpm/group-session.ts';
import type {GroupNodePage, GroupPage, GroupSessions} from '../../ports/group-sessions.ts';
import {isDuplicateKey} from './connection.ts';
import type {Connection} from './connection.ts';
import {collections} from './documents.ts';
import type {GroupSessionDocument} from './documents.ts';

interface Ordered {
  readonly filter: Filter<GroupSessionDocument>;
  readonly sort: Readonly<Record<string, 1>>;
}

/** Filters and orders, each with its index, so that a test can ask the server for the plan of each. */
export const groupQueries = {
  /** Index `group`. */
  ofUser: (servedUser: string, after: GroupPage['after'] = ''): Ordered => ({
    filter: {servedUser, contributionId: {$gt: after}},
    sort: {contributionId: 1},
  }),

  /** Index `standing`. */
  standingOf: (node: string, after: GroupNodePage['after']): Ordered => ({
    filter: {
      ...({node, standing: 'active'} as const),
      ...(after === undefined
        ? {}
        : {
            servedUser: {$gte: after.servedUser},
            $or: [{servedUser: {$gt: after.servedUser}}, {contributionId: {$gt: after.contributionId}}],
          }),
    },
    sort: {servedUser: 1, contributionId: 1},
  }),

  /** Index `over`. */
  over: (before: number): Ordered => ({
    filter: {
      standing: {$in: groupStandings.filter((standing) => standing !== 'active')},
      changedAt: {$lt: before},
    },
    sort: {standing: 1, changedAt: 1},
  }),
};

export function groupSessions(connection: Connection, longMilliseconds: number): GroupSessions {
  const page = ({filter, sort}: Ordered, limit: number): Promise<readonly GroupSession[]> =>
    connection.run(async (database) => {
      if (limit <= 0) return [];
      const options = {sort, limit, projection: {_id: 0}};
      return (await collections.groupSessions(database).find(filter, options).toArray()).map(sessionOf);
    });

  return {
    put: (session) => connection.run((database) => put(database, session)),

    get: (servedUser, contributionId) =>
      connection.run(async (database) => {
        const options = {projection: {_id: 0}};
        const found = await collections.groupSessions(database).findOne({servedUser, contributionId}, options);
        return found === null ? undefined : sessionOf(found);
      }),

    ofUser: (servedUser, {after, limit}) => page(groupQueries.ofUser(servedUser, after), limit),

    standingOf: (node, {after, limit}) => page(groupQueries.standingOf(node, after), limit),

    adopt: (fromUser, toUser) => connection.run((database) => adopt(database, fromUser, toUser), longMilliseconds),

    forget: (before, limit) =>
      connection.run(async (database) => {
        if (limit <= 0) return 0;
        const groups = collections.groupSessions(database);
        const {filter, sort} = groupQueries.over(before);
        const over = await groups.find(filter, {projection: {_id: 1}, sort, limit}).toArray();
        // One that was joined again meanwhile stays.
        const {deletedCount} = await groups.deleteMany({...filter, _id: {$in: over.map(({_id}) => _id)}});
        return deletedCount;
      }, longMilliseconds),
  };
}

async function put(database: Db, session: GroupSession): Promise<void> {
  const {servedUser, contributionId} = session;
  const replace = (): Promise<unknown> =>
    collections.groupSessions(database).replaceOne({servedUser, contributionId}, documentOf(session), {upsert: true});
  try {
    await replace();
  } catch (error) {
    // Another node wrote it first at the same moment: now it is there to be replaced.
    if (!isDuplicateKey(error)) throw error;
    await replace();
  }
}

async function adopt(database: Db, fromUser: string, toUser: string): Promise<number> {
  if (fromUser === toUser) return 0;
  const groups = collections.groupSessions(database);
  let moved = 0;
  const projection = {contributionId: 1, changedAt: 1};
  for (const {_id, contributionId, changedAt} of await groups.find({servedUser: fromUser}, {projection}).toArray())
    for (;;) {
      try {
        moved += (await groups.updateOne({_id}, {$set: {servedUser: toUser}})).modifiedCount;
        break;
      } catch (error) {
        if (!isDuplicateKey(error)) throw error;
      }
      // Both keys know it: what was changed last stays.
      const known = await groups.findOne({servedUser: toUser, contributionId}, {projection});
      if (known === null) continue;
      const loser = known.changedAt < changedAt ? known : {_id, changedAt};
      await groups.deleteOne({_id: loser._id, changedAt: loser.changedAt});
      if (loser !== known) break;
    }
  return moved;
}

const documentOf = ({subject, offer, ...session}: GroupSession): GroupSessionDocument => ({
  ...session,
  ...(subject === undefined ? {} : {subject}),
  ...(offer === undefined ? {} : {offer}),
});

/** Absent fields are said again: a document has no `undefined`. */
const sessionOf = (document: GroupSessionDocument): GroupSession => ({
  ...document,
  subject: document.subject,
  offer: document.offer,
  conference: {...document.conference, version: document.conference.version},
});
