import type {DeferredMessage, NewDeferredMessage, PendingState} from '../cpm/deferred-message.ts';

/**
 * Durable keeping of what waits for served users: pending messages and notifications (CPM-CF 8.3.2.9.1.1).
 *
 * Every promise resolves only after the change is durable, and rejects with `CPM_STORE_AWAY` (503) when the store cannot be reached in
 * time; whether the change was made is then open. Every call is idempotent: repeating it after a lost answer changes nothing more,
 * but for messages without an imdnMessageId, which have no identity by which a repetition could be known.
 * Identity of a message (row E8): (servedUser, sender, kind, imdnMessageId); without an imdnMessageId each one is its own. Where its
 * `sameness` is `id`, other bytes under the same identity are a duplicate, too.
 * Ids that name no pending message are passed over.
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

  /** The client said 200: `queued` becomes `sent`; others are left as they are. */
  markSent(ids: readonly string[], at: number): Promise<void>;

  /** Nothing more is owed: body gone, identity remembered for `settledRetention` so that a late repetition is a `duplicate`. Answers those released. */
  settle(ids: readonly string[], how: Settlement, at: number): Promise<readonly SettledMessage[]>;

  /** Pending messages to `servedUser` with this imdn.Message-ID (a notification names only the id; the sender narrows it where known). */
  find(servedUser: string, imdnMessageId: string, sender?: string): Promise<readonly PendingSummary[]>;

  /** What the client took from this sender and has not confirmed, whole, in order of arrival, at most `limit` and about 16 MiB. */
  sentUnconfirmed(servedUser: string, sender: string, limit: number): Promise<readonly DeferredMessage[]>;

  /** `sent` becomes `queued` again, at its old place, for what was sent before `sentBefore` (ms): offered again with the same id (T26). Answers how many. */
  requeueSent(servedUser: string, sentBefore: number): Promise<number>;

  /**
   * Pending messages with expiresAt ≤ now, oldest first, whole, at most `limit` and about 16 MiB, at least one if there is any; the caller
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

  /** How many are pending, and how many were settled and how; distinct messages, each counted once. For operators and tests, it may read the whole queue. */
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

export type Settlement = 'delivered' | 'expired' | 'dropped' | 'failed';

export interface SettledMessage {
  readonly id: string;
  readonly servedUser: string;
  readonly sender: string;
  readonly imdnMessageId: string | undefined;
}

export interface PendingSummary extends SettledMessage {
  readonly kind: 'chat' | 'notification';
  readonly state: PendingState;
}

export interface Ledger {
  readonly accepted: number;
  readonly pending: number;
  readonly delivered: number;
  readonly expired: number;
  readonly dropped: number;
  readonly failed: number;
}
