import type {Ledger} from './deferred-queue.ts';

/** A running Participating Function, as its process sees it. */
export interface App {
  ready(): ReadyReport;
  /** Counts of the store; undefined while it is away. Never rejects. */
  ledger(): Promise<Ledger | undefined>;
  /** No new work, lets sessions end for a while, then ends what is left and closes everything. Idempotent. */
  drain(): Promise<void>;
}

/** Whether the parts that the PF stands on answer. */
export interface ReadyReport {
  readonly sip: PartState;
  readonly media: PartState;
  readonly store: PartState;
}

export type PartState = 'up' | 'away';
