/** The conference event package as the focus serves it: each subscriber has versions of his own (RFC 4575 §3.5, §4.3). */
import {CONFERENCE_INFO_TYPE, formatConferenceInfo} from '../codecs/conference-info.ts';
import type {ConferenceNotification, UserChange} from '../cpm/conference-state.ts';
import {Inbox} from '../phone/inbox.ts';
import type {Notifier} from '../phone/subscription.ts';

/** How changes are told; every part of it may be changed while the conference lives. */
export interface NotifyBehaviour {
  /** Changes alone, or everything each time. */
  kind: 'partial' | 'full';
  /** Documents that never leave, though they are counted: what a subscriber notices by the version of the next one. */
  loses: (document: ConferenceNotification, to: string) => boolean;
}

export const goodNotifier: NotifyBehaviour = {kind: 'partial', loses: () => false};

/** What of the conference a document may tell. */
export type ConferenceView = Required<Pick<ConferenceNotification, 'entity' | 'description' | 'status'>> & {
  readonly users: readonly UserChange[];
};

interface Subscriber {
  /** Canonical address of the member for whom it is. */
  readonly member: string;
  readonly notifier: Notifier;
  expiresSeconds: number;
  version: number;
  /** NOTIFYs go one behind the other. */
  sending: Promise<unknown>;
}

/** A document that left, or was lost on purpose. */
export interface ToldDocument {
  readonly to: string;
  readonly document: ConferenceNotification;
  readonly lost: boolean;
}

export class ConferenceEvents {
  readonly told = new Inbox<ToldDocument>('conference notification');
  readonly #behaviour: NotifyBehaviour;
  readonly #view: () => ConferenceView;
  readonly #isMember: (entity: string, member: string) => boolean;
  readonly #subscribers = new Set<Subscriber>();

  /** `view` gives everything there is to tell; `isMember` whether a user of it is a member, by his canonical address. */
  constructor(
    behaviour: NotifyBehaviour,
    view: () => ConferenceView,
    isMember: (entity: string, member: string) => boolean,
  ) {
    this.#behaviour = behaviour;
    this.#view = view;
    this.#isMember = isMember;
  }

  /** Canonical addresses of those who subscribe. */
  get subscribers(): readonly string[] {
    return [...this.#subscribers].map(({member}) => member);
  }

  subscribe(member: string, notifier: Notifier, expiresSeconds: number): void {
    const subscriber: Subscriber = {member, notifier, expiresSeconds, version: 0, sending: Promise.resolve()};
    this.#subscribers.add(subscriber);
    notifier.onRefresh = (seconds) => {
      subscriber.expiresSeconds = seconds;
      this.#tellAll(subscriber);
    };
    this.#tellAll(subscriber);
  }

  /** Tells every subscriber what changed. */
  changed(change: {
    readonly users?: readonly UserChange[];
    readonly description?: ConferenceView['description'];
  }): void {
    for (const subscriber of this.#subscribers) {
      if (this.#behaviour.kind === 'full') this.#tellAll(subscriber);
      else
        this.#tell(subscriber, {
          entity: this.#view().entity,
          state: 'partial',
          description: change.description,
          status: this.#view().status,
          users: change.users && {state: 'partial', users: this.#marked(change.users, subscriber)},
        });
    }
  }

  /** Ends the subscriptions, of one member or of all. `deleted`: the conference has ceased to exist. */
  end(member?: string, deleted = false): void {
    for (const subscriber of this.#subscribers) {
      if (member !== undefined && subscriber.member !== member) continue;
      subscriber.expiresSeconds = 0;
      if (deleted) this.#tell(subscriber, {entity: this.#view().entity, state: 'deleted'});
      else this.#tellAll(subscriber);
    }
  }

  #tellAll(subscriber: Subscriber): void {
    const {users, ...rest} = this.#view();
    this.#tell(subscriber, {...rest, state: 'full', users: {state: 'full', users: this.#marked(users, subscriber)}});
  }

  #tell(subscriber: Subscriber, unnumbered: Omit<ConferenceNotification, 'version'>): void {
    const {notifier, member, expiresSeconds} = subscriber;
    const document: ConferenceNotification = {...unnumbered, version: subscriber.version++};
    const over = expiresSeconds === 0;
    if (over || notifier.over) this.#subscribers.delete(subscriber);
    const lost = this.#behaviour.loses(document, member);
    this.told.push({to: member, document, lost});
    if (lost) return;
    const state = over ? 'terminated;reason=noresource' : `active;expires=${expiresSeconds}`;
    const body = formatConferenceInfo(document);
    subscriber.sending = subscriber.sending.then(() => notifier.notify(state, CONFERENCE_INFO_TYPE, body));
  }

  #marked(users: readonly UserChange[], {member}: Subscriber): readonly UserChange[] {
    return users.map((user) => (this.#isMember(user.entity, member) ? {...user, yourOwn: true} : user));
  }
}
