/** The PF stands in a group for a user, and something breaks: it comes back into the group by itself (CPM-CF 8.2.2.7). */
import test from 'ava';
import {headerOf} from '../../lib/codecs/sip-message.ts';
import type {Conference} from '../../lib/controlling-function/conference.ts';
import type {ControllingFunctionOptions} from '../../lib/controlling-function/controlling-function.ts';
import {Inbox} from '../../lib/phone/inbox.ts';
import type {Phone} from '../../lib/phone/phone.ts';
import {bobAddress, type Deployment} from '../support/deployment.ts';
import {bobIn, carolAddress, daveAddress, groupDeployment, ids, knownGroup} from '../support/group-deployment.ts';
import {everybodyIsKnown, inGroup, standing} from '../support/in-group.ts';
import {impatient, impatientServer, until} from '../support/persistent-sender.ts';

/** Messages wait at the focus for a member whose session broke: what is lost then is the PF's loss. */
const focus: ControllingFunctionOptions = {keepsForAbsent: true, timers: {t1Ms: 50}};
const options = {focus, config: impatientServer};

/** The PF has another dialog with the focus than this one. */
const isBackIn = async (conference: Conference, before: ReturnType<typeof bobIn>): Promise<void> =>
  until(() => Promise.resolve(bobIn(conference) !== undefined && bobIn(conference) !== before));

const stands = async (pf: Deployment, standing: string): Promise<void> =>
  until(async () => (await knownGroup(pf, bobAddress, ids.contributionId))?.standing === standing);

/** Bob switches his phone on: these texts came, once and in order, and he is in the group. */
async function collects(pf: Deployment, texts: readonly string[]): Promise<{bob: Phone; got: readonly string[]}> {
  const bob = await pf.bob({...impatient, notifications: 'none'});
  await pf.register(bob);
  await bob.messages.first(({text}) => text === texts.at(-1));
  return {bob, got: bob.messages.items.map(({text}) => text)};
}

test.serial(
  '8.2.2.7 C1: killed while it stands in a group, the PF joins it again without a list, knows who is in it, and nothing is lost',
  async (t) => {
    const {pf, conference, carols, dave, focus: control} = await standing(t, options);
    await carols.sendText('before');
    await pf.pf.log.first(({msg}) => msg === 'a message is kept for a user who cannot take it now');
    const before = bobIn(conference);
    await pf.kill();
    t.deepEqual(
      (await knownAfter(pf))?.sort(),
      [bobAddress, carolAddress, daveAddress].sort(),
      'known before the focus has said a word',
    );
    await carols.sendText('while it was away');
    await dave.sessions.items[0]?.end('SIP;cause=200;text="Call completed"');
    await until(() => Promise.resolve(!conference.isMember(daveAddress)));
    await pf.start();
    await isBackIn(conference, before);
    const join = control.requests.items.findLast(({method}) => method === 'INVITE');
    t.is(join && headerOf(join, 'Content-Type'), 'application/sdp');
    t.is(join && headerOf(join, 'Contribution-ID'), ids.contributionId);
    t.is(join && headerOf(join, 'Require'), undefined);
    await until(async () => {
      const group = await knownGroup(pf, bobAddress, ids.contributionId);
      return (
        group?.conference.participants
          .map(({entity}) => entity)
          .sort()
          .join() === [bobAddress, carolAddress].sort().join()
      );
    });
    await carols.sendText('after');
    const {got} = await collects(pf, ['before', 'while it was away', 'after']);
    t.deepEqual(got, ['before', 'while it was away', 'after']);
  },
);

/** What another life of the PF knows while the focus is not to be had. */
async function knownAfter(pf: Deployment): Promise<string[] | undefined> {
  await pf.configure({sip: {outboundProxy: 'sip:127.0.0.1:1;transport=tcp'}});
  await pf.start();
  const group = await knownGroup(pf, bobAddress, ids.contributionId);
  await pf.kill();
  await pf.configure({});
  return group?.conference.participants.map(({entity}) => entity);
}

test.serial(
  '8.2.2.7: a focus that does not know the group any more: it is inactive, and the participants stay known',
  async (t) => {
    const {pf, restartFocus} = await standing(t, options);
    await pf.kill();
    await restartFocus();
    await pf.start();
    await stands(pf, 'inactive');
    const group = await knownGroup(pf, bobAddress, ids.contributionId);
    t.deepEqual(
      group?.conference.participants.map(({entity}) => entity).sort(),
      [bobAddress, carolAddress, daveAddress].sort(),
    );
    t.like(await pf.status(), {load: {sessions: 0}});
  },
);

