import {imdnMessageId, isNotification, parseCpim} from '../../codecs/cpim.ts';
import {isGroupData} from '../../codecs/group-data.ts';
import {isComposing} from '../../codecs/iscomposing.ts';
import {isType} from '../../codecs/mime.ts';
import type {Leg, OutgoingMessage, Verdict} from '../../ports/media-plane.ts';
import {atMost} from '../../ports/clock.ts';
import type {Context} from '../context.ts';
import {notificationAbout} from '../made-notification.ts';
import type {Membership} from './membership.ts';

/** Longest wait for the client's 200 to the word that his message has failed. */
const waitMilliseconds = 3000;

/**
 * What a client said to a group that cannot be started again: he is told that it has failed, by a notification where the message has a name, else
 * by the answer to it (T50). What is no message of his needs no word.
 * @clause CPM-CF 8.3.2.9.1.3 D4
 */
export async function notForwarded(
  context: Context,
  {label}: Membership,
  leg: Leg,
  content: OutgoingMessage,
): Promise<Verdict> {
  const {log} = context;
  const isWrapped = isType(content.contentType, 'message/cpim');
  if (!isWrapped) return isComposing(content.contentType) ? 'accepted' : 408;
  try {
    const cpim = parseCpim(content.bytes);
    if (isNotification(cpim) || isComposing(cpim.contentType ?? '')) return 'accepted';
    const messageId = imdnMessageId(cpim);
    // No notification is made of group data management.
    if (messageId === undefined || isGroupData(cpim.contentType ?? '')) return 408;
    const {contentType, bytes} = notificationAbout(context, cpim, messageId, 'failed');
    log.info({...label, clause: 'CPM-CF 8.3.2.9.1.3'}, 'a client is told that his message did not reach the group');
    await atMost(context.clock, waitMilliseconds, leg.send({contentType, bytes}));
    return 'accepted';
  } catch (error) {
    log.info({...label, error, clause: 'CPM-CF 8.3.2.9.1.3'}, 'a message in unreadable CPIM is refused');
    return 400;
  }
}
