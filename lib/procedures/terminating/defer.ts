import {cpimDateTime, imdnMessageId, isNotification, parseCpim, requestedDispositions} from '../../codecs/cpim.ts';
import type {Cpim} from '../../codecs/cpim.ts';
import {isGroupData} from '../../codecs/group-data.ts';
import {isComposing} from '../../codecs/iscomposing.ts';
import type {NewDeferredMessage} from '../../cpm/deferred-message.ts';
import {CpmError} from '../../errors.ts';
import {viewOfMessage} from '../../hooks/views.ts';
import type {OfferedMessage, Verdict} from '../../ports/media-plane.ts';
import type {Context} from '../context.ts';
import type {ChatSession} from './chat-session.ts';

/** Where a message to be kept comes from: a session that holds, or a SIP MESSAGE. */
export interface Deferring extends Pick<ChatSession, 'servedUser' | 'sender' | 'original' | 'label'> {
  /** Milliseconds that it lives, where it says so itself. */
  readonly lifetime?: number;
}

/**
 * Takes responsibility for a message that cannot be handed on now: the sender's 200 goes out when the store has it (docs/acknowledgement.md).
 * isComposing is never stored (T34), nor is group data management; unreadable CPIM gets 400, and while the store is away the sender learns by a 408
 * that he keeps it. Plugins are asked before; the media plane offers one message of a session at a time, so that none overtakes another over which
 * they take their time.
 * @clause CPM-CF 8.3.2.1 E1 E2 E8
 */
export async function deferMessage(
  context: Context,
  session: Deferring,
  offered: Pick<OfferedMessage, 'contentType' | 'bytes'>,
): Promise<Verdict> {
  const {store, log, hooks} = context;
  const where = {
    ...session.label,
    clause: 'CPM-CF 8.3.2.1',
    contentType: offered.contentType,
    bytes: offered.bytes.length,
  };
  let cpim: Cpim | undefined;
  try {
    cpim = /^message\/cpim\b/i.test(offered.contentType) ? parseCpim(offered.bytes) : undefined;
  } catch (error) {
    log.info({...where, error}, 'a message in unreadable CPIM is refused');
    return 400;
  }

  const type = cpim?.contentType ?? offered.contentType;
  if (isComposing(type) || isGroupData(type)) return 'accepted';
  const message = newMessage(context, session, offered, cpim);
  const answer = await hooks.beforeDefer?.(viewOfMessage(message));
  if (answer !== undefined) return answer === 'discard' ? 'accepted' : answer.refuse;

  try {
    const [result] = await store.deferredQueue.enqueue([message]);
    if (result !== undefined) hooks.afterDefer?.({...viewOfMessage(message), ...result});
    if (result?.outcome === 'conflict') {
      log.warn(where, 'an imdn.Message-ID came again with other bytes; both messages are kept');
    }

    log.info({...where, outcome: result?.outcome}, 'a message is kept for a user who cannot take it now');
    return 'accepted';
  } catch (error) {
    const code = error instanceof CpmError ? error.code : 'CPM_INTERNAL';
    log.warn({...where, code, error}, 'a message could not be stored; its sender keeps it');
    return 408;
  }
}

/** The message as the store keeps it; `cpim` is undefined where the content is bare. */
export function newMessage(
  {clock, policy}: Pick<Context, 'clock' | 'policy'>,
  session: Omit<Deferring, 'label'>,
  {contentType, bytes}: {readonly contentType: string; readonly bytes: Uint8Array},
  cpim: Cpim | undefined,
): NewDeferredMessage {
  const receivedAt = clock.now();
  const notification = cpim === undefined ? /^message\/imdn\+xml\b/i.test(contentType) : isNotification(cpim);
  return {
    servedUser: session.servedUser,
    sender: session.sender,
    kind: notification ? 'notification' : 'chat',
    imdnMessageId: cpim === undefined ? undefined : imdnMessageId(cpim),
    dispositions: cpim === undefined || notification ? [] : [...requestedDispositions(cpim)],
    contentType,
    bytes,
    dateTime: cpim === undefined ? undefined : cpimDateTime(cpim),
    receivedAt,
    expiresAt: receivedAt + Math.min(session.lifetime ?? Infinity, policy.deferredRetention),
    session: session.original,
  };
}
