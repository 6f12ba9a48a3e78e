import type {ListEntry} from '../../codecs/resource-lists.ts';
import {CpmError} from '../../errors.ts';
import type {Leg, RemoteMedia} from '../../ports/media-plane.ts';
import type {Context} from '../context.ts';
import type {Party} from '../party.ts';
import {bodyText, localOffer, remoteMedia} from '../session-description.ts';
import {completed, serviceUnavailable} from '../terminating/reasons.ts';
import {focusInvite, type FocusInviteKind} from './focus-invite.ts';
import {beyondList, participantsOf} from './group-invite.ts';
import {focusOf} from './group-uri.ts';
import type {Membership} from './membership.ts';

/**
 * A dialog with the focus, where its MSRP session is, and participants whom the INVITE of a re-start could not name; or the SIP status that stands
 * for none (T51).
 */
export type SoughtFocus =
  | {readonly party: Party; readonly remote: RemoteMedia; readonly rest: readonly ListEntry[]}
  | {readonly status: number};

/**
 * The INVITE to the focus, from the PF's leg to the bound MSRP session. Never rejects.
 * @clause CPM-CF 8.2.2.7 C10 D3
 */
export async function seekFocus(context: Context, group: Membership, kind: FocusInviteKind): Promise<SoughtFocus> {
  const {sip, policy, log} = context;
  const where = {...group.label, clause: 'CPM-CF 8.2.2.7', kind};
  // He may leave while the focus is asked.
  const {timesLeft} = group;
  let leg: Leg;
  try {
    leg = await group.openFocusLeg();
  } catch (error) {
    log.warn({...where, error}, 'no MSRP session for a focus');
    return {status: 503};
  }

  // From here on it is this node that stands in the group, whatever the one before hears of its end.
  await group.change({}).catch((error: unknown) => {
    log.info({...where, error}, 'what is known of a group could not be written down');
  });
  const rest = kind === 'restart' ? beyondList(participantsOf(group.record)) : [];
  const local = localOffer(group.record.offer, leg, policy.maxMessageBytes);
  const outcome = await sip.invite(focusInvite(context, group.record, local.text, kind)).outcome;
  if (outcome.kind !== 'accepted') {
    await leg.release();
    const status = outcome.kind === 'refused' ? outcome.response.status : 408;
    log.info({...where, status}, 'the focus does not take the user into the group');
    return {status};
  }

  const {dialog, response} = outcome;
  if (group.timesLeft > timesLeft) {
    await Promise.all([dialog.bye({Reason: completed}), leg.release()]);
    return {status: 480};
  }

  try {
    const remote = remoteMedia(bodyText(response), 'answer', leg);
    leg.connect(remote);
    await leg.bound(policy.bindMilliseconds);
    group.note({standing: 'active', focus: focusOf(context, response) ?? group.record.focus});
    log.info(where, 'the user is in the group again');
    return {party: {dialog, leg, local, remote: bodyText(response)}, remote, rest};
  } catch (error) {
    log.info({...where, error}, "the focus's answer leads nowhere");
    await dialog.bye({Reason: serviceUnavailable});
    await leg.release();
    return {status: error instanceof CpmError && error.status >= 400 ? error.status : 500};
  }
}
