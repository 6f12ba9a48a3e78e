/** What a phone puts into its messages: chat as CPIM, and disposition notifications (RFC 3862, RFC 5438, CPM-CF 5.4). */
import {randomBytes} from 'node:crypto';
import {
  formatCpim,
  imdnMessageId,
  isNotification,
  parseCpim,
  requestedDispositions,
  type Cpim,
} from '../codecs/cpim.ts';
import type {Disposition} from '../cpm/deferred-message.ts';

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

/** The CPIM of a chat message. In 1-1 chat nobody is named in it: who speaks is in SIP. */
export function chatMessage(message: {
  readonly messageId: string;
  readonly dispositions: readonly Disposition[];
  readonly contentType: string;
  readonly content: Uint8Array;
}): Buffer {
  const {messageId, dispositions, contentType, content} = message;
  return formatCpim({
    headers: [
      ...envelope(messageId),
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
export function notificationMessage(messageId: string, kind: NotificationKind, now = new Date()): Buffer {
  const element = kind === 'delivered' ? 'delivery-notification' : 'display-notification';
  const xml = Buffer.from(
    `<?xml version="1.0" encoding="UTF-8"?>\r\n<imdn xmlns="urn:ietf:params:xml:ns:imdn">` +
      `<message-id>${messageId}</message-id><datetime>${now.toISOString()}</datetime>` +
      `<${element}><status><${kind}/></status></${element}></imdn>`,
  );
  return formatCpim({
    headers: envelope(newMessageId()),
    contentHeaders: [
      {name: 'Content-Type', value: 'message/imdn+xml'},
      {name: 'Content-Disposition', value: 'notification'},
      {name: 'Content-Length', value: String(xml.length)},
    ],
    body: xml,
  });
}

/** What a message that came is: a chat message, a notification about one of ours, or anything else. */
export type Read =
  | {
      readonly kind: 'chat';
      readonly messageId: string;
      readonly dispositions: ReadonlySet<Disposition>;
      readonly cpim: Cpim;
    }
  | {readonly kind: 'notification'; readonly messageId: string; readonly status: string}
  | {readonly kind: 'other'};

/** Looks into a message; `contentType` is the one of MSRP or SIP. */
export function readMessage(contentType: string, bytes: Buffer): Read {
  if (/^message\/imdn\+xml/i.test(contentType)) return readNotification(bytes.toString());
  if (!/^message\/cpim/i.test(contentType)) return {kind: 'other'};
  const cpim = parseCpim(bytes);
  if (isNotification(cpim)) return readNotification(cpim.body.toString());
  const messageId = imdnMessageId(cpim);
  if (messageId === undefined) return {kind: 'other'};
  return {kind: 'chat', messageId, dispositions: requestedDispositions(cpim), cpim};
}

/** An imdn.Message-ID (RFC 5438 §6.3 asks for 64 random bits). */
export function newMessageId(): string {
  return randomBytes(12).toString('hex');
}

function readNotification(xml: string): Read {
  const [, messageId] = /<(?:\w+:)?message-id>\s*([^<\s]+)\s*</.exec(xml) ?? [];
  const [, status] = /<(?:\w+:)?status>\s*<(?:\w+:)?([\w-]+)\s*\/?>/.exec(xml) ?? [];
  return messageId === undefined || status === undefined ? {kind: 'other'} : {kind: 'notification', messageId, status};
}

function envelope(messageId: string): readonly {readonly name: string; readonly value: string}[] {
  return [
    {name: 'From', value: '<sip:anonymous@anonymous.invalid>'},
    {name: 'To', value: '<sip:anonymous@anonymous.invalid>'},
    {name: 'DateTime', value: new Date().toISOString()},
    {name: 'NS', value: 'imdn <urn:ietf:params:imdn>'},
    {name: 'imdn.Message-ID', value: messageId},
  ];
}
