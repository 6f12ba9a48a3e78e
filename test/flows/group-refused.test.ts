/** CPM-CF 8.3.2.9.1.2 C5, C6: a delivery that a client does not take. */
import test from 'ava';
import {headerOf} from '../../lib/codecs/sip-message.ts';
import {keyOf} from '../../lib/controlling-function/conference.ts';
import {bobAddress} from '../support/deployment.ts';
import {
  bobIn,
  groupDeployment,
  ids,
  inactivity,
  invitesOfBob,
  isMissed,
  knownGroup,
  otherIds,
} from '../support/group-deployment.ts';
import {nothingIsLeft, standing} from '../support/in-group.ts';
import {until} from '../support/persistent-sender.ts';
import {withRawGroup} from '../support/raw-focus.ts';

const retries = {config: {cpm: {deliveryRetrySeconds: [1]}}};
const discarded = 'what waited of a group is discarded';
const completed = 'SIP;cause=200;text="Call completed"';

test.serial(
  '8.3.2.9.1.2 C5: 603 to an active group discards what waits of it alone, and its focus sees him leave; other groups and senders come',
  async (t) => {
    t.timeout(60_000);
    const group = await groupDeployment(t, retries);
    const {pf, begin} = group;
    const {conference, carols} = await begin();
    await isMissed(pf, carols, ['one', 'two']);
    const other = await begin(otherIds);
    await isMissed(pf, other.carols, ['of the other group']);
    const alice = await pf.alice();
    await pf.register(alice);
    const chat = await alice.startChat(bobAddress);
    await chat.sendText('from Alice');
    const bob = await pf.bob();
    bob.onInvitation = (invitation) => {
      if (headerOf(invitation.request, 'Contribution-ID') === ids.contributionId) invitation.refuse(603);
      else void invitation.accept().catch(() => undefined);
    };
    await pf.register(bob);
    await bob.messages.first(({text}) => text === 'of the other group');
    await bob.messages.first(({text}) => text === 'from Alice');
    const left = await conference.changes.first(
      ({member, endpoint}) => member === keyOf(bobAddress) && endpoint.status === 'disconnected',
    );
    t.like(left.endpoint, {disconnectionMethod: 'departed', disconnectionInfo: {reason: completed}});
    t.like(await pf.pf.log.first(({msg}) => msg === discarded), {contributionId: ids.contributionId});
    await until(() => Promise.resolve(!conference.events.subscribers.includes(keyOf(bobAddress))));
    // What is said now is not for him, and what was said never comes.
    await carols.sendText('three');
    await other.carols.sendText('four');
    await bob.messages.first(({text}) => text === 'four');
    t.false(bob.messages.items.some(({text}) => ['one', 'two', 'three'].includes(text)));
    t.is(bob.requests.items.filter((request) => headerOf(request, 'Contribution-ID') === ids.contributionId).length, 1);
    t.true(other.conference.isMember(bobAddress));
    await until(async () => {
      const {ledger} = (await pf.status()) as {ledger: Record<string, number>};
      return ledger['pending'] === 0;
    });
  },
);

test.serial(
  '8.3.2.9.1.2 C5 T39: on 603 the focus of an active group gets BYE cause 200, then SUBSCRIBE with Expires 0',
  async (t) => {
    const {pf, focus, call, subscriber} = await withRawGroup(t, retries);
    const cpim = 'From: <sip:+15550101@home.example>\r\nTo: <sip:x@y>\r\n\r\nContent-Type: text/plain\r\n\r\nhello';
    t.is(await call.say('message/cpim', cpim), '200');
    const bob = await pf.bob();
    bob.onInvitation = (invitation) => {
      invitation.refuse(603);
    };
    await pf.register(bob);
    const bye = await focus.sip.next('BYE');
    t.is(bye.header('Reason'), completed);
    focus.sip.answer(bye, '200 OK');
    const unsubscribe = await focus.sip.next('SUBSCRIBE');
    t.is(unsubscribe.header('Expires'), '0');
    t.is(unsubscribe.header('Call-ID'), subscriber.request.header('Call-ID'));
    t.true(focus.sip.received.indexOf(bye) < focus.sip.received.indexOf(unsubscribe));
    focus.sip.answer(unsubscribe, '200 OK', ['Expires: 0']);
    await pf.pf.log.first(({msg}) => msg === discarded);
  },
);

test.serial(
  '8.3.2.9.1.2 C5 T38: 603 to an inactive group discards what waits of it, and its focus hears nothing',
  async (t) => {
    t.timeout(60_000);
    const group = await groupDeployment(t, retries);
    const {pf, begin, focus} = group;
    const {conference, carols} = await begin();
    await isMissed(pf, carols, ['one', 'two']);
    await conference.end(inactivity);
    const before = focus.requests.items.length;
    const bob = await pf.bob();
    bob.onInvitation = (invitation) => {
      invitation.refuse(603);
    };
    await pf.register(bob);
    t.like(await pf.pf.log.first(({msg}) => msg === discarded), {discarded: 2, contributionId: ids.contributionId});
    await pf.register(bob);
    // The second look finds nothing to be handed over.
    await until(async () => {
      const {ledger} = (await pf.status()) as {ledger: Record<string, number>};
      return ledger['pending'] === 0;
    });
    t.is(bob.requests.items.filter(({method}) => method === 'INVITE').length, 1);
    t.is(focus.requests.items.length, before);
    t.is(invitesOfBob(group).length, 0);
  },
);

