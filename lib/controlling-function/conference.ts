/** One group session at its controlling function: the members, the MSRP switch between them, and what the others are told (RFC 4579). */
import {cpimHeader, parseCpim} from '../codecs/cpim.ts';
import {isType} from '../codecs/mime.ts';
import {resourceListsPart, type ListEntry} from '../codecs/resource-lists.ts';
import {parseNameAddr} from '../codecs/sip-headers/name-addr.ts';
import {sipCause} from '../codecs/sip-headers/reason.ts';
import type {SipResponse} from '../codecs/sip-message.ts';
import {canonicalAddress} from '../cpm/address.ts';
import type {ConferenceDescription, EndpointChange, UserChange} from '../cpm/conference-state.ts';
import type {Disposition} from '../cpm/deferred-message.ts';
import {CpmError} from '../errors.ts';
import type {CallEnd, HeaderList} from '../phone/call.ts';
import {chatMessage, newMessageId} from '../phone/chat-messages.ts';
import {Inbox} from '../phone/inbox.ts';
import type {MediaCall} from '../phone/media-call.ts';
import type {IncomingSubscription} from '../phone/sip-user-agent.ts';
import {ConferenceEvents, type NotifyBehaviour} from './conference-events.ts';
import {Outbox, type SwitchedMessage, type Undelivered} from './switched-message.ts';

/** What makes it the same group through all of its sessions, and what is said of it. */
export interface GroupIdentity {
  readonly conversationId: string;
  readonly contributionId: string;
  readonly subject?: string | undefined;
  readonly iconUri?: string | undefined;
}

export interface ConferenceOptions extends GroupIdentity {
  /** The session identity: where re-joins go. */
  readonly identity: string;
  readonly members: readonly ListEntry[];
  readonly notify: NotifyBehaviour;
  readonly keepsForAbsent: boolean;
  /** Sends an invitation to a member. */
  readonly place: (
    conference: Conference,
    to: string,
    headers: HeaderList,
    parts: readonly ReturnType<typeof resourceListsPart>[],
  ) => Promise<MediaCall | SipResponse>;
}

/** One who belongs to the group, whether he is there or not. */
export interface Member {
  /** As he was invited, or as he joined. */
  readonly address: string;
  readonly name: string | undefined;
  /** His state as the notifications tell it. */
  readonly endpoint: EndpointChange;
  readonly media: MediaCall | undefined;
  readonly outbox: Outbox;
}

export class Conference {
  readonly identity: string;
  readonly conversationId: string;
  readonly contributionId: string;
  readonly events: ConferenceEvents;
  /** Everything that was switched, in order. */
  readonly messages = new Inbox<SwitchedMessage>('switched message');
  /** What a member has answered 200. */
  readonly taken = new Inbox<{readonly to: string; readonly message: SwitchedMessage}>('message that a member took');
  readonly undelivered = new Inbox<Undelivered>('undelivered message');
  /** The members by canonical address, each time that one of them changed. */
  readonly changes = new Inbox<{readonly member: string; readonly endpoint: EndpointChange}>('change of a member');
  readonly #options: ConferenceOptions;
  readonly #members = new Map<string, Member>();
  #description: ConferenceDescription;
  #over = false;
  #gone = false;

