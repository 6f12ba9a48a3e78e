import {groupStateIn} from '../codecs/group-state.ts';
import type {GroupState} from '../cpm/group-state.ts';
import type {StoredObject} from '../cpm/stored-object.ts';
import type {Operator} from '../ports/operator.ts';
import type {Store} from '../ports/store.ts';

/** What an operator is told of groups. `keyOf` finds the served user by what people write. */
export function operatorGroups(
  {groupSessions, messageStore}: Pick<Store, 'groupSessions' | 'messageStore'>,
  keyOf: (user: string) => Promise<string>,
): Pick<Operator, 'groups' | 'group' | 'groupStates'> {
  return {
    async groups(user, page) {
      const found = await groupSessions.ofUser(await keyOf(user), page);
      return found.map(({offer: _, conference, subject, ...group}) => ({
        ...group,
        subject: conference.description.subject ?? subject,
        participants: conference.participants.length,
      }));
    },

    group: async (user, contributionId) => groupSessions.get(await keyOf(user), contributionId),

    async groupStates(user, contributionId, page) {
      const group = await groupSessions.get(await keyOf(user), contributionId);
      if (group === undefined) return [];
      const {servedUser, conversationId} = group;
      const kept = await messageStore.list({servedUser, conversationId, contributionId, kind: 'group-state'}, page);
      return Promise.all(
        kept.map(async ({id, sequence, imdnMessageId, date}) => {
          const object = await messageStore.read(id);
          return {id, sequence, imdnMessageId, date, state: object && stateOf(object)};
        }),
      );
    },
  };
}

/** Undefined where it cannot be read: the object is told of all the same. */
function stateOf({contentType, bytes}: StoredObject): GroupState | undefined {
  try {
    return groupStateIn(contentType, bytes);
  } catch {
    return undefined;
  }
}
