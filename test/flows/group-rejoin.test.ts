/** CPM-CF 8.3.2.9.1.3: a member's client comes again into his group by itself. */
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {headerOf} from '../../lib/codecs/sip-message.ts';
import {keyOf} from '../../lib/controlling-function/conference.ts';
import {Inbox} from '../../lib/phone/inbox.ts';
import {Refused, type ChatInvitation, type Phone, type PhoneEvent} from '../../lib/phone/phone.ts';
import {bobAddress, type Deployment, type DeploymentOptions} from '../support/deployment.ts';
import {
  bobWasThere,
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
  usualWrappedTypes,
} from '../support/group-deployment.ts';
import {until} from '../support/persistent-sender.ts';
import {rawSip} from '../support/raw-sip.ts';

const elsewhere = 'SIP;cause=200;text="Call completed elsewhere"';
const texts = ['one', 'two', 'three'];
const joined = 'a client is joined with his group';
const notTaken = 'a group delivery was not taken; its messages stay queued';

const textsOf = ({messages}: Phone): readonly string[] => messages.items.map(({text}) => text);

/** The core knows the phone, and has not told the PF of it. */
async function untold({core}: Deployment, phone: Phone): Promise<void> {
  const {pf} = core;
  core.pf = undefined;
  await phone.register();
  core.pf = pf;
}

const nothingWaits = async (pf: Deployment): Promise<void> =>
  until(async () => {
    const {ledger} = (await pf.status()) as {ledger: Record<string, number>};
    return ledger['pending'] === 0;
  });

async function missed(t: ExecutionContext, options: DeploymentOptions = {}) {
  t.timeout(90_000);
  const group = await groupDeployment(t, {...options, focus: {keepsForAbsent: true}});
  const {conference, carols, identity} = await bobWasThere(group);
  await isMissed(group.pf, carols, texts);
  return {...group, group, conference, carols, identity};
}

test.serial(
  '8.3.2.9.1.3 D1 D5 T52: a re-join before the registration is told gets what waits of an active group, and the group after it; the registration then brings nothing',
  async (t) => {
    const {pf, carol, carols, dave, identity, group} = await missed(t);
    const bob = await pf.bob();
    await untold(pf, bob);
    const session = await bob.startGroup(identity, ids);
    await pf.pf.log.atLeast(2, ({msg}) => msg === joined);
    await carols.sendText('live');
    await bob.messages.first(({text}) => text === 'live');
    t.deepEqual(textsOf(bob), [...texts, 'live']);
    await session.sendText('from Bob');
    await carol.messages.first(({text}) => text === 'from Bob');
    await dave.messages.first(({text}) => text === 'from Bob');
    await nothingWaits(pf);
    await pf.register(bob);
    await carols.sendText('after it');
    await bob.messages.first(({text}) => text === 'after it');
    t.is(bob.repetitions.items.length, 0);
    t.is(bob.sessions.items.length, 1);
    t.false(bob.requests.items.some(({method}) => method === 'INVITE'));
    // The PF was in it all the time.
    t.is(invitesOfBob(group).length, 0);
    t.is(headerOf(session.call.response, 'Contribution-ID'), ids.contributionId);
    t.regex(headerOf(session.call.response, 'Contact') ?? '', /;isfocus/);
  },
);

test.serial(
  '8.3.2.9.1.3 D1 D5: a re-join by the identity that the focus itself gave comes to the PF with the user’s other requests, and is joined',
  async (t) => {
    const {pf, conference, carols, group} = await missed(t, {core: {cases: ['orig', 'term']}});
    const bob = await pf.bob();
    await untold(pf, bob);
    await bob.startGroup(conference.identity, ids);
    await pf.pf.log.atLeast(2, ({msg}) => msg === joined);
    await carols.sendText('live');
    await bob.messages.first(({text}) => text === 'live');
    t.deepEqual(textsOf(bob), [...texts, 'live']);
    t.is(invitesOfBob(group).length, 0);
  },
);

