import {atMost} from '../../ports/clock.ts';
import type {Leg, LegOptions, RemoteMedia} from '../../ports/media-plane.ts';
import type {Party} from '../party.ts';
import {comeBack} from './come-back.ts';
import type {FocusInviteKind} from './focus-invite.ts';
import {HeldGroup} from './held-group.ts';
import {inviteRest} from './invite-rest.ts';
import type {Membership} from './membership.ts';
import {seekFocus} from './seek-focus.ts';

/** What the client says first waits no longer until everybody is invited. */
const referMilliseconds = 5000;

/** What a focus answers that knows nothing of the group (any more). */
export const isUnknown = (status: number): boolean => [404, 410, 481].includes(status);

/** How a (re-)start towards the focus ended: with a dialog, or with the SIP status that the client is told (T51). */
export type FocusOutcome = 'joined' | {readonly status: number};

/** A group whose focus is asked to take the user in, one INVITE at a time. */
export abstract class SoughtGroup extends HeldGroup {
  #starting: {readonly kind: FocusInviteKind; readonly outcome: Promise<FocusOutcome>} | undefined;
  #comingBack = false;

  abstract get focus(): Party | undefined;

  abstract get client(): Party | undefined;

  /** Our leg towards a focus, beside the client's where there is one. Rejects as `MediaPlane.openLeg`. */
  async openFocusLeg(transports?: LegOptions['transports']): Promise<Leg> {
    const {media, policy} = this.context;
    return media.openLeg({
      side: 'core',
      mode: 'hold',
      ...(transports === undefined ? {} : {transports}),
      label: this.label,
      ...(this.client === undefined ? {} : {near: this.client.leg}),
      copies: this.isRecorded,
      maxMessageBytes: policy.maxMessageBytes,
    });
  }

  /** A dialog with the focus stands. */
  abstract stand(party: Party, remote: RemoteMedia): void;

  /**
   * Brings the user into the group again by an INVITE to the focus (8.2.2.7); several who want it at a time want the same one.
   * @clause CPM-CF 8.2.2.7 C10 D3
   */
  async start(this: Membership, kind: FocusInviteKind): Promise<FocusOutcome> {
    const isIn = (): boolean => this.focus !== undefined;
    if (isIn()) return 'joined';
    // Ended for good: only a new invitation of its focus brings the group back.
    if (this.record.standing === 'removed') return {status: 410};
    // It may be that the focus invites by itself just now.
    await this.answered();
    if (isIn()) return 'joined';
    const pending = this.#starting;
    const outcome = await (pending?.outcome ?? this.#begun(kind));
    // A group that is not there any more may be had again, with all of its members.
    const isAnother = pending?.kind === 'rejoin' && kind === 'restart';
    return isAnother && outcome !== 'joined' && isUnknown(outcome.status) ? this.start(kind) : outcome;
  }

  async #begun(this: Membership, kind: FocusInviteKind): Promise<FocusOutcome> {
    const outcome = this.hold(async () => this.#start(kind)).finally(() => {
      this.#starting = undefined;
    });
    this.#starting = {kind, outcome};
    return outcome;
  }

  async #start(this: Membership, kind: FocusInviteKind): Promise<FocusOutcome> {
    const sought = await seekFocus(this.context, this, kind);
    // The focus may have invited meanwhile, and refuse us for that.
    if ('status' in sought) return this.focus === undefined ? sought : 'joined';
    const {party, remote, rest} = sought;
    this.stand(party, remote);
    // They are to hear what the group is started with, if their focus is quick.
    if (rest.length > 0) await atMost(this.context.clock, referMilliseconds, inviteRest(this.context, this, rest));
    return 'joined';
  }

  /** Seeks the focus until it has the user in the group again, or says that there is none. An invitation meanwhile finds the same membership. */
  async comeBack(this: Membership): Promise<void> {
    if (this.#comingBack || this.focus !== undefined) return;
    this.#comingBack = true;
    await this.hold(async () => comeBack(this.context, this));
    this.#comingBack = false;
  }
}
