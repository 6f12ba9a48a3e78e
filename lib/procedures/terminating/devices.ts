/** The devices of a user who is invited: which they are, whether the INVITE itself goes on to them, and what their refusals say to the inviter. */
import type {RegisteredContact} from '../../ports/registrations.ts';
import type {IncomingInvite} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import {unknownDevice} from '../registration/third-party-register.ts';
import type {ForkOutcome} from './fork.ts';
import type {Invitation} from './invitation.ts';

/** How long an inviter waits, hearing nothing, for a delivery to the one he calls. */
export const patienceMilliseconds = 2000;

/**
 * The devices to ring: none where the core says that he is not registered; where it says that he is and nobody told us his devices, whichever
 * the core finds along its Route (RFC 5502 `regstate`).
 */
export async function devicesFor(
  {users, clock}: Pick<Context, 'users' | 'clock'>,
  {servedUser, registered, route}: Pick<Invitation, 'servedUser' | 'registered' | 'route'>,
): Promise<readonly RegisteredContact[]> {
  if (registered === false) return [];
  const known = await users.devices(servedUser);
  const isUntold = known.length === 0 && registered === true && route.length > 0;
  return isUntold && (await users.registration(servedUser)) === undefined ? [unknownDevice(clock.now())] : known;
}

/** What has to be over before a session between the user and his inviter can do without the PF. */
export interface Between {
  /** Key under which the inviter's messages wait for the user: his address, or that of a group. */
  readonly sender: string;
  /** Whether the PF stands between the two already. */
  readonly stands: () => boolean | Promise<boolean>;
}

/**
 * Lets the INVITE itself go on to the devices, and the session past the PF: where it is configured so, some are there, and nothing waits for
 * the user from this sender or stands between the two, which has to come first, or to end (T42, T28). False where the PF has to answer, as it has
 * to where the INVITE is back from devices that did not take it.
 * @clause CPM-CF 8.3.2.3 B1
 */
export async function goesToDevices(
  context: Context,
  invite: IncomingInvite,
  invitation: Invitation,
  between: Between,
): Promise<boolean> {
  const {policy, log} = context;
  if (policy.terminatingSessions !== 'proxy' || invite.refusedBy !== undefined) return false;
  if (!(await isFree(context, invitation, between))) return false;
  const {conversationId, contributionId} = invitation;
  const where = {conversationId, contributionId, clause: 'CPM-CF 8.3.2.1'};
  log.info(where, 'an invitation goes on to the devices, and comes back if none takes it');
  await invite.proxyToDevices({nextHop: policy.outboundProxy, milliseconds: policy.inviteMilliseconds});
  return true;
}

async function isFree(context: Context, invitation: Invitation, {sender, stands}: Between): Promise<boolean> {
  const {deliveries, store} = context;
  const {servedUser} = invitation;
  if (!(await deliveries.idle(servedUser, patienceMilliseconds))) return false;
  if ((await devicesFor(context, invitation)).length === 0) return false;
  if (await stands()) return false;
  if (!store.available) return true;
  const senders = await store.deferredQueue.senders(servedUser).catch(() => undefined);
  return senders?.every((waiting) => waiting.sender !== sender) ?? false;
}

/** What the devices said already, where the INVITE itself was with them: they are not rung once more. */
export const saidByDevices = ({refusedBy}: Pick<IncomingInvite, 'refusedBy'>): ForkOutcome | undefined =>
  refusedBy && {kind: 'refused', statuses: refusedBy, retryAfterSeconds: undefined};

/** What the inviter is told: 603 always, others as the policy says; undefined when the PF accepts for the user. */
export function refusalFor(outcome: ForkOutcome, {refusals}: Pick<Context['policy'], 'refusals'>): number | undefined {
  if (outcome.kind !== 'refused') return undefined;
  const {statuses} = outcome;
  if (statuses.includes(603)) return 603;
  const refusing = statuses.filter((status) => refusals[String(status)] === 'refuse');
  // A device that was only silent may still take it later: then the PF keeps.
  return refusing.length > 0 && refusing.length === statuses.length ? Math.max(...refusing) : undefined;
}
