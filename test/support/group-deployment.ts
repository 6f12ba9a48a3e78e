/** A deployment with a controlling function, and members of a group: Bob, whom the PF serves, and two whom nobody serves. */
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import type {Conference} from '../../lib/controlling-function/conference.ts';
import {
  startControllingFunction,
  type ControllingFunction,
  type ControllingFunctionOptions,
} from '../../lib/controlling-function/controlling-function.ts';
import type {GroupSession} from '../../lib/cpm/group-session.ts';
import type {ChatSession} from '../../lib/phone/chat-session.ts';
import type {Phone} from '../../lib/phone/phone.ts';
import {bobAddress, deployment, type Deployment, type DeploymentOptions, type DeploymentOwner} from './deployment.ts';

export const carolAddress = 'sip:+14440003@elsewhere.example;user=phone';
export const daveAddress = 'sip:+14440004@elsewhere.example;user=phone';

export interface GroupDeployment {
  readonly pf: Deployment;
  readonly focus: ControllingFunction;
  readonly carol: Phone;
  readonly dave: Phone;
  /** Carol begins a group with Dave and Bob; resolves when both she and Dave are in it. */
  readonly begin: (ids?: {readonly conversationId: string; readonly contributionId: string}) => Promise<{
    readonly conference: Conference;
    readonly carols: ChatSession;
    readonly daves: ChatSession;
  }>;
  /** Another controlling function at the same address, which knows nothing of the one before. */
  readonly restartFocus: () => Promise<ControllingFunction>;
}

export const ids = {conversationId: 'Conv-Group', contributionId: 'Contr-Group'};

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
      const conference = await focus.conferences.first();
      const daves = await dave.sessions.first();
      await daves.msrp.bound();
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
