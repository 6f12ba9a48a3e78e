/** CPM-CF 8.3.2.3 in group sessions: what a BYE of the focus leaves in the message store, and in which order it ends what. */
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {parseGroupState} from '../../lib/codecs/group-state.ts';
import {parseSessionInfo} from '../../lib/codecs/session-info.ts';
import {headerOf, type SipRequest} from '../../lib/codecs/sip-message.ts';
import type {GroupState} from '../../lib/cpm/group-state.ts';
import type {StoredSummary} from '../../lib/cpm/stored-object.ts';
import type {HeaderList} from '../../lib/phone/call.ts';
import {notificationMessage} from '../../lib/phone/chat-messages.ts';
import {bobAddress, type Deployment} from '../support/deployment.ts';
import {bobIn, carolAddress, daveAddress, groupDeployment, ids, knownGroup} from '../support/group-deployment.ts';
import {everybody, everybodyIsKnown, inGroup, nothingIsLeft, standing} from '../support/in-group.ts';
import {impatientServer, until} from '../support/persistent-sender.ts';
import {recordedBytes, recordedObjects} from '../support/recorded.ts';
import {withRawFocus} from '../support/raw-focus.ts';

const stored = async (pf: Deployment): Promise<readonly StoredSummary[]> =>
  recordedObjects(pf, bobAddress, ids.conversationId);

async function storedStates(
  pf: Deployment,
): Promise<readonly {object: StoredSummary; xml: string; state: GroupState}[]> {
  const objects = (await stored(pf)).filter(({kind}) => kind === 'group-state');
  return Promise.all(
    objects.map(async (object) => {
      const xml = (await recordedBytes(pf, bobAddress, object.id)).toString();
      return {object, xml, state: parseGroupState(xml)};
    }),
  );
}

const addressesIn = ({participants}: GroupState): readonly string[] => participants.map(({address}) => address).sort();

/** A decision that the test makes later. */
function decision<T>(): {readonly made: Promise<T>; readonly make: (value: T) => void} {
  let make: (value: T) => void = () => undefined;
  const made = new Promise<T>((resolve) => (make = resolve));
  return {
    made,
    make: (value) => {
      make(value);
    },
  };
}

const leavesNone = (reason?: string) => async (t: ExecutionContext) => {
  const {pf, conference, bobs} = await inGroup(t);
  const [, , bobsAnswer] = await conference.end(reason === undefined ? [] : [['Reason', reason]], 'nothing');
  t.is(bobsAnswer, 200);
  const {by, reason: told} = await bobs.ended;
  t.is(by, 'peer');
  t.regex(told ?? '', /^SIP;cause=200\b/i);
  t.deepEqual(await storedStates(pf), []);
  await nothingIsLeft(pf);
  t.is((await knownGroup(pf, bobAddress, ids.contributionId))?.standing, 'inactive');
};

test.serial('8.3.2.3 B2 T1: a BYE without Reason leaves no Group State Object, and everything goes', leavesNone());
test.serial('8.3.2.3 B3: cause 200 leaves no Group State Object', leavesNone('SIP;cause=200;text="Call completed"'));
test.serial(
  '8.3.2.3 B3 T3: cause 200 as it is printed in the standard, with blanks, without text, leaves no Group State Object',
  leavesNone('sip ; cause = 200;'),
);
test.serial(
  '8.3.2.3 B3 T2: cause 200 beside a value of another protocol leaves no Group State Object',
  leavesNone('Q.850;cause=16, SIP;cause=200'),
);

