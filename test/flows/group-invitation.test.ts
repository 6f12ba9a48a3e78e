/** A focus invites a served user; what it tells of the conference; focuses that the simulator did not make. */
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {parseGroupState} from '../../lib/codecs/group-state.ts';
import {isType} from '../../lib/codecs/mime.ts';
import {leafParts} from '../../lib/codecs/multipart.ts';
import {resourceListsIn} from '../../lib/codecs/resource-lists.ts';
import {headerOf, type SipRequest} from '../../lib/codecs/sip-message.ts';
import type {Call} from '../../lib/phone/call.ts';
import {chatMessage, newMessageId} from '../../lib/phone/chat-messages.ts';
import {bobAddress, type Deployment} from '../support/deployment.ts';
import {
  bobIn,
  longAddresses,
  carolAddress,
  daveAddress,
  groupDeployment,
  ids,
  isMissed,
  knownGroup,
  otherIds,
} from '../support/group-deployment.ts';
import {groupFixture} from '../support/group-fixture.ts';
import {inGroup, nothingIsLeft, standing} from '../support/in-group.ts';
import {mongoKind, mongoName, startMongo} from '../support/mongo.ts';
import {until} from '../support/persistent-sender.ts';
import {withRawFocus, type RawFocus} from '../support/raw-focus.ts';
import {recordedBytes, recordedObjects} from '../support/recorded.ts';
import {keyOf} from '../../lib/controlling-function/conference.ts';

const known = async (pf: Deployment): Promise<readonly string[]> => {
  const group = await knownGroup(pf, bobAddress, ids.contributionId);
  return group?.conference.participants.map(({entity}) => entity).sort() ?? [];
};

const knows = async (pf: Deployment, ...addresses: readonly string[]): Promise<void> =>
  until(async () => (await known(pf)).join() === [...addresses].sort().join());

test.serial(
  '8.3.2.1 C12: a client that declines with 603: the focus hears 603, the other device its CANCEL',
  async (t) => {
    t.timeout(60_000);
    const {pf, focus, begin} = await groupDeployment(t);
    const [phone, tablet] = [await pf.bob(), await pf.bob()];
    await pf.register(phone);
    await pf.register(tablet);
    const cancelled = new Promise<string>((resolve) => {
      tablet.onInvitation = (invitation) => {
        invitation.ring();
        void invitation.cancelled.then(() => {
          resolve('CANCEL');
        });
      };
    });
    phone.onInvitation = (invitation) => {
      invitation.refuse(603);
    };
    await begin();
    t.is(await cancelled, 'CANCEL');
    const conference = await focus.conferences.first();
    await conference.changes.first(({endpoint}) => (endpoint.disconnectionInfo?.reason ?? '').includes('603'));
    t.false(conference.isMember(bobAddress));
    await nothingIsLeft(pf);
    t.is(await knownGroup(pf, bobAddress, ids.contributionId), undefined);
  },
);

test.serial(
  '8.3.2.1: a client that is busy is no reason to miss what is said: the PF stands in the group for him',
  async (t) => {
    t.timeout(60_000);
    const {pf, begin} = await groupDeployment(t);
    const bob = await pf.bob();
    await pf.register(bob);
    bob.onInvitation = (invitation) => {
      invitation.refuse(486);
    };
    const {carols} = await begin();
    await pf.pf.log.first(({msg}) => msg === 'the PF stands in a group for its user');
    t.true((await carols.sendText('hello')).accepted);
    await pf.pf.log.first(({msg}) => msg === 'a message is kept for a user who cannot take it now');
  },
);

test.serial(
  '8.3.2.1: the focus gives up while the client rings: he hears CANCEL, the focus 487, and nothing is left',
  async (t) => {
    const {pf, focus} = await withRawFocus(t);
    const bob = await pf.bob();
    await pf.register(bob);
    let cancelled: Promise<unknown> | undefined;
    bob.onInvitation = (invitation) => {
      cancelled = invitation.cancelled;
      invitation.ring();
    };
    const {head, body} = fixtureFor(pf, focus);
    focus.sip.send(head, body);
    await focus.sip.next('SIP/2.0 180');
    const lines = head.split('\r\n');
    const kept = lines.filter((line) => /^(via|max-forwards|route|from|to|call-id):/i.test(line));
    const uri = /^INVITE (\S+)/.exec(head)?.[1] ?? '';
    focus.sip.send([`CANCEL ${uri} SIP/2.0`, ...kept, 'CSeq: 1 CANCEL'].join('\n'));
    await focus.sip.next('SIP/2.0 200');
    const final = await focus.sip.next('SIP/2.0 487');
    t.regex(final.header('CSeq'), /INVITE/);
    await cancelled;
    await nothingIsLeft(pf);
    t.is(await knownGroup(pf, bobAddress, ids.contributionId), undefined);
  },
);

