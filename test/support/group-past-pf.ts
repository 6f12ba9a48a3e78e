/** Groups of a PF in proxy mode, which lets the INVITEs of a focus pass to Bob while he is there. */
import type {ExecutionContext} from 'ava';
import type {SipRequest} from '../../lib/codecs/sip-message.ts';
import {keyOf, type Conference} from '../../lib/controlling-function/conference.ts';
import type {Call} from '../../lib/phone/call.ts';
import type {ChatSession} from '../../lib/phone/chat-session.ts';
import type {ChatInvitation, Phone} from '../../lib/phone/phone.ts';
import {bobAddress, type Deployment, type DeploymentOptions} from './deployment.ts';
import {carolAddress, daveAddress, groupDeployment, ids, type GroupDeployment} from './group-deployment.ts';

export interface ProxyingPf {
  readonly group: GroupDeployment;
  readonly pf: Deployment;
  readonly bob: Phone;
}

/** A PF in proxy mode, Bob's phone registered. What a delivery does not bring over waits for the next registration. */
export async function proxyingPf(
  t: ExecutionContext,
  {cpm, config, ...options}: DeploymentOptions & {readonly cpm?: Readonly<Record<string, unknown>>} = {},
): Promise<ProxyingPf> {
  t.timeout(60_000);
  const ofPf = {terminatingSessions: 'proxy', deliveryRetrySeconds: [600], ...cpm};
  const group = await groupDeployment(t, {...options, config: {...config, cpm: ofPf}});
  const bob = await group.pf.bob({notifications: 'none'});
  await group.pf.register(bob);
  return {group, pf: group.pf, bob};
}

export interface GroupPastPf extends ProxyingPf {
  readonly conference: Conference;
  readonly carols: ChatSession;
  readonly bobs: ChatSession;
  /** The focus's side of Bob's session. */
  readonly calling: Call;
}

/** Everybody is in the group, Bob past the PF. */
export async function groupPastPf(t: ExecutionContext, options: DeploymentOptions = {}): Promise<GroupPastPf> {
  const all = await proxyingPf(t, options);
  const {conference, carols} = await all.group.begin();
  const bobs = await all.bob.sessions.first();
  await bobs.msrp.bound();
  return {...all, conference, carols, bobs, calling: callingBob(conference)};
}

/** The focus's side of Bob's session. */
export function callingBob(conference: Conference): Call {
  const call = conference.members.get(keyOf(bobAddress))?.media?.call;
  if (call === undefined) throw new Error('Bob is not in the group');
  return call;
}

/** The focus begins the same group once more; resolves once all have answered. */
export const beginAgain = async ({group}: ProxyingPf): Promise<Conference> =>
  group.focus.create({...ids, members: [carolAddress, daveAddress, bobAddress]});

/** How many invitations the PF has let pass, in this life. */
export const passedBy = ({pf}: Deployment): number =>
  pf.log.items.filter(({msg}) => msg.startsWith('an invitation goes on to the devices')).length;

export const invitesTo = ({requests}: Phone): readonly SipRequest[] =>
  requests.items.filter(({method}) => method === 'INVITE');

export const accept = (invitation: ChatInvitation): void => {
  void invitation.accept().catch(() => undefined);
};

export const refuse =
  (status: number) =>
  (invitation: ChatInvitation): void => {
    invitation.refuse(status);
  };