test.serial(
  '8.3.2.3 B4 T5: cause 410 with Referred-By: the object says removed, and by whom, by address alone; the group is over for the user',
  async (t) => {
    const {pf, conference, bobs} = await inGroup(t);
    t.is(await conference.remove(bobAddress, carolAddress), 200);
    t.is((await bobs.ended).reason, 'SIP;cause=410;text="Gone"');
    const [{object, xml} = {object: undefined, xml: ''}, ...more] = await storedStates(pf);
    t.is(more.length, 0);
    t.like(object, {
      ...ids,
      contentType: 'application/group-state-object+xml',
      from: conference.identity,
      to: bobAddress,
    });
    t.true((object?.imdnMessageId ?? '') !== '');
    t.is(
      xml.replace(/timestamp="\d{4}-\d\d-\d\dT[\d:.]+Z"/, 'timestamp="…"').replace(conference.identity, 'FOCUS'),
      [
        '<?xml version="1.0" encoding="UTF-8"?>\r\n',
        '<groupstate timestamp="…" lastfocussessionid="FOCUS" group-type="Closed">',
        `<participant name="" comm-addr="${daveAddress}"/>`,
        `<participant name="" comm-addr="${bobAddress}" yourown="true"/>`,
        `<participant name="" comm-addr="${carolAddress}"/>`,
        '<status>removed</status>',
        `<referred-by>${carolAddress}</referred-by>`,
        '</groupstate>\r\n',
      ].join(''),
    );
    await nothingIsLeft(pf);
    t.is((await knownGroup(pf, bobAddress, ids.contributionId))?.standing, 'removed');
  },
);

/** `told`: how the Reason begins that the client gets. */
const leavesOne =
  ({reason, told, removed}: {readonly reason: string; readonly told: string; readonly removed?: true}) =>
  async (t: ExecutionContext) => {
    const {pf, conference, bobs} = await inGroup(t);
    const referred: HeaderList = removed ? [] : [['Referred-By', `<${daveAddress}>;x=1`]];
    const statuses = await conference.end([['Reason', reason], ...referred], 'nothing');
    t.true(statuses.every((status) => status === 200));
    t.true((await bobs.ended).reason?.startsWith(told));
    const [{state} = {state: undefined}, ...more] = await storedStates(pf);
    t.is(more.length, 0);
    t.like(state, {
      removed,
      referredBy: undefined,
      subject: undefined,
      icon: undefined,
      lastFocusSessionId: conference.identity,
    });
    t.deepEqual(state && addressesIn(state), everybody);
    await nothingIsLeft(pf);
    t.is((await knownGroup(pf, bobAddress, ids.contributionId))?.standing, removed ? 'removed' : 'inactive');
  };

test.serial(
  '8.3.2.3 B4: cause 410 without Referred-By: one object, with everybody in it, removed, nobody named',
  leavesOne({reason: 'SIP;cause=410;text="Gone"', told: 'SIP;cause=410;text="Gone"', removed: true}),
);
test.serial(
  '8.3.2.3 B4 T2: cause 410 behind a value of another protocol: one object, removed',
  leavesOne({
    reason: 'Q.850;cause=31 ,SIP ; text="Gone, for good" ; cause=410',
    told: 'SIP;cause=410;text="Gone, for good"',
    removed: true,
  }),
);
test.serial(
  '8.3.2.3 B5: cause 480: one object, with everybody in it, no status, nobody named',
  leavesOne({
    reason: 'SIP;cause=480;text="Bearer unavailable"',
    told: 'SIP;cause=480;text="Bearer unavailable"',
  }),
);
test.serial(
  '8.3.2.3 B6: cause 503: one object, as for 480',
  leavesOne({reason: 'SIP ;cause=503 ;text="Service Unavailable"', told: 'SIP;cause=503'}),
);
test.serial(
  '8.3.2.3 B6 T2: no value of protocol SIP: one object, as for 480',
  leavesOne({reason: 'Q.850;cause=16', told: 'Q.850;cause=16'}),
);
test.serial(
  '8.3.2.3 B6: a cause that is none: one object, as for 480',
  leavesOne({reason: 'SIP;cause=many', told: 'SIP'}),
);

test.serial(
  '8.3.2.3 B4: the object says removed in the form of Message Storage 2.2 where the policy says so',
  async (t) => {
    const {pf, conference} = await inGroup(t, {config: {cpm: {groupStateDialect: '2.2'}}});
    t.is(await conference.remove(bobAddress, carolAddress), 200);
    const [{xml, state} = {xml: '', state: undefined}] = await storedStates(pf);
    t.true(xml.includes(`<status><removed><participant name="" comm-addr="${carolAddress}"/></removed></status>`), xml);
    t.false(xml.includes('referred-by'));
    t.like(state, {removed: true, referredBy: carolAddress});
  },
);

