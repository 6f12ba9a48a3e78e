import {cpimHeader, imdnMessageId, isNotification, parseCpim, type Cpim} from '../../codecs/cpim.ts';
import {isGroupData} from '../../codecs/group-data.ts';
import {GROUP_STATE_TYPE} from '../../codecs/group-state.ts';
import {isComposing} from '../../codecs/iscomposing.ts';
import {isType} from '../../codecs/mime.ts';
import {SESSION_INFO_TYPE, formatSessionInfo} from '../../codecs/session-info.ts';
import {parseNameAddr} from '../../codecs/sip-headers/name-addr.ts';
import {canonicalAddress} from '../../cpm/address.ts';
import type {DeferredMessage} from '../../cpm/deferred-message.ts';
import {ICSI} from '../../cpm/feature-tags.ts';
import {contributionOf} from '../../cpm/group-session.ts';
import type {NewStoredObject} from '../../cpm/stored-object.ts';
import {CpmError} from '../../errors.ts';
import {pause} from '../../ports/clock.ts';
import type {Leg, OutgoingMessage} from '../../ports/media-plane.ts';
import type {Context} from '../context.ts';
import type {Invitation} from '../terminating/invitation.ts';

/** One of the two in a session; the inviter to a group is its focus. */
export type Speaker = 'inviter' | 'invited';

/** Users in whose message stores a session is recorded: their keys. */
export type Owners = Readonly<Partial<Record<Speaker, string>>>;

/** A session as its record needs it. */
export interface RecordableSession extends Readonly<Record<Speaker, string>> {
  readonly conversationId: string;
  readonly contributionId: string;
  readonly subject?: string | undefined;
  readonly inReplyTo?: string | undefined;
  /** Contribution-ID of the session whose place it takes. */
  readonly replaces?: string | undefined;
  /** Of a group: who beside the served user was invited. Its messages say themselves who wrote them. */
  readonly group?: readonly string[] | undefined;
}

/** What is recorded of one session. */
export interface SessionRecord {
  /** The session stands: its info is the first object in its folder, and is there once. */
  begin(): void;
  /**
   * A message, or notification, that the other one took; or that is kept for him, then it is in the record of its sender alone. Resolves when
   * another may come. Never rejects.
   */
  add(message: OutgoingMessage, by: Speaker, only?: Speaker): Promise<void>;
  /** Adds copies of what is relayed from a leg that was opened with `copies`. */
  follow(leg: Leg, by: Speaker): void;
  /** The session is over: resolves when all of it is in the store, or after a while, with a log record. Idempotent. Never rejects. */
  finish(): Promise<void>;
}

type Needs = Pick<Context, 'users' | 'policy' | 'clock' | 'ids' | 'log' | 'recorder'>;

/** How long an end waits for the record of its session: the network's BYE, whose 200 is to follow, has 32 s (RFC 3261 §17.1.2.2). */
export const finishMilliseconds = 2000;

/** Whether sessions of this user are recorded: he allows it, or the operator does it; either will do (T8). */
export const isRecorded = ({users, policy}: Pick<Context, 'users' | 'policy'>, servedUser: string): boolean =>
  users.allowsOfflineStorage(servedUser) || policy.records(servedUser);

/** Who of the two in an invitation is served here and recorded. */
export async function recordOwners(
  context: Pick<Context, 'users' | 'policy'>,
  {servedUser, sender}: Pick<Invitation, 'servedUser' | 'sender'>,
): Promise<Owners> {
  const caller = await context.users.resolve(sender);
  return {
    ...(caller !== undefined && isRecorded(context, caller) ? {inviter: caller} : {}),
    ...(isRecorded(context, servedUser) ? {invited: servedUser} : {}),
  };
}

/** Whether there is anybody for whom to record. */
export const hasOwners = (owners: Owners): boolean => Object.keys(owners).length > 0;

