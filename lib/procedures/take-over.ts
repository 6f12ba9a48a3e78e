import {comeBackToAll} from './group/come-back.ts';
import type {Trigger} from './terminating/deliveries.ts';
import type {Context} from './context.ts';
import {serviceUnavailable} from './terminating/reasons.ts';

const page = 500;
/** The server's word on dialogs that an earlier life left: 200 would mean that somebody left. */
const reason = {Reason: serviceUnavailable};

/**
 * What has to be done whenever the PF begins anew, or the store is back: leases and dialogs of an earlier life of this node end, registrations
 * that the store missed are written, and the delivery starts for everyone with anything pending.
 */
export function takeOver(context: Context): (trigger: Extract<Trigger, 'start' | 'store-back'>) => void {
  const {store, sip, users, deliveries, clock, log, policy} = context;
  const begun = clock.now();
  let leased = true;
  let inherited = true;
  let running = false;
  let again: Extract<Trigger, 'start' | 'store-back'> | undefined;

  async function endInheritance(): Promise<void> {
    if (leased) await store.leases.releaseNode(policy.node);
    leased = false;
    const left = (await store.dialogRecords.ofNode(policy.node)).filter(({openedAt}) => openedAt < begun);
    inherited = false;
    for (const dialog of left) {
      const status = await sip.endLeftDialog(dialog, reason);
      if (status === undefined) {
        // Its server is away: it is ended when that is back.
        inherited = true;
        continue;
      }

      log.info({status}, 'a dialog of an earlier life of this node is ended');
      await store.dialogRecords.forget(dialog.id);
    }
  }

  async function startAll(trigger: Trigger): Promise<void> {
    let after: string | undefined;
    for (;;) {
      const pending = await store.deferredQueue.usersPending(after, page);
      for (const servedUser of pending) deliveries.trigger(servedUser, trigger);
      after = pending.at(-1);
      if (pending.length < page) return;
    }
  }

  async function run(trigger: Trigger): Promise<void> {
    if (inherited) await endInheritance();
    await users.flush();
    await comeBackToAll(context);
    await startAll(trigger);
  }

  function begin(trigger: Extract<Trigger, 'start' | 'store-back'>): void {
    // Both server and store must be there; whichever comes last calls again.
    if (!sip.connected || !store.available) return;
    if (running) {
      again = trigger;
      return;
    }

    running = true;
    run(trigger)
      .catch((error: unknown) => {
        log.warn({error}, 'taking over was broken off; it is tried again when the store is back');
      })
      .finally(() => {
        running = false;
        const next = again;
        again = undefined;
        if (next !== undefined) begin(next);
      });
  }

  return begin;
}
