import type {DeferredQueue} from './deferred-queue.ts';
import type {DialogRecords} from './dialog-records.ts';
import type {GroupSessions} from './group-sessions.ts';
import type {Leases} from './leases.ts';
import type {MessageStore} from './message-store.ts';
import type {Registrations} from './registrations.ts';

/** One durable store with all its ports. Opening one never waits for the server: `available` tells, and `onAvailability` reports changes. */
export interface Store {
  readonly deferredQueue: DeferredQueue;
  readonly messageStore: MessageStore;
  readonly groupSessions: GroupSessions;
  readonly registrations: Registrations;
  readonly leases: Leases;
  readonly dialogRecords: DialogRecords;
  /**
   * Removes everything kept of a user and of what he sent: messages to him and from him, settled identities and histories, recorded
   * sessions and what others' have of him, his group sessions, identities, registrations. Messages that waited count as `dropped`. Said again it finds nothing. Rejects with `CPM_STORE_AWAY` (503).
   */
  erase(servedUser: string): Promise<Erased>;
  /** Whether the last word from the store was good; a failed call makes it false, a background probe makes it true again. */
  readonly available: boolean;
  onAvailability(listener: (available: boolean) => void): void;
  /** Waits for what is under way, bounded, and closes. May be called twice. */
  close(): Promise<void>;
}

/** How much was removed. */
export interface Erased {
  /** To him, and by him to others; settled ones that were remembered included. */
  readonly messagesTo: number;
  readonly messagesFrom: number;
  /** Objects of the message store: his own, and those that he wrote in others'. */
  readonly recorded: number;
  readonly groups: number;
  readonly identities: number;
  readonly registrations: number;
}