test.serial(
  '8.3.2.9.1.3 D1 D3: a re-join by a URI of the PF from before it had another address brings what waits, and starts the group again at its focus',
  async (t) => {
    const {pf, focus, conference} = await missed(t, {core: {cases: ['orig', 'term']}});
    await conference.end(inactivity);
    const bob = await pf.bob();
    await untold(pf, bob);
    await bob.startGroup(groupUri({uri: 'sip:127.0.0.1:9;transport=tcp'}), ids);
    await focus.conferences.first((each) => each !== conference);
    await bob.messages.first(({text}) => text === 'three');
    t.deepEqual(textsOf(bob), texts);
  },
);

/** He is rung by the delivery that his registration has set off, and has not answered. */
async function rung(pf: Deployment, options: Parameters<Deployment['bob']>[0] = {}) {
  const bob = await pf.bob(options);
  const invitations = new Inbox<ChatInvitation>('invitation');
  bob.onInvitation = (invitation) => {
    invitation.ring();
    invitations.push(invitation);
  };
  await pf.register(bob);
  return {bob, invitation: await invitations.first(), invitations};
}

// A proxy on the way of our own INVITE would send a CANCEL of its own.
const alone = {core: {handBack: false}, config: {cpm: {deliveryRetrySeconds: [1]}, sip: {inviteSeconds: 20}}};

for (const standing of ['active', 'inactive'] as const) {
  test.serial(
    `8.3.2.9.1.3 D1 T52: a re-join while the delivery of an ${standing} group rings: the delivery is cancelled, its 487 is no failure, and all comes once`,
    async (t) => {
      const {pf, conference, focus} = await missed(t, alone);
      if (standing === 'inactive') await conference.end(inactivity);
      const {bob, invitation, invitations} = await rung(pf);
      const session = await bob.startGroup(groupUri(pf), ids);
      t.is(await invitation.cancelled, elsewhere);
      await bob.messages.first(({text}) => text === 'three');
      await nothingWaits(pf);
      t.deepEqual(textsOf(bob), texts);
      t.true(bob.messages.items.every((message) => message.session === session));
      await session.sendText('from Bob');
      const current = standing === 'active' ? conference : await focus.conferences.first((each) => each !== conference);
      await current.messages.first(({from}) => from === keyOf(bobAddress));
      t.true(saidByBob(current).includes('from Bob'));
      t.is(bob.repetitions.items.length, 0);
      t.is(invitations.items.length, 1);
      t.false(pf.pf.log.items.some(({msg}) => msg === notTaken));
    },
  );
}

test.serial(
  '8.3.2.9.1.3 D1 T52: a re-join while a delivery session runs takes its place, and what was not acknowledged goes over the new one',
  async (t) => {
    const {pf, carols} = await missed(t, alone);
    const state = {silent: true};
    const bob = await pf.bob({behaviour: {answer: () => (state.silent ? 'silent' : 200)}});
    await pf.register(bob);
    const older = await bob.sessions.first();
    await older.msrp.frames.first(({body}) => body !== undefined && body.length > 0);
    state.silent = false;
    const session = await bob.startGroup(groupUri(pf), ids);
    t.deepEqual(await older.ended, {by: 'peer', reason: elsewhere});
    await bob.messages.first(({text}) => text === 'three');
    await carols.sendText('live');
    await bob.messages.first(({text}) => text === 'live');
    t.deepEqual(textsOf(bob), [...texts, 'live']);
    t.true(bob.messages.items.every((message) => message.session === session));
    t.is(bob.repetitions.items.length, 0);
    await nothingWaits(pf);
  },
);

