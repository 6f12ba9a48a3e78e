import type {GroupSession} from '../cpm/group-session.ts';
import type {GroupState} from '../cpm/group-state.ts';
import type {TracedMessage} from '../cpm/history.ts';
import type {FolderSummary, StoredObject, StoredSummary} from '../cpm/stored-object.ts';
import type {Selection, TracePage} from './deferred-queue.ts';
import type {GroupPage} from './group-sessions.ts';
import type {FolderPage, StoredPage} from './message-store.ts';
import type {Erased} from './store.ts';

export const queueChanges = ['hold', 'release', 'retry', 'drop'] as const;

/** `retry` changes no message: deliveries are tried now. */
export type QueueChange = (typeof queueChanges)[number];

/**
 * What whoever runs the PF may ask and do. A value is taken as people write it: an address in any of its forms, also `+number` alone.
 * Rejects with `CPM_STORE_AWAY` (503); whatever was done until then stays done, and may be asked for again.
 */
export interface Operator {
  /** What a value alone means: the user who is reached by it, where it is an address; else the message, where there is one; else the conversation. */
  selectionOf(value: string): Promise<Selection>;
  trace(selection: Selection, page: TracePage): Promise<readonly TracedMessage[]>;
  /** Writes one log record of it. `who`: the operator's name. */
  change(what: QueueChange, selection: Selection, who: string): Promise<Changed>;
  /** The folders of a user's recorded sessions (8.5.2). */
  recordedSessions(user: string, page: FolderPage): Promise<readonly FolderSummary[]>;
  /** What is recorded of a conversation of his. */
  recorded(user: string, conversationId: string, page: StoredPage): Promise<readonly StoredSummary[]>;
  /** One object of his, its words, too; likewise logged. Rejects with `CPM_NOT_FOUND` (404). */
  recordedObject(user: string, id: string, who: string): Promise<StoredObject>;
  /** The groups of a user, by Contribution-ID. */
  groups(user: string, page: GroupPage): Promise<readonly GroupSummary[]>;
  /** One of them; undefined when it is not known. */
  group(user: string, contributionId: string): Promise<GroupSession | undefined>;
  /** The Group State Objects in its folder of the message store, in the order in which they were stored (8.3.2.3 B4). */
  groupStates(user: string, contributionId: string, page: StoredPage): Promise<readonly KeptGroupState[]>;
  /** Removes everything kept of a user, under the lease of his deliveries; likewise logged. Rejects with `CPM_USER_BUSY` (409) while it cannot be had. */
  erase(user: string, who: string): Promise<EraseReport>;
}

export interface Changed {
  readonly messages: number;
  readonly users: number;
}

/** `subject` as it was known last. */
export interface GroupSummary extends Omit<GroupSession, 'offer' | 'conference'> {
  /** How many take part. */
  readonly participants: number;
}

export interface KeptGroupState extends Pick<StoredSummary, 'id' | 'sequence' | 'imdnMessageId' | 'date'> {
  /** Undefined where the object cannot be read, or is just gone. */
  readonly state: GroupState | undefined;
}

export interface EraseReport extends Erased {
  /** What plugins keep all the same, because the law wants it: `lawful-retention: FILE`. */
  readonly kept: readonly string[];
}
