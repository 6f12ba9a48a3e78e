/** What the collections hold. Times are milliseconds since 1970, except where a server compares them with its own clock. */
import type {DeferredMessage, OriginalSession, PendingState, Settlement} from '../../cpm/deferred-message.ts';
import type {HistoryEntry} from '../../cpm/history.ts';
import type {GroupSession} from '../../cpm/group-session.ts';
import type {NewStoredObject} from '../../cpm/stored-object.ts';
import type {Db} from 'mongodb';
import type {Registration} from '../../ports/registrations.ts';

/** A message, pending or settled. A document ends at 16 MB: what is larger than `inlineBytes` is in `parts`. */
export interface MessageDocument extends Readonly<
  Pick<DeferredMessage, 'servedUser' | 'sender' | 'kind' | 'contentType' | 'dispositions' | 'receivedAt' | 'expiresAt'>
> {
  readonly _id: string;
  /** Unique: row E8 and the bytes in one value, so that the server itself refuses to keep one message twice. */
  readonly identity: string;
  /** Row E8 alone; absent without an imdn.Message-ID. */
  readonly key?: string;
  readonly imdnMessageId?: string;
  readonly dateTime?: number;
  /** By which senders are ordered: dateTime, else receivedAt. */
  readonly orderTime: number;
  readonly sequence: number;
  readonly state: PendingState | Settlement;
  /** Present while it is pending: the index of what may expire holds these alone. */
  readonly pending?: true;
  readonly sentAt?: number;
  readonly settledAt?: number;
  /** Name of the node that accepted it, the session's Conversation-ID, how many things happened since, and the latest of them. */
  readonly node?: string;
  readonly conversationId?: string;
  readonly events?: number;
  readonly history?: readonly HistoryEntry[];
  readonly session?: OriginalSession;
  readonly bytes?: Buffer;
  /** How many parts hold the bytes, where they are not inline. */
  readonly parts?: number;
}

/** `_id` is the message's id and the part's number. */
export interface PartDocument {
  readonly _id: string;
  readonly message: string;
  readonly writtenAt: number;
  readonly bytes: Buffer;
}

/** An object of the message store; large ones have their octets in `storedParts`. */
export interface StoredDocument extends Omit<NewStoredObject, 'bytes' | 'direction'> {
  readonly _id: string;
  /** Unique, as that of a message; `key` is its part without the bytes. */
  readonly identity: string;
  readonly key: string;
  readonly sequence: number;
  readonly direction?: NewStoredObject['direction'];
  readonly storedAt: number;
  readonly size: number;
  readonly bytes?: Buffer;
  readonly parts?: number;
}

/** Unique by its user and Contribution-ID. */
export interface GroupSessionDocument extends Omit<GroupSession, 'subject' | 'offer'> {
  readonly subject?: string;
  readonly offer?: string;
}

/** Last sequence of one (served user, sender), or of what is recorded for a user. */
export interface SequenceDocument {
  readonly _id: string;
  readonly value: number;
}

/** Counts of settled messages whose identity is forgotten, and those that are just being forgotten. */
export interface ForgottenDocument extends Partial<Record<Settlement, number>> {
  readonly _id: 'forgotten';
  readonly underWay?: {
    readonly token: string;
    readonly ids: readonly string[];
    readonly counts?: Record<Settlement, number>;
  };
}

export interface RegistrationDocument extends Omit<Registration, 'servedUser'> {
  readonly _id: string;
}

export interface IdentityDocument {
  readonly _id: string;
  readonly servedUser: string;
}

export interface LeaseDocument {
  readonly _id: string;
  readonly node: string;
  readonly address?: string;
  readonly token: string;
  /** On the server's clock. */
  readonly expiresAt: Date;
}

export interface DialogDocument {
  readonly _id: string;
  readonly node: string;
  readonly server: string;
  readonly servedUser: string;
  readonly openedAt: number;
}

export const collections = {
  messages: (database: Db) => database.collection<MessageDocument>('messages'),
  parts: (database: Db) => database.collection<PartDocument>('parts'),
  stored: (database: Db) => database.collection<StoredDocument>('stored'),
  storedParts: (database: Db) => database.collection<PartDocument>('storedParts'),
  groupSessions: (database: Db) => database.collection<GroupSessionDocument>('groupSessions'),
  sequences: (database: Db) => database.collection<SequenceDocument>('sequences'),
  forgotten: (database: Db) => database.collection<ForgottenDocument>('totals'),
  registrations: (database: Db) => database.collection<RegistrationDocument>('registrations'),
  identities: (database: Db) => database.collection<IdentityDocument>('identities'),
  leases: (database: Db) => database.collection<LeaseDocument>('leases'),
  dialogs: (database: Db) => database.collection<DialogDocument>('dialogs'),
  schema: (database: Db) => database.collection<{_id: 'schema'; version: number}>('schema'),
};
