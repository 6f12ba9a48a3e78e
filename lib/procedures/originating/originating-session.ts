import {formatContact} from '../../codecs/sip-headers/contact.ts';
import {canonicalAddress} from '../../cpm/address.ts';
import type {OriginalSession} from '../../cpm/deferred-message.ts';
import {ICSI} from '../../cpm/feature-tags.ts';
import type {Leg, LegEnd, OfferedMessage, Pairing, RemoteMedia, Verdict} from '../../ports/media-plane.ts';
import type {IncomingInvite, InviteOutcome, SipDialog} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import type {Party} from '../party.ts';
import {renegotiate} from '../renegotiation.ts';
import {answerFor, bodyText, liveOffer, remoteMedia} from '../session-description.ts';
import {forgetDialog, rememberDialog} from '../session-dialogs.ts';
import {isRecorded, recordableOf, recordSession, type SessionRecord} from '../storage/record-session.ts';
import {byeOfClient, byeOfNetwork, farewellMilliseconds} from '../terminating/bye.ts';
import {deferMessage} from '../terminating/defer.ts';
import {instanceOf, passedBack, type Invitation} from '../terminating/invitation.ts';
import {noteRelayed, refusalOf} from '../terminating/relayed-messages.ts';
import {notAcceptable, requestTerminated, serviceUnavailable} from '../terminating/reasons.ts';

type Accepted = Extract<InviteOutcome, {kind: 'accepted'}>;

/**
 * A 1-1 session that the served user began, at the B2BUA. It stands while both halves do; what the other one says and the client cannot take
 * any more is kept for the served user, as in a session to which he was invited.
 * @clause CPM-CF 8.2.2
 */
export class OriginatingSession {
  readonly servedUser: string;
  /** Canonical address of the one who is called: whoever sends to the served user. */
  readonly sender: string;
  readonly label: {readonly conversationId: string; readonly contributionId: string};
  /** Our legs towards the served user's client, and towards the network. */
  readonly client: Leg;
  readonly network: Leg;
  /** Undefined where the session is not recorded (8.5.2). */
  readonly record: SessionRecord | undefined;
  readonly #context: Context;
  readonly #invitation: Invitation;
  readonly #offered: RemoteMedia;
  readonly #over: () => void;
  #parties: readonly Party[] = [];
  #pairing: Pairing | undefined;
  #keeping: Promise<unknown> = Promise.resolve();
  #hasKept = false;
  #ended = false;

  constructor(
    context: Context,
    invitation: Invitation,
    legs: {readonly client: Leg; readonly network: Leg; readonly offered: RemoteMedia},
  ) {
    const {conversationId, contributionId, recipientAddress, servedUser} = invitation;
    this.#context = context;
    this.#invitation = invitation;
    this.#offered = legs.offered;
    this.client = legs.client;
    this.network = legs.network;
    this.servedUser = servedUser;
    this.sender = canonicalAddress(recipientAddress) ?? recipientAddress;
    this.label = {conversationId, contributionId};
    const owners = isRecorded(context, servedUser) ? {inviter: servedUser} : {};
    this.record = recordSession(
      context,
      () => recordableOf(invitation, servedUser, this.sender),
      () => owners,
    );
    this.#over = context.sessions.begin(this);
  }

