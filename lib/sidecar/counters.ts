/** What the relay has done and holds: numbers that never lie, for operators and for tests of its bounds. */
import {refusals, type Refusal} from './limits.ts';

/** What docs/operations.md says of each; a refusal counts under its own name. */
export interface Counters extends Record<Refusal, number> {
  connections: number;
  sessions: number;
  /** Octets of unsettled messages in memory, and on disk. */
  spoolBytes: number;
  spoolDiskBytes: number;
  /** Octets of messages of the PF that are not answered. */
  sendingBytes: number;
  /** Octets queued on all connections, and the most there ever were. */
  queuedBytes: number;
  queuedBytesMost: number;
  spoolBytesMost: number;
  /** Connections that are not read because a partner is slow. */
  pausedConnections: number;
  relayedMessages: number;
  offeredMessages: number;
  sentMessages: number;
  /** Paths that a relay of another's gave us, or gave us for longer. */
  authorizations: number;
  /** Peers that could not be reached: no such name, no answer, refused. */
  connectFailures: number;
  /** Certificates taken from changed files, and changed files that could not be taken. */
  certificateReloads: number;
  certificateFailures: number;
}

export function newCounters(): Counters {
  const none = Object.fromEntries(Object.keys(refusals).map((name) => [name, 0])) as Record<Refusal, number>;
  return {
    connections: 0,
    sessions: 0,
    spoolBytes: 0,
    spoolDiskBytes: 0,
    sendingBytes: 0,
    queuedBytes: 0,
    queuedBytesMost: 0,
    spoolBytesMost: 0,
    pausedConnections: 0,
    relayedMessages: 0,
    offeredMessages: 0,
    sentMessages: 0,
    authorizations: 0,
    connectFailures: 0,
    certificateReloads: 0,
    certificateFailures: 0,
    ...none,
  };
}
