import {z} from 'zod';
import {whole} from './values.ts';

/** Section `overload`: from where on new sessions get 503 with Retry-After, so that those which run go on. */
export const overload = z
  .strictObject({
    sessions: whole(0, 10_000_000)
      .default(20_000)
      .describe('Sessions on this node, those being set up included; 0: no limit.'),
    pendingMessages: whole(0, 10_000_000)
      .default(10_000)
      .describe('Messages that wait for one user; beyond it the PF does not accept for him. 0: no limit.'),
    eventLoopDelayMilliseconds: whole(0, 60_000)
      .default(500)
      .describe('Mean lateness of the process over the last second; 0: no limit.'),
  })
  .prefault({})
  .describe('Limits beyond which a new session gets 503 with Retry-After, while running ones go on.');
