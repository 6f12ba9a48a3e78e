import anyTest from 'ava';
import type {Db, Document} from 'mongodb';
import {collections} from '../../../lib/adapters/mongodb/documents.ts';
import {groupQueries} from '../../../lib/adapters/mongodb/group-sessions.ts';
import {indexes} from '../../../lib/adapters/mongodb/indexes.ts';
import * as queries from '../../../lib/adapters/mongodb/queries.ts';
import {newMessage} from '../../support/deferred-messages.ts';
import {mongoDatabase, mongoOfFile} from '../../support/mongo-store.ts';
import {mongoKind, mongoName, testWithMongo} from '../../support/mongo.ts';

const test = testWithMongo(anyTest);
const {servedUser: bob, sender: alice} = newMessage();

const mongo = mongoOfFile(anyTest);

/** Each query of a hot path, and the index that is meant for it. */
const plans: Readonly<
  Record<
    Exclude<keyof typeof queries, 'selected'>,
    {readonly index: string; readonly filter: Document; readonly sort?: Document}
  >
> = {
  next: {index: 'queue', ...queries.next(bob, alice, 7)},
  senders: {index: 'senders', filter: queries.senders(bob)[0]?.['$match'] as Document},
  find: {index: 'message', filter: queries.find(bob, 'Msg1')},
  sentBefore: {index: 'sent', filter: queries.sentBefore(bob, 7)},
  sentUnconfirmed: {index: 'queue', ...queries.sentUnconfirmed(bob, alice)},
  expired: {index: 'expiry', ...queries.expired(7)},
  users: {index: 'queue', ...queries.users('tel:+1')},
  sameKey: {index: 'key', filter: queries.sameKey(['a', 'b'])},
};

for (const [name, {index, filter, sort}] of Object.entries(plans))
  anyTest(`8.3.2.9.1.1 A0 T64: index ${index} answers ${name} in its order`, (t) => {
    const fields = Object.keys(indexes.find((one) => one.collection === 'messages' && one.name === index)?.key ?? {});
    const equal = Object.keys(filter).filter((field) => typeof filter[field] !== 'object');
    // `expired` passes over the few that an operator holds, which its index need not know.
    const ranged = Object.keys(filter).filter(
      (field) => typeof filter[field] === 'object' && !(name === 'expired' && field === 'state'),
    );
    const served = fields.slice(0, equal.length).filter((field) => equal.includes(field));
    // `find` narrows a handful of messages by `pending`, which its index need not hold.
    t.deepEqual(
      equal.filter((field) => !served.includes(field)),
      name === 'find' ? ['pending'] : [],
    );
    const rest = fields.slice(served.length);
    t.deepEqual(rest.slice(0, ranged.length), ranged);
    if (sort !== undefined) t.deepEqual(rest.slice(0, Object.keys(sort).length), Object.keys(sort));
  });

test(`8.3.2.9.1.1 A0 T64: the indexes are there, and with a long queue each query goes by one and sorts nothing (${mongoName})`, async (t) => {
  t.timeout(300_000);
  const count = mongoKind.kind === 'stand-in' ? 200 : 100_000;
  const {raw, ...database} = mongoDatabase(t, mongo.uri);
  const {deferredQueue} = database.open({callMilliseconds: 60_000});
  for (let first = 0; first < count; first += 100)
    await deferredQueue.enqueue(
      Array.from({length: 100}, (_, index) =>
        newMessage({servedUser: `tel:+49${index}`, imdnMessageId: `Msg${first + index}`, expiresAt: first + index}),
      ),
    );
  for (const {collection, name, key} of indexes) {
    const found = (await raw.collection(collection).indexes()).find((index) => index.name === name);
    t.deepEqual(found?.key, key, `${collection}.${name}`);
  }

  if (!(await hasExplain(raw))) {
    t.log('this server has no explain: plans are not asserted');
    return;
  }
  const messages = raw.collection('messages');
  for (const [name, {filter, sort}] of Object.entries(plans)) {
    const plan =
      name === 'senders'
        ? await messages.aggregate(queries.senders(bob)).explain('queryPlanner')
        : await messages.find(filter, {sort: sort ?? {}, limit: 100}).explain('queryPlanner');
    const stages = winningStages(plan);
    t.true(stages.includes('IXSCAN'), `${name}: ${stages.join(' ')}`);
    t.false(stages.includes('COLLSCAN') || stages.includes('SORT'), `${name}: ${stages.join(' ')}`);
  }

  const after = {servedUser: bob, contributionId: 'c'};
  for (const {filter, sort} of [
    groupQueries.ofUser(bob, 'c'),
    groupQueries.standingOf('pf-1', undefined),
    groupQueries.standingOf('pf-1', after),
    groupQueries.over(7),
  ]) {
    const stages = winningStages(
      await collections.groupSessions(raw).find(filter, {sort, limit: 100}).explain('queryPlanner'),
    );
    t.true(stages.includes('IXSCAN'), stages.join(' '));
    t.false(stages.includes('COLLSCAN') || stages.includes('SORT'), stages.join(' '));
  }
});

async function hasExplain(database: Db): Promise<boolean> {
  return database.command({explain: {find: 'messages'}}).then(
    () => true,
    (error: unknown) => (error as {code?: number}).code !== 59,
  );
}

/** Names of the stages of the plan that won, wherever this server's version puts them. */
function winningStages(plan: unknown): string[] {
  if (Array.isArray(plan)) return plan.flatMap(winningStages);
  if (typeof plan !== 'object' || plan === null) return [];
  return Object.entries(plan).flatMap(([key, value]: [string, unknown]) => {
    if (key === 'rejectedPlans') return [];
    return key === 'stage' && typeof value === 'string' ? [value] : winningStages(value);
  });
}
