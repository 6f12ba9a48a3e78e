/** Carol, Dave and Bob in a group of a controlling function; the PF serves Bob. */
import type {ExecutionContext} from 'ava';
import type {Conference} from '../../lib/controlling-function/conference.ts';
import type {ChatSession} from '../../lib/phone/chat-session.ts';
import type {Phone} from '../../lib/phone/phone.ts';
import {bobAddress, type Deployment} from './deployment.ts';
import {carolAddress, daveAddress, groupDeployment, ids, knownGroup, type GroupDeployment} from './group-deployment.ts';
import {until} from './persistent-sender.ts';

type Options = NonNullable<Parameters<typeof groupDeployment>[1]>;

export const everybody = [bobAddress, carolAddress, daveAddress].sort();

export interface InGroup extends GroupDeployment {
  readonly conference: Conference;
  readonly carols: ChatSession;
  readonly bob: Phone;
  readonly bobs: ChatSession;
}

/** Bob's phone is in the group, and the PF knows everybody in it. */
export async function inGroup(t: ExecutionContext, options: Options = {}): Promise<InGroup> {
  t.timeout(60_000);
  const all = await groupDeployment(t, options);
  const bob = await all.pf.bob({notifications: 'none'});
  await all.pf.register(bob);
  const {conference, carols} = await all.begin();
  const bobs = await bob.sessions.first();
  await all.pf.pf.log.first(({msg}) => msg === 'a client is joined with his group');
  await everybodyIsKnown(all.pf);
  return {...all, conference, carols, bob, bobs};
}

/** The PF stands in the group for Bob, who is off. */
export async function standing(t: ExecutionContext, options: Options = {}): Promise<Omit<InGroup, 'bob' | 'bobs'>> {
  t.timeout(60_000);
  const all = await groupDeployment(t, options);
  const {conference, carols} = await all.begin();
  await all.pf.pf.log.first(({msg}) => msg === 'the PF stands in a group for its user');
  await everybodyIsKnown(all.pf);
  return {...all, conference, carols};
}

/** The PF knows by a notification that these three are in the group, and nobody else. */
export const everybodyIsKnown = async (pf: Deployment): Promise<void> =>
  until(async () => {
    const group = await knownGroup(pf, bobAddress, ids.contributionId);
    const known = group?.conference.participants.map(({entity}) => entity) ?? [];
    return group?.conference.version !== undefined && known.sort().join() === everybody.join();
  });

/** No session, at the PF and at its relay. */
export const nothingIsLeft = async (pf: Deployment): Promise<void> =>
  until(async () => {
    const {relays, load} = (await pf.status()) as {
      relays: readonly {counters?: {sessions: number; connections: number}}[];
      load: {sessions: number};
    };
    return load.sessions === 0 && relays.every(({counters}) => counters?.sessions === 0 && counters.connections === 0);
  });