/** A session as its invitation says it. */
export const recordableOf = (invitation: Invitation, inviter: string, invited: string): RecordableSession => ({
  ...{inviter, invited},
  conversationId: invitation.conversationId,
  contributionId: invitation.contributionId,
  subject: invitation.subject,
  inReplyTo: invitation.passed['InReplyTo-Contribution-ID'],
  replaces: invitation.passed['Session-Replaces'],
});

/**
 * The record of a session that begins; undefined where it is nobody's. Each message goes to the message store when it has passed, so
 * that nothing but what is on its way is in memory; the end of the session waits for the last ones. `session` and `owners` are asked when
 * something is recorded, as a user's key may change meanwhile.
 * @clause CPM-CF 8.5.2 B9
 */
export function recordSession(
  context: Needs,
  session: () => RecordableSession,
  owners: () => Owners,
): SessionRecord | undefined {
  if (!hasOwners(owners())) return undefined;
  const {clock, log, recorder} = context;
  const {conversationId, contributionId} = session();
  const where = {conversationId, contributionId, clause: 'CPM-CF 8.5.2'};
  const legs = new Set<Leg>();
  const begun = new Set<Speaker>();
  let stored = 0;
  let waiting = 0;
  let lost = 0;
  let settled: () => void = () => undefined;
  let finished: Promise<void> | undefined;

  async function put(object: NewStoredObject): Promise<void> {
    const recording = recorder.put(object);
    waiting += 1;
    void recording.stored.then((isStored) => {
      waiting -= 1;
      if (isStored) stored += 1;
      else lost += 1;
      if (waiting === 0) settled();
    });
    await recording.room;
  }

  function beginFor(owner: Speaker, servedUser: string): void {
    if (!begun.has(owner)) void put(sessionInfo(session(), servedUser, clock.now()));
    begun.add(owner);
  }

  async function all(): Promise<void> {
    await Promise.all([...legs].map(async (leg) => leg.copied()));
    if (waiting > 0) await new Promise<void>((resolve) => (settled = resolve));
  }

  const record: SessionRecord = {
    begin() {
      for (const [owner, servedUser] of entriesOf(owners())) beginFor(owner, servedUser);
    },
    async add(message, by, only) {
      const said = {message, by, date: clock.now(), ownId: context.ids.token()};
      for (const [owner, servedUser] of entriesOf(owners())) {
        const object = (only ?? owner) === owner ? objectOf(session(), owner, servedUser, said) : undefined;
        if (object === undefined) continue;
        beginFor(owner, servedUser);
        await put(object);
      }
    },
    follow(leg, by) {
      legs.add(leg);
      leg.onRelayed = async (message) => record.add(message, by);
    },
    async finish() {
      finished ??= (async () => {
        await Promise.race([all(), pause(clock, finishMilliseconds)]);
        if (waiting + lost > 0)
          log.warn({...where, code: 'CPM_NOT_RECORDED', stored, waiting, lost}, 'a session is not recorded in time');
        else if (stored > 0) log.info({...where, stored}, 'a session is recorded');
      })();
      return finished;
    },
  };
  return record;
}

/**
 * What was delivered to a user whose sessions are recorded is recorded, too, in the session in which it was sent, before the queue lets go of it.
 * Said again of the same messages it changes nothing. Rejects with `CPM_STORE_AWAY` (503), as what follows it would.
 * @clause CPM-CF 8.5.2
 */
