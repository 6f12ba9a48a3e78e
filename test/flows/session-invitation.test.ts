import test from 'ava';
import {headerOf, headersOf} from '../../lib/codecs/sip-message.ts';
import {account} from '../../lib/phone/ledger.ts';
import {Refused} from '../../lib/phone/phone.ts';
import {chatHeaders, chatOffer} from '../support/chat-offer.ts';
import {aliceAddress, bobAddress, deployment, runHasEnded} from '../support/deployment.ts';

test.serial('8.3.2.1: two phones that are there chat through the PF, and their notifications pass', async (t) => {
  const pf = await deployment(t);
  const [alice, bob] = [await pf.alice(), await pf.bob()];
  await pf.register(alice);
  await pf.register(bob);
  const chat = await alice.startChat(bobAddress);
  await chat.sendText('hello');
  await chat.sendText('y'.repeat(150_000));
  const [first] = await bob.messages.atLeast(2);
  await first?.session.sendText('hello yourself');
  await alice.messages.first();
  await alice.notifications.atLeast(4);
  t.true(alice.notifications.items.every(({via}) => via === 'session'));
  t.like(account(alice.sent.items, bob.messages.items), {
    sent: 2,
    accepted: 2,
    delivered: 2,
    notified: 2,
    identical: true,
    inOrder: true,
  });
  t.is(await chat.end('SIP;cause=200;text="Call completed"'), 200);
  t.deepEqual(await first?.session.ended, {by: 'peer', reason: 'SIP;cause=200;text="Call completed"'});
});

test("8.3.2.1 E7: the CPM headers pass to the device, and nothing of the inviter's dialog does", async (t) => {
  const pf = await deployment(t);
  const [alice, bob] = [await pf.alice(), await pf.bob()];
  await pf.register(alice);
  await pf.register(bob);
  await alice.startChat(bobAddress, {
    conversationId: 'Conv-A',
    contributionId: 'Contr-A',
    headers: [
      ['Subject', 'Lunch'],
      ['Privacy', 'none'],
    ],
  });
  const invite = bob.requests.items.find(({method}) => method === 'INVITE');
  const sent = pf.core.passed.items[0]?.request;
  if (invite === undefined || sent === undefined) return t.fail();
  t.is(headerOf(invite, 'Conversation-ID'), 'Conv-A');
  t.is(headerOf(invite, 'Contribution-ID'), 'Contr-A');
  t.is(headerOf(invite, 'Subject'), 'Lunch');
  t.is(headerOf(invite, 'Privacy'), 'none');
  t.true(headersOf(invite, 'P-Asserted-Identity').join().includes(aliceAddress));
  t.not(headerOf(invite, 'Call-ID'), headerOf(sent, 'Call-ID'));
  t.false((headerOf(invite, 'Contact') ?? '').includes('+15550101'));
  t.notRegex(invite.body.toString(), new RegExp(/a=path:(\S+)/.exec(sent.body.toString())?.[1] ?? 'none'));
});

test.serial('8.3.2.1 C12: every device rings, the first 200 takes the session, the others are cancelled', async (t) => {
  const pf = await deployment(t);
  const [alice, mobile, tablet] = [await pf.alice(), await pf.bob(), await pf.bob()];
  await pf.register(alice);
  await pf.register(mobile);
  await pf.register(tablet);
  let cancelled: Promise<string | undefined> | undefined;
  const rang = new Promise<void>((resolve) => {
    tablet.onInvitation = (invitation) => {
      cancelled = invitation.cancelled;
      invitation.ring();
      resolve();
    };
  });
  mobile.onInvitation = (invitation) => {
    void rang.then(() => invitation.accept());
  };
  const chat = await alice.startChat(bobAddress);
  await chat.sendText('hello');
  await mobile.messages.first();
  t.is(await cancelled, 'SIP;cause=200;text="Call completed elsewhere"');
  t.is(tablet.sessions.items.length, 0);
});

test.serial('8.3.2.1: a 603 of the device goes back to the inviter, and nothing is kept', async (t) => {
  const pf = await deployment(t);
  const [alice, bob] = [await pf.alice(), await pf.bob()];
  await pf.register(alice);
  await pf.register(bob);
  bob.onInvitation = (invitation) => {
    invitation.refuse(603);
  };
  const refused = await t.throwsAsync(alice.startChat(bobAddress), {instanceOf: Refused});
  t.is(refused.response.status, 603);
});

