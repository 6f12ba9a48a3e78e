import {imdnMessageId, isNotification, parseCpim, type Cpim} from '../../codecs/cpim.ts';
import {isComposing} from '../../codecs/iscomposing.ts';
import {isType} from '../../codecs/mime.ts';
import {SESSION_INFO_TYPE, formatSessionInfo} from '../../codecs/session-info.ts';
import type {DeferredMessage} from '../../cpm/deferred-message.ts';
import {ICSI} from '../../cpm/feature-tags.ts';
import type {NewStoredObject, SessionFolder} from '../../cpm/stored-object.ts';
import {CpmError} from '../../errors.ts';
import {pause} from '../../ports/clock.ts';
import type {Leg, OutgoingMessage} from '../../ports/media-plane.ts';
import type {Context} from '../context.ts';
import type {Invitation} from '../terminating/invitation.ts';

/** One of two in a session, as the PF that serves one of them sees it. */
export type Side = 'user' | 'partner';

/** A 1-1 session as its record needs it; read when something is recorded, as its user's key may change while it runs. */
export interface RecordableSession {
  readonly servedUser: string;
  /** Canonical address of the other one. */
  readonly partner: string;
  readonly invitedBy: Side;
  readonly conversationId: string;
  readonly contributionId: string;
  readonly subject?: string | undefined;
  readonly inReplyTo?: string | undefined;
  /** Contribution-ID of the session whose place it takes. */
  readonly replaces?: string | undefined;
}

/** What an invitation says of the session, beside who its parties are. */
export const recordableOf = ({
  servedUser,
  conversationId,
  contributionId,
  subject,
  passed,
}: Invitation): Omit<RecordableSession, 'partner' | 'invitedBy'> => ({
  ...{servedUser, conversationId, contributionId, subject},
  inReplyTo: passed['InReplyTo-Contribution-ID'],
  replaces: passed['Session-Replaces'],
});

/** What is recorded of one session. */
export interface SessionRecord {
  /** The session stands: its info is the first object in its folder, and is there once. */
  begin(): void;
  /** A message, or notification, that the other one took. Resolves when another may come. Never rejects. */
  add(message: OutgoingMessage, by: Side): Promise<void>;
  /** Adds copies of what is relayed from a leg that was opened with `copies`. */
  follow(leg: Leg, by: Side): void;
  /** The session is over: resolves when all of it is in the store, or after a while, with a log record. Idempotent. Never rejects. */
  finish(): Promise<void>;
}

type Needs = Pick<Context, 'users' | 'policy' | 'clock' | 'ids' | 'log' | 'recorder'>;

/** How long an end waits for the record of its session: the network's BYE, whose 200 is to follow, has 32 s (RFC 3261 §17.1.2.2). */
const finishMilliseconds = 2000;

/** Whether sessions of this user are recorded: he allows it, or the operator does it; either will do (T8). */
export const isRecorded = ({users, policy}: Pick<Context, 'users' | 'policy'>, servedUser: string): boolean =>
  users.allowsOfflineStorage(servedUser) || policy.records(servedUser);

/**
 * The record of a session that begins; undefined where it is not to be recorded. Each message goes to the message store when it has passed, so
 * that nothing but what is on its way is in memory; the end of the session waits for the last ones.
 * @clause CPM-CF 8.5.2 B9
 */
export function recordSession(context: Needs, session: RecordableSession): SessionRecord | undefined {
  if (!isRecorded(context, session.servedUser)) return undefined;
  const {clock, log, recorder} = context;
  const {conversationId, contributionId} = session;
  const where = {conversationId, contributionId, clause: 'CPM-CF 8.5.2'};
  const legs = new Set<Leg>();
  let begun = false;
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

  async function all(): Promise<void> {
    await Promise.all([...legs].map(async (leg) => leg.copied()));
    if (waiting > 0) await new Promise<void>((resolve) => (settled = resolve));
  }

  const record: SessionRecord = {
    begin() {
      if (!begun) void put(sessionInfo(session, clock.now()));
      begun = true;
    },
    async add(message, by) {
      record.begin();
      const object = objectOf(session, message, by, clock.now(), context.ids.token());
      if (object !== undefined) await put(object);
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
    const {servedUser, sender: partner, kind, id, receivedAt} = message;
    const session = {...message.session, servedUser, partner, invitedBy: 'partner'} as const;
    const object = objectOf(session, message, 'partner', receivedAt, `deferred-${id}`);
    // A notification waits for the one who sent the message: the session's info is that of his own record.
    return [...(kind === 'chat' ? [sessionInfo(session, receivedAt)] : []), ...(object === undefined ? [] : [object])];
  });
  if (objects.length === 0) return;
  try {
    await store.messageStore.put(objects, clock.now());
  } catch (error) {
    if (error instanceof CpmError && error.code === 'CPM_STORE_AWAY') throw error;
    log.error({clause: 'CPM-CF 8.5.2', error}, 'delivered messages cannot be recorded');
  }
}

const folderOf = ({servedUser, conversationId, contributionId}: RecordableSession): SessionFolder => ({
  servedUser,
  conversationId,
  contributionId,
});

const partiesOf = ({servedUser, partner}: RecordableSession, by: Side): Pick<NewStoredObject, 'from' | 'to'> =>
  by === 'user' ? {from: servedUser, to: partner} : {from: partner, to: servedUser};

function sessionInfo(session: RecordableSession, date: number): NewStoredObject {
  const {contributionId, invitedBy, subject, inReplyTo, replaces} = session;
  const headers = {Subject: subject, 'P-Asserted-Service': ICSI.session, 'InReplyTo-Contribution-ID': inReplyTo};
  return {
    ...folderOf(session),
    ...partiesOf(session, invitedBy),
    kind: 'session-info',
    // The same whenever it is made for this session: it is kept once.
    imdnMessageId: `session-info-${contributionId}`,
    direction: undefined,
    date,
    headers: Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [{name, value}])),
    contentType: SESSION_INFO_TYPE,
    bytes: Buffer.from(formatSessionInfo({type: '1-1', replaces, invitedParticipants: []})),
  };
}

/** Undefined for what is never stored: isComposing (T34). */
function objectOf(
  session: RecordableSession,
  {contentType, bytes}: OutgoingMessage,
  by: Side,
  date: number,
  ownId: string,
): NewStoredObject | undefined {
  const cpim = readable(contentType, bytes);
  if (isComposing(cpim?.contentType ?? contentType)) return undefined;
  const isReport = cpim === undefined ? isType(contentType, 'message/imdn+xml') : isNotification(cpim);
  return {
    ...folderOf(session),
    ...partiesOf(session, by),
    kind: isReport ? 'notification' : 'message',
    imdnMessageId: (cpim && imdnMessageId(cpim)) ?? ownId,
    direction: by === 'user' ? 'sent' : 'received',
    date,
    headers: [],
    contentType,
    bytes,
  };
}

/** What cannot be read is recorded as it is. */
function readable(contentType: string, bytes: Uint8Array): Cpim | undefined {
  try {
    return isType(contentType, 'message/cpim') ? parseCpim(bytes) : undefined;
  } catch {
    return undefined;
  }
}
