/** A group and its member turn to one another at the same time (CPM-CF 8.3.2.9.1.2, 8.3.2.9.1.3): one session comes of it, and nothing is lost. */
import test from 'ava';
import type {ExecutionContext} from 'ava';
import type {Conference} from '../../lib/controlling-function/conference.ts';
import type {ControllingFunction, Join} from '../../lib/controlling-function/controlling-function.ts';
import {Inbox} from '../../lib/phone/inbox.ts';
import type {ChatInvitation, Phone} from '../../lib/phone/phone.ts';
import {bobAddress, runHasEnded, type Deployment, type DeploymentOptions} from '../support/deployment.ts';
import {
  bobIn,
  daveAddress,
  groupDeployment,
  groupUri,
  ids,
  inactivity,
  invitesOfBob,
  isMissed,
  knownGroup,
  saidByBob,
} from '../support/group-deployment.ts';
import {groupFixture} from '../support/group-fixture.ts';
import {inGroup, nothingIsLeft} from '../support/in-group.ts';
import {impatientServer, until} from '../support/persistent-sender.ts';
import {withRawGroup} from '../support/raw-focus.ts';

const completed = 'SIP;cause=200;text="Call completed"';
const isJoined = ({msg}: {readonly msg: string}): boolean => msg === 'a client is joined with his group';
const leaves = ({msg}: {readonly msg: string}): boolean => msg === 'a client leaves his group';
const stays = ({msg}: {readonly msg: string}): boolean => msg === 'the PF stays in a group for its user';

const standing = async (pf: Deployment): Promise<string | undefined> =>
  (await knownGroup(pf, bobAddress, ids.contributionId))?.standing;

/** The group is over, and something waits of it. */
async function over(t: ExecutionContext, options: DeploymentOptions = {}) {
  t.timeout(90_000);
  const group = await groupDeployment(t, {...options, focus: {keepsForAbsent: true}});
  const {conference, carols} = await group.begin();
  await isMissed(group.pf, carols, ['one', 'two']);
  await conference.end(inactivity);
  return {...group, group, conference};
}

/** The same, and Bob's phone has it, in a session that stands. */
async function handedOver(t: ExecutionContext) {
  const all = await over(t);
  const bob = await all.pf.bob({notifications: 'none'});
  await all.pf.register(bob);
  await bob.messages.first(({text}) => text === 'two');
  return {...all, bob, session: await bob.sessions.first()};
}

/** The focus leaves INVITEs of Bob unanswered until it is told how: a status, or `undefined` to take it. */
function holding(focus: ControllingFunction): Inbox<Join & {readonly answer: (status?: number) => void}> {
  const held = new Inbox<Join & {readonly answer: (status?: number) => void}>('INVITE of Bob at the focus');
  focus.refuses = (join) =>
    join.by.includes('+15550102')
      ? new Promise((resolve) => {
          held.push({...join, answer: resolve});
        })
      : undefined;
  return held;
}

/** A phone that rings until it is told what to do. */
function ringing(phone: Phone): Inbox<ChatInvitation> {
  const invitations = new Inbox<ChatInvitation>('invitation');
  phone.onInvitation = (invitation) => {
    invitation.ring();
    invitations.push(invitation);
  };
  return invitations;
}

/** Bob's phone rings for the delivery. */
async function rung(pf: Deployment) {
  const bob = await pf.bob({notifications: 'none'});
  const invitations = ringing(bob);
  await pf.register(bob);
  return {bob, invitations, delivery: await invitations.first()};
}

/** Carol starts the group again. */
async function startedByCarol({focus, carol}: Awaited<ReturnType<typeof over>>, before: Conference) {
  const starting = carol.startGroup(focus.factory, {...ids, subject: 'Lunch', members: [daveAddress, bobAddress]});
  const conference = await focus.conferences.first((each) => each !== before);
  return {conference, carols: await starting};
}

/** What Carol says he hears, and what he says is said in the group. */
async function isInIt(
  t: ExecutionContext,
  bob: Phone,
  {conference, carols}: Awaited<ReturnType<typeof startedByCarol>>,
) {
  await carols.sendText('live');
  await bob.messages.first(({text}) => text === 'live');
  const up = bob.sessions.items.filter(({call}) => !call.over);
  t.is(up.length, 1);
  t.true((await up[0]?.sendText('from Bob'))?.accepted);
  await until(() => Promise.resolve(saidByBob(conference).includes('from Bob')));
  t.is(bob.repetitions.items.length, 0);
}

const waits = 'a group invitation waits for the answer to a delivery that rings';

