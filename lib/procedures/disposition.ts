import {cpimHeader, imdnMessageId, parseCpim} from '../codecs/cpim.ts';
import {parseNotifications, type Imdn} from '../codecs/imdn.ts';
import {isType} from '../codecs/mime.ts';
import {parseNameAddr} from '../codecs/sip-headers/name-addr.ts';
import {canonicalAddress} from '../cpm/address.ts';
import type {OriginalSession} from '../cpm/deferred-message.ts';
import {contributionOf} from '../cpm/group-session.ts';
import type {PendingSummary} from '../ports/deferred-queue.ts';
import type {Context} from './context.ts';
import {viewOfNotifications} from './views.ts';

interface Content {
  readonly contentType: string;
  readonly bytes: Uint8Array;
}

/**
 * What a notification did: `none` is no notification; `noted` released what it reports on and is on its way already; `forwarded` is kept
 * durably for the sender and on its way; `store-away` could not be kept, the client keeps it; `refused`: so says a plugin.
 */
export type Noted = 'none' | 'noted' | 'forwarded' | 'store-away' | 'refused';

export interface NotificationSource {
  /** Key of the user who says it. */
  readonly author: string;
  /** Address of the one whose message it reports on, where the way it came tells; two senders may use the same id (T62). */
  readonly about: string | undefined;
  /** Contribution-ID that it names, where it came by SIP MESSAGE: of a group's message that of the group. */
  readonly contributionId?: string | undefined;
  readonly content: Content;
  /** The session in which the reported message was accepted: given, when the PF is to take the notification over (row A14). */
  readonly takeOverFor?: OriginalSession;
  /** Another one, where this message was accepted in another one: its sender may have several devices, and conversations (T31). */
  readonly sessionOf?: (messageId: string) => OriginalSession | undefined;
  /** Told of each message that is reported on, when the report is kept. */
  readonly onNoted?: (messageId: string) => void;
}

/**
 * A notification, whichever way it came: the deferred message it reports on is released (row A21), and where it ends at the PF it is stored
 * and goes to the sender (row A14).
 * @clause CPM-CF 8.3.2.9.1.1 A14 A21
 */
export async function noteNotifications(context: Context, source: NotificationSource): Promise<Noted> {
  const {log, users, deliveries} = context;
  const {author, content} = source;
  let notifications: readonly Imdn[];
  try {
    notifications = parseNotifications(content.contentType, content.bytes);
  } catch (error) {
    log.info({clause: 'CPM-CF 8.3.4', error}, 'a notification cannot be read; it passes for what it is');
    return 'none';
  }

  const [first] = notifications;
  if (first === undefined) return 'none';
  const session = source.takeOverFor && (source.sessionOf?.(first.messageId) ?? source.takeOverFor);
  const answer =
    session && (await context.hooks.beforeNotification?.(viewOfNotifications(author, session, notifications)));
  if (answer === 'refuse') return 'refused';
  try {
    if (session !== undefined && answer !== 'discard')
      await keepNotification(context, author, content, session, notifications);
    for (const notification of notifications) {
      const how = endOf(notification);
      if (how === undefined) continue;
      await release(context, source, notification, how);
      source.onNoted?.(notification.messageId);
    }
  } catch (error) {
    log.warn({clause: 'CPM-CF 8.3.4', error}, 'a notification could not be stored; its author keeps it');
    if (session !== undefined) return 'store-away';
  }

  if (session === undefined) return 'noted';
  deliveries.trigger(await keyOf(users, session.senderAddress), 'notification');
  return 'forwarded';
}

export const keyOf = async (users: Context['users'], address: string): Promise<string> =>
  (await users.resolve(address)) ?? canonicalAddress(address) ?? address;

/**
 * How a message has ended by this word about it: a client that reports in whatever way has it, unless it says that the delivery failed. What a
 * server on the way says (processing, interworking) ends nothing.
 */
function endOf({kind, status}: Imdn): 'delivered' | 'failed' | undefined {
  if (kind === 'processing' || kind === 'interworking') return undefined;
  return status === 'failed' ? 'failed' : 'delivered';
}