  constructor(options: ConferenceOptions) {
    this.#options = options;
    this.identity = options.identity;
    this.conversationId = options.conversationId;
    this.contributionId = options.contributionId;
    this.#description = {
      ...(options.subject === undefined ? {} : {subject: options.subject}),
      ...(options.iconUri === undefined ? {} : {icon: {uri: options.iconUri}}),
    };
    this.events = new ConferenceEvents(
      options.notify,
      () => ({
        entity: this.identity,
        description: this.#description,
        status: {userCount: this.#members.size, active: !this.#over},
        users: [...this.#members.values()].map(userOf),
      }),
      (entity, member) => keyOf(entity) === member,
    );
    for (const {uri, displayName} of options.members) this.#add(uri, displayName);
  }

  get members(): ReadonlyMap<string, Member> {
    return this.#members;
  }

  get description(): ConferenceDescription {
    return this.#description;
  }

  /** Ended so that its group may have another session. */
  get restartable(): boolean {
    return this.#over && !this.#gone;
  }

  /** Ended, by whatever cause. */
  get over(): boolean {
    return this.#over;
  }

  isMember(address: string): boolean {
    return this.#members.has(keyOf(address));
  }

  /** Invites members who are not there, all of them by default; resolves once each of them has answered. */
  async invite(invitedBy: string | undefined, addresses?: readonly string[]): Promise<void> {
    for (const address of addresses ?? []) if (!this.isMember(address)) this.#add(address);
    const wanted = addresses?.map(keyOf);
    const absent = [...this.#members].filter(
      ([key, {media}]) => media === undefined && (wanted === undefined || wanted.includes(key)),
    );
    await Promise.all(absent.map(async ([key]) => this.#inviteOne(key, invitedBy)));
  }

  /** A member's session is answered: from now on he hears, and is heard. */
  async joined(address: string, media: MediaCall, method: 'dialed-in' | 'dialed-out'): Promise<void> {
    const key = keyOf(address);
    if (!this.#members.has(key)) this.#add(address);
    const former = this.#members.get(key)?.media;
    this.#update(key, {media});
    // The new session is the one that lives: the former one may belong to somebody who is dead.
    this.#members.get(key)?.outbox.expect();
    void former?.call.bye([['Reason', 'SIP;cause=200;text="Call completed elsewhere"']]);
    void media.call.ended.then((end) => {
      this.#left(key, media, end);
    });
    media.msrp.listen(({contentType, bytes}) => {
      this.#switch({from: key, contentType, bytes});
    });
    this.#tell(key, {state: 'full', status: 'connected', joiningMethod: method});
    await media.connect();
    if (this.#members.get(key)?.media === media) this.#members.get(key)?.outbox.attach(media.msrp);
  }

  /** Somebody subscribes; who is no member is refused. */
  subscribed(from: string, incoming: IncomingSubscription, expiresSeconds: number, headers: HeaderList): void {
    if (!this.isMember(from)) incoming.refuse(403);
    else this.events.subscribe(keyOf(from), incoming.accept(expiresSeconds, headers), expiresSeconds);
  }

  /** Says something in a member's name, who need have no phone; gives the message. */
  say(
    from: string,
    text: string,
    dispositions: readonly Disposition[] = ['positive-delivery', 'display'],
  ): SwitchedMessage {
    const bytes = chatMessage({
      messageId: newMessageId(),
      envelope: {from: `<${from}>`, to: `<${this.identity}>`},
      dispositions,
      contentType: 'text/plain;charset=UTF-8',
      content: Buffer.from(text),
    });
    const message = {from: keyOf(from), contentType: 'message/cpim', bytes};
    this.#switch(message);
    return message;
  }

  /** Resolves once every member has answered what was said to him until now. */
  async settled(): Promise<void> {
    await Promise.all([...this.#members.values()].map(async ({outbox}) => outbox.empty()));
  }

  setSubject(subject: string, by: string): void {
    const subjectChange = {participant: by, timestamp: new Date().toISOString()};
    this.#describe({...this.#description, subject, subjectChange});
  }

  setIcon(uri: string, by: string): void {
    this.#describe({...this.#description, icon: {uri, participant: by, timestamp: new Date().toISOString()}});
  }

  /** A member who has no session leaves the group. */
  leave(address: string): void {
    const key = keyOf(address);
    this.#tell(key, {state: 'full', status: 'disconnected', disconnectionMethod: 'departed'});
    this.#forget(key);
  }

  /** Removes a member for good: BYE 410 (CPM-CF 8.3.2.3); resolves with the status of its answer. */
  async remove(address: string, by?: string): Promise<number | undefined> {
    const key = keyOf(address);
    const media = this.#members.get(key)?.media;
    this.#update(key, {media: undefined});
    this.#tell(key, {
      state: 'full',
      status: 'disconnected',
      disconnectionMethod: 'booted',
      disconnectionInfo: {by, reason: 'SIP;cause=410'},
    });
    this.#forget(key);
    const referred: HeaderList = by === undefined ? [] : [['Referred-By', `<${by}>`]];
    return media?.call.bye([['Reason', 'SIP;cause=410;text="Gone"'], ...referred]);
  }

  /**
   * Ends the session for everybody, with these headers on each BYE: none, `SIP;cause=480` for one that nobody used any more, 410 for a group that is
   * gone, and so on. `first`: what the subscribers are told before the BYEs go out. Resolves with the statuses of the answers.
   */
  async end(
    headers: HeaderList = [],
    first: 'deleted' | 'departed' | 'nothing' = 'deleted',
  ): Promise<readonly number[]> {
    const present = [...this.#members].filter(([, {media}]) => media !== undefined);
    this.#over = true;
    this.#gone = sipCause(headers.find(([name]) => name === 'Reason')?.[1]) === 410;
    if (first === 'departed')
      for (const [key] of present)
        this.#tell(key, {state: 'full', status: 'disconnected', disconnectionMethod: 'departed'});
    if (first !== 'nothing') this.events.end(undefined, first === 'deleted');
    for (const [key] of present) this.#update(key, {media: undefined});
    return Promise.all(present.map(async ([, {media}]) => (await media?.call.bye(headers)) ?? 481));
  }

  async #inviteOne(key: string, invitedBy: string | undefined): Promise<void> {
    const member = this.#members.get(key);
    if (member === undefined) return;
    this.#tell(key, {state: 'full', status: 'dialing-out'});
    const others = [...this.#members].filter(([other]) => other !== key);
    const list = others.map(([, {address, name}]): ListEntry => ({uri: address, displayName: name, copyControl: 'to'}));
    const headers: HeaderList = invitedBy === undefined ? [] : [['Referred-By', `<${invitedBy}>`]];
    const parts = [resourceListsPart(list, 'recipient-list-history')];
    const placed = await this.#options.place(this, member.address, headers, parts);
    if ('call' in placed) {
      if (this.#over || !this.#members.has(key)) void placed.call.bye();
      else await this.joined(member.address, placed, 'dialed-out').catch(onlyOurs);
      return;
    }
    this.#tell(key, {
      state: 'full',
      status: 'disconnected',
      disconnectionMethod: placed.status === 486 ? 'busy' : 'failed',
      disconnectionInfo: {reason: `SIP;cause=${placed.status}`},
    });
    // Who declines leaves the group; all others stay members, and may join when they are back.
    if (placed.status === 603) this.#members.delete(key);
  }

  #left(key: string, media: MediaCall, end: CallEnd): void {
    if (this.#members.get(key)?.media !== media) return;
    this.#update(key, {media: undefined});
    const cause = sipCause(end.reason);
    const leaves = end.by === 'peer' && (cause === 200 || cause === 'absent');
    this.#tell(key, {
      state: 'full',
      status: 'disconnected',
      disconnectionMethod: leaves ? 'departed' : 'failed',
      disconnectionInfo: {reason: end.reason},
    });
    if (!leaves) return;
    this.#forget(key);
  }

  /** To the one whom CPIM names, if it names a member; else to everybody but the sender. */
  #switch(message: SwitchedMessage): void {
    this.messages.push(message);
    const to = this.#members.get(addresseeOf(message) ?? '');
    const recipients =
      to === undefined ? [...this.#members].filter(([key]) => key !== message.from) : [['', to] as const];
    for (const [, {outbox}] of recipients) outbox.push(message);
  }

  #describe(description: ConferenceDescription): void {
    this.#description = description;
    this.events.changed({description});
  }

  #forget(key: string): void {
    this.#members.delete(key);
    this.events.end(key);
  }

  #add(address: string, name?: string): void {
    const key = keyOf(address);
    const outbox = new Outbox({
      keeps: this.#options.keepsForAbsent,
      onTaken: (message) => {
        this.taken.push({to: key, message});
      },
      onUndelivered: (message, outcome) => {
        this.undelivered.push({to: key, message, outcome});
      },
    });
    const endpoint = {entity: address, state: 'full', status: 'pending'} as const;
    this.#members.set(key, {address, name, endpoint, media: undefined, outbox});
  }

