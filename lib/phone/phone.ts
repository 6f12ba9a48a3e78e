/**
 * A simulated CPM client, as a person sees it: chats out and in, texts, notifications. Real sockets, nothing shared with the network.
 *
 *     const core = await startCore();
 *     const alice = await startPhone({core: core.uri, address: 'sip:+15550101@home.example;user=phone'});
 *     const bob = await startPhone({core: core.uri, address: 'sip:+15550102@home.example;user=phone'});
 *     await alice.register();
 *     await bob.register();
 *     const chat = await alice.startChat(bob.address);
 *     await chat.sendText('hello');
 *     await bob.messages.first(({text}) => text === 'hello');
 *     await chat.end();
 */
import {randomUUID} from 'node:crypto';
import {CpmError} from '../errors.ts';
import {CONFERENCE_INFO_TYPE} from '../codecs/conference-info.ts';
import {cpimHeader} from '../codecs/cpim.ts';
import {isType} from '../codecs/mime.ts';
import {leafParts, type Part} from '../codecs/multipart.ts';
import {RESOURCE_LISTS_TYPE, resourceListsPart, type ListEntry} from '../codecs/resource-lists.ts';
import {formatAcceptContact} from '../codecs/sip-headers/accept-contact.ts';
import {formatFeatures} from '../codecs/sip-headers/features.ts';
import {parseNameAddr} from '../codecs/sip-headers/name-addr.ts';
import {ICSI} from '../cpm/feature-tags.ts';
import {headerOf, type SipMessage, type SipRequest, type SipResponse} from '../codecs/sip-message.ts';
import type {TimerValues} from '../embedded-drachtio/timers.ts';
import type {HeaderList} from './call.ts';
import {notificationMessage, readMessage, type Notification, type NotificationKind} from './chat-messages.ts';
import {ChatSession} from './chat-session.ts';
import {ConferenceWatch} from './conference-watch.ts';
import {Inbox} from './inbox.ts';
import type {ReceivedChat, ReceivedGroupState, SentMessage} from './ledger.ts';
import {acceptMedia, placeMedia, type MediaCall} from './media-call.ts';
import type {ConnectionFaults} from './msrp-connection.ts';
import {createMsrpEndpoint, type MsrpEndpoint, type PhoneCertificate} from './msrp-endpoint.ts';
import type {ReceivedMessage, SessionBehaviour} from './msrp-session.ts';
import {publicGruu} from './registrar.ts';
import {usualMedia, type MediaProfile} from './session-description.ts';
import {createUserAgent, type IncomingCall, type UserAgent} from './sip-user-agent.ts';
import {Subscription} from './subscription.ts';

export interface PhoneOptions {
  /** The public identity: `sip:+15550101@home.example;user=phone`, `tel:+15550101`. */
  readonly address: string;
  /** SIP URI of the core; without one requests go where their URI leads. */
  readonly core?: string;
  /** `<urn:…>`; a random UUID by default, `none` leaves it out. */
  readonly instance?: string;
  readonly protocol?: 'udp' | 'tcp';
  readonly userAgent?: string;
  readonly media?: Partial<MediaProfile>;
  readonly behaviour?: Partial<SessionBehaviour>;
  readonly faults?: ConnectionFaults;
  /** `msrp://host:port;tcp` of the MSRP relay that the phone uses (RFC 4976). */
  readonly relay?: string;
  /** MSRP goes over TLS, with this certificate. */
  readonly tls?: PhoneCertificate;
  /** How notifications are returned: on the session they belong to while it lives, or always by SIP MESSAGE, or not at all. */
  readonly notifications?: 'session' | 'message' | 'none';
  /** Whether messages count as displayed as soon as they came; default true. */
  readonly displays?: boolean;
  readonly timers?: Partial<TimerValues>;
  readonly trace?: (event: PhoneEvent) => void;
}

/** What a phone shows to somebody who watches it. */
export type PhoneEvent =
  | {readonly kind: 'sip'; readonly direction: 'out' | 'in'; readonly message: SipMessage}
  | {readonly kind: 'sent'; readonly message: SentMessage}
  | {readonly kind: 'received'; readonly message: ReceivedChat}
  | {readonly kind: 'group-state'; readonly message: ReceivedGroupState}
  | {readonly kind: 'notified'; readonly notification: Notification}
  | {
      readonly kind: 'notifies';
      readonly status: NotificationKind;
      readonly messageId: string;
      readonly via: 'session' | 'message';
    };

