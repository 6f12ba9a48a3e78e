import type {ConferenceState} from '../../cpm/conference-state.ts';
import type {LegEnd, OfferedMessage, OutgoingMessage, RemoteMedia, Verdict} from '../../ports/media-plane.ts';
import {atMost} from '../../ports/clock.ts';
import type {SipMessageView} from '../../ports/sip.ts';
import {noteNotifications} from '../disposition.ts';
import type {Party} from '../party.ts';
import {renegotiate} from '../renegotiation.ts';
import {forgetDialog, rememberDialog} from '../session-dialogs.ts';
import {recordSession, type SessionRecord} from '../storage/record-session.ts';
import {farewellMilliseconds} from '../terminating/bye.ts';
import {supportsImdn} from '../terminating/imdn-support.ts';
import {completedElsewhere, serviceUnavailable} from '../terminating/reasons.ts';
import {noteRelayed, refusalOf} from '../terminating/relayed-messages.ts';
import type {UserLease} from '../terminating/user-leases.ts';
import {byeOfFocus, byeOfMember} from './bye.ts';
import {SoughtGroup} from './sought-group.ts';
import {watchConference, type ConferenceEvents} from './conference-events.ts';
import {participantsOf} from './group-invite.ts';
import {Joining} from './joining.ts';
import {Keeping} from './keeping.ts';
import {notForwarded} from './not-forwarded.ts';
import {Refusal} from './refusal.ts';

/** The 200 to a client's last messages goes another way than his BYE: it has so long before our side of his MSRP session goes. */
const lastMessageMilliseconds = 1000;

/**
 * The PF in a group for a served user: at most one dialog with the focus, at most one with a client of his.
 *
 *   focus, no client   it keeps what comes, in order, with the changes of the group
 *   focus and client   what waits goes first, then both are joined
 *   no focus, client   what waits goes; what the client says starts the group again (row C10)
 *
 * @clause CPM-CF 8.3.2.9.1.2 C9 C10
 */
export class Membership extends SoughtGroup {
  #focus: Party | undefined;
  #client: Party | undefined;
  #reports = true;
  /** Why the group cannot be had, to the client who is about to be told. */
  #refusal: Refusal | undefined;
  #events: ConferenceEvents | undefined;
  readonly #keeping = new Keeping(this.context, this);
  readonly #joining = new Joining(this.context, this, this.#keeping);
  #over: (() => void) | undefined;
  #recording: SessionRecord | undefined;
  /** Ends of a session whose second half is still to come. */
  #ending = 0;

  get focus(): Party | undefined {
    return this.#focus;
  }

  get client(): Party | undefined {
    return this.#client;
  }

  /** Whether the client says of each message that he has it (row A19); the author of a group's message is told by nobody else. */
  get reports(): boolean {
    return this.#reports;
  }

  /** A dialog with the focus stands. One that stood before, in an earlier conference of the group, goes. */
  stand(party: Party, remote: RemoteMedia): void {
    const before = this.#focus;
    this.#focus = party;
    this.#begin();
    rememberDialog(this.context, this.servedUser, party.dialog);
    party.dialog.onBye = async (bye, by) => {
      if (by === 'peer') return byeOfFocus(this.context, this, party, bye);
      queueMicrotask(() => {
        if (this.#focus === party) void this.loseFocus(serviceUnavailable);
      });
      return undefined;
    };
    party.dialog.onModify = async (request) =>
      renegotiate(
        this.context,
        {party, other: this.#client, lost: () => void this.dropClient(serviceUnavailable)},
        request,
      );
    party.leg.onMessage = async (message) => this.#keep(message);
    party.leg.onNotificationRelayed = undefined;
    this.#recording?.begin();
    this.#recording?.follow(party.leg, 'inviter');
    party.leg.onEnd = (end) => {
      this.#legEnded(
        end,
        () => this.#focus === party,
        async () => this.loseFocus(serviceUnavailable),
      );
    };
    party.leg.connect(remote);
    // Not with cause 200: of a member that says that he leaves (8.2.2.3).
    if (before !== undefined) void this.#end(before, serviceUnavailable);
    this.#joining.undo();
    this.#endEvents();
    this.#events = watchConference(this.context, this, (conference, version) => {
      this.#changed(conference, version);
    });
    // A client that has been waiting for it is let in behind what came meanwhile.
    if (this.#client !== undefined) void this.#joining.admitWaiting(this.#client);
    else void this.#keeping.look();
  }

