import {formatContact} from '../../codecs/sip-headers/contact.ts';
import {ICSI} from '../../cpm/feature-tags.ts';
import type {OriginalSession} from '../../cpm/deferred-message.ts';
import type {Leg, LegEnd, Pairing, RemoteMedia} from '../../ports/media-plane.ts';
import type {RegisteredContact} from '../../ports/registrations.ts';
import type {IncomingInvite, SipDialog, SipResponseView} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import type {Party} from '../party.ts';
import {renegotiate} from '../renegotiation.ts';
import {answerFor, bodyText, liveOffer, remoteMedia, type LocalDescription} from '../session-description.ts';
import {forgetDialog, rememberDialog} from '../session-dialogs.ts';
import {recordableOf, recordSession, type Owners, type SessionRecord} from '../storage/record-session.ts';
import {byeOfClient, byeOfNetwork, farewellMilliseconds} from './bye.ts';
import {liveInvite} from './delivery-invite.ts';
import {forkInvite, type Answered, type Fork, type ForkOutcome} from './fork.ts';
import {supportsImdn} from './imdn-support.ts';
import {passedBack, type Invitation} from './invitation.ts';
import {createKeeping, type Keeping} from './keeping.ts';
import {createRinging} from './ringing.ts';
import {notRelayed, noteRelayed} from './relayed-messages.ts';
import {reportForClient} from './report-for-client.ts';
import {splice} from './splice.ts';
import {requestTerminated, serviceUnavailable} from './reasons.ts';

/**
 * Life of a 1-1 CPM session at the B2BUA (CPM-CF 8.3.2.1).
 *
 *   inviting ──▶ holding ──▶ joining ──▶ relayed ──▶ ended
 *                   ▲            │           │
 *                   └────────────┴───────────┘  the client's leg broke: the PF keeps for the user again
 *
 * `holding`: the PF has accepted for the user and keeps each message. `joining`: a device said yes, the backlog goes first.
 */
export type ChatSessionState = 'inviting' | 'holding' | 'joining' | 'relayed' | 'ended';

export class ChatSession {
  readonly invitation: Invitation;
  readonly leg: Leg;
  /** Undefined where the session is not recorded (8.5.2). */
  readonly record: SessionRecord | undefined;
  /** Set by whoever knows that the user cannot be reached before the next trigger. */
  joinable = true;
  #state: ChatSessionState = 'inviting';
  readonly #context: Context;
  #inviter: Party | undefined;
  #client: Party | undefined;
  #fork: Fork | undefined;
  #pairing: Pairing | undefined;
  readonly #ringing = createRinging(() => this.#context, this);
  readonly #keeping: Keeping;
  #servedUser: string;
  readonly #over: () => void;
  /** The inviter's MSRP session. */
  readonly #remote: RemoteMedia;