test.serial(
  '8.3.2.9.1.2 C9 C12: the focus invites while a delivery rings: the device is not rung twice, and who takes the delivery is in the living group',
  async (t) => {
    const all = await over(t);
    const {pf, group} = all;
    const {bob, invitations, delivery} = await rung(pf);
    const again = startedByCarol(all, all.conference);
    await pf.pf.log.first(({msg}) => msg === waits);
    await delivery.accept();
    await bob.messages.first(({text}) => text === 'two');
    await pf.pf.log.first(isJoined);
    await isInIt(t, bob, await again);
    t.is(invitations.items.length, 1);
    t.is(invitesOfBob(group).length, 0);
  },
);

test.serial(
  '8.3.2.9.1.2 C5 C6: the focus invites while a delivery rings, and that is refused: busy, the PF stands in the group; 603, the focus hears it',
  async (t) => {
    const all = await over(t, {config: {cpm: {deliveryRetrySeconds: [600]}}});
    const {pf, focus, conference} = all;
    const {bob, invitations, delivery} = await rung(pf);
    const busy = startedByCarol(all, conference);
    await pf.pf.log.first(({msg}) => msg === waits);
    delivery.refuse(486);
    const {conference: second, carols} = await busy;
    await until(async () => (await standing(pf)) === 'active');
    await isMissed(pf, carols, ['three']);
    await second.end(inactivity);
    await until(async () => (await standing(pf)) === 'inactive');

    await bob.register();
    const next = await invitations.first((each) => each !== delivery);
    const third = all.carol.startGroup(focus.factory, {...ids, members: [daveAddress, bobAddress]});
    await pf.pf.log.atLeast(2, ({msg}) => msg === waits);
    next.refuse(603);
    await third;
    const last = focus.conferences.items.at(-1);
    await until(() => Promise.resolve(last?.isMember(bobAddress) === false));
    await until(async () => (await standing(pf)) === 'left');
    t.is(invitations.items.length, 2);
  },
);

test.serial(
  '8.3.2.9.1.3 D1 D5 T52: a client that comes by himself while the focus’s invitation rings him: the ringing ends, and he is in the group once',
  async (t) => {
    const all = await over(t, {config: {cpm: {deliveryRetrySeconds: [600]}}});
    const {pf, group, conference} = all;
    const {bob, invitations, delivery} = await rung(pf);
    delivery.refuse(486);
    await pf.pf.log.first((record) => runHasEnded(record) && record['outcome'] === 'try-again');
    const again = startedByCarol(all, conference);
    const live = await invitations.first((each) => each !== delivery);
    await bob.startGroup(groupUri(pf), ids);
    await live.cancelled;
    await bob.messages.first(({text}) => text === 'two');
    await isInIt(t, bob, await again);
    t.is(invitesOfBob(group).length, 0);
  },
);

test.serial(
  '8.3.2.9.1.2 C10 T45: the focus invites by itself while our re-start is with it, and refuses that: what the client said goes to the group that stands',
  async (t) => {
    const all = await handedOver(t);
    const {pf, focus, conference, bob, session} = all;
    const held = holding(focus);
    const sent = session.sendText('three');
    const {answer} = await held.first();
    const again = startedByCarol(all, conference);
    await pf.pf.log.first(isJoined);
    answer(486);
    const message = await sent;
    t.true(message.accepted);
    const started = await again;
    await until(() => Promise.resolve(saidByBob(started.conference).includes('three')));
    t.false(message.notified.includes('failed'));
    await isInIt(t, bob, started);
  },
);

test.serial(
  '8.3.2.9.1.2 C10 T45: what a client says while the PF asks to be let in again starts the group when nobody knows it there',
  async (t) => {
    const group = await inGroup(t, {focus: {keepsForAbsent: true}});
    const {conference, bobs, focus} = group;
    const held = holding(focus);
    bobIn(conference)?.msrp.connection?.destroy();
    const rejoin = await held.first();
    const sent = bobs.sendText('said meanwhile');
    rejoin.answer(404);
    const restart = await held.first((each) => each !== rejoin);
    restart.answer();
    t.true((await sent).accepted);
    await until(() => Promise.resolve(saidByBob(conference).includes('said meanwhile')));
    t.false(bobs.call.over);
  },
);

test.serial(
  '8.3.2.9.1.3 D3 T46: a client that hangs up while the re-start is pending, and comes again, is in one session of the group',
  async (t) => {
    const {pf, focus, group, bob, session, conference} = await handedOver(t);
    t.is(await session.end(), 200);
    await pf.pf.log.first(stays);
    const held = holding(focus);
    const first = await bob.startGroup(groupUri(pf), ids);
    const {answer} = await held.first();
    t.is(await first.end(), 200);
    await pf.pf.log.atLeast(2, stays);
    const second = await bob.startGroup(groupUri(pf), ids);
    answer();
    const again = await focus.conferences.first((each) => each !== conference);
    t.true((await second.sendText('here I am')).accepted);
    t.deepEqual(saidByBob(again), ['here I am']);
    t.is(invitesOfBob(group).length, 1);
  },
);

