/** What waits for a served user: a chat message, or a disposition notification about one that he sent. */
export type DeferredKind = 'chat' | 'notification';

/** Dispositions that a sender can ask to be told about (RFC 5438 §6.2). */
export type Disposition = 'positive-delivery' | 'negative-delivery' | 'processing' | 'display' | 'interworking';

/** What the delivery INVITE repeats of the session in which the message was accepted (CPM-CF 8.3.2.9.1.1, rows A1, A6, A8, A9). */
export interface OriginalSession {
  readonly conversationId: string;
  readonly contributionId: string;
  /** The public identity that the sender addressed, as it stood in the Request-URI. */
  readonly recipientAddress: string;
  /** The authenticated originator as a URI, fit to be written in Referred-By. */
  readonly senderAddress: string;
  /** `+sip.instance` of the sender's device, without quotes: `<urn:gsma:imei:…>`. */
  readonly senderInstance: string | undefined;
  /** A notification goes to the device that sent the message reported on (6.1.2): its `+sip.instance`, where known. */
  readonly recipientInstance?: string | undefined;
  readonly subject: string | undefined;
  /** It came as a standalone message, by SIP MESSAGE (pager mode), and goes so. */
  readonly pager?: true | undefined;
  /** The offer of the original INVITE, whose capabilities the delivery offer repeats. */
  readonly offer: string | undefined;
}

/** A message that the PF is about to take responsibility for. */
export interface NewDeferredMessage {
  /** Canonical key of the served user for whom it waits. */
  readonly servedUser: string;
  /** Canonical address of the authenticated originator (6.1); never taken from CPIM. */
  readonly sender: string;
  readonly kind: DeferredKind;
  /** Of a notification that reports on one message: what it says of which, `delivery Message-ID` (RFC 5438 §7.2.1: one of a kind per message). */
  readonly imdnMessageId: string | undefined;
  /** What makes it the same as an earlier one under its imdnMessageId: its bytes, too, unless it says `id`. */
  readonly sameness?: 'id-and-bytes' | 'id';
  readonly dispositions: readonly Disposition[];
  /** MIME type of `bytes` as the MSRP SEND or SIP MESSAGE gave it, `message/cpim` as a rule. */
  readonly contentType: string;
  /** The message, octet for octet (row E1). */
  readonly bytes: Uint8Array;
  /** CPIM DateTime in milliseconds; used by the policy that orders senders, never inside a sender (T64). */
  readonly dateTime: number | undefined;
  /** Milliseconds since 1970. */
  readonly receivedAt: number;
  /** Milliseconds since 1970 after which the message is no longer offered. */
  readonly expiresAt: number;
  readonly session: OriginalSession;
}

/** `queued`: to be offered; `sent`: the client said 200, its delivery notification is awaited (row A21); `held`: an operator keeps it back. */
export type PendingState = 'queued' | 'sent' | 'held';

/** How a message ended. `dropped`: by an operator, with the group that its recipient left, or as a state of it that his client does not take. */
export type Settlement = 'delivered' | 'expired' | 'dropped' | 'failed';

/** A message that is durably kept. */
export interface DeferredMessage extends NewDeferredMessage {
  /** Storage key of the PF's own, unique in the store. */
  readonly id: string;
  /** Order of arrival: grows strictly within (servedUser, sender). */
  readonly sequence: number;
  readonly state: PendingState;
  readonly sentAt: number | undefined;
}

/** Whether nothing more is owed. */
export const isSettled = (state: PendingState | Settlement): state is Settlement =>
  state !== 'queued' && state !== 'sent' && state !== 'held';

/** Of one message found twice the one that is further on stays: a settled one, else what a client took, else what an operator holds. */
export const progressOf = (state: PendingState | Settlement): number =>
  isSettled(state) ? 3 : {queued: 0, held: 1, sent: 2}[state];

/** What of a message has to be the same, beside its imdnMessageId, for it to be the same message (row E8). */
export const identityBytes = ({bytes, sameness}: Pick<NewDeferredMessage, 'bytes' | 'sameness'>): Uint8Array =>
  sameness === 'id' ? new Uint8Array() : bytes;
