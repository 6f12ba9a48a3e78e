/** CPM-CF 8.3.2.9.1.2 C10: a group that is over is started again when its member says something, and only then. */
import {createServer} from 'node:net';
import {once} from 'node:events';
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {resourceListsIn} from '../../lib/codecs/resource-lists.ts';
import {headerOf, type SipRequest} from '../../lib/codecs/sip-message.ts';
import {keyOf} from '../../lib/controlling-function/conference.ts';
import type {HeaderList} from '../../lib/phone/call.ts';
import type {ChatSession} from '../../lib/phone/chat-session.ts';
import type {Phone} from '../../lib/phone/phone.ts';
import {bobAddress, type DeploymentOptions} from '../support/deployment.ts';
import {
  largeGroup,
  soManyAreKnown,
  carolAddress,
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
import {until} from '../support/persistent-sender.ts';

/** The group is over, and Bob has got what he missed in a session that stands; he has said nothing yet, no notification either. */
async function handedOver(t: ExecutionContext, options: DeploymentOptions = {}, end: HeaderList = inactivity) {
  t.timeout(90_000);
  const group = await groupDeployment(t, {...options, focus: {keepsForAbsent: true}});
  const {pf, begin} = group;
  const {conference, carols} = await begin();
  await isMissed(pf, carols, ['one', 'two']);
  await conference.end(end);
  const bob = await pf.bob({notifications: 'none'});
  await pf.register(bob);
  await bob.messages.first(({text}) => text === 'two');
  const session = await bob.sessions.first();
  return {...group, group, conference, bob, session};
}

for (const [what, says, first] of [
  ['a chat message', async (session: ChatSession) => session.sendText('three'), /three$/],
  ['isComposing', async (session: ChatSession) => session.sendComposing('active'), /isComposing/],
  [
    'a disposition notification',
    async (_: ChatSession, bob: Phone) => {
      const [message] = bob.messages.items;
      if (message !== undefined) await bob.notify(message, 'displayed');
    },
    /<displayed/,
  ],
] as const) {
  test.serial(
    `8.3.2.9.1.2 C10 T45: ${what} of the client starts an inactive group again, and is the first that the group hears`,
    async (t) => {
      const {focus, group, bob, session, conference} = await handedOver(t);
      t.is(invitesOfBob(group).length, 0);
      await says(session, bob);
      const again = await focus.conferences.first((each) => each !== conference);
      await again.messages.first(({bytes}) => first.test(bytes.toString()));
      const text = await session.sendText('after it');
      t.true(text.accepted);
      await again.messages.first(({bytes}) => bytes.equals(text.bytes));
      const [heard, next, ...more] = again.messages.items.filter(({from}) => from === keyOf(bobAddress));
      t.regex(heard?.bytes.toString() ?? '', first);
      t.true(next?.bytes.equals(text.bytes));
      t.deepEqual(more, []);
      t.is(invitesOfBob(group).length, 1);
      t.is(bob.repetitions.items.length, 0);
    },
  );
}

test.serial(
  '8.3.2.9.1.2 C10 T44: neither a registration nor a keep-alive nor the 200 to a message starts an inactive group again',
  async (t) => {
    const {pf, focus, group, bob, session, conference} = await handedOver(t);
    t.is(await session.msrp.ping(), 200);
    await pf.register(bob);
    t.is(await session.msrp.ping(), 200);
    t.is(invitesOfBob(group).length, 0);
    t.is(bob.sessions.items.length, 1);
    // Had any of it started the group, there would be an earlier INVITE.
    await session.sendText('three');
    const again = await focus.conferences.first((each) => each !== conference);
    t.deepEqual(saidByBob(again), ['three']);
    t.is(invitesOfBob(group).length, 1);
  },
);

test.serial(
  '8.3.2.9.1.2 C10 T46: the re-start has the ids, the Subject and the participants of the group; the new session identity is the one of the next re-start',
  async (t) => {
    const {pf, focus, group, carol, session, conference, bob} = await handedOver(t);
    await session.sendText('three');
    await carol.messages.first(({text}) => text === 'three');
    const again = await focus.conferences.first((each) => each !== conference);
    const [restart] = invitesOfBob(group);
    if (restart === undefined) return t.fail();
    t.is(restart.uri, conference.identity);
    t.is(headerOf(restart, 'Conversation-ID'), ids.conversationId);
    t.is(headerOf(restart, 'Contribution-ID'), ids.contributionId);
    t.is(headerOf(restart, 'Subject'), 'Lunch');
    t.is(headerOf(restart, 'Require'), 'recipient-list-invite');
    const list = resourceListsIn(headerOf(restart, 'Content-Type') ?? '', restart.body);
    t.deepEqual(list?.entries.map(({uri}) => uri).sort(), [carolAddress, daveAddress]);
    await until(() => Promise.resolve(again.events.subscribers.includes(keyOf(bobAddress))));
    // Joined: the group is heard, too.
    const carols = carol.sessions.items.at(-1);
    await carols?.sendText('four');
    await bob.messages.first(({text}) => text === 'four');

    await again.end(inactivity);
    t.is((await session.ended).reason, 'SIP;cause=480;text="Bearer unavailable"');
    t.not(again.identity, conference.identity);
    const rejoined = await bob.startGroup(groupUri(pf), ids);
    await rejoined.sendText('five');
    const third = await focus.conferences.first((each) => each !== conference && each !== again);
    t.deepEqual(saidByBob(third), ['five']);
    t.is(invitesOfBob(group).at(-1)?.uri, again.identity);
    t.is(headerOf(invitesOfBob(group).at(-1) ?? restart, 'Contribution-ID'), ids.contributionId);
  },
);

for (const [what, groupData, subject] of [
  ['has its new name where members may change it', true, 'Dinner'],
  ['keeps its first name where they may not', false, 'Lunch'],
] as const)
  test.serial(`8.3.2.9.1.2 C10 T46: the re-start of a group that was renamed ${what}`, async (t) => {
    t.timeout(90_000);
    const group = await groupDeployment(t, {config: {cpm: {groupData}}, focus: {keepsForAbsent: true}});
    const {pf, focus, carol} = group;
    const {conference, carols} = await group.begin();
    conference.setSubject('Dinner', carolAddress);
    await until(
      async () => (await knownGroup(pf, bobAddress, ids.contributionId))?.conference.description.subject === 'Dinner',
    );
    await isMissed(pf, carols, ['one']);
    await conference.end(inactivity);
    const bob = await pf.bob({notifications: 'none'});
    await pf.register(bob);
    const {session} = await bob.messages.first(({text}) => text === 'one');
    t.true((await session.sendText('two')).accepted);
    const [restart] = invitesOfBob(group);
    t.is(restart && headerOf(restart, 'Subject'), subject);
    const again = await focus.conferences.first((each) => each !== conference);
    t.is(again.description.subject, subject);
    t.is((await carol.sessions.first((each) => each !== carols)).group?.subject, subject);
  });

/** A group too large for the list in an INVITE is over, and Bob's client has got what he missed. */
async function largeGroupOver(t: ExecutionContext) {
  t.timeout(90_000);
  const group = await groupDeployment(t, {focus: {keepsForAbsent: true}});
  const {pf, focus} = group;
  const {conference, members, carols} = await largeGroup(group, 39);
  await isMissed(pf, carols, ['one']);
  await conference.end(inactivity);
  const bob = await pf.bob({notifications: 'none'});
  await pf.register(bob);
  const {session} = await bob.messages.first(({text}) => text === 'one');
  const refers = () => focus.requests.items.filter(({method}) => method === 'REFER');
  const named = (request: SipRequest | undefined): readonly string[] =>
    (request === undefined
      ? undefined
      : resourceListsIn(headerOf(request, 'Content-Type') ?? '', request.body)
    )?.entries.map(({uri}) => uri) ?? [];
  const restarted = async () => {
    t.true((await session.sendText('two')).accepted);
    return focus.conferences.first((each) => each !== conference);
  };
  return {...group, group, members, refers, named, restarted};
}

test.serial(
  '8.2.2.7 C10: a re-start names as many participants as have room in its INVITE, and invites the rest by REFER before the first message goes on',
  async (t) => {
    const {pf, carol, members, group, refers, named, restarted} = await largeGroupOver(t);
    const again = await restarted();
    const first = named(invitesOfBob(group)[0]);
    t.true(first.length > 10 && first.length < members.length - 1, String(first.length));
    t.false(first.includes(carolAddress));
    await carol.messages.first(({text}) => text === 'two');
    t.deepEqual([...first, ...refers().flatMap(named)].sort(), members.filter((each) => each !== bobAddress).sort());
    for (const request of refers()) {
      t.is(headerOf(request, 'Require'), 'multiple-refer');
      t.is(headerOf(request, 'Refer-Sub'), 'false');
      t.is(headerOf(request, 'Refer-To')?.replace(/^<cid:|>$/g, ''), headerOf(request, 'Content-ID')?.slice(1, -1));
    }

    t.is(again.members.size, members.length);
    await soManyAreKnown(pf, members.length);
    t.false(pf.pf.log.items.some(({level, clause}) => level === 'warn' && clause === 'CPM-CF 8.2.2.7'));
  },
);

test.serial('8.2.2.7 C10: a focus that knows no list in a REFER, 420, gets one for each of the rest', async (t) => {
  const {focus, members, group, refers, named, restarted} = await largeGroupOver(t);
  focus.refusesRefer = (request) => (headerOf(request, 'Require') === 'multiple-refer' ? 420 : undefined);
  const again = await restarted();
  const first = named(invitesOfBob(group)[0]);
  await until(() => Promise.resolve(again.members.size === members.length));
  const singly = refers().filter((request) => headerOf(request, 'Require') === undefined);
  t.is(singly.length, members.length - 1 - first.length);
});

test.serial(
  '8.2.2.7 C10: a focus that refuses the REFER: the log says how many are missing, and the group goes on',
  async (t) => {
    const {pf, focus, members, group, named, restarted} = await largeGroupOver(t);
    focus.refusesRefer = () => 405;
    const again = await restarted();
    await again.messages.first();
    t.deepEqual(saidByBob(again), ['two']);
    const warned = await pf.pf.log.first(({msg}) => msg === 'a group is started again without all of its participants');
    t.is(warned['missing'], members.length - 1 - named(invitesOfBob(group)[0]).length);
  },
);

test.serial(
  '8.2.2.7 C10: a focus that takes its time over the REFER does not keep what the client said waiting for longer than a while',
  async (t) => {
    const {focus, members, restarted} = await largeGroupOver(t);
    let answer: (status: undefined) => void = () => undefined;
    const held = new Promise<undefined>((resolve) => {
      answer = resolve;
    });
    focus.refusesRefer = () => held;
    const again = await restarted();
    t.deepEqual(saidByBob(again), ['two']);
    t.true(again.members.size < members.length);
    answer(undefined);
    await until(() => Promise.resolve(again.members.size === members.length));
  },
);

/** Everything that the client said gets word of its failure, in the session, before the BYE with the focus's own status. */
async function fails(t: ExecutionContext, bob: Phone, session: ChatSession, cause: number): Promise<void> {
  const sent = await Promise.all(['three', 'four', 'five'].map(async (text) => session.sendText(text)));
  t.deepEqual(await session.ended, {by: 'peer', reason: `SIP;cause=${cause}`});
  for (const message of sent) t.deepEqual(message.notified, ['failed'], message.bytes.toString());
  t.true(bob.notifications.items.every(({via}) => via === 'session'));
}

for (const status of [403, 404, 480, 500]) {
  test.serial(
    `8.3.2.9.1.3 D3 D4 T50: where the focus answers ${status} to the re-start, each message of the client is told to have failed, then BYE cause ${status}`,
    async (t) => {
      const {focus, group, bob, session} = await handedOver(t);
      focus.refuses = ({kind}) => (kind === 'restart' ? status : undefined);
      await fails(t, bob, session, status);
      t.is(invitesOfBob(group).length, 1);
    },
  );
}

test.serial(
  '8.3.2.9.1.3 D3 D4 B4: what a client says to a group that was ended for good, 410, starts nothing at focus or factory; he is told 410',
  async (t) => {
    const {group, bob, session} = await handedOver(
      t,
      {config: {cpm: {conferenceFactory: 'sip:conference-factory@home.example'}}},
      [['Reason', 'SIP;cause=410;text="Gone"']],
    );
    await fails(t, bob, session, 410);
    t.deepEqual(invitesOfBob(group), []);
  },
);

test.serial('8.3.2.9.1.3 D3 D4 T51: a focus that is silent at the re-start counts as 408', async (t) => {
  const {focus, bob, session} = await handedOver(t, {core: {timers: {t1Ms: 50}}});
  const {port} = focus;
  await focus.close();
  const silent = createServer((socket) => socket.on('error', () => undefined).resume()).listen(port, '127.0.0.1');
  await once(silent, 'listening');
  t.teardown(async () => {
    silent.close();
    await Promise.resolve();
  });
  await fails(t, bob, session, 408);
});

test.serial(
  '8.3.2.9.1.2 C10: a client whose re-start failed comes back by himself, and the group that can be had again is started',
  async (t) => {
    const {pf, focus, conference, bob, session} = await handedOver(t);
    focus.refuses = ({kind}) => (kind === 'restart' ? 503 : undefined);
    await fails(t, bob, session, 503);
    focus.refuses = () => undefined;
    const rejoined = await bob.startGroup(groupUri(pf), ids);
    await rejoined.sendText('again');
    const again = await focus.conferences.first((each) => each !== conference);
    t.deepEqual(saidByBob(again), ['again']);
  },
);