test.serial('RFC 3325 §5: a group invitation of a peer that is not trusted is refused', async (t) => {
  const {pf, focus} = await withRawFocus(t, {config: {sip: {trustedPeers: ['192.0.2.1']}}});
  const {head, body} = fixtureFor(pf, focus);
  focus.sip.send(head, body);
  t.regex((await focus.sip.next('SIP/2.0 4')).startLine, / 403 /);
  await nothingIsLeft(pf);
});

for (const name of ['invite-list-first', 'invite-description-only', 'invite-extension'] as const)
  test.serial(
    `8.3.2.1 C1 B5: a focus of another make (${name}): the PF stands in for the user, knows the group by its notifications, keeps and hands over`,
    async (t) => {
      const {pf, focus} = await withRawFocus(t);
      const call = await focus.invite(name);
      const subscriber = await focus.subscribed();
      t.is(subscriber.request.header('Event') || subscriber.request.header('o'), 'conference');
      // A NOTIFY that overtakes the 200 of its SUBSCRIBE is answered 500 by the SIP server, and counts all the same.
      await subscriber.notify('notify-full');
      const carol = 'sip:+15550103@other.example;user=phone';
      const anna = 'sip:+15550101@home.example;user=phone';
      await knows(pf, 'tel:+15550102', anna, carol);
      const cpim = chatMessage({
        messageId: newMessageId(),
        envelope: {from: `<${anna}>`, to: '<sip:group@other.example>'},
        dispositions: [],
        contentType: 'text/plain',
        content: Buffer.from('hello'),
      });
      t.regex(await call.say('message/cpim', cpim.toString()), /^200/);
      await subscriber.notify('notify-partial');
      await knows(pf, 'tel:+15550102', 'tel:+15550104', carol);
      const bob = await pf.bob({notifications: 'none'});
      await pf.register(bob);
      t.is((await bob.messages.first()).text, 'hello');
      const bobs = await bob.sessions.first();
      await bobs.sendText('hello yourself', {dispositions: []});
      await until(() => Promise.resolve(call.heard.some(({body}) => String(body).includes('hello yourself'))));

      await subscriber.notify('notify-deleted');
      t.regex(
        (await call.bye('Reason: Q.850 ; cause=31 , SIP ; text="Bearer, unavailable" ; cause = 480')).startLine,
        / 200 /,
      );
      t.is((await bobs.ended).by, 'peer');
      const [object] = (await recordedObjects(pf, bobAddress, ids.conversationId)).filter(
        ({kind}) => kind === 'group-state',
      );
      const state = parseGroupState(await recordedBytes(pf, bobAddress, object?.id ?? ''));
      t.deepEqual(
        state.participants.map(({address}) => address).sort(),
        ['tel:+15550102', 'tel:+15550104', carol].sort(),
      );
      await nothingIsLeft(pf);
    },
  );

test.serial(
  'RFC 4575 §4.1: a subscription that the focus refuses, and one that it ends, is asked for again',
  async (t) => {
    const {pf, focus} = await withRawFocus(t);
    await focus.invite('invite-list-first');
    const refused = await focus.sip.next('SUBSCRIBE');
    focus.sip.answer(refused, '503 Service Unavailable');
    const first = await focus.subscribed();
    await first.notify('notify-full');
    await knows(pf, 'tel:+15550102', 'sip:+15550101@home.example;user=phone', 'sip:+15550103@other.example;user=phone');
    await first.notify('notify-deleted');
    const second = await focus.subscribed();
    await second.notify('notify-full');
    await second.notify('notify-partial');
    await knows(pf, 'tel:+15550102', 'tel:+15550104', 'sip:+15550103@other.example;user=phone');
    t.not(
      first.request.header('Call-ID') || first.request.header('i'),
      second.request.header('Call-ID') || second.request.header('i'),
    );
  },
);

