import test from 'ava';
import {multipartPart} from './parts.ts';
import {formatGroupStateCpim} from '../../lib/codecs/group-state.ts';
import {parseResourceLists} from '../../lib/codecs/resource-lists.ts';
import {headerOf} from '../../lib/codecs/sip-message.ts';
import {account} from '../../lib/phone/ledger.ts';
import {Refused} from '../../lib/phone/phone.ts';
import {startControllingFunction} from '../../lib/controlling-function/controlling-function.ts';
import {until} from '../support/persistent-sender.ts';
import {addressOf, group} from './group.ts';

const ids = {conversationId: 'Conv-1', contributionId: 'Contr-1'};
const lunch = {...ids, subject: 'Lunch', members: [addressOf(2), addressOf(3)]};

test('CPM-CF 8.2.2: a group is made with its list, and everybody on it is invited, with what the group is', async (t) => {
  const {focus, phones} = await group(t);
  const [alice, bob, carol] = phones;
  const chat = await alice.startGroup(focus.factory, lunch);
  const conference = await focus.conferences.first();
  t.is(chat.group?.identity, conference.identity);
  const theirs = await Promise.all([bob.sessions.first(), carol.sessions.first()]);
  t.deepEqual(
    theirs.map((session) => [session.group?.identity, session.group?.subject, session.contributionId, session.partner]),
    theirs.map(() => [conference.identity, 'Lunch', 'Contr-1', addressOf(1)]),
  );
  const invite = await bob.requests.first(({method}) => method === 'INVITE');
  t.regex(headerOf(invite, 'Contact') ?? '', /^<sip:conf-[^>]+>;isfocus;\+g\.3gpp\.icsi-ref=/);
  t.is(headerOf(invite, 'P-Asserted-Identity'), `<${conference.identity}>`);
  t.is(headerOf(invite, 'P-Asserted-Service'), 'urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session');
  t.is(headerOf(invite, 'Conversation-ID'), 'Conv-1');
  t.is(headerOf(invite, 'Require'), undefined);
  const list = multipartPart(invite, 'application/resource-lists+xml');
  t.is(list?.disposition, 'recipient-list-history;handling=optional');
  t.deepEqual(
    parseResourceLists(list?.body ?? '').map(({uri}) => uri),
    [addressOf(3), addressOf(1)],
  );
});

test('CPM-CF 8.2.2: what one says all others hear, octet for octet and in order; notifications reach the author alone', async (t) => {
  const {focus, phones} = await group(t);
  const [alice, bob, carol] = phones;
  const chat = await alice.startGroup(focus.factory, lunch);
  const [bobs, carols] = await Promise.all([bob.sessions.first(), carol.sessions.first()]);
  await Promise.all([bobs.msrp.bound(), carols.msrp.bound()]);
  for (const text of ['one', 'two', 'x'.repeat(50_000), 'three']) await chat.sendText(text);
  await carols.sendText('four');
  await Promise.all([bob.messages.first(({text}) => text === 'four'), alice.messages.first()]);
  await carol.messages.first(({text}) => text === 'three');
  for (const heard of [bob, carol])
    t.like(account(alice.sent.items, heard.messages.items), {delivered: 4, identical: true, inOrder: true});
  t.deepEqual(
    bob.messages.items.map(({author}) => author),
    [...Array.from({length: 4}, () => `<${addressOf(1)}>`), `<${addressOf(3)}>`],
  );

  // Each of the four is delivered to, and displayed by, two people.
  await alice.notifications.atLeast(16);
  await carol.notifications.atLeast(4);
  t.is(bob.notifications.items.length, 0);
  t.deepEqual(carol.notifications.items.map(({status}) => status).sort(), [
    'delivered',
    'delivered',
    'displayed',
    'displayed',
  ]);

  await bobs.sendComposing('active');
  const composing = await chat.msrp.messages.first(({bytes}) => bytes.includes('<state>active</state>'));
  t.regex(composing.bytes.toString(), new RegExp(`^From: <${addressOf(2).replaceAll('+', '\\+')}>`));
  await carols.msrp.messages.first(({bytes}) => bytes.includes('<state>active</state>'));
  t.is(focus.conferences.items[0]?.undelivered.items.length, 0);
});