for (const status of [480, 408, 503]) {
  test.serial(`8.3.2.1: a ${status} of the only device makes the PF accept and keep for its user`, async (t) => {
    const pf = await deployment(t);
    const [alice, bob] = [await pf.alice(), await pf.bob()];
    await pf.register(alice);
    await pf.register(bob);
    bob.onInvitation = (invitation) => {
      invitation.refuse(status);
    };
    const chat = await alice.startChat(bobAddress);
    t.true((await chat.sendText('kept')).accepted);
    t.like(await pf.status(), {ledger: {accepted: 1, pending: 1}});
  });
}

test.serial('8.3.2.1: 486 and 488 mean what the policy table says', async (t) => {
  const pf = await deployment(t, {config: {cpm: {refusalPolicy: {486: 'refuse', 488: 'defer'}}}});
  const [alice, bob] = [await pf.alice(), await pf.bob()];
  await pf.register(alice);
  await pf.register(bob);
  bob.onInvitation = (invitation) => {
    invitation.refuse(486);
  };
  const refused = await t.throwsAsync(alice.startChat(bobAddress), {instanceOf: Refused});
  t.is(refused.response.status, 486);
  bob.onInvitation = (invitation) => {
    invitation.refuse(488);
  };
  const chat = await alice.startChat(bobAddress);
  t.true((await chat.sendText('kept')).accepted);
});

test.serial('8.3.2.1: a device that never answers is given up, and the PF accepts for its user', async (t) => {
  const pf = await deployment(t, {config: {sip: {inviteSeconds: 1}}});
  const [alice, bob] = [await pf.alice(), await pf.bob()];
  await pf.register(alice);
  await pf.register(bob);
  let cancelled: Promise<string | undefined> | undefined;
  bob.onInvitation = (invitation) => {
    cancelled = invitation.cancelled;
    invitation.ring();
  };
  const chat = await alice.startChat(bobAddress);
  t.true((await chat.sendText('kept')).accepted);
  t.is(await cancelled, 'SIP;cause=408;text="Request Timeout"');
});

test.serial('8.3.2.1: an inviter who gives up takes the ringing of every device back', async (t) => {
  const pf = await deployment(t);
  const [alice, bob] = [await pf.alice(), await pf.bob()];
  await pf.register(alice);
  await pf.register(bob);
  let cancelled: Promise<string | undefined> | undefined;
  const rang = new Promise<void>((resolve) => {
    bob.onInvitation = (invitation) => {
      cancelled = invitation.cancelled;
      invitation.ring();
      resolve();
    };
  });
  const call = alice.userAgent.invite(bobAddress, chatOffer, chatHeaders);
  await rang;
  call.cancel('SIP;cause=200;text="Call completed"');
  const outcome = await call.outcome;
  t.is('status' in outcome && outcome.status, 487);
  t.is(await cancelled, 'SIP;cause=200;text="Call completed"');
});

test.serial('8.3.2.1 T42: what waits goes to the device before what is said live', async (t) => {
  const pf = await deployment(t, {config: {cpm: {deliveryRetrySeconds: [600]}}});
  const alice = await pf.alice();
  await pf.register(alice);
  const early = await alice.startChat(bobAddress);
  for (const text of ['one', 'two', 'three']) await early.sendText(text);
  await early.end();
  // What Alice's registration and her BYE have set off is over.
  await pf.pf.log.atLeast(2, runHasEnded);
  const bob = await pf.bob();
  // The delivery at the registration is refused, so that the messages still wait when Alice calls.
  let refused = 0;
  bob.onInvitation = (invitation) => {
    if (refused++ === 0) invitation.refuse(480);
    else void invitation.accept();
  };
  await pf.register(bob);
  await pf.pf.log.atLeast(3, runHasEnded);
  const chat = await alice.startChat(bobAddress);
  await Promise.all(['four', 'five', 'six'].map(async (text) => chat.sendText(text)));
  const came = await bob.messages.atLeast(6);
  t.deepEqual(
    came.map(({text}) => text),
    ['one', 'two', 'three', 'four', 'five', 'six'],
  );
  t.is(bob.sessions.items.length, 1);
});

