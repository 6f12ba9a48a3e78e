import type {ConferenceState} from './conference-state.ts';

/**
 * How the PF stands to a group. `active`: a dialog with its focus is up; `inactive`: there is none, and the group can be started again;
 * `removed`: it is over for the served user (cause 410); `left`: he left it for good.
 */
export const groupStandings = ['active', 'inactive', 'removed', 'left'] as const;
export type GroupStanding = (typeof groupStandings)[number];

/** A group session of a served user as it outlives its dialogs: what a delivery, a re-join or a re-start needs to know (CPM-CF 8.3.2.9.1.2). */
export interface GroupSession {
  /** Canonical key of the served user. */
  readonly servedUser: string;
  /** Names the group, through every dialog that it has: opaque, case-sensitive (T46, T61). */
  readonly contributionId: string;
  readonly conversationId: string;
  readonly standing: GroupStanding;
  /** The CPM Group Session Identity: the focus's Contact, as it was received last. */
  readonly focus: string;
  /** The public identity by which the group knows the served user, as a SIP URI. */
  readonly memberAddress: string;
  /** As its Subject header: of the latest invitation, or notification where those may change it. */
  readonly subject: string | undefined;
  /** The offer of the original invitation, whose capabilities each later one repeats (row C4). */
  readonly offer: string | undefined;
  /** Latest known participants, subject and icon. */
  readonly conference: ConferenceState;
  /** The PF node that stands in the group, or stood in it last. */
  readonly node: string;
  /** Milliseconds since 1970. */
  readonly changedAt: number;
}

/** What a notification calls a group must fit into an INVITE: so many code points of it. */
const longestSubject = /^.{1,200}/u;

/** A text as a Subject header has it (RFC 3261 §20.36): one line, cut where it is too long for one; undefined where nothing is left. */
export function asSubject(text: string): string | undefined {
  const line = text.replace(/[\s\p{Cc}]+/gu, ' ').trim();
  return longestSubject.exec(line)?.[0];
}

/**
 * Key of a group among the senders of a served user's queue: its messages wait together, in the order of the group (row E8). It is no address,
 * so that no sender can have it.
 */
export const groupSender = (contributionId: string): string => `group:${contributionId}`;

/** The Contribution-ID in such a key; undefined of a sender's address. */
export const contributionOf = (sender: string): string | undefined =>
  sender.startsWith('group:') ? sender.slice('group:'.length) : undefined;
