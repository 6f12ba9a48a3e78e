import type {OfferedMessage, Verdict} from '../../ports/media-plane.ts';
import type {Context} from '../context.ts';
import type {ChatSession} from './chat-session.ts';
import {deferMessage} from './defer.ts';

/** What one session keeps for its user while no device takes it. */
export interface Keeping {
  /** Keeps what waits or could not be delivered, one message after another. */
  keep(message: OfferedMessage): Promise<Verdict>;
  /** Resolves once everything offered so far is stored, or refused. */
  settled(): Promise<unknown>;
  readonly hasKept: boolean;
}

/** `onKept` is told of each message that the store has. */
export function createKeeping(context: Context, session: ChatSession, onKept: () => void): Keeping {
  let following: Promise<void> = Promise.resolve();
  let storing: Promise<unknown> = Promise.resolve();
  let hasKept = false;

  /** The identity that was invited may have joined its user meanwhile: what comes now belongs to him. */
  async function followIdentity(): Promise<void> {
    const key = await context.users.resolve(session.invitation.recipientAddress).catch(() => undefined);
    if (key !== undefined) session.follow(key);
  }

  return {
    async keep(message) {
      following = following.then(followIdentity);
      const kept = following.then(async () => deferMessage(context, session, message));
      storing = Promise.all([storing, kept]).then(() => undefined);
      const verdict = await kept;
      if (verdict !== 'accepted') return verdict;
      void session.record?.add(message, 'inviter', 'inviter');
      hasKept = true;
      onKept();
      return verdict;
    },
    settled: async () => storing,
    get hasKept() {
      return hasKept;
    },
  };
}