test.serial('8.3.2.1: a held session is spliced when its user is there and more is said', async (t) => {
  const pf = await deployment(t);
  const alice = await pf.alice();
  await pf.register(alice);
  const chat = await alice.startChat(bobAddress);
  await chat.sendText('while you were away');
  const bob = await pf.bob();
  await pf.register(bob);
  await bob.messages.first();
  await bob.sessions.items[0]?.ended;
  await chat.sendText('are you there?');
  const live = await bob.messages.first(({text}) => text === 'are you there?');
  t.false(live.session.deferred);
  await live.session.sendText('yes');
  t.is((await alice.messages.first()).text, 'yes');
});

test.serial(
  '8.3.2.1: a device whose MSRP connection breaks is ended, and the message and all later ones are kept in order',
  async (t) => {
    const pf = await deployment(t, {config: {cpm: {deliveryRetrySeconds: [600]}}});
    const alice = await pf.alice();
    await pf.register(alice);
    const bob = await pf.bob({faults: {dropAfterBytes: 60_000}, notifications: 'none'});
    await pf.register(bob);
    const chat = await alice.startChat(bobAddress);
    t.true((await chat.sendText('before')).accepted);
    t.true((await chat.sendText('z'.repeat(200_000))).accepted);
    t.true((await chat.sendText('after')).accepted);
    const [session] = bob.sessions.items;
    t.is((await session?.ended)?.reason, 'SIP;cause=503;text="Service Unavailable"');
    await bob.close();
    const again = await pf.bob();
    await pf.register(again);
    const came = await again.messages.atLeast(2);
    t.deepEqual(
      came.map(({text}) => text.length),
      [200_000, 5],
    );
    t.true(account(alice.sent.items, again.messages.items).identical);
  },
);

test("8.3.2.3 B2 B3 B8 B10: the network's BYE reaches the device with its Reason, and is answered after the device", async (t) => {
  const pf = await deployment(t);
  const [alice, bob] = [await pf.alice(), await pf.bob()];
  await pf.register(alice);
  await pf.register(bob);
  const chat = await alice.startChat(bobAddress);
  await chat.sendText('hello');
  const {session} = await bob.messages.first();
  t.is(await chat.end(), 200);
  t.deepEqual(await session.ended, {by: 'peer', reason: 'SIP;cause=200;text="Call completed"'});
});

test("8.2.2.3: the client's BYE ends the session for the inviter, with its Reason", async (t) => {
  const pf = await deployment(t);
  const [alice, bob] = [await pf.alice(), await pf.bob()];
  await pf.register(alice);
  await pf.register(bob);
  const chat = await alice.startChat(bobAddress);
  await chat.sendText('hello');
  const {session} = await bob.messages.first();
  t.is(await session.end('SIP;cause=503;text="Service Unavailable"'), 200);
  t.deepEqual(await chat.ended, {by: 'peer', reason: 'SIP;cause=503;text="Service Unavailable"'});
});

test.serial(
  '8.3.2.1 E6: a refreshing re-INVITE is answered with the same description, and the chat goes on',
  async (t) => {
    const pf = await deployment(t);
    const [alice, bob] = [await pf.alice(), await pf.bob()];
    await pf.register(alice);
    await pf.register(bob);
    const chat = await alice.startChat(bobAddress);
    await chat.sendText('before');
    const answer = chat.call.response.body.toString();
    const refreshed = await chat.call.reinvite(chat.call.invite.body.toString());
    t.is(refreshed.status, 200);
    t.is(refreshed.body.toString(), answer);
    t.true((await chat.sendText('after')).accepted);
    await bob.messages.atLeast(2);
  },
);

test.serial('8.3.2.1 E2: isComposing for somebody who is off gets its 200 and is not kept', async (t) => {
  const pf = await deployment(t);
  const alice = await pf.alice();
  await pf.register(alice);
  const chat = await alice.startChat(bobAddress);
  const composing = Buffer.from(
    '<?xml version="1.0"?><isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing"><state>active</state></isComposing>',
  );
  t.is(await chat.msrp.send(composing, {contentType: 'application/im-iscomposing+xml'}), 200);
  t.like(await pf.status(), {ledger: {accepted: 0, pending: 0}});
});
