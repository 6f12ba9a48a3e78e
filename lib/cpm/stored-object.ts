/**
 * What the Message Store keeps of a served user's sessions (CPM-CF 8.5.2): each an object with MIME headers, in the folder of its session.
 */

/** `group-state`: Group State Object. */
export const storedKinds = ['session-info', 'message', 'notification', 'group-state'] as const;
export type StoredKind = (typeof storedKinds)[number];

/** The folder of a session, named by its Contribution-ID, in that of its conversation. */
export interface SessionFolder {
  /** Canonical key of the user whose store it is. */
  readonly servedUser: string;
  readonly conversationId: string;
  readonly contributionId: string;
}

/** An object that is about to be kept. */
export interface NewStoredObject extends SessionFolder {
  readonly kind: StoredKind;
  /** IMDN-Message-ID: the message's own; of an object of the PF's own making one that is the same whenever it is made for the same event. */
  readonly imdnMessageId: string;
  /** Canonical address of whoever wrote it: authenticated (6.1), in a group from CPIM. */
  readonly from: string;
  readonly to: string;
  /** As the served user sees it; undefined where nobody sent it. */
  readonly direction: 'sent' | 'received' | undefined;
  /** Date, milliseconds since 1970. */
  readonly date: number;
  /** Further MIME headers, by their written names: Subject, P-Asserted-Service, … */
  readonly headers: readonly {readonly name: string; readonly value: string}[];
  readonly contentType: string;
  /** Octet for octet (row E1). */
  readonly bytes: Uint8Array;
}

/** An object as a list shows it: all but its octets. */
export interface StoredSummary extends Omit<NewStoredObject, 'bytes'> {
  /** Storage key of the PF's own, unique in the store. */
  readonly id: string;
  /** Order in which the objects of a user were stored. */
  readonly sequence: number;
  /** Milliseconds since 1970. */
  readonly storedAt: number;
  readonly size: number;
}

export interface StoredObject extends StoredSummary {
  readonly bytes: Uint8Array;
}

/** A folder, and how many objects of each kind are in it. */
export interface FolderSummary extends SessionFolder {
  readonly counts: Readonly<Record<StoredKind, number>>;
  /** Of its objects, ms. */
  readonly firstDate: number;
  readonly lastDate: number;
}

/**
 * What of an object has to be the same, beside its folder, kind and IMDN-Message-ID, for it to be the same object: author and bytes; nothing of
 * what the PF makes itself, which it may make again in other words.
 */
export const samenessOf = ({kind, from, bytes}: NewStoredObject): readonly (string | Uint8Array)[] =>
  kind === 'message' || kind === 'notification' ? [`${from}\n`, bytes] : [];
