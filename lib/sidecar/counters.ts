/** What the relay has done and holds: numbers that never lie, for operators and for tests of its bounds. */
export interface Counters {
  connections: number;
  sessions: number;
  /** Octets of unsettled messages in memory, and on disk. */
  spoolBytes: number;
  spoolDiskBytes: number;
  /** Octets queued on all connections, and the most there ever were. */
  queuedBytes: number;
  queuedBytesMost: number;
  spoolBytesMost: number;
  /** Connections that are not read because a partner is slow. */
  pausedConnections: number;
  relayedMessages: number;
  offeredMessages: number;
  sentMessages: number;
  /** Refusals, by what was exceeded or wrong. */
  unknownSession: number;
  wrongConnection: number;
  tooLarge: number;
  protocolErrors: number;
  unfinished: number;
  overLimit: number;
}

export function newCounters(): Counters {
  return {
    connections: 0,
    sessions: 0,
    spoolBytes: 0,
    spoolDiskBytes: 0,
    queuedBytes: 0,
    queuedBytesMost: 0,
    spoolBytesMost: 0,
    pausedConnections: 0,
    relayedMessages: 0,
    offeredMessages: 0,
    sentMessages: 0,
    unknownSession: 0,
    wrongConnection: 0,
    tooLarge: 0,
    protocolErrors: 0,
    unfinished: 0,
    overLimit: 0,
  };
}