  /**
   * A client's dialog stands: what waits goes first, then he is joined with the group where it is active. One that stood before goes. False when
   * he could not take it all. `said` is what he opened, or accepted, it with; `first` goes before everything else. Under the lease that is given, or under one of its own.
   * @clause CPM-CF 8.3.2.9.1.2 C7 C9 D5
   */
  async admit(
    party: Party,
    remote: RemoteMedia,
    said: SipMessageView,
    {lease, first}: {readonly lease?: UserLease; readonly first?: OutgoingMessage | undefined} = {},
  ): Promise<boolean> {
    const before = this.#client;
    this.stopRinging(completedElsewhere);
    this.#client = party;
    this.#reports = supportsImdn(said, party.remote, this.context.policy);
    this.#joining.undo();
    this.#begin();
    if (before !== undefined) void this.#end(before, completedElsewhere);
    rememberDialog(this.context, this.servedUser, party.dialog);
    party.dialog.onBye = async (bye, by) => byeOfMember(this.context, this, party, bye, by);
    party.dialog.onModify = async (request) =>
      renegotiate(
        this.context,
        {party, other: this.#focus, lost: () => void this.loseFocus(serviceUnavailable)},
        request,
      );
    party.leg.onNotificationRelayed = (content) => {
      void noteRelayed(this.context, {author: this.servedUser, about: this.sender, content});
    };
    this.#recording?.follow(party.leg, 'invited');
    party.leg.onMessage = async (message) => this.#fromClient(party, message);
    party.leg.onEnd = (end) => {
      this.#legEnded(
        end,
        () => this.#client === party,
        async () => this.dropClient(serviceUnavailable),
      );
    };
    party.leg.connect(remote);
    return this.#joining.admit(party, lease, first);
  }

  /** Nobody takes it live: kept for the user, who is told of it. */
  async #keep(message: OfferedMessage): Promise<Verdict> {
    const verdict = await this.#keeping.message(message);
    if (verdict === 'accepted' && this.#client === undefined)
      this.context.deliveries.trigger(this.servedUser, 'message');
    return verdict;
  }

  /** A message that rides in the focus's INVITE is kept before that is answered, and is then the first one to be handed over. */
  async keepFirst(message: OutgoingMessage): Promise<Verdict> {
    return this.#keeping.message(message);
  }

  /** The focus has taken a message with the client's INVITE. */
  tookFirst(message: OutgoingMessage): void {
    void this.#recording?.add(message, 'invited');
  }

  /**
   * What a client says and nobody relayed: on to the focus, which is sought for it where there is none (row C10, T45).
   */
  async #fromClient(client: Party, message: OfferedMessage): Promise<Verdict> {
    if (this.#client !== client) return 481;
    const content = {contentType: message.contentType, bytes: message.bytes};
    await noteNotifications(this.context, {author: this.servedUser, about: this.sender, content});
    const refusal = this.#refusal?.client === client ? this.#refusal : undefined;
    const outcome = refusal ?? (this.#focus === undefined ? await this.start('restart') : 'joined');
    if (outcome !== 'joined') return this.#cannotForward(client, content, outcome.status);
    const answer = await this.#focus?.leg.send(content);
    if (answer?.kind === 'answered') {
      const {status} = answer;
      if (status === 200) await this.#recording?.add(content, 'invited');
      return status === 200 ? 'accepted' : refusalOf(status);
    }

    return 408;
  }

  /** The group could not be started: the client is told of his message first, then that it is over (T50, T51). */
  async #cannotForward(
    client: Party,
    content: Pick<OfferedMessage, 'contentType' | 'bytes'>,
    status: number,
  ): Promise<Verdict> {
    void this.refuseClient(client, status);
    const told = notForwarded(this.context, this, client.leg, content);
    this.#refusal?.follows(told);
    return told;
  }

