import type {Context} from '../context.ts';
import {notifySender} from '../made-notification.ts';

const batch = 100;

/**
 * The client takes messages and says nothing about them: its 200 releases them, and the senders who want to know are told by the PF (those of a
 * group are not: they would hear of every member). What an earlier session of this sender left unconfirmed is told with it: a client took that, too.
 * Rejects with `CPM_STORE_AWAY` (503); saying it again changes nothing.
 * @clause CPM-CF 8.3.2.9.1.1 A19
 */
export async function reportForClient(context: Context, servedUser: string, sender: string): Promise<void> {
  const {store, clock} = context;
  for (;;) {
    const taken = await store.deferredQueue.sentUnconfirmed(servedUser, sender, batch);
    if (taken.length === 0) return;
    for (const message of taken) await notifySender(context, message, 'delivered');
    const ids = taken.map(({id}) => id);
    await store.deferredQueue.settle(ids, 'delivered', clock.now(), {answer: 'client without IMDN'});
  }
}
