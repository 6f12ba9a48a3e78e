/**
 * What hooks are shown: copies, frozen, in the words of CPM. Nothing in a view leads back to what the PF works with.
 * Addresses are canonical keys (`tel:+15550101`, `sip:bob@home.example`) where nothing else is said; times are milliseconds since 1970.
 */
import type {DeferredKind, Disposition, NewDeferredMessage} from '../cpm/deferred-message.ts';

export interface ConversationView {
  /** Key of the user whom the PF serves. */
  readonly servedUser: string;
  /** Canonical address of the authenticated originator (6.1); in a group, whoever speaks, `group:` and its Contribution-ID. */
  readonly sender: string;
  readonly conversationId: string;
  readonly contributionId: string;
}

/** Who is there, or no longer. */
export interface RegistrationView {
  readonly servedUser: string;
  readonly registered: boolean;
  /** The implicit registration set; empty after a de-registration. */
  readonly identities: readonly string[];
  readonly devices: readonly DeviceView[];
}

export interface DeviceView {
  /** `+sip.instance`, where known. */
  readonly instance: string | undefined;
  readonly userAgent: string | undefined;
  readonly cpm: 'yes' | 'no' | 'unknown';
  readonly expiresAt: number;
}

/** An invitation of a served user, to a 1-1 session or, by its focus, to a group; or a standalone message for him. */
export interface InvitationView extends ConversationView {
  /** The identity that was addressed, a SIP URI. */
  readonly recipientAddress: string;
  /** As the network asserts it, a URI; of a group its session identity. */
  readonly senderAddress: string;
  readonly subject: string | undefined;
  /** Whether a first message rides in the INVITE; `beforeDefer` is shown it, where nobody is there. */
  readonly hasFirstMessage: boolean;
  /** The standalone message (SIP MESSAGE) that is to be accepted; undefined for an INVITE. */
  readonly message: MessageView | undefined;
}

/** An invitation, or a standalone message, that has got its 200 (or 202): a device took it, or the PF accepted for its user. */
export interface AcceptedView extends InvitationView {
  readonly by: 'device' | 'participating-function';
}

/** A message that the PF keeps, or is about to. isComposing and group data management are never among them. */
export interface MessageView extends ConversationView {
  readonly kind: DeferredKind;
  readonly imdnMessageId: string | undefined;
  readonly dispositions: readonly Disposition[];
  readonly contentType: string;
  /** Octets. */
  readonly size: number;
  /** A copy of the message, octet for octet; each call makes one. */
  readonly bytes: () => Uint8Array;
  /** CPIM DateTime. */
  readonly dateTime: number | undefined;
  readonly receivedAt: number;
  readonly expiresAt: number;
}

/** A message that is durably kept. */
export interface DeferredView extends MessageView {
  readonly id: string;
  /** `duplicate`: it was there already, nothing was added; `conflict`: another one with its imdn.Message-ID was. */
  readonly outcome: 'stored' | 'duplicate' | 'conflict';
}

/** A kept message that is to go to a device now. */
export interface QueuedView extends MessageView {
  readonly id: string;
}

/** Whose messages wait for a user, in the order that stands so far. */
export interface SendersView {
  readonly servedUser: string;
  readonly senders: readonly SenderView[];
}

export interface SenderView {
  readonly sender: string;
  readonly chats: number;
  readonly notifications: number;
  /** Oldest CPIM DateTime of what waits. */
  readonly oldestDateTime: number;
}

/** An INVITE that is to hand over what waits from one sender. */
export interface DeliveryView extends ConversationView {
  /** How many devices are invited. */
  readonly devices: number;
}

/** What became of it. */
export interface InvitedView extends DeliveryView {
  readonly outcome: 'answered' | 'refused' | 'cancelled';
  /** Final answers of the devices that refused. */
  readonly statuses: readonly number[];
}

/** Disposition notifications that the PF keeps for the one who sent the messages they report on. */
export interface NotificationView {
  /** Who reports. */
  readonly author: string;
  /** Who is told, a URI. */
  readonly recipientAddress: string;
  readonly conversationId: string;
  readonly contributionId: string;
  readonly reports: readonly ReportView[];
}

export interface ReportView {
  readonly imdnMessageId: string;
  readonly kind: string;
  readonly status: string;
}

/** A message, or notification, that the PF owes nothing more. */
export interface ReleasedView {
  readonly id: string;
  readonly servedUser: string;
  readonly sender: string;
  readonly kind: DeferredKind;
  readonly imdnMessageId: string | undefined;
  readonly how: 'delivered' | 'expired' | 'failed' | 'dropped';
}

/** The end of a session of the served user's, with one other or with his group. */
export interface ByeView extends ConversationView {
  readonly by: 'network' | 'client';
  /** Reason header of the BYE. */
  readonly reason: string | undefined;
}

/** The message as hooks may see it. */
export function viewOfMessage(message: NewDeferredMessage): MessageView {
  const {servedUser, sender, session, kind, imdnMessageId, contentType, dateTime, receivedAt, expiresAt} = message;
  return {
    servedUser,
    sender,
    conversationId: session.conversationId,
    contributionId: session.contributionId,
    kind,
    imdnMessageId,
    dispositions: Object.freeze([...message.dispositions]),
    contentType,
    size: message.bytes.length,
    bytes: () => new Uint8Array(message.bytes),
    dateTime,
    receivedAt,
    expiresAt,
  };
}
