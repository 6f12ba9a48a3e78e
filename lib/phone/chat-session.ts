/** One chat as one of its two phones has it: a SIP call with an MSRP session in it (CPM-CF 7.3). */
import {formatIsComposing, type IsComposing} from '../codecs/iscomposing.ts';
import {resourceListsIn, type ListEntry} from '../codecs/resource-lists.ts';
import {isFocus, parseContacts} from '../codecs/sip-headers/contact.ts';
import {parseNameAddr} from '../codecs/sip-headers/name-addr.ts';
import type {Disposition} from '../cpm/deferred-message.ts';
import {headerOf} from '../codecs/sip-message.ts';
import type {Call, CallEnd} from './call.ts';
import {anonymous, chatMessage, newMessageId, type Envelope} from './chat-messages.ts';
import type {SentMessage} from './ledger.ts';
import type {ChunkOutcome, MsrpSession, SendOptions} from './msrp-session.ts';

export interface TextOptions {
  readonly messageId?: string;
  /** Notifications asked for; default positive-delivery and display. */
  readonly dispositions?: readonly Disposition[];
  readonly contentType?: string;
  readonly failureReport?: SendOptions['failureReport'];
  readonly successReport?: boolean;
}

/** What an invitation to a group says of it. */
export interface GroupInvitation {
  /** The focus: where a re-join goes. */
  readonly identity: string;
  readonly subject: string | undefined;
  /** Who else was invited. */
  readonly members: readonly ListEntry[];
}

export interface ChatSessionOptions {
  readonly call: Call;
  readonly msrp: MsrpSession;
  /** Our address. */
  readonly own: string;
  /** Is told of each message before its first octet leaves, and of each change of what is known about it. */
  readonly onSent: (message: SentMessage) => void;
}

export class ChatSession {
  readonly call: Call;
  readonly msrp: MsrpSession;
  readonly conversationId: string | undefined;
  readonly contributionId: string | undefined;
  /** The other person: whom we called, or Referred-By, else P-Asserted-Identity, else From of his INVITE (6.1). */
  readonly partner: string;
  /** The network delivers what waited for us (§1.4 of the reference: what phones in the field look for). */
  readonly deferred: boolean;
  /** Undefined in a 1-1 chat: the peer's Contact is no conference focus. */
  readonly group: GroupInvitation | undefined;
  readonly #own: string;
  readonly #onSent: (message: SentMessage) => void;

  constructor({call, msrp, own, onSent}: ChatSessionOptions) {
    this.call = call;
    this.msrp = msrp;
    this.#own = own;
    this.#onSent = onSent;
    this.group = groupOf(call);
    const {invite} = call;
    this.conversationId = headerOf(invite, 'Conversation-ID');
    this.contributionId = headerOf(invite, 'Contribution-ID');
    const asserted = headerOf(invite, 'P-Asserted-Identity');
    this.deferred = call.role === 'callee' && /rcse-standfw@/i.test(asserted ?? '');
    const author = headerOf(invite, 'Referred-By') ?? asserted ?? headerOf(invite, 'From') ?? '';
    this.partner = call.role === 'caller' ? invite.uri : parseNameAddr(author).uri;
  }

  get ended(): Promise<CallEnd> {
    return this.call.ended;
  }

  /** Sends a text as chat; resolves when its fate on this session is known. Never rejects. */
  async sendText(text: string, options: TextOptions = {}): Promise<SentMessage> {
    const messageId = options.messageId ?? newMessageId();
    const bytes = chatMessage({
      messageId,
      envelope: this.envelope(),
      dispositions: options.dispositions ?? ['positive-delivery', 'display'],
      contentType: options.contentType ?? 'text/plain;charset=UTF-8',
      content: Buffer.from(text),
    });
    const message: SentMessage = {messageId, bytes, accepted: false, outcomes: [], notified: []};
    await this.sendAgain(message, options);
    return message;
  }

  /** Sends a message, perhaps one that another session did not get through: same octets, same imdn.Message-ID. */
  async sendAgain(message: SentMessage, options: Omit<TextOptions, 'messageId'> = {}): Promise<ChunkOutcome> {
    this.#onSent(message);
    const {failureReport, successReport} = options;
    // Without a connection in time the message is lost like one whose connection broke.
    await this.msrp.bound().catch(() => undefined);
    const outcome = await this.msrp.send(message.bytes, {
      contentType: 'message/cpim',
      ...(failureReport === undefined ? {} : {failureReport}),
      ...(successReport === undefined ? {} : {successReport}),
    });
    message.outcomes.push(outcome);
    if (outcome === 200) message.accepted = true;
    this.#onSent(message);
    return outcome;
  }

  /** Says that the person is typing, or no longer; resolves with the answer. */
  async sendComposing(state: IsComposing['state']): Promise<ChunkOutcome> {
    const contentType = 'application/im-iscomposing+xml';
    const content = Buffer.from(formatIsComposing({state, contentType: 'text/plain', refreshSeconds: 60}));
    await this.msrp.bound();
    if (this.group === undefined) return this.msrp.send(content, {contentType});
    const envelope = this.envelope();
    const bytes = chatMessage({messageId: newMessageId(), envelope, dispositions: [], contentType, content});
    return this.msrp.send(bytes, {contentType: 'message/cpim'});
  }

  /** Who is named in a message: in a group who speaks, and to whom alone, if to anybody; in a 1-1 chat nobody. */
  envelope(to: string = anonymous.to): Envelope {
    return this.group === undefined ? anonymous : {from: `<${this.#own}>`, to};
  }

  /** BYE; resolves with the status of its answer. */
  end(reason?: string): Promise<number> {
    return this.call.bye(reason === undefined ? [] : [['Reason', reason]]);
  }
}

function groupOf(call: Call): GroupInvitation | undefined {
  const {invite, response, role} = call;
  const [contact] = parseContacts(headerOf(role === 'caller' ? response : invite, 'Contact') ?? '*');
  if (contact === undefined || !isFocus(contact)) return undefined;
  const list = resourceListsIn(headerOf(invite, 'Content-Type') ?? '', invite.body);
  return {identity: contact.uri, subject: headerOf(invite, 'Subject'), members: list?.entries ?? []};
}