export async function recordDelivered(
  context: Pick<Context, 'users' | 'policy' | 'clock' | 'log' | 'store'>,
  delivered: readonly DeferredMessage[],
): Promise<void> {
  const {store, clock, log} = context;
  const recorded = delivered.filter(
    ({servedUser, session}) => session.pager === undefined && isRecorded(context, servedUser),
  );
  const objects = recorded.flatMap((message) => {
    const {servedUser, sender, kind, id, receivedAt} = message;
    const isOfGroup = contributionOf(sender) !== undefined;
    const session = {
      ...{...message.session, invited: servedUser},
      ...(isOfGroup ? {inviter: message.session.senderAddress, group: []} : {inviter: sender}),
    };
    const said = {message, by: 'inviter', date: receivedAt, ownId: `deferred-${id}`} as const;
    const object = objectOf(session, 'invited', servedUser, said);
    // A notification waits for the one who sent the message: the session's info is that of his own record. A group's is kept when the PF joins it.
    const infos = kind === 'chat' && !isOfGroup ? [sessionInfo(session, servedUser, receivedAt)] : [];
    return [...infos, ...(object === undefined ? [] : [object])];
  });
  if (objects.length === 0) return;
  try {
    await store.messageStore.put(objects, clock.now());
  } catch (error) {
    if (error instanceof CpmError && error.code === 'CPM_STORE_AWAY') throw error;
    log.error({clause: 'CPM-CF 8.5.2', error}, 'delivered messages cannot be recorded');
  }
}

const entriesOf = (owners: Owners): readonly (readonly [Speaker, string])[] =>
  (['inviter', 'invited'] as const).flatMap((who) => {
    const servedUser = owners[who];
    return servedUser === undefined ? [] : [[who, servedUser] as const];
  });

function sessionInfo(session: RecordableSession, servedUser: string, date: number): NewStoredObject {
  const {conversationId, contributionId, inviter, invited, subject, inReplyTo, replaces, group} = session;
  const headers = {Subject: subject, 'P-Asserted-Service': ICSI.session, 'InReplyTo-Contribution-ID': inReplyTo};
  return {
    ...{servedUser, conversationId, contributionId, from: inviter, to: invited},
    kind: 'session-info',
    // The same whenever it is made for this session: it is kept once.
    imdnMessageId: `session-info-${contributionId}`,
    direction: undefined,
    date,
    headers: Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [{name, value}])),
    contentType: SESSION_INFO_TYPE,
    bytes: Buffer.from(
      formatSessionInfo({type: group === undefined ? '1-1' : 'group', replaces, invitedParticipants: group ?? []}),
    ),
  };
}

/** A message that was said in a session. */
interface Said {
  readonly message: OutgoingMessage;
  readonly by: Speaker;
  readonly date: number;
  /** Its IMDN-Message-ID, where it has none. */
  readonly ownId: string;
}

/** Undefined for what is never stored: isComposing (T34), and what members or the PF say of a group itself. */
function objectOf(
  session: RecordableSession,
  owner: Speaker,
  servedUser: string,
  {message: {contentType, bytes}, by, date, ownId}: Said,
): NewStoredObject | undefined {
  const cpim = readable(contentType, bytes);
  const type = cpim?.contentType ?? contentType;
  if (isComposing(type) || isGroupData(type) || isType(type, GROUP_STATE_TYPE)) return undefined;
  const isReport = cpim === undefined ? isType(contentType, 'message/imdn+xml') : isNotification(cpim);
  const {conversationId, contributionId} = session;
  return {
    ...{servedUser, conversationId, contributionId},
    from: (session.group !== undefined && by !== owner ? authorOf(cpim) : undefined) ?? session[by],
    to: session[by === 'inviter' ? 'invited' : 'inviter'],
    kind: isReport ? 'notification' : 'message',
    imdnMessageId: (cpim && imdnMessageId(cpim)) ?? ownId,
    direction: by === owner ? 'sent' : 'received',
    date,
    headers: [],
    contentType,
    bytes,
  };
}

/** Who of a group wrote a message, by its CPIM From. */
function authorOf(cpim: Cpim | undefined): string | undefined {
  try {
    const {uri} = parseNameAddr((cpim && cpimHeader(cpim, undefined, 'From')) ?? '');
    return canonicalAddress(uri) ?? uri;
  } catch {
    return undefined;
  }
}

/** What cannot be read is recorded as it is. */
function readable(contentType: string, bytes: Uint8Array): Cpim | undefined {
  try {
    return isType(contentType, 'message/cpim') ? parseCpim(bytes) : undefined;
  } catch {
    return undefined;
  }
}
