import {canonicalAddress} from '../cpm/address.ts';
import {CpmError} from '../errors.ts';
import type {Selection, SettledMessage} from '../ports/deferred-queue.ts';
import type {Changed, Operator, QueueChange} from '../ports/operator.ts';
import type {Context} from './context.ts';
import {notifySender} from './made-notification.ts';
import {operatorGroups} from './operator-groups.ts';
import {turnMilliseconds} from './terminating/deliveries.ts';

/** So many messages are changed at a time: a transaction of the store stays short. */
const batch = 500;
/** Whole messages are larger. */
const wholeBatch = 100;

/**
 * The operator's hand on the queue. `journals`: what plugins keep that an erasure has to leave.
 * @clause CPM-CF 8.3.2.9 A21
 */
export function createOperator(context: Context, journals: readonly string[] = []): Operator {
  const {store, users, clock, log, deliveries} = context;
  const queue = store.deferredQueue;

  const keyOf = async (value: string): Promise<string> => {
    const address = /^\+?[\d().-]+$/.test(value) ? `tel:${value}` : value;
    return (await users.resolve(address)) ?? canonicalAddress(address) ?? value;
  };

  async function canonical({by, value}: Selection): Promise<Selection> {
    return by === 'user' || by === 'sender' ? {by, value: await keyOf(value)} : {by, value};
  }

  /** Takes messages until there are none; each is counted once, each user triggered as often as his messages come up. */
  async function all(
    take: () => Promise<readonly Pick<SettledMessage, 'servedUser'>[]>,
    retries: boolean,
  ): Promise<Changed> {
    const seen = new Set<string>();
    let messages = 0;
    for (;;) {
      const taken = await take();
      if (taken.length === 0) break;
      messages += taken.length;
      for (const {servedUser} of taken) seen.add(servedUser);
    }

    if (retries) for (const servedUser of seen) deliveries.trigger(servedUser, 'retry');
    return {messages, users: seen.size};
  }

  /** Like a message that expires: who asked to be told of a failure is told, as nobody else will (RFC 5438 §7.2.1). */
  async function drop(selection: Selection, by: string): Promise<readonly SettledMessage[]> {
    for (;;) {
      const messages = await queue.pending(selection, wholeBatch);
      for (const message of messages) await notifySender(context, message, 'failed');
      const ids = messages.map(({id}) => id);
      const dropped = await queue.settle(ids, 'dropped', clock.now(), {by});
      // Somebody else may have settled a whole batch meanwhile.
      if (dropped.length > 0 || messages.length === 0) return dropped;
    }
  }

  function run(what: QueueChange, selection: Selection, by: string): Promise<Changed> {
    if (what === 'hold') return all(() => queue.hold(selection, batch, clock.now(), {by}), false);
    if (what === 'release') return all(() => queue.release(selection, batch, clock.now(), {by}), true);
    if (what === 'drop') return all(() => drop(selection, by), false);
    let after: Awaited<ReturnType<Operator['trace']>>[number] | undefined;
    return all(async () => {
      const page = await queue.trace(selection, {after, limit: batch, pendingOnly: true});
      after = page.at(-1) ?? after;
      return page;
    }, true);
  }

  return {
    async selectionOf(value) {
      if (value.startsWith('+') || canonicalAddress(value) !== undefined) return {by: 'user', value};
      const message: Selection = {by: 'message', value};
      const [found] = await queue.trace(message, {after: undefined, limit: 1, pendingOnly: false});
      return found === undefined ? {by: 'conversation', value} : message;
    },

    trace: async (selection, page) => queue.trace(await canonical(selection), page),

    async change(what, selection, who) {
      const changed = await run(what, await canonical(selection), who);
      const named = selection.by === 'user' || selection.by === 'sender' ? {} : {of: selection.value};
      log.info({operator: who, what, by: selection.by, ...named, ...changed}, 'an operator has acted on the queue');
      return changed;
    },

    recordedSessions: async (user, page) => store.messageStore.folders(await keyOf(user), page),

    recorded: async (user, conversationId, page) =>
      store.messageStore.list({servedUser: await keyOf(user), conversationId}, page),

    async recordedObject(user, id, who) {
      const object = await store.messageStore.read(id);
      if (object?.servedUser !== (await keyOf(user)))
        throw new CpmError('CPM_NOT_FOUND', 404, 'nothing of that id is recorded for this user');
      const {conversationId, contributionId, kind} = object;
      log.info({operator: who, what: 'read', id, conversationId, contributionId, kind}, 'an operator reads a record');
      return object;
    },

    ...operatorGroups(store, keyOf),

    async erase(user, who) {
      const key = await keyOf(user);
      const erased = await deliveries.exclusive(key, turnMilliseconds, async () => {
        await users.forget(key);
        return store.erase(key);
      });
      if (erased === undefined)
        throw new CpmError('CPM_USER_BUSY', 409, 'messages of this user are being delivered; ask again in a moment');
      const kept = journals.length === 0 ? {} : {kept: journals.join(', ')};
      log.info({operator: who, what: 'erase', ...erased, ...kept}, 'an operator has erased a user');
      return {...erased, kept: journals};
    },
  };
}