test.serial(
  '8.2.2.3 C11: who had left, came again, and leaves while the focus is asked, is not in the group, and nobody starts it again',
  async (t) => {
    const group = await inGroup(t);
    const {pf, focus, bob, bobs} = group;
    t.is(await bobs.end(completed), 200);
    await until(async () => (await standing(pf)) === 'left');
    const held = holding(focus);
    const again = await bob.startGroup(groupUri(pf), ids);
    const {answer} = await held.first();
    t.is(await again.end(completed), 200);
    await pf.pf.log.atLeast(2, leaves);
    answer(404);
    await pf.pf.log.first(({msg}) => msg === 'the focus does not take the user into the group');
    await nothingIsLeft(pf);
    t.is(await standing(pf), 'left');
    t.is(invitesOfBob(group).length, 1);
  },
);

test.serial(
  '8.2.2.3 C11: who leaves while the PF asks to be let in again is not in the group, though the focus says 200',
  async (t) => {
    const {pf, focus, conference, bobs} = await inGroup(t, {focus: {keepsForAbsent: true}});
    const held = holding(focus);
    bobIn(conference)?.msrp.connection?.destroy();
    const {answer} = await held.first();
    t.is(await bobs.end(completed), 200);
    await pf.pf.log.first(leaves);
    answer();
    await until(() => Promise.resolve(!conference.isMember(bobAddress)));
    await until(async () => ((await pf.status()) as {load: {sessions: number}}).load.sessions === 0);
    t.is(await standing(pf), 'left');
  },
);

test.serial(
  '8.3.2.9.1.2 C10 T44: a group that ends while its delivery rings is not asked for when the client answers',
  async (t) => {
    t.timeout(60_000);
    const group = await groupDeployment(t, {focus: {keepsForAbsent: true}});
    const {pf} = group;
    const {conference, carols} = await group.begin();
    await isMissed(pf, carols, ['one']);
    const {bob, delivery} = await rung(pf);
    await conference.end(inactivity);
    const before = pf.pf.log.items.filter(runHasEnded).length;
    await delivery.accept();
    await bob.messages.first();
    // Everything that a registration makes the PF do is done.
    await pf.pf.log.atLeast(before + 1, runHasEnded);
    t.is(invitesOfBob(group).length, 0);
    t.is(await standing(pf), 'inactive');
  },
);

test.serial(
  '8.2.2.3 C11 T6: the session timer of a member’s client runs out: he has not left the group, and what he did not take waits',
  async (t) => {
    t.timeout(60_000);
    const {pf, begin} = await groupDeployment(t, {focus: {keepsForAbsent: true}});
    const {conference, carols} = await begin();
    await isMissed(pf, carols, ['one', 'two', 'three']);
    const bob = await pf.bob({
      notifications: 'none',
      behaviour: {answer: ({body}) => (body === undefined || body.length === 0 ? 200 : 'silent')},
    });
    bob.onInvitation = (invitation) => void invitation.accept([['Session-Expires', '3;refresher=uas']]);
    await pf.register(bob);
    await bob.sessions.first();
    await pf.pf.log.first(stays, 20_000);
    t.is(await standing(pf), 'active');
    t.true(conference.isMember(bobAddress));
    t.like(await pf.status(), {ledger: {pending: 3, dropped: 0}});
  },
);

test.serial(
  '8.2.2.7: a second invitation of the focus that nobody acknowledges leaves the PF in the group, and it comes back when the first is lost',
  async (t) => {
    const {pf, focus, call} = await withRawGroup(t, {config: impatientServer});
    t.timeout(90_000);
    const values = {branch: 'second', callId: 'second-call', ...ids, msrpPort: '9', msrpSession: 'peer'};
    const step = /;step=\d+/.exec(pf.core.terminatingRoute)?.[0] ?? '';
    const server = `${pf.core.uri.replace(/^sip:|;.*$/g, '')}${step}`;
    const {head, body} = groupFixture('invite-list-first', {peer: focus.sip.address, pf: server, ...values});
    focus.sip.send(head, body);
    await pf.pf.log.first(({msg}) => msg === 'the focus was gone before the session stood', 40_000);
    t.is(await standing(pf), 'active');
    call.msrp.destroy();
    const invite = await focus.sip.next('INVITE');
    t.is(invite.header('Contribution-ID'), ids.contributionId);
  },
);

test.serial(
  '8.2.2.7: a focus that does not answer the BYE, its host is gone, is asked for the group all the same',
  async (t) => {
    const {pf, focus, call} = await withRawGroup(t);
    call.msrp.destroy();
    await focus.sip.next('BYE');
    await focus.sip.next('INVITE');
    t.is(await standing(pf), 'active');
  },
);
