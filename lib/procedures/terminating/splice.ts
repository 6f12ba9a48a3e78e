import type {Pairing} from '../../ports/media-plane.ts';
import type {Context} from '../context.ts';
import {sendBacklog} from './backlog.ts';
import type {ChatSession} from './chat-session.ts';
import {turnMilliseconds} from './deliveries.ts';
import type {Answered} from './fork.ts';

/**
 * Lets a device into a session behind what waits for it: backlog before live, in order (T42). Most of it goes before the gate closes; what was
 * stored meanwhile goes while the inviter waits at it. False when the device could not take it all, or something else delivers to the user.
 * @clause CPM-CF 8.3.2.1
 */
export async function spliceAfterBacklog(
  context: Context,
  {servedUser, sender}: ChatSession,
  {leg}: Answered,
  gate: {readonly pair: () => Promise<Pairing>; readonly open: (pairing: Pairing) => boolean},
): Promise<boolean> {
  const {deferredQueue} = context.store;
  const nothingWaits = async (): Promise<boolean> =>
    (await deferredQueue.next(servedUser, sender, {afterSequence: undefined, limit: 1, maxBytes: 1})).length === 0;
  let pairing: Pairing | undefined;
  let opened = false;
  try {
    // Mostly nothing waits: a look before, a look while the inviter is at the gate, and the user's lease is not needed.
    if (await nothingWaits()) {
      pairing = await gate.pair();
      if (await nothingWaits()) return (opened = gate.open(pairing));
    }

    await context.deliveries.exclusive(servedUser, turnMilliseconds, async (lease) => {
      if (pairing === undefined) {
        const before = await sendBacklog(context, leg, servedUser, sender, lease);
        if (before.end === 'broken') return;
        pairing = await gate.pair();
      }

      const rest = await sendBacklog(context, leg, servedUser, sender, lease);
      if (rest.end === 'empty') opened = gate.open(pairing);
    });
    return opened;
  } finally {
    if (!opened) pairing?.undo();
  }
}