  /** The network's 200: the client gets his, and both are joined. False when the one or the other was lost on the way. */
  async join(invite: IncomingInvite, {dialog, response}: Accepted): Promise<boolean> {
    const {policy, log} = this.#context;
    const {client, network} = this;
    const {offer} = this.#invitation;
    const max = policy.maxMessageBytes;
    const far: Party = {dialog, leg: network, local: liveOffer(offer, network, max), remote: bodyText(response)};
    this.#parties = [far];
    if (this.#ended) {
      await dialog.bye({Reason: serviceUnavailable});
      await invite.respond(503);
      return false;
    }

    dialog.onBye = async (bye, by) => byeOfNetwork(this.#context, this, bye, by);
    try {
      network.connect(remoteMedia(far.remote, 'answer', network));
    } catch (error) {
      log.info({...this.label, error, clause: 'CPM-CF 8.2.2'}, "the network's answer leads nowhere");
      await this.end(notAcceptable);
      await invite.respond(488);
      return false;
    }

    client.connect(this.#offered);
    this.#listen();
    // What the client says before the network's MSRP session is bound waits at the gate.
    this.#pairing = await client.pair(network);
    const local = answerFor(offer, far.remote, client, max);
    try {
      const own = await invite.accept({
        headers: {
          Contact: formatContact(this.#context.sip.contactUri, {icsi: ICSI.session, instance: instanceOf(response)}),
          'Content-Type': 'application/sdp',
          'Conversation-ID': this.label.conversationId,
          'Contribution-ID': this.label.contributionId,
          ...passedBack(this.#invitation, response),
        },
        body: local.text,
      });
      this.#stand({dialog: own, leg: client, local, remote: offer}, far);
    } catch (error) {
      log.info({...this.label, error, clause: 'CPM-CF 8.2.2'}, 'the client was gone before the session stood');
      await this.end(requestTerminated);
      return false;
    }

    try {
      await network.bound(policy.bindMilliseconds);
    } catch (error) {
      log.info({...this.label, error, clause: 'CPM-CF 8.2.2'}, "the network's MSRP session did not come about");
      await this.end(serviceUnavailable);
      return false;
    }

    this.#open();
    this.record?.begin();
    // It rode in the INVITE, and was taken with it.
    if (this.#invitation.firstMessage !== undefined) void this.record?.add(this.#invitation.firstMessage, 'inviter');
    return !this.#ended;
  }

  #open(): void {
    this.#pairing?.open();
  }

  /** Ends what is left of the session on both sides. Idempotent. */
  async end(reason: string): Promise<void> {
    if (this.#ended) return;
    await Promise.all(this.takeApart().map(async (dialog) => dialog.bye({Reason: reason})));
    await this.release();
  }

  /** First half of every end: nothing is relayed any more. Answers the dialogs that are still up. */
  takeApart(): readonly SipDialog[] {
    this.#ended = true;
    this.#pairing?.undo();
    this.#pairing = undefined;
    this.client.refuse();
    return this.#parties.flatMap(({dialog}) => (dialog.ended ? [] : dialog));
  }

  /** Second half: all media resources go. */
  async release(): Promise<void> {
    await this.record?.finish();
    await this.#keeping;
    await Promise.all([this.client.release(), this.network.release()]);
    this.#over();
    for (const {dialog} of this.#parties) forgetDialog(this.#context, dialog);
    if (this.#hasKept) this.#context.deliveries.trigger(this.servedUser, 'message');
  }

  #stand(near: Party, far: Party): void {
    this.#parties = [near, far];
    for (const {dialog} of this.#parties) rememberDialog(this.#context, this.servedUser, dialog);
    near.dialog.onBye = async (bye, by) => byeOfClient(this.#context, this, bye, by);
    const lost = (): void => void this.end(serviceUnavailable);
    near.dialog.onModify = async (offer) => renegotiate(this.#context, {party: near, other: far, lost}, offer);
    far.dialog.onModify = async (offer) => renegotiate(this.#context, {party: far, other: near, lost}, offer);
  }

  #listen(): void {
    const {servedUser: author, sender: about} = this;
    const onEnd = (end: LegEnd): void => {
      if (end === 'released' || this.#ended) return;
      this.#context.log.info({...this.label, end}, 'half of a session is gone');
      // A phone that hangs up may close its connection before its BYE is here.
      this.#context.clock.after(farewellMilliseconds, () => void this.end(serviceUnavailable));
    };
    this.record?.follow(this.client, 'inviter');
    this.record?.follow(this.network, 'invited');
    this.client.onEnd = onEnd;
    this.network.onEnd = onEnd;
    this.client.onNotificationRelayed = (content) => void noteRelayed(this.#context, {author, about, content});
    this.network.onNotificationRelayed = (content) =>
      void noteRelayed(this.#context, {author: about, about: author, content});
    this.client.onMessage = ({status}) => Promise.resolve(this.#notTaken(status));
    this.network.onMessage = async (message) => this.#keep(message);
  }

  /** The PF keeps for its own user alone: what his client says and the network does not take is the client's again. */
  #notTaken(status: number | undefined): Verdict {
    if (this.#ended) return 481;
    return refusalOf(status);
  }

  async #keep(message: OfferedMessage): Promise<Verdict> {
    const {users} = this.#context;
    if (!users.defers(this.servedUser)) return 408;
    const kept = deferMessage(this.#context, this, message);
    this.#keeping = Promise.all([this.#keeping, kept]).then(() => undefined);
    const verdict = await kept;
    if (verdict === 'accepted') this.#hasKept = true;
    return verdict;
  }

  /** What a message that is kept for the served user repeats of this session. */
  get original(): OriginalSession {
    const {senderAddress, recipientAddress, subject} = this.#invitation;
    return {
      ...this.label,
      recipientAddress: senderAddress,
      senderAddress: recipientAddress,
      senderInstance: undefined,
      subject,
      offer: this.#parties.find(({leg}) => leg === this.network)?.remote,
    };
  }
}