/** The PF need not keep any longer what has ended (row A21). */
async function release(
  context: Context,
  source: NotificationSource,
  {messageId, status}: Imdn,
  how: 'delivered' | 'failed',
): Promise<void> {
  const {store, clock, log} = context;
  const found = await store.deferredQueue.find(source.author, messageId);
  const chats = found.filter(({kind}) => kind === 'chat');
  const ids = await reportedOn(context, source, chats);
  if (ids.length === 0) return;
  await store.deferredQueue.settle(ids, how, clock.now(), {answer: `IMDN ${status}`});
  log.info({clause: 'CPM-CF 8.3.2.9.1.1 A21', how, released: ids.length}, 'a notification releases a deferred message');
}

/** Which of the messages that have the id: those of the group that the notification names, else what the one wrote to whom it goes. */
async function reportedOn(
  context: Context,
  {about, contributionId}: NotificationSource,
  chats: readonly PendingSummary[],
): Promise<readonly string[]> {
  if (about === undefined) return chats.map(({id}) => id);
  const named = chats.filter(({sender}) => contributionId !== undefined && contributionOf(sender) === contributionId);
  if (named.length > 0) return named.map(({id}) => id);
  const wanted = await keyOf(context.users, about);
  const ids: string[] = [];
  for (const chat of chats) {
    const isByWriter = contributionOf(chat.sender) !== undefined && contributionOf(about) === undefined;
    const writer = isByWriter ? await writerOf(context, chat) : chat.sender;
    if (writer !== undefined && (await keyOf(context.users, writer)) === wanted) ids.push(chat.id);
  }

  return ids;
}

/** Messages of whomever that have the same id. */
const mostNamesakes = 100;

/** Who wrote a group's message, by its CPIM; undefined where it names nobody. */
async function writerOf(
  {store}: Context,
  {id, imdnMessageId: value = ''}: PendingSummary,
): Promise<string | undefined> {
  const namesakes = await store.deferredQueue.pending({by: 'message', value}, mostNamesakes);
  const message = namesakes.find((each) => each.id === id);
  if (message === undefined || !isType(message.contentType, 'message/cpim')) return undefined;
  try {
    return parseNameAddr(cpimHeader(parseCpim(message.bytes), undefined, 'From') ?? '').uri;
  } catch {
    return undefined;
  }
}

/** Notifications that the PF makes in a client's place are kept the same way as the client's own. */
export async function keepNotification(
  {store, clock, policy, users, hooks}: Pick<Context, 'store' | 'clock' | 'policy' | 'users' | 'hooks'>,
  author: string,
  content: Content,
  session: OriginalSession,
  notifications: readonly Imdn[],
): Promise<void> {
  const receivedAt = clock.now();
  await store.deferredQueue.enqueue([
    {
      servedUser: await keyOf(users, session.senderAddress),
      sender: author,
      kind: 'notification',
      ...identityOf(notifications, content),
      dispositions: [],
      contentType: content.contentType,
      bytes: content.bytes,
      dateTime: undefined,
      receivedAt,
      expiresAt: receivedAt + policy.deferredRetention,
      session: {
        conversationId: session.conversationId,
        contributionId: session.contributionId,
        recipientAddress: session.senderAddress,
        recipientInstance: session.senderInstance,
        senderAddress: session.recipientAddress,
        senderInstance: undefined,
        subject: undefined,
        offer: undefined,
      },
    },
  ]);
  hooks.afterNotification?.(viewOfNotifications(author, session, notifications));
}

/** A sender hears of each kind once about a message, whoever says it how often (RFC 5438 §7.2.1, T32). */
export function identityOf(
  notifications: readonly Imdn[],
  content: Content,
): {readonly imdnMessageId: string | undefined; readonly sameness?: 'id'} {
  const [only, another] = notifications;
  return only !== undefined && another === undefined
    ? {imdnMessageId: `${only.kind} ${only.messageId}`, sameness: 'id'}
    : {imdnMessageId: ownMessageId(content)};
}

const ownMessageId = ({contentType, bytes}: Content): string | undefined =>
  isType(contentType, 'message/cpim') ? imdnMessageId(parseCpim(bytes)) : undefined;
