/** Stories of groups: Alice talks to the controlling function itself, Bob through the PF. */
import {account, added, type Account} from '../phone/ledger.ts';
import type {Conference} from '../controlling-function/conference.ts';
import type {ChatSession} from '../phone/chat-session.ts';
import type {Phone} from '../phone/phone.ts';
import type {Party} from './ladder.ts';
import {bobAddress, type Scenario, type Stage} from './stage.ts';

const parties: readonly Party[] = ['Alice', 'Focus', 'PF', 'Bob'];
const few: readonly string[] = ['Lunch at one?', 'The place by the river.', 'Carol comes, too.'];
const ids = {conversationId: 'lunch-conversation', contributionId: 'lunch'};

interface Begun {
  readonly alice: Phone;
  readonly chat: ChatSession;
  readonly conference: Conference;
}

/** Waits until Bob's side has a session with the focus: what is said before, it forgets. */
const isMember = async (stage: Stage, {changes}: Conference): Promise<unknown> =>
  stage.within(
    changes.first(({member, endpoint}) => member === 'tel:+15550102' && endpoint.status === 'connected'),
    'Bob is a member',
  );

/** Alice begins a group with Bob. */
async function begin(
  stage: Stage,
  where: string,
  options?: Parameters<Stage['controllingFunction']>[0],
): Promise<Begun> {
  const focus = await stage.controllingFunction(options);
  const alice = await stage.phone('Alice');
  await stage.register(alice);
  stage.step(`Alice begins the group "Lunch" with Bob, ${where}`);
  const chat = await alice.startGroup(focus.factory, {...ids, subject: 'Lunch', members: [bobAddress]});
  const conference = await stage.within(focus.conferences.first(), 'the group stands');
  await isMember(stage, conference);
  return {alice, chat, conference};
}

const joined = async (stage: Stage, bob: Phone): Promise<ChatSession> =>
  stage.within(
    bob.sessions.first(({call}) => !call.over),
    'Bob is in the group',
  );

/** Waits until Bob has all that Alice said, and she knows. */
async function arrived(stage: Stage, alice: Phone, bob: Phone): Promise<Account> {
  await stage.heard(bob, alice.sent.items.length);
  await stage.notified(alice, alice.sent.items.length);
  return account(alice.sent.items, bob.messages.items);
}

const group: Scenario = {
  name: 'group',
  title: 'the PF stands in a group for a phone that is off, and hands over what was said',
  parties,
  async play(stage) {
    const {alice, chat} = await begin(stage, 'whose phone is off; the PF joins for him');
    await stage.say(chat, few);
    const bob = await stage.phone('Bob');
    stage.step("Bob's phone is switched on");
    await stage.register(bob);
    await stage.heard(bob, few.length);
    stage.step('he is joined with the living group');
    const answering = await joined(stage, bob);
    await stage.say(chat, ['There you are!']);
    await stage.say(answering, ['See you at one.']);
    await stage.notified(bob, 1);
    return added(await arrived(stage, alice, bob), account(bob.sent.items, alice.messages.items));
  },
};

const rejoin: Scenario = {
  name: 'rejoin',
  title: 'a phone that was cut off comes back into its group before it registers',
  parties,
  async play(stage) {
    const bob = await stage.phone('Bob');
    await stage.register(bob);
    const {alice, chat} = await begin(stage, 'who is there');
    const {group: known} = await joined(stage, bob);
    await bob.close();
    stage.step("Bob's phone loses its network, without a word; the PF stays in the group");
    await stage.say(chat, few);
    const again = await stage.phone('Bob');
    stage.step("Bob's phone is back, and goes to the group at once");
    await again.startGroup(known?.identity ?? '', ids);
    return arrived(stage, alice, again);
  },
};

const removed: Scenario = {
  name: 'bye-410',
  title: 'a member is removed: his session ends with 410, and the last state of the group is stored',
  parties,
  async play(stage) {
    const bob = await stage.phone('Bob');
    await stage.register(bob);
    const {alice, chat, conference} = await begin(stage, 'who is there');
    const session = await joined(stage, bob);
    await stage.say(chat, few);
    const figures = await arrived(stage, alice, bob);
    stage.step('Alice removes Bob from the group');
    await conference.remove(bobAddress, alice.address);
    const {reason = ''} = await stage.within(session.ended, "Bob's session ends");
    if (!reason.includes('410')) throw new Error(`Bob's session ended with ${reason}`);
    const shown = await stage.operator('groups', 'show', bobAddress, ids.contributionId, '--xml');
    if (!/<status>removed<|status="removed"/.test(shown)) throw new Error('the state of the group is not stored');
    return figures;
  },
};

const restart: Scenario = {
  name: 'restart',
  title: 'a group that timed out is handed over, and starts again with the first word of the member',
  parties,
  async play(stage) {
    // Who is invited again may miss what is said meanwhile, unless the focus keeps it.
    const off = 'whose phone is off; the PF joins for him';
    const {alice, chat, conference} = await begin(stage, off, {keepsForAbsent: true});
    await stage.say(chat, few);
    stage.step('nobody says anything for long: the controlling function ends the session');
    await stage.within(conference.settled(), 'the PF has kept everything');
    await conference.end([['Reason', 'SIP;cause=480;text="Bearer unavailable"']]);
    const bob = await stage.phone('Bob', {notifications: 'none'});
    stage.step("Bob's phone is switched on");
    await stage.register(bob);
    await stage.heard(bob, few.length);
    const session = await joined(stage, bob);
    stage.step('Bob answers: the PF starts the group again, and Alice is invited into it');
    await stage.say(session, ['I am late.']);
    await stage.heard(alice, 1);
    await stage.notified(bob, 1);
    return added(account(alice.sent.items, bob.messages.items, []), account(bob.sent.items, alice.messages.items));
  },
};

export const groupScenarios: readonly Scenario[] = [group, rejoin, removed, restart];
