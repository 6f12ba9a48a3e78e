/** What a phone puts into its messages: chat as CPIM, and disposition notifications (RFC 3862, RFC 5438, CPM-CF 5.4). */
import {randomBytes} from 'node:crypto';
import {formatCpim, imdnMessageId, parseCpim, requestedDispositions, type Cpim} from '../codecs/cpim.ts';
import {groupStateIn} from '../codecs/group-state.ts';
import {formatNotificationCpim, parseNotifications, type Imdn} from '../codecs/imdn.ts';
import {isType} from '../codecs/mime.ts';
import type {Disposition} from '../cpm/deferred-message.ts';
import type {GroupState} from '../cpm/group-state.ts';
import {CpmError} from '../errors.ts';

/** CPIM From and To as they are written. */
export interface Envelope {
  readonly from: string;
  readonly to: string;
}

/** In 1-1 chat nobody is named: who speaks is in SIP. */
export const anonymous: Envelope = {
  from: '<sip:anonymous@anonymous.invalid>',
  to: '<sip:anonymous@anonymous.invalid>',
};

/** The two notifications that a recipient's phone makes. */
export type NotificationKind = 'delivered' | 'displayed';

/** A notification as it came back to the author of a message. */
export interface Notification {
  /** imdn.Message-ID of the message that it is about. */
  readonly messageId: string;
  /** `delivered`, `displayed`, `failed` …: the name of the leaf in its status. */
  readonly status: string;
  /** How it came. */
  readonly via: 'session' | 'message';
  readonly bytes: Buffer;
}

/** The CPIM of a chat message, or of anything else that may be said in a chat. */
export function chatMessage(message: {
  readonly envelope?: Envelope;
  readonly messageId: string;
  readonly dispositions: readonly Disposition[];
  readonly contentType: string;
  readonly content: Uint8Array;
}): Buffer {
  const {messageId, dispositions, contentType, content, envelope = anonymous} = message;
  return formatCpim({
    headers: [
      {name: 'From', value: envelope.from},
      {name: 'To', value: envelope.to},
      {name: 'DateTime', value: new Date().toISOString()},
      {name: 'NS', value: 'imdn <urn:ietf:params:imdn>'},
      {name: 'imdn.Message-ID', value: messageId},
      ...(dispositions.length === 0 ? [] : [{name: 'imdn.Disposition-Notification', value: dispositions.join(', ')}]),
    ],
    contentHeaders: [
      {name: 'Content-Type', value: contentType},
      {name: 'Content-Length', value: String(content.length)},
    ],
    body: content,
  });
}

/** The CPIM of a notification about a message that came (RFC 5438 §7.2.1). */
export function notificationMessage(messageId: string, status: NotificationKind, envelope = anonymous): Buffer {
  const dateTime = new Date().toISOString();
  return formatNotificationCpim({
    imdn: {messageId, dateTime, kind: status === 'delivered' ? 'delivery' : 'display', status},
    ...envelope,
    messageId: newMessageId(),
    dateTime,
  });
}

/** What a message that came is: a chat message, the state of a group, notifications about ours, or anything else. */
export type Read =
  | {
      readonly kind: 'chat';
      readonly messageId: string;
      readonly dispositions: ReadonlySet<Disposition>;
      readonly cpim: Cpim;
    }
  | {readonly kind: 'group-state'; readonly messageId: string | undefined; readonly state: GroupState}
  | {readonly kind: 'notifications'; readonly notifications: readonly Imdn[]}
  | {readonly kind: 'other'};

/** Looks into a message; `contentType` is the one of MSRP or SIP. What cannot be read is `other`. */
export function readMessage(contentType: string, bytes: Buffer): Read {
  try {
    const notifications = parseNotifications(contentType, bytes);
    if (notifications.length > 0) return {kind: 'notifications', notifications};
    const state = groupStateIn(contentType, bytes);
    const cpim = isType(contentType, 'message/cpim') ? parseCpim(bytes) : undefined;
    const messageId = cpim && imdnMessageId(cpim);
    if (state !== undefined) return {kind: 'group-state', messageId, state};
    if (cpim === undefined) return {kind: 'other'};
    if (messageId === undefined) return {kind: 'other'};
    return {kind: 'chat', messageId, dispositions: requestedDispositions(cpim), cpim};
  } catch (error) {
    if (error instanceof CpmError) return {kind: 'other'};
    throw error;
  }
}

/** An imdn.Message-ID (RFC 5438 §6.3 asks for 64 random bits). */
export function newMessageId(): string {
  return randomBytes(12).toString('hex');
}