test.serial(
  '8.3.2.9.1.3 D2 D3: a re-join of an inactive group brings the last participants first, then what waits, and starts the group again at once',
  async (t) => {
    const {pf, focus, conference, carols, group, carol} = await missed(t, {config: {cpm: {groupData: true}}});
    conference.setSubject('Dinner', carolAddress);
    await pf.pf.log.first(({msg}) => msg === 'a change of a group is kept for its user');
    await isMissed(pf, carols, ['four']);
    await conference.end(inactivity);
    const order: string[] = [];
    const bob = await pf.bob({
      trace: (event: PhoneEvent) => {
        if (event.kind === 'group-state') order.push(`state ${event.message.state.subject?.text ?? ''}`);
        if (event.kind === 'received') order.push(event.message.text);
      },
    });
    await untold(pf, bob);
    await bob.startGroup(groupUri(pf), ids);
    const again = await focus.conferences.first((each) => each !== conference);
    await bob.messages.first(({text}) => text === 'four');
    t.deepEqual(order, ['state Dinner', ...texts, 'state Dinner', 'four']);
    const [first, second] = bob.groupStates.items;
    t.deepEqual(
      first?.state.participants.map(({address}) => address).sort(),
      [bobAddress, carolAddress, daveAddress].sort(),
    );
    t.is(first?.state.lastFocusSessionId.replace(/;transport=tcp/, ''), groupUri(pf).replace(/;transport=tcp/, ''));
    t.truthy(first?.messageId);
    t.not(first?.messageId, second?.messageId);
    t.is(invitesOfBob(group).length, 1);
    // He has said nothing: the group stands again because he came.
    t.deepEqual(
      saidByBob(again).filter((text) => !text.includes('<imdn')),
      [],
    );
    await carol.sessions.atLeast(2);
    await carol.sessions.items.at(-1)?.sendText('live');
    await bob.messages.first(({text}) => text === 'live');
  },
);

for (const [what, phone, states] of [
  ['whose offer does not name their type', {media: {acceptWrappedTypes: usualWrappedTypes}}, 1],
  ['who answers it 415', {behaviour: {answer: ({body}) => (body?.includes('<groupstate') ? 415 : 200)}}, 0],
] as const satisfies readonly (readonly [string, Parameters<Deployment['bob']>[0], number])[])
  test.serial(
    `8.3.2.9.1.3 D2: the last participants are sent even to a client ${what}, whatever he says of it; what waits comes behind`,
    async (t) => {
      const {pf, focus, conference} = await missed(t);
      await conference.end(inactivity);
      const bob = await pf.bob(phone);
      await untold(pf, bob);
      const session = await bob.startGroup(groupUri(pf), ids);
      await bob.messages.first(({text}) => text === 'three');
      t.deepEqual(textsOf(bob), texts);
      t.is(bob.groupStates.items.length, states);
      await session.sendText('from Bob');
      const again = await focus.conferences.first((each) => each !== conference);
      await until(() => Promise.resolve(saidByBob(again).includes('from Bob')));
      const isRefusal = ({msg}: {readonly msg?: string}) =>
        msg === 'a Group State Object that a client is owed was not taken';
      if (states === 1) t.false(pf.pf.log.items.some(isRefusal));
      else t.is((await pf.pf.log.first(isRefusal))['outcome'], 'MSRP 415');
      t.false(bob.requests.items.some(({method}) => method === 'MESSAGE'));
    },
  );

for (const status of [403, 404]) {
  test.serial(
    `8.3.2.9.1.3 D2 D3: a re-start refused with ${status} upon a re-join: what waits has come all the same, then BYE cause ${status}`,
    async (t) => {
      const {pf, focus, conference} = await missed(t);
      await conference.end(inactivity);
      focus.refuses = ({kind}) => (kind === 'restart' ? status : undefined);
      const bob = await pf.bob({notifications: 'message'});
      await untold(pf, bob);
      const session = await bob.startGroup(groupUri(pf), ids);
      t.deepEqual(await session.ended, {by: 'peer', reason: `SIP;cause=${status}`});
      t.deepEqual(textsOf(bob), texts);
      t.is(bob.groupStates.items.length, 1);
    },
  );
}

