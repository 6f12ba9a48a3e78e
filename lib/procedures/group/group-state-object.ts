import {createHash} from 'node:crypto';
import {formatGroupState, formatGroupStateCpim, GROUP_STATE_TYPE} from '../../codecs/group-state.ts';
import type {NewDeferredMessage, OriginalSession} from '../../cpm/deferred-message.ts';
import {groupSender, type GroupSession} from '../../cpm/group-session.ts';
import {groupStateOf, type GroupState} from '../../cpm/group-state.ts';
import type {NewStoredObject} from '../../cpm/stored-object.ts';
import type {LogFields} from '../../ports/log.ts';
import type {Leg, OutgoingMessage} from '../../ports/media-plane.ts';
import type {Context} from '../context.ts';
import {isTaken, outcomeText} from '../terminating/backlog.ts';
import {groupUri} from './group-uri.ts';

type Needs = Pick<Context, 'clock' | 'policy' | 'sip'>;

/** Why the group ended for the served user, where it cannot be started again (cause 410). */
export interface Removal {
  readonly referredBy: string | undefined;
}

/** Id of the object about an event of a dialog: a token, and the same however often the event is told (T13; RFC 5438 §6.3). */
export const eventId = (event: string, dialogId: string): string =>
  createHash('sha256').update(`${event} ${dialogId}`).digest('hex').slice(0, 32);

/** The group as it was last known, at this moment. `focus`: where a re-join goes, to whom the object is given. */
function stateOf({clock, policy}: Needs, group: GroupSession, focus: string, removal: Removal | undefined): GroupState {
  return groupStateOf(group.conference, {
    lastFocusSessionId: focus,
    timestamp: new Date(clock.now()).toISOString(),
    // Who joins is invited: neither an INVITE nor a conference document speaks of any other kind of group.
    groupType: 'Closed',
    own: [group.memberAddress],
    groupData: policy.groupData,
    subject: group.subject,
    removed: removal !== undefined,
    referredBy: removal?.referredBy,
  });
}

/**
 * The object that is stored when the network ends a group session: `messageId` names the event, however often it is told (T13). Where nobody has told
 * who takes part it names the served user, and who removed him: an object without participants is none.
 * @clause CPM-CF 8.3.2.3 B4 B5 B6
 */
export function storedGroupState(
  context: Needs,
  group: GroupSession,
  messageId: string,
  removal: Removal | undefined,
): NewStoredObject {
  const {servedUser, conversationId, contributionId, focus, memberAddress} = group;
  return {
    ...{servedUser, conversationId, contributionId},
    kind: 'group-state',
    imdnMessageId: messageId,
    from: focus,
    to: memberAddress,
    direction: undefined,
    date: context.clock.now(),
    headers: [],
    contentType: GROUP_STATE_TYPE,
    bytes: Buffer.from(
      formatGroupState(stateOf(context, someone(group, removal), focus, removal), context.policy.groupStateDialect),
    ),
  };
}

function someone(group: GroupSession, removal: Removal | undefined): GroupSession {
  const {conference, memberAddress} = group;
  if (conference.participants.length > 0) return group;
  const known = [memberAddress, removal?.referredBy].filter((address) => address !== undefined);
  return {
    ...group,
    conference: {...conference, participants: known.map((entity) => ({entity, endpoints: []}))},
  };
}

/**
 * The same for a client, in a session of his: where he re-joins is the PF, which knows the focus. Undefined while nobody is known who takes part:
 * clients throw away what has no participants.
 * @clause CPM-CF 8.3.2.9.1.2 C8
 * @clause CPM-CF 8.3.2.9.1.3 D2
 */
export function groupStateMessage(context: Needs, group: GroupSession, messageId: string): OutgoingMessage | undefined {
  if (group.conference.participants.length === 0) return undefined;
  return {
    contentType: 'message/cpim',
    bytes: formatGroupStateCpim({
      state: stateOf(context, group, groupUri(context, group), undefined),
      from: `<${group.focus}>`,
      to: `<${group.memberAddress}>`,
      messageId,
      dateTime: new Date(context.clock.now()).toISOString(),
    }),
  };
}

/**
 * Sends an object that a client is owed, though his description may not name its type, as those of phones in the field do not. Never rejects.
 * @clause CPM-CF 8.3.2.9.1.2 C2
 * @clause CPM-CF 8.3.2.9.1.3 D2
 */
export async function sendOwedState(
  {log}: Pick<Context, 'log'>,
  label: LogFields,
  leg: Leg,
  object: OutgoingMessage,
): Promise<void> {
  const outcome = await leg.send({...object, regardless: true});
  if (isTaken(outcome)) return;
  const where = {...label, clause: 'CPM-CF 8.3.2.9', outcome: outcomeText(outcome)};
  log.info(where, 'a Group State Object that a client is owed was not taken');
}

/** A change that the user misses, in its place among the messages that wait for him. It asks for nothing and causes no INVITE by itself. */
export function queuedGroupState(
  context: Needs,
  group: GroupSession,
  original: OriginalSession,
  messageId: string,
): NewDeferredMessage | undefined {
  const message = groupStateMessage(context, group, messageId);
  if (message === undefined) return undefined;
  const receivedAt = context.clock.now();
  const {servedUser, contributionId} = group;
  return {
    servedUser,
    sender: groupSender(contributionId),
    kind: 'notification',
    imdnMessageId: messageId,
    sameness: 'id',
    dispositions: [],
    ...message,
    dateTime: undefined,
    receivedAt,
    expiresAt: receivedAt + context.policy.deferredRetention,
    session: original,
  };
}
