import path from 'node:path';
import test from 'ava';
import {parseGroupState} from '../../lib/codecs/group-state.ts';
import {runNode} from '../support/child.ts';
import {bobAddress, type Deployment} from '../support/deployment.ts';
import {carolAddress, daveAddress, groupDeployment, ids} from '../support/group-deployment.ts';
import {until} from '../support/persistent-sender.ts';
import {knownGroups, recordedObjects} from '../support/recorded.ts';

async function groups(pf: Deployment, ...args: string[]): Promise<{status: number | string; output: string}> {
  const child = runNode('lib/cli.ts', ['groups', ...args, '--config', path.join(pf.folder, 'pf.yaml')]);
  return {status: await child.ended, output: child.output()};
}

test.serial(
  '8.3.2.3 B4 B5: groups tells a group while the PF stands in it, the object that is kept when its user is removed, and forgets both in time',
  async (t) => {
    t.timeout(120_000);
    const {pf, begin} = await groupDeployment(t);
    const {conference} = await begin();
    await until(async () => (await knownGroups(pf, bobAddress))[0]?.participants === 3);
    const list = await groups(pf, 'list', bobAddress);
    t.is(list.status, 0);
    t.regex(list.output, /^\d{4}-\S+Z active +3 Contr-Group +Lunch$/m);

    t.is(await conference.remove(bobAddress, carolAddress), 200);
    await until(async () => (await knownGroups(pf, bobAddress))[0]?.standing === 'removed');
    const {output} = await groups(pf, 'show', '+15550102', ids.contributionId, '--xml');
    t.regex(output, /^group Contr-Group: removed$/m);
    t.regex(output, /^states: 1$/m);
    t.true(output.includes(`    removed, referred by ${carolAddress}\n`), output);
    const state = parseGroupState(output.slice(output.indexOf('<?xml')));
    t.true(state.removed);
    t.deepEqual(state.participants.map(({address}) => address).sort(), [carolAddress, daveAddress, bobAddress].sort());

    const objects = async () => recordedObjects(pf, bobAddress, ids.conversationId);
    t.deepEqual(
      (await objects()).map(({kind}) => kind),
      ['group-state'],
    );

    await pf.stop();
    await pf.configure({cpm: {recordedRetentionSeconds: 1, deferredRetentionSeconds: 1, expirySweepSeconds: 1}});
    await pf.start();
    await until(async () => (await knownGroups(pf, bobAddress)).length === 0);
    await until(async () => (await objects()).length === 0);
    t.is((await groups(pf, 'show', bobAddress, ids.contributionId)).status, 1);
  },
);
