import test from 'ava';
import {account} from '../../lib/phone/ledger.ts';
import {Refused} from '../../lib/phone/phone.ts';
import {aliceAddress, bobAddress, people} from './people.ts';

test('CPM-CF 7.3: a chat goes both ways, every notification comes back, BYE ends it on both phones', async (t) => {
  const {alice, bob} = await people(t);
  const chat = await alice.startChat(bobAddress);
  const hello = await chat.sendText('hello');
  t.true(hello.accepted);
  const [heard] = await bob.messages.atLeast(1);
  t.is(heard?.text, 'hello');
  t.deepEqual(heard?.bytes, hello.bytes);

  await heard?.session.sendText('grüß dich – 你好 👋');
  t.is((await alice.messages.first()).text, 'grüß dich – 你好 👋');

  await alice.notifications.atLeast(2);
  await bob.notifications.atLeast(2);
  t.deepEqual(hello.notified, ['delivered', 'displayed']);
  for (const [from, to] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    t.deepEqual(account(from.sent.items, to.messages.items), {
      sent: 1,
      accepted: 1,
      delivered: 1,
      notified: 1,
      identical: true,
      inOrder: true,
    });
  }

  t.is(await chat.end('SIP;cause=200;text="Call completed"'), 200);
  t.deepEqual(await heard?.session.ended, {by: 'peer', reason: 'SIP;cause=200;text="Call completed"'});
  t.is(alice.userAgent.calls.length + bob.userAgent.calls.length, 0);
});

test('RFC 3261 §21.4.18: a phone that is off is answered 480 by the core, one that is busy by itself', async (t) => {
  const {alice, bob} = await people(t);
  bob.onInvitation = (invitation) => {
    invitation.ring();
    invitation.refuse(486);
  };
  const busy = await t.throwsAsync(alice.startChat(bobAddress), {instanceOf: Refused});
  t.is(busy.response.status, 486);
  await bob.deregister();
  const away = await t.throwsAsync(alice.startChat(bobAddress), {instanceOf: Refused});
  t.is(away.response.status, 480);
});

test('RFC 3261 §9: an inviter who gives up is told 487, and the phone that rang hears the Reason', async (t) => {
  const {alice, bob} = await people(t);
  let cancelled: Promise<string | undefined> | undefined;
  const rang = new Promise<void>((resolve) => {
    bob.onInvitation = (invitation) => {
      cancelled = invitation.cancelled;
      invitation.ring();
      resolve();
    };
  });
  const outgoing = alice.userAgent.invite(bobAddress, 'v=0\r\n');
  await rang;
  outgoing.cancel('SIP;cause=200;text="Call completed elsewhere"');
  const outcome = await outgoing.outcome;
  t.is('status' in outcome && outcome.status, 487);
  t.is(await cancelled, 'SIP;cause=200;text="Call completed elsewhere"');
});

test('RFC 3428: a notification by SIP MESSAGE reaches the author of the message', async (t) => {
  const {alice} = await people(t, {bob: {notifications: 'message'}});
  const chat = await alice.startChat(bobAddress);
  const hello = await chat.sendText('hello');
  await alice.notifications.atLeast(2);
  t.deepEqual(hello.notified, ['delivered', 'displayed']);
  t.deepEqual(
    alice.notifications.items.map(({via}) => via),
    ['message', 'message'],
  );
});

test('RFC 3261 §10: both identities of a telephone number lead to the phone', async (t) => {
  const {alice, bob} = await people(t, {alice: {protocol: 'udp'}, bob: {protocol: 'udp'}});
  const chat = await alice.startChat('tel:+15550102');
  await chat.sendText('by number');
  t.is((await bob.messages.first()).text, 'by number');
  t.is((await bob.requests.first()).uri.startsWith('sip:+15550102@127.0.0.1:'), true);
  t.is((await bob.sessions.first()).partner, aliceAddress);
});

test('RFC 3841 §7.2: Accept-Contact with an instance, or a GRUU, reaches that device alone', async (t) => {
  const {alice, bob, core} = await people(t, {bob: {instance: '<urn:gsma:imei:35469106-056673-0>'}});
  t.deepEqual(core.registered(bobAddress), true);
  const options = {headers: [['Accept-Contact', '*;+sip.instance="<urn:gsma:imei:1>";require;explicit']]} as const;
  const other = await t.throwsAsync(alice.startChat(bobAddress, options), {instanceOf: Refused});
  t.is(other.response.status, 480);
  await alice.startChat(bob.gruu ?? '');
  t.is(bob.sessions.items.length, 1);
});
