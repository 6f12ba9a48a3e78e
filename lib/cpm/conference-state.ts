/**
 * What is known of a conference: the notifications of the conference event package put together (RFC 4575 §4.3 to §4.6), with the extensions
 * of CPM. One who is only unreachable still takes part (CPM-CF 8.3.2.3, T12).
 */

/** `full` replaces what was known, `partial` changes what it names, `deleted` takes away. */
export type ChangeState = 'full' | 'partial' | 'deleted';

/** One document. What is left out of a partial one has not changed. */
export interface ConferenceNotification {
  /** The conference's URI. */
  readonly entity: string;
  readonly state: ChangeState;
  /** Grows by one with each document of a subscription. */
  readonly version: number | undefined;
  readonly description?: ConferenceDescription | undefined;
  readonly status?: ConferenceStatus | undefined;
  readonly users?: {readonly state: ChangeState; readonly users: readonly UserChange[]} | undefined;
}

/** A notification changes it as a whole. */
export interface ConferenceDescription {
  readonly displayText?: string | undefined;
  /** Empty: it was taken away. */
  readonly subject?: string | undefined;
  readonly subjectChange?: GroupDataChange | undefined;
  readonly icon?: ConferenceIcon | undefined;
  readonly maximumUserCount?: number | undefined;
  readonly policy?: string | undefined;
}

/** Who set the subject or the icon, and when (RFC 3339). */
export interface GroupDataChange {
  readonly participant?: string | undefined;
  readonly timestamp?: string | undefined;
}

/** Neither URI nor file: it was taken away. */
export interface ConferenceIcon extends GroupDataChange {
  readonly uri?: string | undefined;
  /** Content-ID of a file. */
  readonly file?: string | undefined;
}

/** A notification changes it as a whole. */
export interface ConferenceStatus {
  readonly userCount?: number | undefined;
  readonly active?: boolean | undefined;
  readonly locked?: boolean | undefined;
}

export interface ConferenceUser {
  /** His address: the key, compared octet by octet (RFC 4575 §4.5). */
  readonly entity: string;
  readonly displayText?: string | undefined;
  readonly roles?: readonly string[] | undefined;
  /** The user whom the subscriber stands for. */
  readonly yourOwn?: boolean | undefined;
  readonly endpoints: readonly ConferenceEndpoint[];
}

export interface UserChange extends ConferenceUser {
  readonly state: ChangeState;
  readonly endpoints: readonly EndpointChange[];
}

/** One device in the conference, or one that was. */
export interface ConferenceEndpoint {
  /** The key among those of one user; undefined where there is none, which is a key as well. */
  readonly entity?: string | undefined;
  readonly displayText?: string | undefined;
  readonly status?: EndpointStatus | undefined;
  readonly joiningMethod?: 'dialed-in' | 'dialed-out' | 'focus-owner' | undefined;
  readonly joiningInfo?: ExecutionInfo | undefined;
  readonly disconnectionMethod?: 'departed' | 'booted' | 'failed' | 'busy' | undefined;
  readonly disconnectionInfo?: ExecutionInfo | undefined;
}

export interface EndpointChange extends ConferenceEndpoint {
  readonly state: ChangeState;
}

export type EndpointStatus =
  | 'pending'
  | 'dialing-out'
  | 'dialing-in'
  | 'alerting'
  | 'on-hold'
  | 'connected'
  | 'muted-via-focus'
  | 'disconnecting'
  | 'disconnected';

/** How a device came or went. */
export interface ExecutionInfo {
  /** RFC 3339. */
  readonly when?: string | undefined;
  /** In the form of a Reason header, as a rule. */
  readonly reason?: string | undefined;
  readonly by?: string | undefined;
}

export interface ConferenceState {
  /** Of the latest document of this subscription. */
  readonly version: number | undefined;
  /** A document is missing: the rest is our best knowledge until the subscription is refreshed and a full one comes. */
  readonly refreshNeeded: boolean;
  /** The conference has ceased to exist. */
  readonly ended: boolean;
  readonly description: ConferenceDescription;
  readonly status: ConferenceStatus;
  readonly users: readonly ConferenceUser[];
  /**
   * Those who take part. When a focus that ends the conference takes them all away, those whom it had before: a list of participants without
   * anybody else is of no use to a client (T12).
   */
  readonly participants: readonly ConferenceUser[];
}

/** Before the first document. */
export const unknownConference: ConferenceState = {
  version: undefined,
  refreshNeeded: true,
  ended: false,
  description: {},
  status: {},
  users: [],
  participants: [],
};

/** What an invitation, or a store, says of a conference of which no document has come yet. */
export function invitedConference(
  invited: readonly {readonly address: string; readonly name?: string | undefined}[],
  description: ConferenceDescription = {},
): ConferenceState {
  const users = invited.map(({address, name}) => ({entity: address, displayText: name, endpoints: []}));
  return {...unknownConference, description, users, participants: users};
}

export interface MergeOptions {
  /** Tells the served user from the others; default: by the focus's own mark. */
  readonly isOwn?: (user: ConferenceUser) => boolean;
  /** Users beyond it are not taken note of. A group of CPM has some hundred members at most. */
  readonly maxUsers?: number;
}

/** A new subscription counts its versions anew; what was known stays until its first document. */
export function newSubscription(known: ConferenceState): ConferenceState {
  return {...known, version: undefined, refreshNeeded: true};
}

