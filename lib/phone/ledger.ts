/** What the phones themselves know about every message: the figures of the demo, and of the tests that kill things. */
import type {GroupState} from '../cpm/group-state.ts';
import type {ChunkOutcome} from './msrp-session.ts';
import type {ChatSession} from './chat-session.ts';

/** A message that a phone sent, or tried to. */
export interface SentMessage {
  /** Its imdn.Message-ID. */
  readonly messageId: string;
  /** CPIM as sent. */
  readonly bytes: Buffer;
  /** The network took it: MSRP 200 to its last chunk, at the latest attempt. */
  accepted: boolean;
  /** Answers to it, one for each attempt. */
  readonly outcomes: ChunkOutcome[];
  /** Notifications that came back about it, in order: `delivered`, `displayed` … */
  readonly notified: string[];
}

/** A chat message that a phone received whole, for the first time. */
export interface ReceivedChat {
  readonly messageId: string;
  /** CPIM as received. */
  readonly bytes: Buffer;
  readonly contentType: string;
  /** The content, decoded as UTF-8. */
  readonly text: string;
  /** CPIM From as written: in a group, who speaks. */
  readonly author: string;
  readonly chunks: number;
  readonly session: ChatSession;
}

/** A Group State Object that a phone received. */
export interface ReceivedGroupState {
  /** imdn.Message-ID of the object itself. */
  readonly messageId: string | undefined;
  readonly state: GroupState;
  readonly bytes: Buffer;
  readonly session: ChatSession | undefined;
}

/** One direction of one conversation in figures. */
export interface Account {
  readonly sent: number;
  /** Of those: MSRP 200 seen by the sender. */
  readonly accepted: number;
  /** Of those: received whole by the recipient. */
  readonly delivered: number;
  /** Of those: every notification that is to come back is back at the sender. */
  readonly notified: number;
  /** What was received is octet for octet what was sent. */
  readonly identical: boolean;
  /** What was received came in the order in which it was sent. */
  readonly inOrder: boolean;
}

/** Whether all these notifications about a message are back at its sender; one that came twice stands for itself alone. */
export const isNotified = (
  {notified}: Pick<SentMessage, 'notified'>,
  kinds: readonly string[] = ['delivered', 'displayed'],
): boolean => kinds.every((kind) => notified.includes(kind));

/** Compares what one phone sent with what another one received; `kinds`: the notifications that are to come back. */
export function account(
  sent: readonly SentMessage[],
  received: readonly ReceivedChat[],
  kinds?: readonly string[],
): Account {
  const ids = sent.map(({messageId}) => messageId);
  const arrived = received.filter(({messageId}) => ids.includes(messageId));
  const positions = arrived.map(({messageId}) => ids.indexOf(messageId));
  return {
    sent: sent.length,
    accepted: sent.filter(({accepted}) => accepted).length,
    delivered: arrived.length,
    notified: sent.filter((message) => isNotified(message, kinds)).length,
    identical: arrived.every(({bytes}, at) => sent[positions[at] ?? -1]?.bytes.equals(bytes) === true),
    inOrder: positions.every((position, at) => at === 0 || position > (positions[at - 1] ?? -1)),
  };
}

/** Two directions in one line. */
export function added(one: Account, other: Account): Account {
  return {
    sent: one.sent + other.sent,
    accepted: one.accepted + other.accepted,
    delivered: one.delivered + other.delivered,
    notified: one.notified + other.notified,
    identical: one.identical && other.identical,
    inOrder: one.inOrder && other.inOrder,
  };
}