test.serial('8.3.2.3 B5: the PF that stands in the group alone stores the same object', async (t) => {
  const {pf, conference} = await standing(t);
  t.true((await conference.end([['Reason', 'SIP;cause=480']], 'nothing')).includes(200));
  const [{state} = {state: undefined}, ...more] = await storedStates(pf);
  t.is(more.length, 0);
  t.deepEqual(state && addressesIn(state), everybody);
  await nothingIsLeft(pf);
});

for (const first of ['departed', 'deleted'] as const)
  test.serial(
    `8.3.2.3 B5 T12: a focus that tells everybody's end (${first}) before its BYE leaves an object with those who were there`,
    async (t) => {
      const {pf, conference} = await inGroup(t);
      await conference.end([['Reason', 'SIP;cause=480;text="Bearer unavailable"']], first);
      const [{state} = {state: undefined}] = await storedStates(pf);
      t.deepEqual(state && addressesIn(state), everybody);
      const known = await knownGroup(pf, bobAddress, ids.contributionId);
      t.deepEqual(known?.conference.participants.map(({entity}) => entity).sort(), everybody);
    },
  );

test.serial('8.3.2.3 B5 T12: who left before the end is not in the object, who is only off is', async (t) => {
  const {pf, conference, carols, dave} = await inGroup(t);
  await carols.end('SIP;cause=200;text="Call completed"');
  await dave.close();
  await until(async () => {
    const group = await knownGroup(pf, bobAddress, ids.contributionId);
    return group?.conference.participants.length === 2;
  });
  await conference.end([['Reason', 'SIP;cause=480']], 'nothing');
  const [{state} = {state: undefined}] = await storedStates(pf);
  t.deepEqual(state && addressesIn(state), [bobAddress, daveAddress].sort());
});

test.serial('8.3.2.3 B5: subject and icon are in the object where group data is managed', async (t) => {
  const {pf, conference} = await inGroup(t, {config: {cpm: {groupData: true}}});
  conference.setSubject('Dinner & more', carolAddress);
  conference.setIcon('https://icons.example/a?b=1&c=2', daveAddress);
  await until(async () => {
    const group = await knownGroup(pf, bobAddress, ids.contributionId);
    return group?.conference.description.icon !== undefined;
  });
  await conference.end([['Reason', 'SIP;cause=480']], 'nothing');
  const [{state, xml} = {state: undefined, xml: ''}] = await storedStates(pf);
  t.like(state, {
    subject: {text: 'Dinner & more', participant: {address: carolAddress}},
    icon: {uri: 'https://icons.example/a?b=1&c=2', participant: {address: daveAddress}},
  });
  t.regex(xml, /<icon><source><icon-uri>https:/);
});

test.serial(
  '8.3.2.3 B5: the object has the subject of the INVITE where no NOTIFY told another; what one told stays over the next INVITE',
  async (t) => {
    const {pf, focus} = await withRawFocus(t, {config: {cpm: {groupData: true}}});
    const untold = await focus.invite('invite-list-first');
    await focus.subscribed();
    await untold.bye('Reason: SIP;cause=480');
    const told = await focus.invite('invite-list-first');
    const subscriber = await focus.subscribed();
    await subscriber.notify('notify-full');
    await until(async () => {
      const group = await knownGroup(pf, bobAddress, ids.contributionId);
      return group?.conference.description.icon !== undefined;
    });
    await told.bye('Reason: SIP;cause=480');
    const again = await focus.invite('invite-list-first');
    await focus.subscribed();
    await again.bye('Reason: SIP;cause=480');
    const [first, second, third] = (await storedStates(pf)).map(({state}) => state);
    t.deepEqual(
      [first?.subject, first?.icon],
      [{text: 'Mittagessen  &  Kaffee', participant: undefined, timestamp: undefined}, undefined],
    );
    for (const state of [second, third])
      t.like(state, {
        subject: {text: 'Mittagessen & Kaffee', timestamp: '2026-11-20T09:00:00+01:00'},
        icon: {uri: 'https://icons.example/a?b=1&c=2'},
        maxUserCount: 100,
      });
  },
);