/**
 * What is known once a document has come (RFC 4575 §4.6). One that is not newer changes nothing. Of a partial one that follows on a gap its
 * changes are still better than none; `refreshNeeded` stays until a full one comes.
 */
export function mergeNotification(
  known: ConferenceState,
  notification: ConferenceNotification,
  {isOwn = ({yourOwn}) => yourOwn === true, maxUsers = 4096}: MergeOptions = {},
): ConferenceState {
  const {state} = notification;
  // A focus that does not count is taken at its word: nothing is known to be missing.
  const next = known.version === undefined ? undefined : known.version + 1;
  const version = notification.version ?? next;
  if (next !== undefined && version !== undefined && version < next) return known;

  // Of a conference that is gone its name stays known.
  const ended = {...unknownConference, description: known.description};
  const before = {partial: known, deleted: ended, full: unknownConference}[state];
  const users = mergedUsers(before.users, notification.users).slice(0, maxUsers);
  const taking = users.filter(takesPart);
  return {
    version: version ?? 0,
    refreshNeeded: state === 'partial' && (known.refreshNeeded || version !== next),
    ended: state === 'deleted',
    description: notification.description ?? before.description,
    status: notification.status ?? before.status,
    users,
    participants: taking.some((user) => !isOwn(user)) ? taking : known.participants,
  };
}

/** Those who took part before the departures that came one close upon the other, the last of them at `at` (ms). */
export interface Departures {
  readonly participants: readonly ConferenceUser[];
  readonly at: number;
}

/** Departures so close to each other, or to the end of a conference, belong to its end. */
const teardownMilliseconds = 5000;

/** Notes who was there before somebody went: one of a run of departures, or the first. */
export function noteDepartures(
  noted: Departures | undefined,
  {before, after}: {readonly before: ConferenceState; readonly after: ConferenceState},
  at: number,
): Departures | undefined {
  const stays = new Set(after.users.filter(takesPart).map(({entity}) => entity));
  if (before.participants.every(({entity}) => stays.has(entity))) return noted;
  // One document that takes them all away is the end by itself: those before it are known.
  if (stays.size === 0 && before.users.filter(takesPart).length > 1) return undefined;
  const isRun = noted !== undefined && at - noted.at <= teardownMilliseconds;
  return {participants: isRun ? noted.participants : before.participants, at};
}

/**
 * The conference as it was before its focus took it down: a focus that ends one may tell each departure before its BYE, down to the last one (T12).
 * Where somebody else is still there, those who went have left by themselves.
 */
export function beforeTeardown(
  known: ConferenceState,
  noted: Departures | undefined,
  {isOwn, at}: {readonly isOwn: (user: ConferenceUser) => boolean; readonly at: number},
): ConferenceState {
  const isEmpty = !known.users.some((user) => takesPart(user) && !isOwn(user));
  if (!isEmpty || noted === undefined || at - noted.at > teardownMilliseconds) return known;
  return {...known, participants: noted.participants};
}

/** Whether a user belongs to the group: he has not left, was not removed, and did not decline (603) on all of his devices. */
export function takesPart({endpoints}: ConferenceUser): boolean {
  return endpoints.length === 0 || endpoints.some((endpoint) => !isGone(endpoint));
}

function isGone({status, disconnectionMethod, disconnectionInfo}: ConferenceEndpoint): boolean {
  if (status !== 'disconnected') return false;
  if (disconnectionMethod === 'departed' || disconnectionMethod === 'booted') return true;
  return disconnectionMethod === 'failed' && /\b603\b/.test(disconnectionInfo?.reason ?? '');
}

function mergedUsers(
  known: readonly ConferenceUser[],
  change: ConferenceNotification['users'],
): readonly ConferenceUser[] {
  if (change === undefined) return known;
  if (change.state === 'deleted') return [];
  return merged(change.state === 'full' ? [] : known, change.users, (user, {state, ...told}) => ({
    ...kept(user, state),
    ...withoutUndefined(told),
    endpoints: merged(state === 'partial' ? (user?.endpoints ?? []) : [], told.endpoints, mergedEndpoint),
  }));
}

function mergedEndpoint(
  endpoint: ConferenceEndpoint | undefined,
  {state, ...told}: EndpointChange,
): ConferenceEndpoint {
  return {...kept(endpoint, state), ...withoutUndefined(told)};
}

/** Rows by their key: those that are told are changed, added, or taken away; the order is that in which they came first. */
function merged<Row extends {readonly entity?: string | undefined}, Change extends Row & {readonly state: ChangeState}>(
  rows: readonly Row[],
  changes: readonly Change[],
  apply: (row: Row | undefined, change: Change) => Row,
): readonly Row[] {
  const table = new Map(rows.map((row) => [row.entity, row]));
  for (const change of changes) {
    if (change.state === 'deleted') table.delete(change.entity);
    else table.set(change.entity, apply(table.get(change.entity), change));
  }
  return [...table.values()];
}

/** What stays of a row: all of it under a partial change. */
function kept<Row>(row: Row | undefined, state: ChangeState): Partial<Row> {
  return state === 'partial' && row !== undefined ? row : {};
}

function withoutUndefined<Row extends object>(row: Row): Row {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined)) as Row;
}
