/** CPM-CF 8.3.2.9.1.2 C9, C11, C12: the client of an active group, among what is said there while his backlog comes. */
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {headerOf} from '../../lib/codecs/sip-message.ts';
import {keyOf} from '../../lib/controlling-function/conference.ts';
import {Inbox} from '../../lib/phone/inbox.ts';
import {account} from '../../lib/phone/ledger.ts';
import {Refused, type ChatInvitation} from '../../lib/phone/phone.ts';
import {bobAddress, type Deployment} from '../support/deployment.ts';
import {
  bobWasThere,
  carolAddress,
  groupDeployment,
  groupUri,
  ids,
  isMissed,
  otherIds,
  saidByBob,
} from '../support/group-deployment.ts';
import {until} from '../support/persistent-sender.ts';

const joined = 'a client is joined with his group';
const completed = 'SIP;cause=200;text="Call completed"';
const elsewhere = 'SIP;cause=200;text="Call completed elsewhere"';
const keeps = {focus: {keepsForAbsent: true}};
const retries = {config: {cpm: {deliveryRetrySeconds: [1]}}};

const pending = async (pf: Deployment): Promise<number | undefined> => {
  const {ledger} = (await pf.status()) as {ledger: Record<string, number>};
  return ledger['pending'];
};

test.serial(
  '8.3.2.9.1.2 C9 T42: under a flood of live messages a long backlog comes first, then all of them, each once and in order',
  async (t) => {
    t.timeout(120_000);
    const {pf, begin, carol} = await groupDeployment(t, keeps);
    const {carols} = await begin();
    const backlog = Array.from({length: 300}, (_, at) => `kept ${at} ${at % 10 === 0 ? 'x'.repeat(20_000) : ''}`);
    await isMissed(pf, carols, backlog);
    const state = {floods: true};
    const flood = (async () => {
      for (let at = 0; state.floods; at++) await carols.sendText(`live ${at}`, {dispositions: []});
    })();
    const bob = await pf.bob({notifications: 'none'});
    await pf.register(bob);
    await pf.pf.log.first(({msg}) => msg === joined, 60_000);
    // It goes on over the seam, and ends some time behind it.
    const seen = carol.sent.items.length;
    await carol.sent.atLeast(seen + 100, undefined, 60_000);
    state.floods = false;
    await flood;
    const last = carol.sent.items.at(-1)?.messageId;
    await bob.messages.first(({messageId}) => messageId === last, 60_000);
    const count = carol.sent.items.length;
    t.like(account(carol.sent.items, bob.messages.items), {
      sent: count,
      accepted: count,
      delivered: count,
      identical: true,
      inOrder: true,
    });
    t.is(bob.messages.items.length, count);
    t.is(bob.repetitions.items.length, 0);
    t.is(bob.sessions.items.length, 1);
    t.true(pf.pf.log.items.filter(({msg}) => msg.startsWith('a message is kept')).length > backlog.length);
  },
);

test.serial(
  '8.3.2.9.1.2 C9: a client that knows the group by the PF’s URI alone subscribes to its conference there, and the focus answers; the PF’s own subscription stays',
  async (t) => {
    t.timeout(60_000);
    const {pf, begin} = await groupDeployment(t, keeps);
    const {conference, carols} = await begin();
    await isMissed(pf, carols, ['one']);
    await until(() => Promise.resolve(conference.events.subscribers.includes(keyOf(bobAddress))));
    const bob = await pf.bob();
    await pf.register(bob);
    const {group} = await bob.sessions.first();
    await bob.messages.first(({text}) => text === 'one');
    const watch = await bob.watch(group?.identity ?? '');
    const own = await watch.states.first(({participants}) => participants.length === 3);
    t.true(own.participants.some(({entity, yourOwn}) => yourOwn === true && keyOf(entity) === keyOf(bobAddress)));
    conference.setSubject('Dinner', carolAddress);
    await watch.states.first(({description}) => description.subject === 'Dinner');
    t.is(conference.events.subscribers.filter((member) => member === keyOf(bobAddress)).length, 2);
    t.is(await watch.subscription.refresh(), 200);
    t.is(await watch.end(), 200);
    t.is(conference.events.subscribers.filter((member) => member === keyOf(bobAddress)).length, 1);
  },
);

test.serial('8.3.2.9.1.2 C9: a subscription to a group that is not the user’s gets 404', async (t) => {
  t.timeout(60_000);
  const {pf, begin} = await groupDeployment(t);
  await begin();
  const other = await pf.phone('sip:+15550109@home.example;user=phone');
  await pf.register(other);
  for (const uri of [groupUri(pf), groupUri(pf, otherIds)]) {
    const refused = await t.throwsAsync(other.watch(uri), {instanceOf: Refused});
    t.is(refused.response.status, 404);
  }
});