  /**
   * `owners`: in whose message stores it is recorded; `leg` makes copies then.
   * @throws CpmError (488) when the inviter's offer and our leg do not fit.
   */
  constructor(context: Context, invitation: Invitation, leg: Leg, owners: Owners) {
    this.#remote = remoteMedia(invitation.offer, 'offer', leg);
    this.#context = context;
    this.#over = context.sessions.begin();
    this.invitation = invitation;
    this.#servedUser = invitation.servedUser;
    this.leg = leg;
    this.record = recordSession(
      context,
      () => recordableOf(invitation, this.sender, this.servedUser),
      () => (owners.invited === undefined ? owners : {...owners, invited: this.servedUser}),
    );
    this.#keeping = createKeeping(context, this, () => {
      this.#ringing.stored();
    });
  }

  /** Key of the user; another one than at first when a registration showed whose identity was invited. */
  get servedUser(): string {
    return this.#servedUser;
  }

  get sender(): string {
    return this.invitation.sender;
  }

  get state(): ChatSessionState {
    return this.#state;
  }

  get client(): Party | undefined {
    return this.#client;
  }

  /** Whether anything was kept in this session. */
  get hasKept(): boolean {
    return this.#keeping.hasKept;
  }

  get label(): {readonly conversationId: string; readonly contributionId: string} {
    return {conversationId: this.invitation.conversationId, contributionId: this.invitation.contributionId};
  }

  /** What a deferred message repeats of this session. */
  get original(): OriginalSession {
    const {conversationId, contributionId, recipientAddress, senderAddress, senderInstance, subject, offer} =
      this.invitation;
    return {conversationId, contributionId, recipientAddress, senderAddress, senderInstance, subject, offer};
  }

  /** Rings the user's devices in the inviter's name. */
  async search(
    devices: readonly RegisteredContact[],
    onProvisional?: (response: SipResponseView) => void,
  ): Promise<ForkOutcome> {
    this.#fork = forkInvite(this.#context, {
      devices,
      near: this.leg,
      legLabel: this.label,
      copies: this.record !== undefined,
      request: (device, leg) => liveInvite(this.#context, this.invitation, device, this.#offerTo(leg).text),
      ...(onProvisional === undefined ? {} : {onProvisional}),
    });
    const outcome = await this.#fork.outcome;
    this.#fork = undefined;
    return outcome;
  }

  /**
   * Says 200 to the inviter, for the device or for the user himself, and begins to keep what comes.
   * @throws what the SIP port throws when the inviter gave up meanwhile; the session has ended then.
   */
  async accept(invite: IncomingInvite, answered: Answered | undefined): Promise<void> {
    const {offer} = this.invitation;
    const local = answerFor(
      offer,
      answered && bodyText(answered.response),
      this.leg,
      this.#context.policy.maxMessageBytes,
    );
    this.leg.onMessage = async (message) => this.#keeping.keep(message);
    this.leg.onNotificationRelayed = (message) => {
      void noteRelayed(this.#context, {author: this.sender, about: this.servedUser, content: message});
    };
    this.record?.follow(this.leg, 'inviter');
    this.leg.onEnd = (end) => {
      this.#legEnded(end);
    };
    this.leg.connect(this.#remote);
    let dialog: SipDialog;
    try {
      dialog = await invite.accept({
        headers: {
          Contact: formatContact(this.#context.sip.contactUri, {
            icsi: ICSI.session,
            instance: answered?.device.instance,
          }),
          'Content-Type': 'application/sdp',
          'Conversation-ID': this.invitation.conversationId,
          'Contribution-ID': this.invitation.contributionId,
          ...passedBack(this.invitation, answered?.response),
        },
        body: local.text,
      });
    } catch (error) {
      await this.end(serviceUnavailable);
      await answered?.dialog.bye({Reason: requestTerminated});
      await answered?.leg.release();
      throw error;
    }

    const inviter = {dialog, leg: this.leg, local, remote: offer};
    this.#inviter = inviter;
    this.#state = 'holding';
    this.#context.sessions.add(this);
    rememberDialog(this.#context, this.servedUser, dialog);
    dialog.onBye = async (bye, by) => byeOfNetwork(this.#context, this, bye, by);
    dialog.onModify = async (request) =>
      renegotiate(
        this.#context,
        {party: inviter, other: this.#client, lost: () => void this.dropClient("the client's dialog is gone")},
        request,
      );
  }

  #offerTo(leg: Leg): LocalDescription {
    return liveOffer(this.#inviter?.remote ?? this.invitation.offer, leg, this.#context.policy.maxMessageBytes);
  }

  /** The inviter sent CANCEL. */
  cancelled(reason: string | undefined): void {
    this.#fork?.cancel(reason);
    void this.end(reason ?? serviceUnavailable);
  }

  /**
   * Joins a device that said yes with the inviter's leg: first what waits for the user from this sender, then what comes live.
   * False when the device was lost on the way; the session then holds again.
   */
  async join({dialog, leg, response, remote}: Answered): Promise<boolean> {
    const client = {dialog, leg, local: this.#offerTo(leg), remote: bodyText(response)};
    this.#client = client;
    this.#state = 'joining';
    rememberDialog(this.#context, this.servedUser, dialog);
    client.dialog.onBye = async (bye, by) => byeOfClient(this.#context, this, bye, by);
    client.dialog.onModify = async (request) =>
      renegotiate(
        this.#context,
        {party: client, other: this.#inviter, lost: () => void this.end(serviceUnavailable)},
        request,
      );
    client.leg.onNotificationRelayed = (message) => {
      void noteRelayed(this.#context, {author: this.servedUser, about: this.sender, content: message});
    };
    this.record?.follow(leg, 'invited');
    client.leg.onMessage = async (message) => notRelayed(this.#context, this, message);
    client.leg.onEnd = (end) => {
      // A phone that hangs up may close its connection before its BYE is here, too.
      this.#context.clock.after(farewellMilliseconds, () => {
        if (this.#client === client) void this.dropClient(`the client's MSRP session ended: ${end}`);
      });
    };
    client.leg.connect(remote);
    try {
      await client.leg.bound(this.#context.policy.bindMilliseconds);
      this.record?.begin();
      // It rode in the INVITE, and was taken with it.
      if (this.invitation.firstMessage !== undefined) void this.record?.add(this.invitation.firstMessage, 'inviter');
      if (await this.#splice(client)) {
        if (!supportsImdn(response, client.remote, this.#context.policy))
          void reportForClient(this.#context, this.servedUser, this.sender).catch((error: unknown) => {
            this.#context.log.warn(
              {...this.label, error, clause: 'CPM-CF 8.3.2.9.1.1 A19'},
              'a silent client could not be reported for',
            );
          });
        return true;
      }

      await this.dropClient('the backlog could not be sent');
    } catch (error) {
      this.#context.log.info({...this.label, error, clause: 'CPM-CF 8.3.2.1'}, 'a device could not be joined');
      await this.dropClient('the device could not be joined');
    }

    return false;
  }

  async #splice(client: Party): Promise<boolean> {
    return splice(this.#context, this, client, {
      pair: async () => {
        this.#pairing = await this.leg.pair(client.leg);
        await this.#keeping.settled();
        return this.#pairing;
      },
      open: (pairing) => {
        if (this.#client !== client || this.#state !== 'joining') return false;
        pairing.open();
        this.#state = 'relayed';
        this.#context.log.info({...this.label, clause: 'CPM-CF 8.3.2.1'}, 'a device is joined with the inviter');
        return true;
      },
    });
  }

  /** The device is gone, the inviter stays: the PF keeps for the user again, what was not answered first (row A16). */
  async dropClient(why: string, reason = serviceUnavailable): Promise<void> {
    const client = this.#client;
    if (client === undefined || this.#state === 'ended') return;
    this.#client = undefined;
    this.#state = 'holding';
    this.joinable = false;
    this.#pairing?.undo();
    this.#pairing = undefined;
    this.#context.log.info({...this.label, clause: 'CPM-CF 8.3.2.1', why}, 'the PF holds the session for its user');
    await client.dialog.bye({Reason: reason});
    await client.leg.release();
    forgetDialog(this.#context, client.dialog);
    this.#context.deliveries.later(this.servedUser);
  }

  /** Ends what is left of the session on both sides; the sides that ended by themselves answer 481, which is fine. Idempotent. */
  async end(reason: string): Promise<void> {
    if (this.#state === 'ended') return;
    const byes = this.takeApart(reason);
    await Promise.all(byes.map(async (dialog) => dialog.bye({Reason: reason})));
    await this.release();
  }

  /** First half of every end: nothing is relayed any more, what is unanswered is kept. Answers the dialogs that are still up. */
  takeApart(reason: string): readonly SipDialog[] {
    this.#state = 'ended';
    this.#context.sessions.remove(this);
    // Devices that still ring would find nobody.
    this.#fork?.cancel(reason);
    this.#pairing?.undo();
    this.#pairing = undefined;
    this.#client?.leg.refuse();
    return [this.#inviter, this.#client].flatMap((party) => (party?.dialog.ended === false ? party.dialog : []));
  }

  /** Second half: all media resources go (row B11). */
  async release(): Promise<void> {
    await this.record?.finish();
    await this.#keeping.settled();
    await Promise.all([this.leg.release(), this.#client?.leg.release()]);
    this.#over();
    forgetDialog(this.#context, this.#inviter?.dialog);
    forgetDialog(this.#context, this.#client?.dialog);
    // What was kept here, and did not get through before the end, goes in a delivery.
    if (this.hasKept) this.#context.deliveries.trigger(this.servedUser, 'message');
  }

  /** The identity that was invited belongs to this user by now. */
  follow(servedUser: string): void {
    if (servedUser === this.#servedUser || this.#state === 'ended') return;
    this.#context.sessions.remove(this);
    this.#servedUser = servedUser;
    this.#context.sessions.add(this);
  }

  /** The PF has accepted for the user, and the inviter has acknowledged that. */
  held(): void {
    this.#ringing.begin();
  }

  #legEnded(end: LegEnd): void {
    if (end === 'released' || this.#state === 'ended') return;
    this.#context.log.info({...this.label, leg: this.leg.id, end}, "the inviter's MSRP session is gone");
    // A phone that hangs up may close its connection before its BYE is here.
    this.#context.clock.after(farewellMilliseconds, () => void this.end(serviceUnavailable));
  }
}