/** An invitation to a chat that waits for the person's decision. */
export interface ChatInvitation {
  readonly request: SipRequest;
  ring(): void;
  /** Takes the chat; resolves once SIP and MSRP are up. Rejects when it was cancelled, or when no MSRP connection came about. */
  accept(headers?: HeaderList): Promise<ChatSession>;
  refuse(status: number, headers?: HeaderList): void;
  /** Resolves with the Reason of the CANCEL, if the inviter gives up. */
  readonly cancelled: Promise<string | undefined>;
}

/** A refused invitation. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly response: SipResponse;

  constructor(response: SipResponse) {
    super(`the invitation was answered ${response.status} ${response.reason}`);
    this.response = response;
  }
}

export interface ChatOptions {
  readonly conversationId?: string;
  readonly contributionId?: string;
  readonly headers?: HeaderList;
}

export interface GroupOptions extends ChatOptions {
  readonly subject?: string;
  /** Whom the list names; without one there is none, as in a re-join. */
  readonly members?: readonly (string | ListEntry)[];
  /** A message in CPIM that rides in the INVITE. */
  readonly first?: Uint8Array;
}

export interface Phone {
  readonly address: string;
  readonly instance: string | undefined;
  /** The public GRUU under which the core knows this device. */
  readonly gruu: string | undefined;
  readonly userAgent: UserAgent;
  readonly endpoint: MsrpEndpoint;
  /** Chats, ours and others', in order. */
  readonly sessions: Inbox<ChatSession>;
  /** Requests that came outside a dialog: INVITE, MESSAGE, OPTIONS. */
  readonly requests: Inbox<SipRequest>;
  /** Chat messages that came whole, each once, in order. */
  readonly messages: Inbox<ReceivedChat>;
  /** Those that came once more with the same imdn.Message-ID. */
  readonly repetitions: Inbox<ReceivedChat>;
  readonly sent: Inbox<SentMessage>;
  readonly notifications: Inbox<Notification>;
  /** Group State Objects, each time that one came. */
  readonly groupStates: Inbox<ReceivedGroupState>;
  /** Decides about an invitation; by default it is accepted at once. */
  onInvitation: (invitation: ChatInvitation) => void;
  /** REGISTER; resolves with the 200. Rejects with `Refused`. */
  register(expires?: number): Promise<SipResponse>;
  /** REGISTER with Expires 0. */
  deregister(): Promise<SipResponse>;
  /** Invites to a chat; resolves once SIP and MSRP are up. Rejects with `Refused`, or `CpmError` 408 without MSRP connection. */
  startChat(to: string, options?: ChatOptions): Promise<ChatSession>;
  /**
   * Invites to a group chat. `to` is the address of the conference factory, with the list of members; for a re-join the session identity,
   * without one; for a re-start either of them, with the ids of the group and its list. Resolves and rejects as `startChat`.
   */
  startGroup(to: string, options?: GroupOptions): Promise<ChatSession>;
  /** Subscribes to the state of a conference. Rejects with `Refused`. */
  watch(identity: string): Promise<ConferenceWatch>;
  /** Returns a notification about a message that came; resolves once somebody took it. */
  notify(message: ReceivedChat, kind: NotificationKind): Promise<void>;
  /** Any request outside a dialog. */
  request(method: string, uri: string, headers?: HeaderList, body?: Uint8Array): Promise<SipResponse>;
  /** Switches off without a word: sockets close, nobody is told. May be called twice. */
  close(): Promise<void>;
}