test.serial(
  '8.3.2.3 B5 T13: a BYE that is repeated leaves one object, a later event a second one of its own id and time',
  async (t) => {
    const {pf, focus, conference, bobs, bob, carol} = await inGroup(t);
    const answer = decision<undefined>();
    bobs.call.onBye = async () => {
      await answer.made;
      return {status: 200};
    };
    const bye: [string, string][] = [['Reason', 'SIP;cause=480']];
    const call = bobIn(conference)?.call;
    const byes = [1, 2].map(async () => call?.request('BYE', bye));
    answer.make(undefined);
    t.true((await Promise.all(byes)).some((response) => response?.status === 200));
    await nothingIsLeft(pf);
    t.is((await storedStates(pf)).length, 1);
    await conference.end([['Reason', 'SIP;cause=480']], 'nothing');

    await carol.startGroup(focus.factory, {...ids, subject: 'Lunch', members: [daveAddress, bobAddress]});
    const again = await focus.conferences.first((each) => each !== conference);
    await bob.sessions.atLeast(2);
    await pf.pf.log.atLeast(2, ({msg}) => msg === 'a client is joined with his group');
    await everybodyIsKnown(pf);
    await again.end([['Reason', 'SIP;cause=503']], 'nothing');
    const [first, second, ...more] = await storedStates(pf);
    t.is(more.length, 0);
    t.not(first?.object.imdnMessageId, second?.object.imdnMessageId);
    t.true((first?.state.timestamp ?? '') < (second?.state.timestamp ?? ''));
    t.is(second?.state.lastFocusSessionId, again.identity);
  },
);

test.serial(
  '8.3.2.3 B7 B8 B10 B11 T7 T9: until the client has answered the BYE what he says gets 481, nobody sees it, and the focus waits',
  async (t) => {
    const {pf, conference, bobs, carol} = await inGroup(t);
    const [came, answer] = [decision<SipRequest>(), decision<undefined>()];
    bobs.call.onBye = async (request) => {
      came.make(request);
      await answer.made;
      return {status: 200};
    };
    const switched = conference.messages.items.length;
    let ended = false;
    const removing = conference.remove(bobAddress, carolAddress).then((status) => {
      ended = true;
      return status;
    });
    t.is(headerOf(await came.made, 'Reason'), 'SIP;cause=410;text="Gone"');
    t.deepEqual((await bobs.sendText('are you still there?')).outcomes, [481]);
    const notification = notificationMessage('m1', 'displayed');
    t.is(await bobs.msrp.send(notification, {contentType: 'message/cpim'}), 481);
    t.false(ended);
    t.is((await storedStates(pf)).length, 1);
    answer.make(undefined);
    t.is(await removing, 200);
    await nothingIsLeft(pf);
    t.is(conference.messages.items.length, switched);
    t.is(carol.messages.items.length, 0);
    t.like(await pf.status(), {ledger: {pending: 0}});
  },
);

test.serial(
  '8.3.2.3 B8 B10 B11: a client that never answers the BYE is waited for no longer than a transaction',
  async (t) => {
    const {pf, conference, bobs} = await inGroup(t, {config: impatientServer});
    bobs.call.onBye = () => Promise.resolve(undefined);
    t.is(await conference.remove(bobAddress), 200);
    // A server that is not impatient waits for half a minute.
    for (let tries = 0; tries < 3; tries += 1) await nothingIsLeft(pf).catch(() => undefined);
    await nothingIsLeft(pf);
    t.is((await storedStates(pf)).length, 1);
  },
);

