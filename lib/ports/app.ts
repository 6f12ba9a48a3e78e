import type {Ledger} from './deferred-queue.ts';
import type {RelayCounts} from './media-plane.ts';
import type {Operator} from './operator.ts';

/** A running Participating Function, as its process sees it. */
export interface App {
  ready(): ReadyReport;
  load(): LoadReport;
  deliveries(): DeliveryReport;
  /** Counts of the store; undefined while it is away. Never rejects. */
  ledger(): Promise<Ledger | undefined>;
  /** What may be asked of messages and done to them by whoever runs this. */
  readonly operator: Operator;
  /** What each MSRP relay counts. Never rejects. */
  relays(): Promise<readonly RelayCounts[]>;
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

/**
 * Why a new session got 503: the node ends; one of its limits is reached (`sessions`, `event-loop`); too much waits for the user already; no MSRP
 * session can be had; nobody is there and the store is away.
 */
export const refusals = ['draining', 'sessions', 'event-loop', 'pending', 'media', 'store'] as const;

export type Refusal = (typeof refusals)[number];

/** Users of this node with a delivery: how many run, wait for their turn, wait for a retry, or have had all their retries. */
export interface DeliveryReport {
  readonly running: number;
  readonly queued: number;
  readonly retrying: number;
  readonly parked: number;
}

/** How much there is to do, and what was refused because of it. */
export interface LoadReport {
  /** Those being set up included. */
  readonly sessions: number;
  readonly eventLoopDelayMilliseconds: number;
  /** Limits of the node that are reached now. */
  readonly over: readonly Refusal[];
  /** Since the start. */
  readonly refused: Readonly<Record<Refusal, number>>;
}
