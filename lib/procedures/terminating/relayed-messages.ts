import type {OfferedMessage, OutgoingMessage, Verdict} from '../../ports/media-plane.ts';
import type {Context} from '../context.ts';
import {noteNotifications} from '../disposition.ts';
import type {ChatSession} from './chat-session.ts';

/** A relayed notification may speak of a message that was deferred earlier. `author` and `about` are canonical addresses. */
export async function noteRelayed(
  context: Context,
  {author, about, content}: {readonly author: string; readonly about: string; readonly content: OutgoingMessage},
): Promise<void> {
  const key = (await context.users.resolve(author)) ?? author;
  await noteNotifications(context, {author: key, about, content});
}

/**
 * What the client sent and nobody relayed. Before the splice it goes to the inviter from here, in order; what his side did not take the
 * client must know, for the PF defers for its own user only.
 * @clause CPM-CF 8.3.2.1
 */
export async function notRelayed(context: Context, session: ChatSession, message: OfferedMessage): Promise<Verdict> {
  // Faster than our word to the media plane that the session is over (row B7).
  if (session.state === 'ended') return 481;
  const recorded = async (): Promise<Verdict> => {
    await session.record?.add(message, 'invited');
    return 'accepted';
  };
  const noted = await noteNotifications(context, {
    author: session.servedUser,
    about: session.sender,
    content: message,
    takeOverFor: session.original,
  });
  if (noted === 'forwarded') return recorded();
  if (noted === 'refused') return 408;
  // Half relayed when the relaying ended: whole from here, which fails at once where it is his side that is gone.
  const outcome = message.status === undefined ? await session.leg.send(message) : undefined;
  const status = outcome?.kind === 'answered' ? outcome.status : message.status;
  if (outcome !== undefined && status === 200) return recorded();
  return refusalOf(status);
}

/** What a client is told of a message that the far side did not take: what concerns the message alone is its answer, all else is for another time. */
export const refusalOf = (status: number | undefined): Verdict => (status === 413 || status === 415 ? status : 408);
