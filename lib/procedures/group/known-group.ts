import {canonicalAddress} from '../../cpm/address.ts';
import {beforeTeardown, noteDepartures, type ConferenceState, type Departures} from '../../cpm/conference-state.ts';
import type {OriginalSession} from '../../cpm/deferred-message.ts';
import {asSubject, groupSender, type GroupSession} from '../../cpm/group-session.ts';
import type {Context} from '../context.ts';
import {isRecorded} from '../storage/record-session.ts';

/** What this node knows of a group of a served user, and writes down. */
export class KnownGroup {
  protected readonly context: Context;
  #record: GroupSession;
  /** Of the record as it was read, or as it was written last. */
  #storedAt: number;
  #writing: Promise<void> = Promise.resolve();
  #departures: Departures | undefined;
  #timesLeft = 0;

  constructor(context: Context, record: GroupSession) {
    this.context = context;
    this.#record = record;
    this.#storedAt = record.changedAt;
  }

  get record(): GroupSession {
    return this.#record;
  }

  /** How often the user has left since the group is in memory: somebody may ask in his name meanwhile. */
  get timesLeft(): number {
    return this.#timesLeft;
  }

  get servedUser(): string {
    return this.#record.servedUser;
  }

  /** Key of the group in the served user's queue. */
  get sender(): string {
    return groupSender(this.#record.contributionId);
  }

  get label(): {readonly conversationId: string; readonly contributionId: string} {
    return {conversationId: this.#record.conversationId, contributionId: this.#record.contributionId};
  }

  /** What a message that is kept repeats of the group's session. */
  get original(): OriginalSession {
    const {memberAddress, focus, subject, offer} = this.#record;
    return {
      ...this.label,
      recipientAddress: memberAddress,
      senderAddress: focus,
      senderInstance: undefined,
      subject,
      offer,
    };
  }

  /** The key by which the user was known is one of this user's. */
  follow(servedUser: string): void {
    this.#record = {...this.#record, servedUser};
  }

  /** Resolves once what is being written now is written, or could not be. Never rejects. */
  async written(): Promise<void> {
    await this.#writing.catch(() => undefined);
  }

  /** Changes what is known of the group, durably. Rejects with `CPM_STORE_AWAY`; what is known here has changed even so. */
  async change(change: Partial<Omit<GroupSession, 'servedUser' | 'contributionId'>>): Promise<void> {
    this.#set(change);
    return this.#write(() => Promise.resolve(false));
  }

  #set(change: Parameters<KnownGroup['change']>[0]): void {
    const {clock, policy} = this.context;
    if (change.standing === 'left') this.#timesLeft += 1;
    this.#record = {...this.#record, ...change, node: policy.node, changedAt: clock.now()};
  }

  async #write(isNotOurs: () => Promise<boolean>): Promise<void> {
    const {store, log} = this.context;
    const written = this.#writing
      .catch(() => undefined)
      .then(async () => {
        const record = this.#record;
        if (await isNotOurs()) {
          log.info(
            this.label,
            'another node has come into a group in place of this one, or this one anew; its word counts',
          );
          return;
        }

        await store.groupSessions.put(record);
        this.#storedAt = record.changedAt;
      });
    this.#writing = written;
    await written;
  }

  /** The node that has written since: where it is another one it has joined for the user, whose former session the focus then ends. */
  async #writtenSince(): Promise<string | undefined> {
    const {servedUser, contributionId} = this.#record;
    const stored = await this.context.store.groupSessions.get(servedUser, contributionId);
    return stored === undefined || stored.changedAt === this.#storedAt ? undefined : stored.node;
  }

  /**
   * The same where nobody waits for it: the store's own availability says that it is away. Not where the user is in the group on another node by
   * now.
   */
  note(change: Parameters<KnownGroup['change']>[0]): void {
    this.#set(change);
    const isElsewhere = async (): Promise<boolean> =>
      ![undefined, this.context.policy.node].includes(await this.#writtenSince());
    void this.#writeUnheard(isElsewhere);
  }

  /**
   * The same, not before `first` has settled: who dies in between has written nothing down. Nor is it written over what was written meanwhile, since
   * that may take long. Never rejects.
   */
  async noteAfter(first: Promise<unknown>, change: Parameters<KnownGroup['change']>[0]): Promise<void> {
    this.#set(change);
    await first;
    await this.#writeUnheard(async () => (await this.#writtenSince()) !== undefined);
  }

  async #writeUnheard(isNotOurs: () => Promise<boolean>): Promise<void> {
    try {
      await this.#write(isNotOurs);
    } catch (error) {
      this.context.log.warn({...this.label, error}, 'what is known of a group could not be written down');
    }
  }

  /** The conference as it was before the focus began to take it down (T12). */
  conferenceBeforeEnd(): ConferenceState {
    const own = canonicalAddress(this.#record.memberAddress);
    return beforeTeardown(this.#record.conference, this.#departures, {
      isOwn: ({entity, yourOwn}) => yourOwn === true || canonicalAddress(entity) === own,
      at: this.context.clock.now(),
    });
  }

  /** Whether the served user's sessions are recorded (8.5.2): their legs are opened with copies then. */
  get isRecorded(): boolean {
    return isRecorded(this.context, this.servedUser);
  }

  /** A document of the conference has come. True where a member sees something in it that he has not seen before. */
  learn(conference: ConferenceState): boolean {
    const {clock, policy} = this.context;
    const before = this.#record.conference;
    this.#departures = noteDepartures(this.#departures, {before, after: conference}, clock.now());
    const {subject} = conference.description;
    this.note({conference, ...(policy.groupData && subject !== undefined ? {subject: asSubject(subject)} : {})});
    return isNews(before, conference, this.#record.memberAddress, policy.groupData);
  }
}

/** Whether there is anything in it that a member sees: who takes part beside him; where they may be changed, subject and icon. */
function isNews(before: ConferenceState, after: ConferenceState, own: string, groupData: boolean): boolean {
  const key = canonicalAddress(own);
  const seen = ({participants, description}: ConferenceState): string => {
    const others = participants
      .filter(({entity, yourOwn}) => yourOwn !== true && canonicalAddress(entity) !== key)
      .map(({entity, displayText, roles}) => JSON.stringify([entity, displayText, roles]));
    return JSON.stringify([others.sort(), groupData ? description : undefined]);
  };
  return seen(before) !== seen(after);
}
