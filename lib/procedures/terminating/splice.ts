import type {Pairing} from '../../ports/media-plane.ts';
import type {Context} from '../context.ts';
import type {Party} from '../party.ts';
import {sendBacklog} from './backlog.ts';
import type {ChatSession} from './chat-session.ts';
import {turnMilliseconds} from './deliveries.ts';
import type {UserLease} from './user-leases.ts';

/** The inviter's way to the device: `pair` lets him wait at it, `open` lets him through unless the session is another one by now. */
interface Gate {
  readonly pair: () => Promise<Pairing>;
  readonly open: (pairing: Pairing) => boolean;
}

/** Lets a device into a session, behind what waits for it as far as that can be known. False when it could not take it all. */
export async function splice(context: Context, session: ChatSession, client: Party, gate: Gate): Promise<boolean> {
  const isStoreAway = (): boolean => !context.store.available;
  if (isStoreAway()) return gate.open(await gate.pair());
  try {
    return await spliceAfterBacklog(context, session, client, gate);
  } catch (error) {
    // The store went away meanwhile: live goes on, unless something is known to wait before it.
    if (!isStoreAway() || session.hasKept) throw error;
    return gate.open(await gate.pair());
  }
}

/**
 * Lets a device into a session behind what waits for it: backlog before live, in order (T42). Most of it goes before the gate closes; what was
 * stored meanwhile goes while the inviter waits at it. False when the device could not take it all, or something else delivers to the user.
 * @clause CPM-CF 8.3.2.1
 */
async function spliceAfterBacklog(
  context: Context,
  {servedUser, sender}: ChatSession,
  {leg}: Party,
  gate: Gate,
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

    const work = async (lease: UserLease): Promise<void> => {
      if (pairing === undefined) {
        const before = await sendBacklog(context, leg, servedUser, sender, lease);
        if (before.end === 'broken') return;
        pairing = await gate.pair();
      }

      const rest = await sendBacklog(context, leg, servedUser, sender, lease);
      if (rest.end === 'empty') opened = gate.open(pairing);
    };
    // A delivery of just this sender's messages makes way: this session is the newer one (NOTE 2 of 8.3.2.9.1.1).
    await context.deliveries.exclusive(servedUser, turnMilliseconds, work, sender);
    return opened;
  } finally {
    if (!opened) pairing?.undo();
  }
}