test.serial(
  'E9 RFC 4575 §5: a conference document that cannot be read is answered 200, and changes nothing but the log',
  async (t) => {
    const {pf, focus} = await withRawFocus(t);
    await focus.invite('invite-list-first');
    const subscriber = await focus.subscribed();
    // As it may overtake the 200 of its SUBSCRIBE, this one's answer is not looked at.
    await subscriber.notify('notify-full');
    const before = ['tel:+15550102', 'sip:+15550101@home.example;user=phone', 'sip:+15550103@other.example;user=phone'];
    await knows(pf, ...before);
    const document = (inside: string, type = ''): string =>
      `<?xml version="1.0"?>\n${type}\n<conference-info xmlns="urn:ietf:params:xml:ns:conference-info" version="1" state="full" entity="sip:x">\n${inside}\n</conference-info>\n`;
    const nobody = '<users state="full"/>';
    const contentType = 'application/conference-info+xml';
    const bad = [
      {contentType, body: document('<users state="full">')},
      {contentType, body: document(nobody, '<!DOCTYPE conference-info [<!ENTITY a "b">]>')},
      // What has more octets than a document may have is stopped by the SIP server already.
      {contentType, body: document(`${nobody}\n${'<deep>\n'.repeat(40)}${'</deep>\n'.repeat(40)}`)},
      {
        contentType: 'application/reginfo+xml',
        body: '<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="1" state="full"/>',
      },
    ];
    const isTold = ({msg}: {readonly msg: string}): boolean =>
      msg === 'a conference document cannot be read and changes nothing';
    for (const [index, each] of bad.entries()) {
      t.regex((await subscriber.notify('notify-full', each)).startLine, / 200 /);
      await pf.pf.log.atLeast(index + 1, isTold);
    }
    t.deepEqual(await known(pf), before.toSorted());
    await subscriber.notify('notify-partial');
    await knows(pf, 'tel:+15550102', 'tel:+15550104', 'sip:+15550103@other.example;user=phone');
    t.is(pf.pf.log.items.filter(isTold).length, bad.length);
  },
);

for (const [title, bodyOf] of [
  ['is not closed', (body: string) => body.replace('</ns2:list>', '')],
  ['has a DTD', (body: string) => body.replace('<!-- who is in it -->', '<!DOCTYPE x [<!ENTITY a "b">]>')],
] as const)
  test.serial(`E9 RFC 4826 §3.3: an invitation with a list that ${title} gets 400, and nothing is left`, async (t) => {
    const {pf, focus} = await withRawFocus(t);
    const answer = await focus.inviteInVain('invite-list-first', (body) => {
      t.not(bodyOf(body), body);
      return bodyOf(body);
    });
    t.regex(answer.startLine, / 400 /);
    await nothingIsLeft(pf);
    t.is(await knownGroup(pf, bobAddress, ids.contributionId), undefined);
  });

for (const kind of ['partial', 'full'] as const)
  test.serial(
    `RFC 4575 §4.4: who comes, who leaves and the subject are known by ${kind} documents, and after a restart`,
    async (t) => {
      const {pf, conference, carols} = await standing(t, {focus: {notify: {kind}}});
      conference.setSubject('Dinner', carolAddress);
      const erin = 'sip:+14440005@elsewhere.example;user=phone';
      await conference.invite(carolAddress, [erin]);
      await carols.end('SIP;cause=200');
      await knows(pf, bobAddress, daveAddress, erin);
      await pf.kill();
      await pf.configure({sip: {outboundProxy: 'sip:127.0.0.1:1;transport=tcp'}});
      await pf.start();
      t.deepEqual(await known(pf), [bobAddress, daveAddress, erin].sort());
      const group = await knownGroup(pf, bobAddress, ids.contributionId);
      t.is(group?.conference.description.subject, 'Dinner');
      t.is(group?.standing, 'active');
    },
  );

test.serial('RFC 4575 §4.4: after a gap in the versions the PF asks for the whole state, and has it', async (t) => {
  let loses = false;
  const {pf, conference} = await standing(t, {focus: {notify: {loses: () => loses}}});
  loses = true;
  const erin = 'sip:+14440005@elsewhere.example;user=phone';
  const frank = 'sip:+14440006@elsewhere.example;user=phone';
  await conference.invite(carolAddress, [erin]);
  loses = false;
  await conference.invite(carolAddress, [frank]);
  await knows(pf, bobAddress, carolAddress, daveAddress, erin, frank);
  t.true(conference.events.told.items.some(({lost}) => lost));
});

const killable = (
  mongoKind.kind === 'none' || mongoKind.kind === 'uri' ? test.serial.skip : test.serial
) as typeof test;