test.serial(
  '8.3.2.9.1.2 C5: 603 to a group whose focus cannot be asked just then: what waits is discarded, he has left, and nobody comes back for him',
  async (t) => {
    const group = await standing(t, {...retries, focus: {keepsForAbsent: true}});
    const {pf, focus, conference, carols} = group;
    await isMissed(pf, carols, ['one']);
    focus.refuses = () => 503;
    bobIn(conference)?.msrp.connection?.destroy();
    await until(() => Promise.resolve(invitesOfBob(group).length > 0));
    const bob = await pf.bob();
    bob.onInvitation = (invitation) => {
      invitation.refuse(603);
    };
    await pf.register(bob);
    t.like(await pf.pf.log.first(({msg}) => msg === 'the focus of a group could not be told that its member leaves'), {
      status: 503,
    });
    await pf.pf.log.first(({msg}) => msg === discarded);
    focus.refuses = () => undefined;
    await until(async () => (await knownGroup(pf, bobAddress, ids.contributionId))?.standing === 'left');
    await nothingIsLeft(pf);
    t.like(await pf.status(), {ledger: {pending: 0, dropped: 1}});
    t.is(bobIn(conference), undefined);
  },
);

for (const status of [480, 486, 503, 500] as const) {
  test.serial(
    `8.3.2.9.1.2 C6: ${status} keeps what waits of a group, and it is handed over at a later attempt by the policy`,
    async (t) => {
      t.timeout(60_000);
      const {pf, begin} = await groupDeployment(t, retries);
      const {conference, carols} = await begin();
      await isMissed(pf, carols, ['one', 'two']);
      const bob = await pf.bob();
      let refusals = 0;
      bob.onInvitation = (invitation) => {
        if (refusals++ === 0) invitation.refuse(status);
        else void invitation.accept().catch(() => undefined);
      };
      await pf.register(bob);
      await bob.messages.first(({text}) => text === 'two');
      t.deepEqual(
        bob.messages.items.map(({text}) => text),
        ['one', 'two'],
      );
      t.true(pf.pf.log.items.some(({msg, statuses}) => msg.includes('was not taken') && statuses === String(status)));
      t.true(conference.isMember(bobAddress));
      t.is(bob.repetitions.items.length, 0);
    },
  );
}

test.serial('8.3.2.9.1.2 C6: a client that only rings is given up, 408, and called again', async (t) => {
  t.timeout(60_000);
  const {pf, begin} = await groupDeployment(t, {config: {...retries.config, sip: {inviteSeconds: 1}}});
  const {carols} = await begin();
  await isMissed(pf, carols, ['one']);
  const bob = await pf.bob();
  let rang = false;
  bob.onInvitation = (invitation) => {
    if (rang) void invitation.accept().catch(() => undefined);
    else invitation.ring();
    rang = true;
  };
  await pf.register(bob);
  await bob.messages.first(({text}) => text === 'one');
  t.true(pf.pf.log.items.some(({msg, statuses}) => msg.includes('was not taken') && statuses === '408'));
});

test.serial(
  '8.3.2.9.1.2 C6: a refusal that stops deliveries, 480, stops those of the other groups too, until the next trigger',
  async (t) => {
    t.timeout(60_000);
    const {pf, begin} = await groupDeployment(t, {config: {cpm: {deliveryRetrySeconds: [600]}}});
    const {carols} = await begin();
    await isMissed(pf, carols, ['one']);
    const other = await begin(otherIds);
    await isMissed(pf, other.carols, ['two']);
    // A look at the queue that a message has set off could ring him before his registration does.
    await until(async () => {
      const {deliveries} = (await pf.status()) as {deliveries: {running: number}};
      return deliveries.running === 0;
    });
    const bob = await pf.bob();
    let refusals = 0;
    bob.onInvitation = (invitation) => {
      if (refusals++ === 0) invitation.refuse(480);
      else void invitation.accept().catch(() => undefined);
    };
    await pf.register(bob);
    await pf.pf.log.first(({msg}) => msg === 'what waits for a user is tried again later');
    t.is(bob.requests.items.filter(({method}) => method === 'INVITE').length, 1);
    await pf.register(bob);
    await bob.messages.first(({text}) => text === 'one');
    await bob.messages.first(({text}) => text === 'two');
    t.is(bob.requests.items.filter(({method}) => method === 'INVITE').length, 3);
  },
);