test.serial(
  '8.3.2.3 B9 B10: on the client’s 200 the session is recorded as one of a group, with the author of each message; then the focus has its 200',
  async (t) => {
    const {pf, conference, carols, bob, bobs, carol} = await inGroup(t, {
      config: {served: {policy: {allowOfflineStorage: true}}},
    });
    await carols.sendText('hello', {dispositions: []});
    await bob.messages.first();
    const large = await bobs.sendText('x'.repeat(200_000), {dispositions: []});
    await carol.messages.first();
    await bobs.sendComposing('active');
    const [came, answer] = [decision<SipRequest>(), decision<undefined>()];
    bobs.call.onBye = async (request) => {
      came.make(request);
      await answer.made;
      return {status: 200};
    };
    let over = false;
    const end = conference.end([['Reason', 'SIP;cause=480']], 'nothing').then((statuses) => {
      over = true;
      return statuses;
    });
    await came.made;
    const isRecorded = ({msg}: {readonly msg: string}): boolean => msg === 'a session is recorded';
    const before = await stored(pf);
    t.deepEqual(before.map(({kind}) => kind).toSorted(), ['group-state', 'message', 'message', 'session-info']);
    t.false(pf.pf.log.items.some(isRecorded));
    t.false(over);
    answer.make(undefined);
    t.true((await end).every((status) => status === 200));
    await pf.pf.log.first(isRecorded);
    const objects = await stored(pf);
    t.deepEqual(objects.map(({kind, direction}) => [kind, direction].join(' ').trim()).toSorted(), [
      'group-state',
      'message received',
      'message sent',
      'session-info',
    ]);
    t.is(objects[0]?.kind, 'session-info');
    const info = await recordedBytes(pf, bobAddress, objects[0]?.id ?? '');
    const {type, invitedParticipants} = parseSessionInfo(objects[0]?.contentType ?? '', info);
    t.is(type, 'group');
    t.true(invitedParticipants.includes(daveAddress), invitedParticipants.join());
    const received = objects.find(({direction}) => direction === 'received');
    t.like(received, {from: 'tel:+14440003', to: 'tel:+15550102', ...ids});
    const sent = objects.find(({direction}) => direction === 'sent');
    t.like(sent, {from: 'tel:+15550102', to: conference.identity, imdnMessageId: large.messageId});
    t.true((await recordedBytes(pf, bobAddress, sent?.id ?? '')).equals(large.bytes));
  },
);

test.serial(
  '8.3.2.3 B8: with several devices the one that has the session gets the BYE, the others had their CANCEL',
  async (t) => {
    t.timeout(60_000);
    const all = await groupDeployment(t);
    const [phone, tablet] = [await all.pf.bob(), await all.pf.bob()];
    await all.pf.register(phone);
    await all.pf.register(tablet);
    const cancelled = decision<string | undefined>();
    tablet.onInvitation = (invitation) => {
      invitation.ring();
      void invitation.cancelled.then(cancelled.make);
    };
    const {conference} = await all.begin();
    const bobs = await phone.sessions.first();
    t.regex((await cancelled.made) ?? '', /cause=200/);
    await all.pf.pf.log.first(({msg}) => msg === 'a client is joined with his group');
    await conference.end([['Reason', 'SIP;cause=480']], 'nothing');
    t.is((await bobs.ended).by, 'peer');
    await nothingIsLeft(all.pf);
    t.is(tablet.sessions.items.length, 0);
  },
);

test.serial(
  '8.3.2.3 B4 B5: of a group whose participants nobody has told the object names the user himself, and who removed him; its id is a token',
  async (t) => {
    const {pf, focus} = await withRawFocus(t);
    const call = await focus.invite('invite-description-only');
    focus.sip.answer(await focus.sip.next('SUBSCRIBE'), '489 Bad Event');
    const answer = await call.bye('Reason: SIP;cause=410;text="Gone"', `Referred-By: <${carolAddress}>`);
    t.regex(answer.startLine, / 200 /);
    const states = await storedStates(pf);
    t.deepEqual(
      states.map(({state}) => addressesIn(state)),
      [[bobAddress, carolAddress].sort()],
    );
    t.regex(states[0]?.object.imdnMessageId ?? '', /^[0-9a-f]{32}$/);
  },
);
