import type {Leg, RemoteMedia} from '../../ports/media-plane.ts';
import type {RegisteredContact} from '../../ports/registrations.ts';
import type {OutgoingInvite, OutgoingRequest, SipDialog, SipResponseView} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import {bodyText, remoteMedia} from '../session-description.ts';
import {completedElsewhere, notAcceptable, requestTimeout} from './reasons.ts';

/** A device's yes: its dialog, our leg towards it. */
export interface Answered {
  readonly kind: 'answered';
  readonly device: RegisteredContact;
  readonly dialog: SipDialog;
  readonly leg: Leg;
  readonly response: SipResponseView;
  /** Its MSRP session, as its answer says. */
  readonly remote: RemoteMedia;
}

export type ForkOutcome =
  | Answered
  /** Every device said no, or nothing (408); in the order of the devices. */
  | {readonly kind: 'refused'; readonly statuses: readonly number[]; readonly retryAfterSeconds: number | undefined}
  | {readonly kind: 'cancelled'};

export interface Fork {
  /** Never rejects. */
  readonly outcome: Promise<ForkOutcome>;
  /** Gives all devices up, with this Reason. */
  cancel(reason?: string): void;
}

export interface ForkOptions {
  readonly devices: readonly RegisteredContact[];
  /** The INVITE for one device; its offer names the leg. */
  readonly request: (device: RegisteredContact, leg: Leg) => OutgoingRequest;
  /** The inviter's leg, with which the device's is to be paired. */
  readonly near?: Leg;
  /** What is relayed from the device's leg is copied. */
  readonly copies?: boolean;
  readonly legLabel: {readonly conversationId: string; readonly contributionId: string};
  readonly onProvisional?: (response: SipResponseView) => void;
  /** Is given the device whose 200 came after another one's, its CANCEL notwithstanding; without this it is ended at once. */
  readonly onLater?: (answered: Answered) => void;
}

/**
 * One INVITE per device; the first 200 takes it and the others are cancelled (drachtio shows only one 200 per INVITE, so that the PF forks
 * by itself). A device that only rings is given up after `inviteMilliseconds`; a 6xx of one device ends the search (RFC 3261 §16.7).
 * @clause CPM-CF 8.3.2.1 C12
 */
export function forkInvite(context: Context, options: ForkOptions): Fork {
  const {sip, media, clock, policy, log} = context;
  const branches = new Map<RegisteredContact, OutgoingInvite>();
  const statuses = new Map<RegisteredContact, number>();
  let retryAfterSeconds: number | undefined;
  let settled = false;
  let unwanted: string | undefined;
  // Changes while a device is awaited.
  const isSettled = (): boolean => settled;
  let settle: (outcome: ForkOutcome) => void;
  const outcome = new Promise<ForkOutcome>((resolve) => {
    settle = resolve;
  });

  function finish(result: ForkOutcome, reason?: string): void {
    if (settled) return;
    settled = true;
    unwanted = reason;
    timer.cancel();
    for (const [device, branch] of branches) {
      if (result.kind !== 'answered' || device !== result.device) branch.cancel(reason);
    }

    settle(result);
  }

  const refused = (): ForkOutcome => ({
    kind: 'refused',
    statuses: options.devices.map((device) => statuses.get(device) ?? 408),
    retryAfterSeconds,
  });

  const timer = clock.after(policy.inviteMilliseconds, () => {
    finish(refused(), requestTimeout);
  });

  async function ring(device: RegisteredContact): Promise<void> {
    let leg: Leg;
    try {
      leg = await media.openLeg({
        side: 'access',
        mode: 'hold',
        label: options.legLabel,
        ...(options.near === undefined ? {} : {near: options.near}),
        copies: options.copies === true,
        maxMessageBytes: policy.maxMessageBytes,
      });
    } catch (error) {
      log.warn({error, ...options.legLabel}, 'no MSRP session for a device');
      statuses.set(device, 503);
      return;
    }

    if (isSettled()) return leg.release();
    const branch = sip.invite(options.request(device, leg));
    branches.set(device, branch);
    branch.onProvisional = (response) => {
      if (!isSettled()) options.onProvisional?.(response);
    };
    const result = await branch.outcome;
    if (result.kind === 'accepted') {
      const remote = usableAnswer(result.response, leg);
      if (remote !== undefined) {
        const answered = {
          kind: 'answered',
          device,
          dialog: result.dialog,
          leg,
          response: result.response,
          remote,
        } as const;
        if (!isSettled()) {
          finish(answered, completedElsewhere);
          return;
        }

        if (options.onLater !== undefined && unwanted === completedElsewhere) {
          options.onLater(answered);
          return;
        }
      }

      // Either two devices said yes at once, and the first one has the session, or this one's answer leads nowhere.
      statuses.set(device, 488);
      await Promise.all([
        leg.release(),
        result.dialog.bye({
          Reason: remote === undefined ? notAcceptable : (unwanted ?? completedElsewhere),
        }),
      ]);
      return;
    }

    await leg.release();
    const status = result.kind === 'refused' ? result.response.status : result.status;
    statuses.set(device, status);
    const retryAfter =
      result.kind === 'refused' ? Number.parseInt(result.response.header('Retry-After') ?? '', 10) : NaN;
    if (!Number.isNaN(retryAfter)) retryAfterSeconds = Math.max(retryAfterSeconds ?? 0, retryAfter);
    if (status >= 600) finish(refused());
  }

  void Promise.all(options.devices.map(ring)).then(() => {
    finish(refused());
  });
  return {
    outcome,
    cancel(reason) {
      finish({kind: 'cancelled'}, reason);
    },
  };
}

function usableAnswer(response: SipResponseView, leg: Leg): RemoteMedia | undefined {
  try {
    return remoteMedia(bodyText(response), 'answer', leg);
  } catch {
    // A codec's word on a peer's SDP; the caller ends that dialog with 488.
    return undefined;
  }
}
