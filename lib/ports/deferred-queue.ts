import type {
  DeferredKind,
  DeferredMessage,
  NewDeferredMessage,
  PendingState,
  Settlement,
} from '../cpm/deferred-message.ts';
import type {Note, TracedMessage} from '../cpm/history.ts';

/**
 * Durable keeping of what waits for served users: pending messages and notifications (CPM-CF 8.3.2.9.1.1).
 *
 * Every promise resolves only after the change is durable, and rejects with `CPM_STORE_AWAY` (503) when the store cannot be reached in
 * time; whether the change was made is then open. Every call is idempotent: repeating it after a lost answer changes nothing more,
 * but for messages without an imdnMessageId, which have no identity by which a repetition could be known.
 * Identity of a message (row E8): (servedUser, sender, kind, imdnMessageId); without an imdnMessageId each one is its own. Where its
 * `sameness` is `id`, other bytes under the same identity are a duplicate, too.
 * Ids that name no pending message are passed over. Each change of a message's state is written into its history by the same write; `note`
 * is what the history is to say of it beyond that.
 */
export interface DeferredQueue {
  /**
   * Keeps messages, in the order given; one result per message.
   * `stored`: new. `duplicate`: same identity and same bytes, still pending or settled not long ago; nothing was added.
   * `conflict`: same identity with other bytes; kept under a key of its own (T62), and the caller logs it.
   */
  enqueue(messages: readonly NewDeferredMessage[]): Promise<readonly EnqueueResult[]>;

  /** Those who have anything `queued` for this user; unordered, the order is a policy (row A0). */
  senders(servedUser: string): Promise<readonly PendingSender[]>;

  /**
   * What is `queued` for the user from this sender after `afterSequence`, in order of arrival, at least one if there is any, until a limit
   * is reached. A message is seen once it is acknowledged; what another node was storing at the same time may come to stand before
   * `afterSequence`: before a delivery ends, look once more from the start.
   */
  next(servedUser: string, sender: string, window: QueueWindow): Promise<readonly DeferredMessage[]>;

  /** The client said 200: `queued` becomes `sent`; what is `held` stays so, and is `sent` when it is released. */
  markSent(ids: readonly string[], at: number, note?: Note): Promise<void>;

  /** Something happened to pending messages that leaves their state as it is: an attempt to hand them over failed. */
  noteRefused(ids: readonly string[], at: number, note: Note): Promise<void>;

  /** Nothing more is owed: body gone, identity remembered for `settledRetention` so that a late repetition is a `duplicate`. Answers those released. */
  settle(ids: readonly string[], how: Settlement, at: number, note?: Note): Promise<readonly SettledMessage[]>;

  /** Pending messages to `servedUser` with this imdn.Message-ID (a notification names only the id; the sender narrows it where known). */
  find(servedUser: string, imdnMessageId: string, sender?: string): Promise<readonly PendingSummary[]>;

  /** What the client took from this sender and has not confirmed, whole, in order of arrival, at most `limit` and about 16 MiB. */
  sentUnconfirmed(servedUser: string, sender: string, limit: number): Promise<readonly DeferredMessage[]>;

  /** `sent` becomes `queued` again, at its old place, for what was sent before `sentBefore` (ms): offered again with the same id (T26). Answers how many. */
  requeueSent(servedUser: string, sentBefore: number, at: number): Promise<number>;

  /**
   * Pending messages with expiresAt ≤ now that are not held, oldest first, whole, at most `limit` and about 16 MiB, at least one if there is any; the caller
   * settles them as `expired` and asks again until there are none.
   */
  expired(now: number, limit: number): Promise<readonly DeferredMessage[]>;

  /** Served users with anything `queued`, in key order after `after`, at most `limit`: start-up and store-back triggers walk it. */
  usersPending(after: string | undefined, limit: number): Promise<readonly string[]>;

  /**
   * Moves everything of one key to another, in the order of arrival across both: two identities turned out to be one user. A message that
   * both keys hold (same identity, same bytes) stays once, the one that is further on, and counts once. Answers how many pending ones moved.
   */
  adopt(fromUser: string, toUser: string): Promise<number>;

  /**
   * Messages of a selection with their histories, pending and settled ones whose identity is remembered, or the pending alone, in
   * the order of arrival after one of them, at most `limit`.
   */
  trace(selection: Selection, page: TracePage): Promise<readonly TracedMessage[]>;

  /** Pending messages of a selection, whole, at most `limit` and about 16 MiB, at least one if there is any. */
  pending(selection: Selection, limit: number): Promise<readonly DeferredMessage[]>;

  /** At most `limit` of a selection that are `queued` or `sent` become `held`: not offered, and not expired, until they are released. Answers those changed. */
  hold(selection: Selection, limit: number, at: number, note?: Note): Promise<readonly SettledMessage[]>;

  /** At most `limit` of a selection that are `held` become what they were, at their old place. Answers those changed. */
  release(selection: Selection, limit: number, at: number, note?: Note): Promise<readonly SettledMessage[]>;

  /** How many are pending, held, and how many were settled and how; distinct messages, each counted once. For operators and tests, it may read the whole queue. */
  ledger(): Promise<Ledger>;

  /** Forgets identities of messages settled before `before` (ms). Answers how many. */
  forgetSettled(before: number): Promise<number>;
}

export interface EnqueueResult {
  readonly id: string;
  readonly outcome: 'stored' | 'duplicate' | 'conflict';
}

export interface PendingSender {
  readonly sender: string;
  readonly chats: number;
  readonly notifications: number;
  /** Oldest CPIM DateTime (receivedAt where a message has none) among the queued, ms. */
  readonly oldestDateTime: number;
}

export interface QueueWindow {
  readonly afterSequence: number | undefined;
  readonly limit: number;
  /** Total of message bytes at which the window closes; one message always fits. */
  readonly maxBytes: number;
}

/** Which messages an operator means: an imdn.Message-ID or an id of the store; canonical keys of a served user or of an originator; a Conversation-ID. */
export interface Selection {
  readonly by: 'message' | 'user' | 'sender' | 'conversation';
  readonly value: string;
}

export interface TracePage {
  readonly after: Pick<TracedMessage, 'sequence' | 'id'> | undefined;
  readonly limit: number;
  readonly pendingOnly: boolean;
}

export interface SettledMessage {
  readonly id: string;
  readonly servedUser: string;
  readonly sender: string;
  readonly kind: DeferredKind;
  readonly imdnMessageId: string | undefined;
}

export interface PendingSummary extends SettledMessage {
  readonly state: PendingState;
}

/** `pending`: queued or sent. */
export interface Ledger {
  readonly accepted: number;
  readonly pending: number;
  readonly held: number;
  readonly delivered: number;
  readonly expired: number;
  readonly dropped: number;
  readonly failed: number;
}

/** Whether each accepted message is in one place: pending, held, or settled in one of the four ways. */
export const addsUp = ({accepted, pending, held, delivered, expired, dropped, failed}: Ledger): boolean =>
  accepted === pending + held + delivered + expired + dropped + failed;
