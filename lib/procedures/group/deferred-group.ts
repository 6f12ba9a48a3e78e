import {contributionOf} from '../../cpm/group-session.ts';
import type {RegisteredContact, Registration} from '../../ports/registrations.ts';
import type {Context} from '../context.ts';
import {bodyText, localOffer} from '../session-description.ts';
import {routeTo} from '../terminating/delivery-invite.ts';
import {viewOfDelivery} from '../views.ts';
import {forkInvite} from '../terminating/fork.ts';
import {completed, completedElsewhere, serviceUnavailable} from '../terminating/reasons.ts';
import type {UserLease} from '../terminating/user-leases.ts';
import {leave} from './bye.ts';
import {discardDeferred} from './discard.ts';
import {groupInvite, owedList} from './group-invite.ts';
import type {Membership} from './membership.ts';
import {withMembership} from './with-membership.ts';

/** What became of a group's backlog; as of a sender's. */
export type GroupOutcome = 'done' | {readonly againAfter: number; readonly stops?: 'all' | undefined};

/** To whom, and under which lease. */
export interface GroupDelivery {
  readonly registration: Registration;
  readonly devices: readonly RegisteredContact[];
  readonly lease: UserLease;
}

const kept = {againAfter: 0} as const;

/**
 * Delivers what waits of one group: an INVITE with the group's own ids and its latest participants; then the client stays in the group where it is
 * active, or may start it again. Runs under the user's lease.
 * @clause CPM-CF 8.3.2.9.1.2 C1 C2 C4 C5 C6 C7 C12
 */
export async function deliverGroup(
  context: Context,
  servedUser: string,
  sender: string,
  delivery: GroupDelivery,
): Promise<GroupOutcome> {
  const {store, log} = context;
  const contributionId = contributionOf(sender) ?? '';
  const record = await store.groupSessions.get(servedUser, contributionId);
  if (record === undefined) {
    log.warn({contributionId, clause: 'CPM-CF 8.3.2.9.1.2'}, 'messages wait of a group that is not known; they expire');
    return 'done';
  }

  return withMembership(context, record, async (membership) => deliver(context, membership, delivery));
}

async function deliver(
  context: Context,
  membership: Membership,
  {registration, devices, lease}: GroupDelivery,
): Promise<GroupOutcome> {
  const {store, log, policy, clock, hooks} = context;
  const {servedUser, sender} = membership;
  // A client of his is in the group: what waits is on its way to him.
  const isTaken = (): boolean => membership.client !== undefined;
  if (isTaken()) return 'done';
  // The focus has invited him: who takes that gets what waits.
  if (membership.rings) return kept;
  // He left it while the store was away: what could not be discarded then is not for him either.
  if (membership.record.standing === 'left') {
    await discardDeferred(context, membership);
    return 'done';
  }

  // Changes while something is awaited: somebody may need what waits, who asked while the record was read.
  const isOver = (): boolean => !lease.held;
  if (isOver()) return kept;
  const where = {...membership.label, clause: 'CPM-CF 8.3.2.9.1.2'};
  const [oldest] = await store.deferredQueue.next(servedUser, sender, {
    limit: 1,
    maxBytes: 1,
    afterSequence: undefined,
  });
  if (oldest === undefined) return 'done';
  const refused = async (answer: string): Promise<void> =>
    store.deferredQueue.noteRefused([oldest.id], clock.now(), {answer});
  const view = viewOfDelivery(oldest, devices);
  if ((await hooks.beforeInvite?.(view)) === 'later') {
    await refused('a plugin: later');
    return kept;
  }

  if (isOver()) return kept;
  const fork = forkInvite(context, {
    devices,
    legLabel: membership.label,
    ...(membership.focus === undefined ? {} : {near: membership.focus.leg}),
    request: (device, leg) =>
      groupInvite(
        context,
        membership.record,
        device,
        localOffer(membership.record.offer, leg, policy.maxMessageBytes).text,
        {
          headers: {'P-Asserted-Identity': `<${policy.deferredMsgMgmtUri}>`},
          from: policy.deferredMsgMgmtUri,
          route: registration.servingNode === undefined ? [] : [routeTo(registration.servingNode)],
        },
      ),
  });
  lease.onGiveWay = () => {
    fork.cancel(completedElsewhere);
  };
  const answer = await membership.ring(fork);
  lease.onGiveWay = undefined;
  const answers = answer.kind === 'refused' ? [...answer.statuses] : [];
  hooks.afterInvite?.({...view, outcome: answer.kind, statuses: answers});
  if (answer.kind === 'cancelled') {
    log.info(where, 'a group delivery that rings gives way to a session that needs the same messages');
    return 'done';
  }

  if (answer.kind === 'refused') {
    const {statuses, retryAfterSeconds} = answer;
    if (statuses.includes(603)) {
      log.info(where, 'a client declines a group for good; what waits of it is discarded');
      // His dialog is with another node, or was lost: the focus hears that he leaves from one who is in it for him.
      const isHere = membership.focus !== undefined || membership.record.standing !== 'active';
      const outcome = isHere ? 'joined' : await membership.start('rejoin');
      if (outcome !== 'joined')
        log.warn({...where, status: outcome.status}, 'the focus of a group could not be told that its member leaves');
      await leave(context, membership, completed);
      return 'done';
    }

    const stops = statuses.some((status) => policy.stopsDelivery.includes(status));
    await refused(`SIP ${statuses.join(' ')}`);
    log.info(
      {...where, statuses: statuses.join(), stop: stops},
      'a group delivery was not taken; its messages stay queued',
    );
    return {againAfter: (retryAfterSeconds ?? 0) * 1000, stops: stops ? 'all' : undefined};
  }

  const {dialog, leg, response, remote} = answer;
  const local = localOffer(membership.record.offer, leg, policy.maxMessageBytes);
  const party = {dialog, leg, local, remote: bodyText(response)};
  // A yes that crossed the CANCEL, or came from another device than the one that has come by itself.
  if (isTaken() || isOver()) {
    await dialog.bye({Reason: isTaken() || lease.givesWay ? completedElsewhere : serviceUnavailable});
    await leg.release();
    return isTaken() ? 'done' : kept;
  }

  log.info(where, 'a group delivery session stands');
  const first = owedList(context, membership.record, dialog.id);
  const admitted = membership.admit(party, remote, response, {lease, first});
  // Another node stands in it, or did: this one joins for the user, and the focus ends his former session.
  if (membership.focus === undefined && membership.record.standing === 'active') void membership.start('rejoin');
  return (await admitted) ? 'done' : kept;
}