  #update(key: string, change: Partial<Pick<Member, 'endpoint' | 'media'>>): void {
    const member = this.#members.get(key);
    if (member === undefined) return;
    this.#members.set(key, {...member, ...change});
    if ('media' in change && change.media === undefined) member.outbox.detach();
  }

  #tell(key: string, state: EndpointChange): void {
    const member = this.#members.get(key);
    if (member === undefined) return;
    const endpoint = {...state, entity: member.address};
    this.#update(key, {endpoint});
    this.changes.push({member: key, endpoint});
    this.events.changed({users: [userOf({...member, endpoint})]});
  }
}

/** The key of a member: one person has one, whatever form of his address comes. */
export function keyOf(address: string): string {
  return canonicalAddress(address) ?? address;
}

function userOf({address, name, endpoint}: Member): UserChange {
  return {entity: address, state: 'full', displayText: name, endpoints: [endpoint]};
}

function addresseeOf({contentType, bytes}: SwitchedMessage): string | undefined {
  if (!isType(contentType, 'message/cpim')) return undefined;
  try {
    return keyOf(parseNameAddr(cpimHeader(parseCpim(bytes), undefined, 'To') ?? '').uri);
  } catch (error) {
    onlyOurs(error);
    return undefined;
  }
}

/** What a member sends, or does, is his affair: it goes no further. */
function onlyOurs(error: unknown): void {
  if (!(error instanceof CpmError)) throw error;
}
