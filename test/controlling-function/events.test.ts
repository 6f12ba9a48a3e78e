import test from 'ava';
import {headerOf} from '../../lib/codecs/sip-message.ts';
import {takesPart, type ConferenceState, type ConferenceUser} from '../../lib/cpm/conference-state.ts';
import type {NotifyBehaviour} from '../../lib/controlling-function/conference-events.ts';
import {Refused} from '../../lib/phone/phone.ts';
import {addressOf, group} from './group.ts';

const ids = {conversationId: 'Conv-1', contributionId: 'Contr-1'};
const statusOf = (users: readonly ConferenceUser[], number: number): string | undefined =>
  users.find(({entity}) => entity === addressOf(number))?.endpoints[0]?.status;

test('RFC 4575 §3: a member hears of everything first, then of each change, and knows himself by the mark', async (t) => {
  const {focus, phones} = await group(t);
  const [alice, bob, carol] = phones;
  carol.onInvitation = (invitation) => {
    invitation.refuse(480);
  };
  const chat = await alice.startGroup(focus.factory, {...ids, subject: 'Lunch', members: [addressOf(2), addressOf(3)]});
  await bob.sessions.first();
  const conference = await focus.conferences.first();
  await conference.changes.first(({endpoint}) => endpoint.disconnectionMethod === 'failed');
  const watch = await bob.watch(conference.identity);
  const first = await watch.states.first();
  t.like(first, {
    version: 0,
    refreshNeeded: false,
    description: {subject: 'Lunch'},
    status: {userCount: 3, active: true},
  });
  t.deepEqual(
    [1, 2, 3].map((number) => statusOf(first.users, number)),
    ['connected', 'connected', 'disconnected'],
  );
  t.deepEqual(
    first.users.filter(({yourOwn}) => yourOwn === true).map(({entity}) => entity),
    [addressOf(2)],
  );
  t.is(first.participants.length, 3);

  await carol.startGroup(conference.identity, ids);
  await watch.states.first(({users}) => statusOf(users, 3) === 'connected');
  conference.setSubject('Dinner', addressOf(1));
  conference.setIcon('https://icons.example/1', addressOf(3));
  const named = await watch.states.first(({description}) => description.icon !== undefined);
  t.like(named.description, {
    subject: 'Dinner',
    subjectChange: {participant: addressOf(1)},
    icon: {uri: 'https://icons.example/1'},
  });
  await chat.end('SIP;cause=200;text="Call completed"');
  const left = await watch.states.first(({users}) => statusOf(users, 1) === 'disconnected');
  t.deepEqual(left.participants.map(({entity}) => entity).sort(), [addressOf(2), addressOf(3)]);
  t.true(left.users.length === 3 && !left.refreshNeeded);
  t.is(await watch.end(), 200);
  t.is(await watch.subscription.ended, 'unsubscribed');
  t.deepEqual(conference.events.subscribers, []);
});

test('RFC 4575 §4.6: documents that were lost on the way are asked for by a refresh, and what is known is right again', async (t) => {
  const loses: NotifyBehaviour['loses'] = ({state, description}) =>
    state === 'partial' && Number(description?.subject ?? 0) % 2 === 0;
  const {focus, phones} = await group(t, {notify: {loses}});
  const [alice, bob] = phones;
  await alice.startGroup(focus.factory, {...ids, subject: '0', members: [addressOf(2), addressOf(3)]});
  await bob.sessions.first();
  const conference = await focus.conferences.first();
  const watch = await bob.watch(conference.identity);
  for (let number = 1; number <= 20; number++) conference.setSubject(String(number), addressOf(1));
  // The last one may be the one that was lost: nothing but the next change shows it.
  await conference.remove(addressOf(3));
  conference.setSubject('21', addressOf(1));
  const known = await watch.states.first(
    ({description, refreshNeeded}) => description.subject === '21' && !refreshNeeded,
  );
  t.deepEqual(known.participants.map(({entity}) => entity).sort(), [addressOf(1), addressOf(2)]);
  t.true(conference.events.told.items.some((each) => each.lost));
  const subscribes = focus.requests.items.filter(({method}) => method === 'SUBSCRIBE');
  t.is(subscribes.length, 1, 'a refresh is inside the subscription');
});

test('RFC 4575 §4.4: a focus may tell everything each time', async (t) => {
  const {focus, phones} = await group(t, {notify: {kind: 'full'}});
  const [alice] = phones;
  await alice.startGroup(focus.factory, {...ids, members: []});
  const conference = await focus.conferences.first();
  const watch = await alice.watch(conference.identity);
  conference.setSubject('x', addressOf(1));
  await watch.states.first(({description}) => description.subject === 'x');
  t.deepEqual([...new Set(conference.events.told.items.map(({document}) => document.state))], ['full']);
});

test('RFC 4575 §4.6 T12: whatever the focus tells before it ends a session, those who were in it stay known', async (t) => {
  for (const first of ['deleted', 'departed'] as const) {
    const {focus, phones} = await group(t);
    const [alice, bob, carol] = phones;
    await alice.startGroup(focus.factory, {...ids, members: [addressOf(2), addressOf(3)]});
    const conference = await focus.conferences.first();
    await Promise.all([bob.sessions.first(), carol.sessions.first()]);
    await conference.changes.first(
      ({member, endpoint}) => member === 'tel:+15550103' && endpoint.status === 'connected',
    );
    await conference.changes.first(
      ({member, endpoint}) => member === 'tel:+15550102' && endpoint.status === 'connected',
    );
    const watch = await bob.watch(conference.identity);
    await watch.states.first();
    await conference.end([['Reason', 'SIP;cause=480']], first);
    t.regex(await watch.subscription.ended, /^terminated;reason=noresource/);
    const last: ConferenceState = watch.state;
    t.is(last.ended, first === 'deleted');
    t.deepEqual(last.users.filter(takesPart), []);
    t.true(last.participants.some(({entity}) => entity !== addressOf(2)));
  }
});

test('RFC 4575 §3.5: who is no member, asks for another package, or for a session that is over, is refused', async (t) => {
  const {focus, phones} = await group(t);
  const [alice, , carol] = phones;
  await alice.startGroup(focus.factory, {...ids, members: [addressOf(2)]});
  const conference = await focus.conferences.first();
  const stranger = await t.throwsAsync(carol.watch(conference.identity), {instanceOf: Refused});
  t.is(stranger.response.status, 403);
  const other = await alice.userAgent.subscribe(conference.identity, 'presence');
  t.is('status' in other && other.status, 489);
  await conference.end();
  const over = await t.throwsAsync(alice.watch(conference.identity), {instanceOf: Refused});
  t.is(over.response.status, 404);
  t.is(headerOf(await focus.requests.first(({method}) => method === 'SUBSCRIBE'), 'Event'), 'conference');
});