killable(
  `8.3.2.3 B5 B10: with the store away a group session ends all the same, with one line about its state; nobody can be invited then (${mongoName})`,
  async (t) => {
    t.timeout(120_000);
    const mongo = await startMongo();
    t.teardown(async () => mongo.stop());
    const store = {kind: 'mongodb', uri: mongo.uri, database: 'away', answerSeconds: 2};
    const {pf, conference, bobs, bob, focus} = await inGroup(t, {config: {store}});
    await mongo.kill();
    const statuses = await conference.end([['Reason', 'SIP;cause=480']], 'nothing');
    t.true(statuses.every((status) => status === 200));
    t.is((await bobs.ended).by, 'peer');
    await nothingIsLeft(pf);
    t.is(pf.pf.log.items.filter(({msg}) => msg === 'the state of a group waits for the store').length, 1);
    await bob.close();
    const other = await focus.create({members: [bobAddress, carolAddress], contributionId: 'another'});
    const change = await other.changes.first(({endpoint}) => endpoint.status === 'disconnected');
    t.regex(change.endpoint.disconnectionInfo?.reason ?? '', /cause=(480|503)/);
    await nothingIsLeft(pf);
  },
);

/** The invitation that is written in long header forms, for a focus without media. */
function fixtureFor({core}: Deployment, focus: RawFocus): ReturnType<typeof groupFixture> {
  const server = core.uri.replace(/^sip:|;.*$/g, '');
  const step = /;step=\d+/.exec(core.terminatingRoute)?.[0] ?? '';
  return groupFixture('invite-description-only', {
    ...ids,
    peer: focus.sip.address,
    pf: `${server}${step}`,
    branch: 'never',
    callId: 'given-up',
    msrpPort: 9,
    msrpSession: 'nobody',
  });
}

test.serial('8.2.2: a served user begins a group at the factory: the PF stands in between, and knows it', async (t) => {
  const {pf, bobs, conference, carols, carol, bob, focus} = await bobBegins(t);
  const invite = await focus.requests.first(({method}) => method === 'INVITE');
  const of = (name: string): string => headerOf(invite, name) ?? '';
  t.is(invite.uri, focus.factory);
  t.is(of('P-Asserted-Service'), 'urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session.group');
  t.true(of('Accept-Contact').includes('g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session.group"'));
  t.is(of('Require'), 'recipient-list-invite');
  t.deepEqual([of('Conversation-ID'), of('Contribution-ID')], [ids.conversationId, ids.contributionId]);
  t.is(of('Subject'), 'Lunch');
  t.deepEqual(
    resourceListsIn(of('Content-Type'), invite.body)?.entries.map(({uri}) => uri),
    [carolAddress, daveAddress],
  );
  await carols.sendText('hello');
  await bob.messages.first();
  await bobs.sendText('hello yourself');
  await carol.messages.first();
  const group = await knownGroup(pf, bobAddress, ids.contributionId);
  t.like(group, {...ids, standing: 'active', focus: conference.identity, subject: 'Lunch'});
  t.truthy(bobs.group, 'his 200 has a focus in its Contact');
});

test.serial('8.2.2: what the factory answers goes to the client, and nothing is left', async (t) => {
  t.timeout(60_000);
  const {pf, focus} = await groupDeployment(t, {core: {cases: ['orig', 'term']}});
  const bob = await pf.bob();
  await pf.register(bob);
  focus.refuses = () => 403;
  const error: unknown = await t.throwsAsync(bob.startGroup(focus.factory, {...ids, members: [carolAddress]}));
  t.like(error, {response: {status: 403}});
  await nothingIsLeft(pf);
  t.is(await knownGroup(pf, bobAddress, ids.contributionId), undefined);
});

test.serial(
  'RFC 3261 §21.5.4: while too much waits for a user who is off the PF does not stand in one more group for him',
  async (t) => {
    t.timeout(60_000);
    const {pf, focus, begin} = await groupDeployment(t, {config: {overload: {pendingMessages: 2}}});
    const {carols} = await begin();
    await isMissed(pf, carols, ['one', 'two']);
    const other = await focus.create({...otherIds, members: [bobAddress, carolAddress]});
    t.like(other.members.get(keyOf(bobAddress))?.endpoint, {
      status: 'disconnected',
      disconnectionInfo: {reason: 'SIP;cause=503'},
    });
    t.like(await pf.status(), {load: {refused: {pending: 1}}});
  },
);

