import {pause} from '../../ports/clock.ts';
import type {Context} from '../context.ts';
import {viewOfSession} from '../views.ts';
import type {ChatSession} from './chat-session.ts';
import {serviceUnavailable} from './reasons.ts';

/** A delivery that takes longer than this has more to do than one message. */
const longestDelivery = 60_000;
/** While nobody is there the store is asked for devices so often at most, however many messages come. */
const lookMilliseconds = 100;

/** Rings the user of a session that holds for him, in its inviter's name, as soon as something waits and he may be there. */
export interface Ringing {
  /** A message was kept. */
  stored(): void;
  /** The session holds; the first message may have been faster than the inviter's ACK. */
  begin(): void;
}

/**
 * The ringing of one session. While it runs further messages only make it look once more.
 * @clause CPM-CF 8.3.2.1
 */
export function createRinging(context: () => Context, session: ChatSession): Ringing {
  let again = false;
  let running = false;

  async function run(): Promise<void> {
    const {deliveries, clock, log} = context();
    running = true;
    try {
      while (again && session.state === 'holding') {
        again = false;
        // A delivery that runs may take the message along.
        if (!(await deliveries.idle(session.servedUser, longestDelivery))) deliveries.later(session.servedUser);
        else if (!(await ring())) await pause(clock, lookMilliseconds);
      }
    } catch (error) {
      log.warn({...session.label, error, clause: 'CPM-CF 8.3.2.1'}, 'the user could not be rung; his messages wait');
      deliveries.later(session.servedUser);
    } finally {
      running = false;
    }
  }

  /** False when there is nobody to be rung. */
  async function ring(): Promise<boolean> {
    const {users, deliveries, store, hooks} = context();
    const {servedUser, sender} = session;
    const devices = await users.devices(servedUser);
    if (devices.length === 0) return false;
    const senders = await store.deferredQueue.senders(servedUser);
    if (!senders.some((waiting) => waiting.sender === sender)) return true;
    const mayRing = async (): Promise<boolean> =>
      (await hooks.beforeInvite?.({...viewOfSession(session), devices: devices.length})) === undefined;
    const outcome = session.joinable && (await mayRing()) ? await session.search(devices) : undefined;
    if (outcome?.kind === 'answered' && session.state === 'holding') {
      await session.join(outcome);
      return true;
    }

    if (outcome?.kind === 'answered') {
      await outcome.dialog.bye({Reason: serviceUnavailable});
      await outcome.leg.release();
    }

    session.joinable = false;
    deliveries.later(servedUser);
    return true;
  }

  return {
    stored() {
      again = true;
      if (session.state === 'ended') context().deliveries.trigger(session.servedUser, 'message');
      else if (session.state === 'holding' && !running) void run();
    },
    begin() {
      if (again && !running) void run();
    },
  };
}