/** Where re-starts go that a focus does not take: nobody may ask there for a group that is over. */
const withFactory = {config: {cpm: {conferenceFactory: 'sip:conference-factory@home.example'}}};

for (const [where, options] of [
  ['its focus', {}],
  ['a conference factory', withFactory],
] as const)
  test.serial(
    `8.3.2.9.1.3 D3 B4: a group that its focus has ended for good, 410, is not started again at ${where} by a re-join: what waits, then BYE cause 410`,
    async (t) => {
      const {pf, conference, group} = await missed(t, options);
      await conference.end([['Reason', 'SIP;cause=410;text="Gone"']]);
      const bob = await pf.bob({notifications: 'message'});
      await untold(pf, bob);
      const session = await bob.startGroup(groupUri(pf), ids);
      t.deepEqual(await session.ended, {by: 'peer', reason: 'SIP;cause=410'});
      t.deepEqual(textsOf(bob), texts);
      t.deepEqual(invitesOfBob(group), []);
    },
  );

test.serial(
  '8.3.2.9.1.3 D3 B4: an INVITE of the client to the factory for a group that was ended for good gets 410; the next invitation of a focus brings him in again',
  async (t) => {
    const {pf, focus, conference, group, carol} = await missed(t, {core: {cases: ['orig', 'term']}});
    await conference.end([['Reason', 'SIP;cause=410;text="Gone"']]);
    await pf.pf.log.first(({msg}) => msg === 'the network ends a group session');
    const bob = await pf.bob({notifications: 'message'});
    await untold(pf, bob);
    const begun = bob.startGroup(focus.factory, {...ids, members: [carolAddress]});
    const refused = await t.throwsAsync(begun, {instanceOf: Refused});
    t.is(refused.response.status, 410);
    t.deepEqual(invitesOfBob(group), []);
    await pf.register(bob);
    const again = await focus.create({...ids, members: [carolAddress, bobAddress]});
    const session = await bob.sessions.first();
    await pf.pf.log.atLeast(2, ({msg}) => msg === joined);
    t.true((await session.sendText('from Bob')).accepted);
    await carol.messages.first(({text}) => text === 'from Bob');
    t.true(saidByBob(again).includes('from Bob'));
  },
);

test.serial(
  '8.2.2.7: the INVITE of a client who left his group asks the conference that stands for him, without a list; what its focus says he is told',
  async (t) => {
    const {pf, group, identity} = await missed(t);
    const bob = await pf.bob({notifications: 'message'});
    await untold(pf, bob);
    const session = await bob.startGroup(identity, ids);
    await bob.messages.first(({text}) => text === 'three');
    await pf.pf.log.atLeast(2, ({msg}) => msg === joined);
    t.is(await session.end('SIP;cause=200;text="Call completed"'), 200);
    await until(async () => (await knownGroup(pf, bobAddress, ids.contributionId))?.standing === 'left');
    const refused = await bob.startGroup(identity, ids);
    t.deepEqual(await refused.ended, {by: 'peer', reason: 'SIP;cause=403'});
    t.deepEqual(
      invitesOfBob(group).map((request) => headerOf(request, 'Require')),
      [undefined],
    );
    t.is((await knownGroup(pf, bobAddress, ids.contributionId))?.standing, 'left');
  },
);

test.serial(
  '8.3.2.9.1.3 D4 T50: what the client says while the re-start upon his re-join fails is told to have failed, before the BYE',
  async (t) => {
    const {pf, focus, conference} = await missed(t);
    await conference.end(inactivity);
    let hasSpoken: () => void = () => undefined;
    const spoken = new Promise<void>((resolve) => (hasSpoken = resolve));
    focus.refuses = async ({kind}) => {
      if (kind !== 'restart') return undefined;
      await spoken;
      return 403;
    };
    const bob = await pf.bob({notifications: 'none'});
    await untold(pf, bob);
    const session = await bob.startGroup(groupUri(pf), ids);
    const saying = Promise.all(['a', 'b', 'c'].map(async (text) => session.sendText(text)));
    // It is answered behind them: they are at the relay.
    t.is(await session.msrp.ping(), 200);
    hasSpoken();
    const said = await saying;
    t.true(said[0]?.accepted === true && said[0].notified.join() === 'failed');
    t.deepEqual(await session.ended, {by: 'peer', reason: 'SIP;cause=403'});
    for (const {notified, accepted} of said) t.true(accepted ? notified.join() === 'failed' : notified.length === 0);
    t.deepEqual(textsOf(bob), texts);
  },
);