test('RFC 4579 §5: who is unreachable or busy stays a member, who declines does not; a member may come later', async (t) => {
  const {focus, phones} = await group(t);
  const [alice, bob, carol] = phones;
  bob.onInvitation = (invitation) => {
    invitation.refuse(480);
  };
  carol.onInvitation = (invitation) => {
    invitation.refuse(603);
  };
  await alice.startGroup(focus.factory, lunch);
  const conference = await focus.conferences.first();
  const gone = await conference.changes.first(({endpoint}) => endpoint.disconnectionInfo?.reason === 'SIP;cause=603');
  t.is(gone.member, 'tel:+15550103');
  await conference.changes.first(({endpoint}) => endpoint.disconnectionInfo?.reason === 'SIP;cause=480');
  t.deepEqual([...conference.members.keys()].sort(), ['tel:+15550101', 'tel:+15550102']);

  const bobs = await bob.startGroup(conference.identity, ids);
  t.is(bobs.group?.identity, conference.identity);
  await bobs.sendText('here I am');
  t.is((await alice.messages.first()).text, 'here I am');
  const stranger = await t.throwsAsync(carol.startGroup(conference.identity, ids), {instanceOf: Refused});
  t.is(stranger.response.status, 403);
});

test('CPM-CF 8.2.2.7: a new session of a member takes the place of the one before', async (t) => {
  const {focus, phones} = await group(t);
  const [alice, bob] = phones;
  await alice.startGroup(focus.factory, lunch);
  const conference = await focus.conferences.first();
  const before = await bob.sessions.first();
  const again = await bob.startGroup(conference.identity, ids);
  t.deepEqual(await before.ended, {by: 'peer', reason: 'SIP;cause=200;text="Call completed elsewhere"'});
  await conference.changes.first(
    ({member, endpoint}) => member === 'tel:+15550102' && endpoint.joiningMethod === 'dialed-in',
  );
  conference.say(addressOf(3), 'to everybody');
  t.is((await bob.messages.first()).session, again);
});

test('CPM-CF 8.2.2.7: a session that timed out is over for all, and starts again with the list alone, under another identity', async (t) => {
  const {focus, phones} = await group(t);
  const [alice, bob, carol] = phones;
  const chat = await alice.startGroup(focus.factory, lunch);
  const conference = await focus.conferences.first();
  await Promise.all([bob.sessions.first(), carol.sessions.first()]);
  t.deepEqual(await conference.end([['Reason', 'SIP;cause=480;text="Bearer unavailable"']]), [200, 200, 200]);
  t.deepEqual(await chat.ended, {by: 'peer', reason: 'SIP;cause=480;text="Bearer unavailable"'});

  const without = await t.throwsAsync(bob.startGroup(conference.identity, ids), {instanceOf: Refused});
  t.is(without.response.status, 404);
  focus.refuses = ({kind, by}) => (kind === 'restart' && by === addressOf(2) ? 488 : undefined);
  const refused = await t.throwsAsync(bob.startGroup(conference.identity, lunch), {instanceOf: Refused});
  t.is(refused.response.status, 488);
  focus.refuses = () => undefined;

  const again = await bob.startGroup(conference.identity, {...lunch, members: [addressOf(1), addressOf(3)]});
  t.not(again.group?.identity, conference.identity);
  const second = await alice.sessions.first(({group: at}) => at?.identity === again.group?.identity);
  t.is(second.contributionId, 'Contr-1');
  // Who comes a little later with a list, or to the former identity, is in the same session.
  const late = await carol.startGroup(focus.factory, {...lunch, members: [addressOf(1), addressOf(2)]});
  t.is(late.group?.identity, again.group?.identity);
  t.is(focus.conferences.items.length, 2);
});

test('RFC 3892 §3: the BYE of a removal says 410 and by whom; the removed one stays out, the others stay in', async (t) => {
  const {focus, phones} = await group(t);
  const [alice, bob, carol] = phones;
  const chat = await alice.startGroup(focus.factory, lunch);
  const conference = await focus.conferences.first();
  const [bobs] = await Promise.all([bob.sessions.first(), carol.sessions.first()]);
  let bye: string | undefined;
  bobs.call.onBye = async (request) => {
    bye = headerOf(request, 'Referred-By');
    return Promise.resolve({status: 200});
  };
  t.is(await conference.remove(addressOf(2), addressOf(1)), 200);
  t.deepEqual(await bobs.ended, {by: 'peer', reason: 'SIP;cause=410;text="Gone"'});
  t.is(bye, `<${addressOf(1)}>`);
  await chat.sendText('without Bob');
  t.is((await carol.messages.first()).text, 'without Bob');
  const out = await t.throwsAsync(bob.startGroup(conference.identity, ids), {instanceOf: Refused});
  t.is(out.response.status, 403);

  await conference.end([['Reason', 'SIP;cause=410;text="Gone"']]);
  const gone = await t.throwsAsync(alice.startGroup(conference.identity, lunch), {instanceOf: Refused});
  t.is(gone.response.status, 404);
});

