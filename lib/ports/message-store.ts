import type {
  FolderSummary,
  NewStoredObject,
  SessionFolder,
  StoredKind,
  StoredObject,
  StoredSummary,
} from '../cpm/stored-object.ts';

/**
 * CPM's Message Store: what is kept of sessions when they are over (CPM-CF 8.5.2), and the states of groups (8.3.2.3 B4 to B6).
 *
 * Every promise resolves only after the change is durable, and rejects with `CPM_STORE_AWAY` (503) when the store cannot be reached in time;
 * whether the change was made is then open. Every call may be repeated.
 * Identity of an object: its folder, kind and IMDN-Message-ID; of messages and notifications author and bytes, too: others under the same
 * id are kept beside the first (T62). Nothing is overwritten (T13).
 */
export interface MessageStore {
  /** Keeps objects, in the order given; one outcome per object. `conflict`: kept beside another one of that id. */
  put(objects: readonly NewStoredObject[], at: number): Promise<readonly PutOutcome[]>;

  /** The session folders of a user that have anything in them, or anything of a kind; by Conversation-ID and Contribution-ID. */
  folders(servedUser: string, page: FolderPage): Promise<readonly FolderSummary[]>;

  /** Objects of a conversation or of one session in it, in the order in which they were stored. */
  list(selection: StoredSelection, page: StoredPage): Promise<readonly StoredSummary[]>;

  /** The whole object; undefined when it is no more. */
  read(id: string): Promise<StoredObject | undefined>;

  /** Moves everything of one key to another: two identities turned out to be one user. What both hold stays once. Answers how many moved. */
  adopt(fromUser: string, toUser: string): Promise<number>;

  /**
   * Removes at most `limit` objects stored before `before` (ms), session infos only out of folders with nothing else in them. Answers how many; the
   * caller asks again until there are none.
   */
  forget(before: number, limit: number): Promise<number>;
}

export type PutOutcome = 'stored' | 'duplicate' | 'conflict';

export interface StoredSelection extends Pick<SessionFolder, 'servedUser' | 'conversationId'> {
  readonly contributionId?: string | undefined;
  readonly kind?: StoredKind | undefined;
}

export interface FolderPage {
  readonly after?: Pick<SessionFolder, 'conversationId' | 'contributionId'> | undefined;
  readonly limit: number;
  /** Folders with any of these alone. */
  readonly kind?: StoredKind | undefined;
}

export interface StoredPage {
  /** Sequence of the last one seen. */
  readonly after?: number | undefined;
  readonly limit: number;
}