test.serial('8.3.2.9.1.3 D1: a re-join of a group that is not known gets 404', async (t) => {
  t.timeout(60_000);
  const {pf} = await groupDeployment(t);
  const bob = await pf.bob();
  await pf.register(bob);
  const unknown = {conversationId: 'Conv-Unknown', contributionId: 'Contr-Unknown'};
  const refused = await t.throwsAsync(bob.startGroup(groupUri(pf, unknown), unknown), {instanceOf: Refused});
  t.is(refused.response.status, 404);
});

test.serial('8.3.2.9.1.3 D1: a group of somebody else gets 404', async (t) => {
  t.timeout(60_000);
  const {pf, begin} = await groupDeployment(t);
  await begin();
  const other = await pf.phone('sip:+15550109@home.example;user=phone');
  await pf.register(other);
  const refused = await t.throwsAsync(other.startGroup(groupUri(pf), ids), {instanceOf: Refused});
  t.is(refused.response.status, 404);
});

test.serial('8.3.2.9.1.3 D1: a client that is gone before its ACK leaves everything as it was', async (t) => {
  const {pf, carols, group} = await missed(t);
  const phone = await pf.bob();
  const raw = await rawSip({server: pf.core.uri.replace(/^sip:|;.*$/g, ''), transport: 'tcp', tag: 'gone'});
  t.teardown(async () => raw.close());
  const sdp = [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    'm=message 9 TCP/MSRP *',
    'a=path:msrp://127.0.0.1:9/gone;tcp',
    'a=setup:active',
    'a=accept-types:message/cpim',
    'a=sendrecv',
    '',
  ].join('\r\n');
  const request = (method: string, target: string, to: string, more: readonly string[]): string =>
    [
      `${method} ${target} SIP/2.0`,
      `Via: SIP/2.0/TCP ${raw.address};branch=z9hG4bK${method}`,
      'Max-Forwards: 70',
      `From: <${bobAddress}>;tag=gone`,
      `To: ${to}`,
      'Call-ID: gone-before-ack',
      `CSeq: ${method === 'INVITE' ? 1 : 2} ${method}`,
      ...more,
    ].join('\n');
  raw.send(
    request('INVITE', groupUri(pf), `<${groupUri(pf)}>`, [
      `Contact: <sip:bob@${raw.address};transport=tcp>`,
      'Accept-Contact: *;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"',
      `Conversation-ID: ${ids.conversationId}`,
      `Contribution-ID: ${ids.contributionId}`,
      'Content-Type: application/sdp',
    ]),
    sdp,
  );
  const ok = await raw.next('SIP/2.0 200');
  const target = /<([^>]+)>/.exec(ok.header('Contact'))?.[1] ?? '';
  const routes = ok
    .headers('Record-Route')
    .flatMap((value) => value.split(/,\s*(?=<)/))
    .reverse()
    .map((value) => `Route: ${value}`);
  raw.send(request('BYE', target, ok.header('To'), routes));
  await pf.pf.log.first(({msg}) => msg === 'a client that came again was gone before the session stood', 40_000);
  await isMissed(pf, carols, ['four']);
  await pf.register(phone);
  await phone.messages.first(({text}) => text === 'four');
  t.deepEqual(textsOf(phone), [...texts, 'four']);
  t.is(invitesOfBob(group).length, 0);
});