test('RFC 3326 §2: a session ends with any Reason, or without one', async (t) => {
  const {focus, phones} = await group(t);
  const [alice] = phones;
  for (const [number, reason] of [
    'Q.850;cause=16',
    'SIP ;cause=503 ;text="Service Unavailable"',
    undefined,
  ].entries()) {
    const chat = await alice.startGroup(focus.factory, {...lunch, contributionId: `c${number}`, members: []});
    const conference = focus.conferences.items[number];
    await conference?.end(reason === undefined ? [] : [['Reason', reason]], 'nothing');
    t.deepEqual(await chat.ended, {by: 'peer', reason});
  }
});

test('RFC 4975 §5.4: what a member did not take is told, or waits for his next session, in order', async (t) => {
  for (const keepsForAbsent of [false, true]) {
    const {focus, phones} = await group(t, {keepsForAbsent});
    const [, bob] = phones;
    const conference = await focus.create({...ids, members: [addressOf(1), addressOf(2)], invitedBy: addressOf(1)});
    const first = await bob.sessions.first();
    await first.msrp.bound();
    first.msrp.connection?.destroy();
    await first.end('SIP;cause=503;text="Service Unavailable"');
    await conference.changes.first(
      ({member, endpoint}) => member === 'tel:+15550102' && endpoint.disconnectionMethod === 'failed',
    );
    for (const text of ['one', 'two', 'three']) conference.say(addressOf(3), text);
    t.true(conference.isMember(addressOf(2)));
    if (!keepsForAbsent) await conference.undelivered.atLeast(3, ({to}) => to === 'tel:+15550102');
    await bob.startGroup(conference.identity, ids);
    conference.say(addressOf(3), 'four');
    await bob.messages.first(({text}) => text === 'four');
    t.deepEqual(
      bob.messages.items.map(({text}) => text),
      keepsForAbsent ? ['one', 'two', 'three', 'four'] : ['four'],
    );
  }
});

test('RFC 3261 §8.1.3.1: a controlling function that was killed is silent, and the next one on its port knows no session', async (t) => {
  const {core, focus, phones} = await group(t);
  const [alice] = phones;
  const chat = await alice.startGroup(focus.factory, {...lunch, members: []});
  const identity = chat.group?.identity ?? '';
  await focus.close();
  const next = await startControllingFunction({core, port: focus.port});
  t.teardown(() => next.close());
  // The core may use its connection to the one that is dead until it has heard of its end: 503 (RFC 3261 §8.1.3.1).
  const answers: number[] = [];
  await until(async () => {
    const unknown = await t.throwsAsync(alice.startGroup(identity, ids), {instanceOf: Refused});
    return answers.push(unknown.response.status) > 0 && unknown.response.status !== 503;
  });
  t.is(answers.at(-1), 404);
  const again = await alice.startGroup(identity, {...lunch, members: []});
  t.not(again.group?.identity, identity);
});

test('RFC 5438 §6.3: a phone takes a Group State Object as what it is, and shows it to nobody as a message', async (t) => {
  const {focus, phones} = await group(t);
  const [alice, bob] = phones;
  const chat = await alice.startGroup(focus.factory, lunch);
  const bobs = await bob.sessions.first();
  await bobs.msrp.bound();
  const bytes = formatGroupStateCpim({
    state: {
      lastFocusSessionId: chat.group?.identity ?? '',
      timestamp: '2026-11-20T10:00:00Z',
      groupType: 'Closed',
      participants: [{name: '', address: addressOf(1), yourOwn: false}],
    },
    from: '<sip:rcse-standfw@home.example>',
    to: `<${addressOf(2)}>`,
    messageId: 'gso-1',
    dateTime: '2026-11-20T10:00:00Z',
  });
  t.is(await chat.msrp.send(bytes, {contentType: 'message/cpim'}), 200);
  const {messageId, state, session} = await bob.groupStates.first();
  t.deepEqual([messageId, state.participants[0]?.address], ['gso-1', addressOf(1)]);
  t.is(session, bobs);
  t.is(bob.messages.items.length, 0);
});