  /** BYE with the focus's own status to a client who waits for a group that cannot be had (row D3), once he knows it of each of his messages. */
  async refuseClient(client: Party, status: number): Promise<void> {
    if (this.#client !== client || this.#refusal?.client === client) return;
    const refusal = new Refusal(client, status);
    this.#refusal = refusal;
    // What waits for him he gets even so.
    await this.#joining.done;
    await refusal.said(this.context.clock);
    if (this.#refusal === refusal) this.#refusal = undefined;
    if (this.#client !== client || this.#focus !== undefined) return;
    this.#client = undefined;
    client.leg.refuse();
    await this.#end(client, `SIP;cause=${status}`);
    this.settle();
  }

  /** The dialog with the client goes, the one with the focus stays: the PF keeps for the user again. */
  async dropClient(reason: string): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    this.#client = undefined;
    this.#joining.undo();
    this.context.log.info({...this.label, clause: 'CPM-CF 8.3.2.9.1.2'}, 'the PF stays in a group for its user');
    await this.#end(client, reason);
    this.settle();
    this.context.deliveries.later(this.servedUser);
  }

  /** The dialog with the focus is lost, and nobody ended the session: the PF comes back. */
  async loseFocus(reason: string): Promise<void> {
    const focus = this.#focus;
    if (focus === undefined) return;
    this.#focus = undefined;
    this.#joining.undo();
    // Where its host is gone nobody answers the BYE.
    void this.#end(focus, reason);
    await this.comeBack();
  }

  /** First half of an end from one side: nothing is relayed any more. Answers both parties as far as their dialogs are up. */
  takeApart(): {readonly focus: Party | undefined; readonly client: Party | undefined} {
    const parties = {focus: this.#focus, client: this.#client};
    this.#ending += 1;
    this.#joining.undo();
    this.#focus = undefined;
    this.#client = undefined;
    this.#endEvents();
    parties.client?.leg.refuse();
    return parties;
  }

  /** Second half: what is left of both parties is released (row B11). */
  async release(parties: ReturnType<Membership['takeApart']>): Promise<void> {
    await this.#keeping.settled;
    for (const party of [parties.focus, parties.client]) {
      if (party === undefined) continue;
      forgetDialog(this.context, party.dialog);
      await party.leg.release();
    }

    this.#ending -= 1;
    this.settle();
  }

  /** A node that stops: its next life comes back into the group. */
  async end(reason: string): Promise<void> {
    const parties = this.takeApart();
    const byes = [parties.client, parties.focus].flatMap((party) => party?.dialog ?? []);
    await Promise.all(byes.map(async (dialog) => dialog.bye({Reason: reason})));
    await this.release(parties);
  }

  /** Resolves when what was said so far is in the message store, where it is recorded; or after a while. Never rejects. */
  async recorded(): Promise<void> {
    await this.#recording?.finish();
  }

  /** Resolves once everything that the focus sent so far is stored, or refused. */
  async kept(): Promise<void> {
    await this.#keeping.settled;
  }

  override async written(): Promise<void> {
    await Promise.all([super.written(), this.kept()]);
  }

  #changed(conference: ConferenceState, version: string): void {
    const isNews = this.learn(conference);
    if (isNews && this.#client === undefined && this.#focus !== undefined) this.#keeping.state(version);
  }

  #begin(): void {
    this.#recording ??= recordSession(
      this.context,
      () => ({
        ...this.label,
        inviter: this.record.focus,
        invited: this.servedUser,
        subject: this.record.subject,
        group: participantsOf(this.record).map(({uri}) => uri),
      }),
      () => (this.isRecorded ? {invited: this.servedUser} : {}),
    );
    this.#over ??= this.context.sessions.begin(this);
  }

  /** With neither side left there is nothing to be held in memory. */
  protected settle(): void {
    if (this.#focus === undefined) this.#endEvents();
    // Recorded is what was said until the client has answered the BYE (row B9), however soon the state of the group is stored.
    if (this.#focus !== undefined || this.#client !== undefined || this.#ending > 0) return;
    void this.recorded();
    this.#recording = undefined;
    this.#over?.();
    this.#over = undefined;
    if (!this.isHeld) this.context.groups.remove(this);
  }

  #endEvents(): void {
    void this.#events?.end();
    this.#events = undefined;
  }

  /** One that is gone without a word answers no BYE, and no message: nobody waits for it longer than for the last 200. */
  async #end(party: Party, reason: string): Promise<void> {
    const bye = party.dialog.ended ? Promise.resolve() : party.dialog.bye({Reason: reason});
    await atMost(this.context.clock, lastMessageMilliseconds, bye);
    if (this.#recording !== undefined) await party.leg.copied();
    await party.leg.release();
    void bye.then(() => {
      forgetDialog(this.context, party.dialog);
    });
  }

  /** A peer that hangs up may close its connection before its BYE is here. */
  #legEnded(end: LegEnd, isStill: () => boolean, then: () => Promise<void>): void {
    if (end === 'released' || !isStill()) return;
    this.context.log.info({...this.label, end}, 'half of a group session is gone');
    this.context.clock.after(farewellMilliseconds, () => {
      if (isStill()) void then();
    });
  }
}
