import test from 'ava';
import {headerOf} from '../../lib/codecs/sip-message.ts';
import {account, isNotified} from '../../lib/phone/ledger.ts';
import {bobAddress, deployment} from '../support/deployment.ts';
import {until} from '../support/persistent-sender.ts';

const userAgent = 'Old-client/1.4 (some phone)';
const texts = ['first', 'second', 'x'.repeat(20_000)];

async function delivered(t: Parameters<typeof deployment>[0], profile: object, said = texts) {
  const pf = await deployment(t, {config: {cpm: {deliveryProfiles: [{userAgent: '^old-client/1\\.', ...profile}]}}});
  const alice = await pf.alice();
  await pf.register(alice);
  const chat = await alice.startChat(bobAddress);
  for (const text of said) await chat.sendText(text);
  await chat.end();
  const old = await pf.bob({userAgent, notifications: 'message'});
  await pf.register(old);
  await old.messages.atLeast(said.length);
  await alice.sent.atLeast(said.length, (message) => isNotified(message));
  const invite = old.requests.items.find(({method}) => method === 'INVITE');
  if (invite === undefined) throw new Error('no INVITE came');
  await until(async () => {
    const {ledger} = (await pf.status()) as {ledger: {pending: number}};
    return ledger.pending === 0;
  });
  return {pf, alice, old, invite, figures: account(alice.sent.items, old.messages.items)};
}

const whole = {sent: 3, accepted: 3, delivered: 3, notified: 3, identical: true, inOrder: true};

test.serial(
  '8.3.2.9.1.1 A9: a client whose profile says so gets its first message in the INVITE, and the others after it',
  async (t) => {
    const {old, invite, figures} = await delivered(t, {firstMessageInInvite: true});
    t.regex(headerOf(invite, 'Content-Type') ?? '', /^multipart\/mixed;/);
    t.true(invite.body.includes('first'));
    t.deepEqual(figures, whole);
    t.is(old.repetitions.items.length, 0);
    t.is(old.sessions.items[0]?.msrp.messages.items.length, 2);
  },
);

test.serial('8.3.2.9.1.1 A9: a first message that is no short one does not ride in the INVITE', async (t) => {
  const {invite, figures} = await delivered(t, {firstMessageInInvite: true}, texts.toReversed());
  t.is(headerOf(invite, 'Content-Type'), 'application/sdp');
  t.deepEqual(figures, whole);
});

test.serial(
  '8.3.2.9.1.1 A9: a client whose profile says so is offered a=sendonly, and reports by SIP MESSAGE; others are offered a=sendrecv',
  async (t) => {
    const {pf, alice, invite, figures} = await delivered(t, {sendonly: true});
    t.regex(invite.body.toString(), /^a=sendonly\r$/m);
    t.deepEqual(figures, whole);
    const carol = await pf.phone('sip:+15550103@home.example;user=phone', {userAgent: 'New-client/1.4'});
    const chat = await alice.startChat(carol.address);
    await chat.sendText('hello');
    await chat.end();
    await pf.register(carol);
    await carol.messages.first();
    const usual = carol.requests.items.find(({method}) => method === 'INVITE');
    t.notRegex(usual?.body.toString() ?? '', /a=sendonly/);
  },
);
