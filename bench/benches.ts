/** All benchmarks, in their order. */
import type {Bench} from './bench.ts';
import {deferral} from './deferral.ts';
import {delivery} from './delivery.ts';
import {groupDeferral} from './group-deferral.ts';
import {idleSessions} from './idle-sessions.ts';
import {invitations} from './invitations.ts';
import {latency} from './latency.ts';
import {relayedBytes} from './relayed-bytes.ts';
import {relayedMessages} from './relayed-messages.ts';
import {registrationStorm} from './storm.ts';

export const benches: readonly Bench[] = [
  relayedMessages,
  relayedBytes,
  latency,
  deferral,
  delivery,
  idleSessions,
  invitations,
  registrationStorm,
  groupDeferral,
];