/** Switches a phone on; it is registered by `register`. */
export async function startPhone(options: PhoneOptions): Promise<Phone> {
  const instance = options.instance === 'none' ? undefined : (options.instance ?? `<urn:uuid:${randomUUID()}>`);
  const media: MediaProfile = {...usualMedia, ...options.media};
  const trace = options.trace ?? (() => undefined);
  const sessions = new Inbox<ChatSession>('chat session');
  const requests = new Inbox<SipRequest>('SIP request');
  const messages = new Inbox<ReceivedChat>('chat message');
  const repetitions = new Inbox<ReceivedChat>('repeated chat message');
  const sent = new Inbox<SentMessage>('message sent');
  const notifications = new Inbox<Notification>('disposition notification');
  const groupStates = new Inbox<ReceivedGroupState>('Group State Object');

  const endpoint = await createMsrpEndpoint({relay: options.relay, faults: options.faults, tls: options.tls});
  const userAgent = await createUserAgent({
    identity: options.address,
    user: /^(?:sips?|tel):([^@;]+)/i.exec(options.address)?.[1] ?? 'phone',
    contactParameters: formatFeatures({icsi: ICSI.session, instance}),
    userAgent: options.userAgent ?? 'CPM-client/OMA2.1',
    proxy: options.core,
    protocol: options.protocol ?? 'tcp',
    timers: options.timers,
    trace: (direction, message) => {
      trace({kind: 'sip', direction, message});
    },
    onCall: (incoming) => {
      requests.push(incoming.request);
      phone.onInvitation(invitationOf(incoming));
    },
    onRequest: (request) => {
      requests.push(request);
      if (request.method !== 'MESSAGE') return request.method === 'OPTIONS' ? 200 : 405;
      return takeMessage(headerOf(request, 'Content-Type') ?? '', request.body, 'message') ? 200 : 415;
    },
  });

  const end = {userAgent, endpoint, media, behaviour: options.behaviour};

  function invitationOf(incoming: IncomingCall): ChatInvitation {
    return {
      request: incoming.request,
      cancelled: incoming.cancelled,
      ring: () => {
        incoming.ring();
      },
      refuse: (status, headers) => {
        incoming.refuse(status, headers);
      },
      async accept(headers = []) {
        const [sdp, first] = bodiesOf(incoming.request);
        const chat = await openChat(await acceptMedia(end, incoming, sdp, headers));
        if (first !== undefined) takeMessage(first.contentType, first.bytes, 'session', chat, first);
        return chat;
      },
    };
  }

  async function openChat({call, msrp, connect}: MediaCall): Promise<ChatSession> {
    const session = new ChatSession({
      call,
      msrp,
      own: options.address,
      onSent: (message) => {
        if (!sent.items.includes(message)) sent.push(message);
        else sent.changed();
        trace({kind: 'sent', message});
      },
    });
    msrp.listen((message) => {
      takeMessage(message.contentType, message.bytes, 'session', session, message);
    });
    sessions.push(session);
    await connect();
    return session;
  }

  /** Whether it was something that a phone understands. */
  function takeMessage(
    contentType: string,
    bytes: Buffer,
    via: 'session' | 'message',
    session?: ChatSession,
    received?: ReceivedMessage,
  ): boolean {
    const read = readMessage(contentType, bytes);
    if (read.kind === 'notifications') {
      for (const {messageId, status} of read.notifications) takeNotification({messageId, status, via, bytes});
      return true;
    }
    if (read.kind === 'group-state') {
      const message: ReceivedGroupState = {...read, bytes, session};
      groupStates.push(message);
      trace({kind: 'group-state', message});
      return true;
    }
    if (read.kind !== 'chat' || session === undefined || received === undefined) return read.kind === 'chat';
    const {messageId, cpim, dispositions} = read;
    const message: ReceivedChat = {
      messageId,
      bytes,
      contentType,
      text: cpim.body.toString(),
      author: cpimHeader(cpim, undefined, 'From') ?? '',
      chunks: received.chunks,
      session,
    };
    const known = messages.items.some((earlier) => earlier.messageId === messageId);
    (known ? repetitions : messages).push(message);
    trace({kind: 'received', message});
    const wanted: NotificationKind[] = [
      ...(dispositions.has('positive-delivery') ? (['delivered'] as const) : []),
      ...(dispositions.has('display') && options.displays !== false ? (['displayed'] as const) : []),
    ];
    if (options.notifications !== 'none') void notifyInOrder(message, wanted);
    return true;
  }

  function takeNotification(notification: Notification): void {
    sent.items.find(({messageId}) => messageId === notification.messageId)?.notified.push(notification.status);
    sent.changed();
    notifications.push(notification);
    trace({kind: 'notified', notification});
  }

  async function notifyInOrder(message: ReceivedChat, kinds: readonly NotificationKind[]): Promise<void> {
    for (const kind of kinds) await notify(message, kind);
  }

  async function notify(message: ReceivedChat, kind: NotificationKind): Promise<void> {
    const {session, messageId} = message;
    const bytes = notificationMessage(messageId, kind, session.envelope(message.author));
    if (options.notifications !== 'message' && !session.call.over) {
      trace({kind: 'notifies', status: kind, messageId, via: 'session'});
      const outcome = await session.msrp.send(bytes, {contentType: 'message/cpim'});
      if (outcome === 200) return;
    }
    trace({kind: 'notifies', status: kind, messageId, via: 'message'});
    const ids = [
      ['Conversation-ID', session.conversationId],
      ['Contribution-ID', session.contributionId],
    ] as const;
    const author = session.group === undefined ? session.partner : parseNameAddr(message.author).uri;
    await userAgent.request(
      'MESSAGE',
      author,
      [
        ['Accept-Contact', formatAcceptContact({icsi: ICSI.pagerMessage})],
        ['P-Preferred-Service', ICSI.pagerMessage],
        ...ids.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])),
        ['Content-Type', 'message/cpim'],
      ],
      bytes,
    );
  }

  async function startChat(to: string, chat: ChatOptions = {}): Promise<ChatSession> {
    return await invite(to, chat);
  }

  async function startGroup(to: string, group: GroupOptions = {}): Promise<ChatSession> {
    const {subject, members, first, headers = []} = group;
    const entries = members?.map((member): ListEntry => (typeof member === 'string' ? {uri: member} : member));
    const list = entries === undefined ? [] : [resourceListsPart(entries, 'recipient-list')];
    const more: HeaderList = [
      ...(subject === undefined ? [] : [['Subject', subject] as const]),
      ...(entries === undefined ? [] : [['Require', 'recipient-list-invite'] as const]),
      ...headers,
    ];
    const message = {headers: [{name: 'Content-Type', value: 'message/cpim'}], body: Buffer.from(first ?? [])};
    return await invite(to, {...group, headers: more}, first === undefined ? list : [...list, message]);
  }

  async function invite(
    to: string,
    {conversationId = randomUUID(), contributionId = randomUUID(), headers = []}: ChatOptions,
    parts: readonly Pick<Part, 'headers' | 'body'>[] = [],
  ): Promise<ChatSession> {
    const ids: HeaderList = [
      ['Accept-Contact', formatAcceptContact({icsi: ICSI.session})],
      ['P-Preferred-Service', ICSI.session],
      ['Conversation-ID', conversationId],
      ['Contribution-ID', contributionId],
    ];
    const placed = await placeMedia(end, to, [...ids, ...headers], parts);
    if (!('call' in placed)) throw new Refused(placed);
    return await openChat(placed);
  }

  async function watch(identity: string): Promise<ConferenceWatch> {
    const subscription = await userAgent.subscribe(identity, 'conference', [['Accept', CONFERENCE_INFO_TYPE]]);
    if (!(subscription instanceof Subscription)) throw new Refused(subscription);
    return new ConferenceWatch(subscription);
  }

  async function register(expires = 3600): Promise<SipResponse> {
    const domain = /@([^;>]+)/.exec(options.address)?.[1] ?? 'home.example';
    const response = await userAgent.request('REGISTER', `sip:${domain}`, [['Expires', String(expires)]]);
    if (response.status !== 200) throw new Refused(response);
    return response;
  }

  const phone: Phone = {
    address: options.address,
    instance,
    gruu: instance === undefined ? undefined : publicGruu(options.address, instance),
    userAgent,
    endpoint,
    sessions,
    requests,
    messages,
    repetitions,
    sent,
    notifications,
    groupStates,
    onInvitation: (invitation) => {
      invitation.accept().catch((error: unknown) => {
        // The inviter may give up, or go away, at any moment: that is his right. An offer that makes no sense is refused.
        if (error instanceof CpmError && error.status === 488) invitation.refuse(488);
      });
    },
    register,
    deregister: () => register(0),
    startChat,
    startGroup,
    watch,
    notify,
    request: (method, uri, headers, body) => userAgent.request(method, uri, headers, body),
    async close() {
      await Promise.all([userAgent.close(), endpoint.close()]);
    },
  };
  return phone;
}

/** The description in an INVITE, and the message beside it. */
function bodiesOf(invite: SipRequest): [sdp: string, first: ReceivedMessage | undefined] {
  const parts = leafParts(invite.body, headerOf(invite, 'Content-Type') ?? 'application/sdp');
  const isSdp = ({contentType}: Part): boolean => /^application\/sdp\b/i.test(contentType ?? '');
  const message = parts.find((part) => !isSdp(part) && !isType(part.contentType, RESOURCE_LISTS_TYPE));
  return [
    parts.find(isSdp)?.body.toString() ?? '',
    message && {messageId: 'INVITE', contentType: message.contentType ?? 'text/plain', bytes: message.body, chunks: 1},
  ];
}
