/** Session timers (RFC 4028), as the server keeps them for its applications: it refreshes where that is ours, and ends what expires. */
import type {Clock, Timer} from '../ports/clock.ts';
import type {Dialog} from './dialogs.ts';
import {headerOf, type SipMessage} from '../codecs/sip-message.ts';
import {splitList} from './sip-values.ts';

/** The shortest interval, in seconds (RFC 4028 §4); shorter ones are raised to it, or refused with 422 on a re-INVITE. */
export const minSessionSeconds = 90;

export interface SessionExpires {
  readonly seconds: number;
  readonly refresher: 'uac' | 'uas' | undefined;
}

/** Reads Session-Expires, `x` included; `undefined` where it is missing or no number. */
export function sessionExpiresOf(message: SipMessage): SessionExpires | undefined {
  const match = /^(\d{1,9})\s*(.*)$/.exec(splitList(headerOf(message, 'Session-Expires') ?? '')[0] ?? '');
  if (match === null) return undefined;
  const refresher = /;\s*refresher\s*=\s*(uac|uas)\b/i.exec(match[2] ?? '')?.[1]?.toLowerCase();
  return {seconds: Number(match[1]), refresher: refresher === 'uac' || refresher === 'uas' ? refresher : undefined};
}

export interface SessionTimerUser {
  readonly clock: Clock;
  /** Half of the interval is over and we are to refresh: send a re-INVITE. */
  readonly refresh: (dialog: Dialog, seconds: number) => void;
  /** The peer has not refreshed in time: end the dialog. */
  readonly expire: (dialog: Dialog) => void;
}

export class SessionTimers {
  readonly #user: SessionTimerUser;
  readonly #running = new Map<Dialog, {readonly seconds: number; readonly ours: boolean; readonly timer: Timer}>();

  constructor(user: SessionTimerUser) {
    this.#user = user;
  }

  /** An INVITE or UPDATE has succeeded: what its 2xx says holds from now on; where it says nothing, what held before. */
  restart(dialog: Dialog, success: SipMessage, weAre: 'uac' | 'uas'): void {
    const agreed = sessionExpiresOf(success);
    const before = this.#running.get(dialog);
    if (agreed !== undefined) this.#start(dialog, agreed.seconds, agreed.refresher === weAre);
    else if (before !== undefined) this.#start(dialog, before.seconds, before.ours);
  }

  /** The dialog has ended. */
  stop(dialog: Dialog): void {
    this.#running.get(dialog)?.timer.cancel();
    this.#running.delete(dialog);
  }

  #start(dialog: Dialog, seconds: number, ours: boolean): void {
    this.stop(dialog);
    const wait = ours ? seconds / 2 : seconds - Math.min(32, seconds / 3);
    const timer = this.#user.clock.after(1000 * wait, () => {
      if (ours) this.#user.refresh(dialog, seconds);
      else this.#user.expire(dialog);
    });
    this.#running.set(dialog, {seconds, ours, timer});
  }
}