test.serial(
  '8.2.2.7: a focus that is not to be had for the moment is asked again, until it has the user in the group',
  async (t) => {
    const {pf, conference, carols, focus: control} = await standing(t, options);
    const before = bobIn(conference);
    await pf.kill();
    let refusals = 0;
    control.refuses = () => (refusals++ < 2 ? 503 : undefined);
    await pf.start();
    await isBackIn(conference, before);
    t.is(refusals, 3);
    await carols.sendText('after');
    t.deepEqual((await collects(pf, ['after'])).got, ['after']);
  },
);

test.serial(
  '8.2.2.7: a PF that stood in many groups comes back into no more of them at a time than cpm.concurrentDeliveries',
  async (t) => {
    t.timeout(60_000);
    const atATime = 2;
    const config = {sip: {inviteSeconds: 60}, cpm: {concurrentDeliveries: atATime}};
    const {pf, focus: control} = await groupDeployment(t, {focus, config});
    const groups = await Promise.all(
      ['a', 'b', 'c', 'd', 'e'].map(async (contributionId) =>
        control.create({conversationId: contributionId, contributionId, members: [bobAddress, carolAddress]}),
      ),
    );
    await pf.pf.log.atLeast(groups.length, ({msg}) => msg === 'the PF stands in a group for its user');
    const before = groups.map(bobIn);
    await pf.kill();
    const asked = new Inbox<() => void>('INVITE that waits for its answer');
    control.refuses = async () =>
      new Promise((resolve) => {
        asked.push(() => {
          resolve(undefined);
        });
      });
    await pf.start();
    for (const index of groups.keys()) {
      const waiting = await asked.atLeast(Math.min(index + atATime, groups.length));
      t.is(waiting.length, Math.min(index + atATime, groups.length));
      waiting[index]?.();
      await until(() => Promise.resolve(groups.filter((each, at) => bobIn(each) !== before[at]).length > index));
    }
  },
);

test.serial('8.2.2.7: the relay is killed, and the PF stands in the group again by another one', async (t) => {
  const {pf, conference, carols} = await standing(t, options);
  const before = bobIn(conference);
  await carols.sendText('before');
  await pf.pf.log.first(({msg}) => msg === 'a message is kept for a user who cannot take it now');
  process.kill(await pf.pidOf('relay'), 'SIGKILL');
  await isBackIn(conference, before);
  await everybodyIsKnown(pf);
  await carols.sendText('after');
  t.deepEqual((await collects(pf, ['before', 'after'])).got, ['before', 'after']);
});

test.serial(
  '8.2.2.7: the MSRP connection to the focus is lost, and the PF comes back; the client in the group stays in it',
  async (t) => {
    const {pf, conference, carols, bob, bobs} = await inGroup(t, options);
    const before = bobIn(conference);
    before?.msrp.connection?.destroy();
    await isBackIn(conference, before);
    await pf.pf.log.atLeast(2, ({msg}) => msg === 'a client is joined with his group');
    await carols.sendText('after');
    await bob.messages.first(({text}) => text === 'after');
    t.false(bobs.call.over);
    t.is(bob.sessions.items.length, 1);
  },
);

test.serial(
  '8.2.2.7: the focus is killed, and the one in its place knows nothing: the group is inactive, and can be started again',
  async (t) => {
    const {pf, restartFocus, carol} = await standing(t, options);
    const control = await restartFocus();
    await stands(pf, 'inactive');
    await carol.startGroup(control.factory, {...ids, subject: 'Lunch', members: [daveAddress, bobAddress]});
    await stands(pf, 'active');
    t.is((await knownGroup(pf, bobAddress, ids.contributionId))?.focus, (await control.conferences.first()).identity);
  },
);

test.serial(
  '8.2.2.7: ended and started again in an orderly way, the PF leaves with cause 503 and is back in the group',
  async (t) => {
    const {pf, conference, carols} = await standing(t, options);
    await carols.sendText('before');
    await pf.pf.log.first(({msg}) => msg === 'a message is kept for a user who cannot take it now');
    const before = bobIn(conference);
    t.is(await pf.stop(), 0);
    t.regex((await before?.call.ended)?.reason ?? '', /^SIP;cause=503/);
    t.true(conference.isMember(bobAddress));
    await carols.sendText('meanwhile');
    await pf.start();
    await isBackIn(conference, before);
    t.deepEqual((await collects(pf, ['before', 'meanwhile'])).got, ['before', 'meanwhile']);
  },
);
