/** A deployment with a controlling function, and members of a group: Bob, whom the PF serves, and two whom nobody serves. */
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import {keyOf, type Conference} from '../../lib/controlling-function/conference.ts';
import {
  startControllingFunction,
  type ControllingFunction,
  type ControllingFunctionOptions,
} from '../../lib/controlling-function/controlling-function.ts';
import type {GroupSession} from '../../lib/cpm/group-session.ts';
import {parseCpim} from '../../lib/codecs/cpim.ts';
import {headerOf, type SipRequest} from '../../lib/codecs/sip-message.ts';
import type {ChatSession} from '../../lib/phone/chat-session.ts';
import type {Phone} from '../../lib/phone/phone.ts';
import {bobAddress, deployment, type Deployment, type DeploymentOptions, type DeploymentOwner} from './deployment.ts';
import {until} from './persistent-sender.ts';

export const carolAddress = 'sip:+14440003@elsewhere.example;user=phone';
export const daveAddress = 'sip:+14440004@elsewhere.example;user=phone';

export interface GroupDeployment {
  readonly pf: Deployment;
  readonly focus: ControllingFunction;
  readonly carol: Phone;
  readonly dave: Phone;
  /** Carol begins a group with Dave and Bob; resolves when she and Dave are in it, and Bob's side has answered. */
  readonly begin: (ids?: {readonly conversationId: string; readonly contributionId: string}) => Promise<{
    readonly conference: Conference;
    readonly carols: ChatSession;
    readonly daves: ChatSession;
  }>;
  /** Another controlling function at the same address, which knows nothing of the one before. */
  readonly restartFocus: () => Promise<ControllingFunction>;
}

export const ids = {conversationId: 'Conv-Group', contributionId: 'Contr-Group'};
export const otherIds = {conversationId: 'Conv-Other', contributionId: 'Contr-Other'};

/** How a focus says that nobody used the session any more, and that it can be started again. */
export const inactivity = [['Reason', 'SIP;cause=480;text="Bearer unavailable"']] as const;

/** What phones in the field say that CPIM may hold: no Group State Object. */
export const usualWrappedTypes = 'text/plain message/imdn+xml application/im-iscomposing+xml';

/** The group as Bob's clients know it: at the PF. */
export const groupUri = ({uri}: Pick<Deployment, 'uri'>, {contributionId} = ids): string =>
  `${uri};ocid=${contributionId}`;

/** Somebody says something to a group, and the PF keeps all of it for Bob. */
export async function isMissed({pf}: Deployment, says: ChatSession, texts: readonly string[]): Promise<void> {
  const isKept = ({msg, contributionId}: Deployment['pf']['log']['items'][number]) =>
    msg === 'a message is kept for a user who cannot take it now' && contributionId === says.contributionId;
  const before = pf.log.items.filter(isKept).length;
  for (const text of texts) {
    const {accepted} = await says.sendText(text);
    if (!accepted) throw new Error('the focus did not take a message');
  }
  await pf.log.atLeast(before + texts.length, isKept, 60_000);
}

/** INVITEs of Bob that reached the focus: his re-joins and re-starts, made by the PF. */
export const invitesOfBob = ({focus}: Pick<GroupDeployment, 'focus'>): readonly SipRequest[] =>
  focus.requests.items.filter(
    (request) => request.method === 'INVITE' && headerOf(request, 'P-Asserted-Identity')?.includes('+15550102'),
  );

/** The call and the media of Bob's side at the focus, while it has them. */
export const bobIn = ({members}: Conference) => members.get(keyOf(bobAddress))?.media;

/** Texts that the focus switched for Bob, in order. */
export const saidByBob = ({messages}: Conference): readonly string[] =>
  messages.items.filter(({from}) => from === keyOf(bobAddress)).map(({bytes}) => parseCpim(bytes).body.toString());

/** Bob was in the group with a phone, which is off now: his network knows no device of his, the PF is in the group. */
export async function bobWasThere({pf, begin}: GroupDeployment) {
  const former = await pf.bob();
  await pf.register(former);
  const group = await begin();
  const joined = await former.sessions.first();
  await pf.pf.log.first(({msg}) => msg === 'a client is joined with his group');
  await joined.end();
  await former.deregister();
  await former.close();
  await pf.pf.log.first(({msg}) => msg === 'the PF stays in a group for its user');
  return {...group, identity: joined.group?.identity ?? ''};
}

export async function groupDeployment(
  t: DeploymentOwner,
  options: DeploymentOptions & {readonly focus?: ControllingFunctionOptions} = {},
): Promise<GroupDeployment> {
  const pf = await deployment(t, {...options, config: {...options.config}});
  let focus = await startControllingFunction({core: pf.core, ...options.focus});
  t.teardown(async () => focus.close());
  const carol = await pf.phone(carolAddress);
  const dave = await pf.phone(daveAddress);
  await Promise.all([carol.register(), dave.register()]);
  return {
    pf,
    get focus() {
      return focus;
    },
    carol,
    dave,
    async begin(group = ids) {
      const carols = await carol.startGroup(focus.factory, {
        ...group,
        subject: 'Lunch',
        members: [daveAddress, bobAddress],
      });
      const isIt = ({contributionId}: {readonly contributionId?: string | undefined}) =>
        contributionId === group.contributionId;
      const conference = await focus.conferences.first(isIt);
      const daves = await dave.sessions.first(isIt);
      await daves.msrp.bound();
      // Whoever speaks for Bob hears what is said from now on; or nobody does.
      await conference.changes.first(
        ({member, endpoint}) =>
          member === keyOf(bobAddress) && (endpoint.status === 'connected' || endpoint.status === 'disconnected'),
      );
      return {conference, carols, daves};
    },
    async restartFocus() {
      const {port} = focus;
      await focus.close();
      focus = await startControllingFunction({core: pf.core, ...options.focus, port});
      return focus;
    },
  };
}

/** So many addresses, so long that the list in an INVITE has room for few of them. */
export const longAddresses = (count: number): readonly string[] =>
  Array.from({length: count}, (_, at) => `sip:${'long-name-'.repeat(25)}${at}@elsewhere.example`);

/** Bob, so many others, and Carol, last in its list, in a group; the PF knows them all. */
export async function largeGroup({pf, focus, carol}: GroupDeployment, others: number) {
  const members = [bobAddress, ...longAddresses(others), carolAddress];
  const conference = await focus.create({...ids, subject: 'All', members});
  const carols = await carol.sessions.first();
  await soManyAreKnown(pf, members.length);
  return {conference, members, carols};
}

/** The PF knows that so many are in Bob's group. */
export const soManyAreKnown = async (pf: Deployment, count: number): Promise<void> =>
  until(async () => {
    const known = await knownGroup(pf, bobAddress, ids.contributionId);
    return known?.conference.participants.length === count;
  });

/** What the PF knows of a group of a user, by its admin endpoint. */
export async function knownGroup(
  {folder}: Deployment,
  user: string,
  contributionId: string,
): Promise<GroupSession | undefined> {
  const file = await readFile(path.join(folder, 'run', 'admin.json'), 'utf8');
  const {url, key} = JSON.parse(file) as {url: string; key: string};
  const query = new URLSearchParams({user, group: contributionId});
  const response = await fetch(new URL(`/groups?${query.toString()}`, url), {
    headers: {authorization: `Bearer ${key}`},
  });
  const {group} = (await response.json()) as {group?: GroupSession};
  return group;
}