test.serial(
  '8.2.2: a list of invitees that has no room in an INVITE gets 513, and the factory hears nothing',
  async (t) => {
    t.timeout(60_000);
    const {pf, focus} = await groupDeployment(t, {core: {cases: ['orig', 'term']}});
    const bob = await pf.bob();
    await pf.register(bob);
    const members = longAddresses(30);
    const error: unknown = await t.throwsAsync(bob.startGroup(focus.factory, {...ids, members}));
    t.like(error, {response: {status: 513}});
    t.is(focus.requests.items.length, 0);
    await nothingIsLeft(pf);
  },
);

test.serial(
  '8.2.2.3: a client that leaves with cause 200: the focus is told with it, the subscription ends, the standing is left',
  async (t) => {
    const {pf, conference, bobs} = await inGroup(t);
    const media = bobIn(conference);
    t.is(await bobs.end('SIP;cause=200;text="Call completed"'), 200);
    t.is((await media?.call.ended)?.reason, 'SIP;cause=200;text="Call completed"');
    await until(() => Promise.resolve(!conference.events.subscribers.includes('tel:+15550102')));
    t.false(conference.isMember(bobAddress));
    await nothingIsLeft(pf);
    await until(async () => (await knownGroup(pf, bobAddress, ids.contributionId))?.standing === 'left');
  },
);

for (const reason of ['SIP;cause=503;text="Service Unavailable"', undefined])
  test.serial(
    `8.2.2.3 T6: a client that ends with ${reason ?? 'no Reason'}: the PF stays in the group and keeps`,
    async (t) => {
      const {pf, conference, bobs, bob, carols} = await inGroup(t);
      t.is(await bobs.end(reason), 200);
      await bob.close();
      await pf.pf.log.first(({msg}) => msg === 'the PF stays in a group for its user');
      t.true((await carols.sendText('are you there?')).accepted);
      await pf.pf.log.first(({msg}) => msg === 'a message is kept for a user who cannot take it now');
      t.true(conference.isMember(bobAddress));
      t.true(conference.events.subscribers.includes('tel:+15550102'));
      t.is((await knownGroup(pf, bobAddress, ids.contributionId))?.standing, 'active');
    },
  );

test.serial(
  '8.3.2.1 T46: the answer to a re-INVITE of the client, and one that goes to him, have the focus in their Contact',
  async (t) => {
    const {bobs, conference} = await inGroup(t);
    const own = ownDescription(bobs.call);
    const answer = await bobs.call.reinvite(withMode(own, 'sendonly', 2));
    t.is(answer.status, 200);
    t.regex(headerOf(answer, 'Contact') ?? '', /;isfocus/);
    let came: SipRequest | undefined;
    bobs.call.onOffer = (request) => {
      came = request;
      return {status: 200, body: withMode(own, 'inactive', 3)};
    };
    const call = bobIn(conference)?.call;
    const again = await call?.reinvite(withMode(ownDescription(call), 'inactive', 2));
    t.is(again?.status, 200);
    t.regex((came && headerOf(came, 'Contact')) ?? '', /;isfocus/);
  },
);

function ownDescription({role, invite, response}: Call): string {
  if (role === 'callee') return response.body.toString();
  const parts = leafParts(invite.body, headerOf(invite, 'Content-Type') ?? 'application/sdp');
  return parts.find(({contentType}) => isType(contentType, 'application/sdp'))?.body.toString() ?? '';
}

const withMode = (sdp: string, mode: string, version: number): string =>
  sdp.replace(/^(o=\S+ \S+) \d+/m, `$1 ${version}`).replace(/^a=(?:sendrecv|sendonly|recvonly|inactive)\r\n/m, '') +
  `a=${mode}\r\n`;

/** Bob begins the group, with Carol and Dave. */
async function bobBegins(t: ExecutionContext) {
  t.timeout(60_000);
  const {pf, focus, carol} = await groupDeployment(t, {core: {cases: ['orig', 'term']}});
  const bob = await pf.bob({notifications: 'none'});
  await pf.register(bob);
  const bobs = await bob.startGroup(focus.factory, {...ids, subject: 'Lunch', members: [carolAddress, daveAddress]});
  const conference = await focus.conferences.first();
  const carols = await carol.sessions.first();
  await pf.pf.log.first(({msg}) => msg === 'a client is joined with his group');
  return {pf, focus, bob, bobs, conference, carol, carols};
}