const ends = (reason: string | undefined, leaves: boolean) => async (t: ExecutionContext) => {
  t.timeout(90_000);
  const {pf, begin} = await groupDeployment(t, retries);
  const {conference, carols} = await begin();
  await isMissed(pf, carols, ['one', 'two', 'three', 'four']);
  const other = await begin(otherIds);
  await isMissed(pf, other.carols, ['of the other group']);
  // Of the first group he takes one message, and answers no other.
  const state = {taken: 0};
  const bob = await pf.bob({
    notifications: 'none',
    behaviour: {
      answer: ({body}) => {
        if (body === undefined || body.length === 0 || state.taken < 0) return 200;
        return state.taken++ === 0 ? 200 : 'silent';
      },
    },
  });
  await pf.register(bob);
  const session = await bob.sessions.first();
  t.is(session.contributionId, ids.contributionId);
  await bob.messages.first(({text}) => text === 'one');
  state.taken = -1;
  t.is(await session.end(reason), 200);
  await bob.messages.first(({text}) => text === 'of the other group');
  if (leaves) {
    await conference.changes.first(
      ({member, endpoint}) => member === keyOf(bobAddress) && endpoint.disconnectionMethod === 'departed',
    );
    await until(async () => (await pending(pf)) === 1);
    await other.carols.sendText('later');
    await bob.messages.first(({text}) => text === 'later');
    t.deepEqual(
      bob.messages.items.map(({text}) => text),
      ['one', 'of the other group', 'later'],
    );
    t.false(conference.isMember(bobAddress));
  } else {
    await bob.messages.first(({text}) => text === 'four');
    await carols.sendText('live');
    await bob.messages.first(({text}) => text === 'live');
    t.deepEqual(
      bob.messages.items
        .filter(({session: {contributionId}}) => contributionId === ids.contributionId)
        .map(({text}) => text),
      ['one', 'two', 'three', 'four', 'live'],
    );
    t.true(conference.isMember(bobAddress));
  }
  // The BYE may be faster than the 200 to the one that he took.
  t.true(bob.repetitions.items.every(({text}) => text === 'one'));
  t.true(other.conference.isMember(bobAddress));
};

test.serial(
  '8.3.2.9.1.2 C11 T47: a BYE with cause 200 in mid-delivery leaves the group, and discards the rest of that group alone',
  ends(completed, true),
);
test.serial(
  '8.3.2.9.1.2 C11 T47: a BYE with cause 503 in mid-delivery keeps the rest, which comes at the next attempt, and the PF stays',
  ends('SIP;cause=503;text="Service Unavailable"', false),
);
test.serial(
  '8.3.2.9.1.2 C11 T47: a BYE without Reason in mid-delivery keeps the rest, which comes at the next attempt, and the PF stays',
  ends(undefined, false),
);

test.serial(
  '8.3.2.9.1.2 C12: all devices ring, the first 200 takes the delivery, and the others are cancelled',
  async (t) => {
    t.timeout(60_000);
    const {pf, begin} = await groupDeployment(t, {core: {handBack: false}, config: {sip: {inviteSeconds: 20}}});
    const {conference, carols} = await begin();
    await isMissed(pf, carols, ['one', 'two']);
    const state = {busy: true};
    const devices = await Promise.all(
      [1, 2, 3].map(async () => {
        const phone = await pf.bob();
        const invitations = new Inbox<ChatInvitation>('invitation');
        phone.onInvitation = (invitation) => {
          if (state.busy) {
            invitation.refuse(486);
            return;
          }

          invitation.ring();
          invitations.push(invitation);
        };
        return {phone, invitations};
      }),
    );
    const [first, second, third] = devices;
    if (first === undefined || second === undefined || third === undefined) return t.fail();
    for (const {phone} of devices.slice(1)) await pf.register(phone);
    await until(async () => {
      const {deliveries} = (await pf.status()) as {deliveries: {running: number}};
      return deliveries.running === 0;
    });
    state.busy = false;
    await pf.register(first.phone);
    const rung = await Promise.all(devices.map(async ({invitations}) => invitations.first()));
    t.is(new Set(rung.map(({request}) => headerOf(request, 'Call-ID'))).size, 3);
    third.invitations.items[0]?.refuse(486);
    await second.invitations.items[0]?.accept();
    t.is(await first.invitations.items[0]?.cancelled, elsewhere);
    await second.phone.messages.first(({text}) => text === 'two');
    t.deepEqual(
      devices.map(({phone}) => phone.messages.items.length),
      [0, 2, 0],
    );
    await pf.pf.log.first(({msg}) => msg === joined);
    await second.phone.sessions.items[0]?.sendText('from Bob');
    await conference.messages.first(({bytes}) => bytes.toString().endsWith('from Bob'));
    t.true(saidByBob(conference).includes('from Bob'));
  },
);

test.serial(
  '8.3.2.9.1.2 C12: a device that is lost in mid-delivery is no end of the group: the other one gets the rest, then is joined',
  async (t) => {
    t.timeout(90_000);
    const group = await groupDeployment(t, {...keeps, ...retries});
    const {pf} = group;
    const {carols} = await bobWasThere(group);
    await isMissed(pf, carols, ['one', 'two', 'three']);
    const lost = await pf.bob({
      behaviour: {answer: ({body}) => (body === undefined || body.length === 0 ? 200 : 'silent')},
    });
    await pf.register(lost);
    const session = await lost.sessions.first();
    await session.msrp.frames.first(({body}) => body !== undefined && body.length > 0);
    await lost.deregister();
    await lost.close();
    const bob = await pf.bob();
    await pf.register(bob);
    await bob.messages.first(({text}) => text === 'three', 20_000);
    await carols.sendText('live');
    await bob.messages.first(({text}) => text === 'live');
    t.deepEqual(
      bob.messages.items.map(({text}) => text),
      ['one', 'two', 'three', 'live'],
    );
    t.is(bob.repetitions.items.length, 0);
  },
);
