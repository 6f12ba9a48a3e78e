/** The stories that the demo can play, by name; the first one is played when none is named. */
import {account, added, type Account} from '../phone/ledger.ts';
import type {Phone} from '../phone/phone.ts';
import {groupScenarios} from './group-scenarios.ts';
import {bobAddress, type Scenario, type Stage} from './stage.ts';

const texts: readonly string[] = [
  'Hi Bob, are you there?',
  'Grüße aus Zürich – こんにちは, Bob! 🎉',
  // 200 KB.
  'All of it: '.padEnd(200 * 1024, 'the quick brown fox jumps over the lazy dog. '),
  'Your phone seems to be off.',
  'Talk to you later.',
];
const few: readonly string[] = ['One.', 'Two.', 'Three.'];

/** Alice is there, Bob is not; she says something, and hangs up. */
async function leave(stage: Stage, said: readonly string[], why = "Bob's phone is off"): Promise<Phone> {
  const alice = await stage.phone('Alice');
  await stage.register(alice);
  stage.step(`${why}; Alice sends him ${said.length} messages, and hangs up`);
  const chat = await alice.startChat(bobAddress);
  await stage.say(chat, said);
  await chat.end('SIP;cause=200;text="Call completed"');
  return alice;
}

/** He registers: the trigger of the delivery. */
async function switchOn(stage: Stage, bob: Phone, text = "Bob's phone is switched on"): Promise<void> {
  stage.step(text);
  await stage.register(bob);
}

/** Waits until so many messages have come, and their sender knows; gives the figures. */
async function arrived(
  stage: Stage,
  alice: Phone,
  bob: Phone,
  count: number,
  kinds?: readonly string[],
): Promise<Account> {
  await stage.heard(bob, count);
  await stage.notified(alice, count, kinds);
  return account(alice.sent.items, bob.messages.items, kinds);
}

const between = (alice: Phone, bob: Phone): Account => account(alice.sent.items, bob.messages.items);

const whole: Scenario = {
  name: 'whole',
  title: 'off line, a crash of the PF in between, then both are on line and chat',
  async play(stage) {
    const alice = await stage.phone('Alice');
    const bob = await stage.phone('Bob');
    await stage.register(alice);
    stage.step("Bob's phone is off; Alice sends him five messages");
    const chat = await alice.startChat(bobAddress);
    await stage.say(chat, texts);

    await stage.crash();
    const {reason} = await stage.within(chat.ended, "Alice's chat is ended by the new process");
    stage.step(`Alice's chat was ended: ${reason ?? 'no reason given'}`);

    await switchOn(stage, bob);
    await stage.heard(bob, texts.length);
    await stage.notified(alice, texts.length);
    const deferred = await stage.within(
      bob.sessions.first(({deferred: isDeferred}) => isDeferred),
      'the deferred session is there',
    );
    await stage.within(deferred.ended, 'the deferred session ends');

    stage.step('both are on line, and chat');
    const live = await alice.startChat(bobAddress);
    // Where the PF is still busy with the delivery it takes the call for Bob, and rings him when there is a message.
    await stage.say(live, ['You are back!']);
    const answering = await stage.within(
      bob.sessions.first((session) => !session.deferred && !session.call.over),
      'Bob is rung',
    );
    await stage.say(answering, ['Yes, and everything is here.']);
    await stage.say(live, ['In order?']);
    await stage.say(answering, ['In order, and once.']);
    await stage.notified(alice, texts.length + 2);
    await stage.notified(bob, 2);
    await live.end('SIP;cause=200;text="Call completed"');
    await stage.within(answering.ended, "Bob's side of the chat ends");
    return added(between(alice, bob), between(bob, alice));
  },
};

const offline: Scenario = {
  name: 'offline',
  title: 'a phone that is off gets its messages when it is switched on',
  async play(stage) {
    const alice = await leave(stage, texts);
    const bob = await stage.phone('Bob');
    await switchOn(stage, bob);
    return arrived(stage, alice, bob, texts.length);
  },
};

