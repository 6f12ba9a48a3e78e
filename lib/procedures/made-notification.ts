import {cpimHeader, parseCpim, type Cpim} from '../codecs/cpim.ts';
import {formatNotificationCpim, type Imdn} from '../codecs/imdn.ts';
import {isType} from '../codecs/mime.ts';
import {contributionOf} from '../cpm/group-session.ts';
import type {DeferredMessage} from '../cpm/deferred-message.ts';
import type {OutgoingMessage} from '../ports/media-plane.ts';
import type {Context} from './context.ts';
import {keepNotification, keyOf} from './disposition.ts';

const anonymous = '<sip:anonymous@anonymous.invalid>';

/** What asks for each word that the PF may say itself (RFC 5438 §7.2.1.1). */
const asksFor = {delivered: 'positive-delivery', failed: 'negative-delivery'} as const;

/**
 * The PF's own word on a deferred message's fate, in the place of a client that says nothing: kept for the sender, if he asked for it, and then
 * sent like every notification. Resolves when it is durable; saying it again changes nothing.
 * Rejects with `CPM_STORE_AWAY` (503).
 * @clause CPM-CF 8.3.4 A19 A20
 */
export async function notifySender(
  context: Pick<Context, 'store' | 'clock' | 'policy' | 'users' | 'ids' | 'deliveries' | 'hooks'>,
  message: DeferredMessage,
  status: keyof typeof asksFor,
): Promise<void> {
  const {users, deliveries} = context;
  // Of a group's message each member would say something else; its author hears of none of them by us.
  if (contributionOf(message.sender) !== undefined) return;
  if (message.kind !== 'chat' || message.imdnMessageId === undefined) return;
  if (!message.dispositions.includes(asksFor[status])) return;
  const cpim = isType(message.contentType, 'message/cpim') ? parseCpim(message.bytes) : undefined;
  const {imdn, ...content} = notificationAbout(context, cpim, message.imdnMessageId, status);
  await keepNotification(context, message.servedUser, content, message.session, [imdn]);
  deliveries.trigger(await keyOf(users, message.session.senderAddress), 'notification');
}

/** A delivery notification about a message, in the name of the one whom it was for: the PF never puts itself into CPIM (row E1). */
export function notificationAbout(
  {clock, ids}: Pick<Context, 'clock' | 'ids'>,
  cpim: Cpim | undefined,
  messageId: string,
  status: keyof typeof asksFor,
): OutgoingMessage & {readonly imdn: Imdn} {
  const address = (name: string): string => headerOf(cpim, name) ?? anonymous;
  const now = new Date(clock.now()).toISOString();
  const imdn: Imdn = {messageId, dateTime: headerOf(cpim, 'DateTime') ?? now, kind: 'delivery', status};
  const bytes = formatNotificationCpim({
    imdn,
    from: address('To'),
    to: address('From'),
    messageId: ids.token(),
    dateTime: now,
  });
  return {contentType: 'message/cpim', bytes, imdn};
}

const headerOf = (cpim: Cpim | undefined, name: string): string | undefined =>
  cpim === undefined ? undefined : cpimHeader(cpim, undefined, name);