const twoDevices: Scenario = {
  name: 'two-devices',
  title: 'two devices are rung at once; the first one that answers has everything',
  async play(stage) {
    const devices = [await stage.phone('Bob', {}, 'mobile'), await stage.phone('Bob', {}, 'tablet')] as const;
    const [mobile, tablet] = devices;
    for (const device of devices) {
      device.onInvitation = (invitation) => {
        invitation.refuse(480);
      };
      await stage.register(device);
    }
    const alice = await leave(stage, few, 'Bob has two devices, and no time');
    // The mobile lets it ring until the tablet is rung, too, and answers then.
    const rung = new Promise<void>((resolve) => {
      tablet.onInvitation = (invitation) => {
        invitation.ring();
        resolve();
      };
    });
    mobile.onInvitation = (invitation) => {
      invitation.ring();
      void rung.then(() => invitation.accept());
    };
    await switchOn(stage, mobile, "Bob's mobile registers again; both are rung");
    const figures = await arrived(stage, alice, mobile, few.length);
    if (tablet.messages.items.length > 0) throw new Error('the tablet has messages, too');
    return figures;
  },
};

const noImdn: Scenario = {
  name: 'no-imdn',
  title: 'an old client that reports on nothing: the PF tells the sender that his messages are there',
  config: {cpm: {userAgentsWithoutImdn: ['^Old-Phone']}},
  async play(stage) {
    const alice = await leave(stage, few);
    const bob = await stage.phone('Bob', {userAgent: 'Old-Phone/1.0', notifications: 'none'});
    await switchOn(stage, bob, "Bob's old phone is switched on");
    return arrived(stage, alice, bob, few.length, ['delivered']);
  },
};

const notNow: Scenario = {
  name: '480',
  title: 'the phone says 480: everything waits for its next registration',
  async play(stage) {
    const alice = await leave(stage, few);
    const bob = await stage.phone('Bob');
    const refused = new Promise<void>((resolve) => {
      bob.onInvitation = (invitation) => {
        invitation.refuse(480);
        resolve();
      };
    });
    await switchOn(stage, bob, "Bob's phone is switched on, and has no time");
    await stage.within(refused, 'Bob is rung');
    if (bob.messages.items.length > 0) throw new Error('Bob has messages that he refused');
    bob.onInvitation = (invitation) => void invitation.accept();
    await switchOn(stage, bob, "Bob's phone registers again, and has time");
    return arrived(stage, alice, bob, few.length);
  },
};

const crash: Scenario = {
  name: 'crash',
  title: 'the PF is killed while messages wait',
  async play(stage) {
    const alice = await leave(stage, texts);
    await stage.crash();
    const bob = await stage.phone('Bob');
    await switchOn(stage, bob);
    return arrived(stage, alice, bob, texts.length);
  },
};

const hangUp: Scenario = {
  name: 'bye',
  title: 'the phone hangs up in the middle of the delivery, and gets the rest later, once',
  config: {cpm: {sentReofferSeconds: 1}},
  async play(stage) {
    const alice = await leave(stage, texts);
    let taken = 0;
    const bob = await stage.phone('Bob', {behaviour: {answer: () => (++taken > 1 ? 'silent' : 200)}});
    await switchOn(stage, bob, "Bob's phone is switched on, takes one message, and hangs up");
    await stage.heard(bob, 1);
    await stage.notified(alice, 1);
    const session = await stage.within(bob.sessions.first(), 'the session is there');
    await session.end('SIP;cause=200;text="Call completed"');
    await bob.close();

    const again = await stage.phone('Bob');
    await switchOn(stage, again, "Bob's phone is switched on again");
    await stage.within(
      again.messages.first(({text}) => text === texts.at(-1)),
      'the last message is there',
    );
    await stage.notified(alice, texts.length);
    // What he has answered just before he hung up may be offered again, as the same message.
    const first = bob.messages.items.slice(0, 1);
    const rest = again.messages.items.filter(({messageId}) => messageId !== first[0]?.messageId);
    return account(alice.sent.items, [...first, ...rest]);
  },
};

export const scenarios: readonly [Scenario, ...Scenario[]] = [
  whole,
  offline,
  twoDevices,
  noImdn,
  notNow,
  crash,
  hangUp,
  ...groupScenarios,
];
