/** One half of a session goes without a goodbye: the other one hears 503, nothing stays behind, and what comes next is served anew (docs/closures.md). */
import test from 'ava';
import type {ExecutionContext} from 'ava';
import type {ChatSession} from '../../lib/phone/chat-session.ts';
import type {Phone, PhoneOptions} from '../../lib/phone/phone.ts';
import {aliceAddress, bobAddress, deployment, type Deployment} from '../support/deployment.ts';
import {nothingIsLeft} from '../support/nothing-left.ts';

const gone = 'SIP;cause=503;text="Service Unavailable"';
/** So short that nothing has time to refresh it; in a 200, where no server minds. */
const expires = [['Session-Expires', '3;refresher=uas']] as const;

interface Chat {
  readonly pf: Deployment;
  readonly alice: Phone;
  readonly bob: Phone;
  readonly chat: ChatSession;
  readonly answering: ChatSession;
}

async function chatting(
  t: ExecutionContext,
  bobs: Partial<PhoneOptions> = {},
  headers: typeof expires | [] = [],
): Promise<Chat> {
  t.timeout(60_000);
  const pf = await deployment(t, {config: {cpm: {deliveryRetrySeconds: [600]}}});
  const [alice, bob] = [await pf.alice({notifications: 'none'}), await pf.bob({notifications: 'none', ...bobs})];
  await pf.register(alice);
  await pf.register(bob);
  bob.onInvitation = (invitation) => void invitation.accept(headers);
  const chat = await alice.startChat(bobAddress);
  await chat.sendText('hello', {dispositions: []});
  const {session} = await bob.messages.first();
  await session.sendText('hello yourself', {dispositions: []});
  await alice.messages.first();
  bob.onInvitation = (invitation) => void invitation.accept();
  return {pf, alice, bob, chat, answering: session};
}

/** Both are told that it is over, and by nobody's wish. */
async function bothHear(t: ExecutionContext, all: Chat): Promise<void> {
  t.deepEqual(await all.chat.ended, {by: 'peer', reason: gone});
  t.is((await all.answering.ended).by, 'peer');
  await nothingIsLeft(all.pf);
}

/** A new session goes straight to the device that is there. */
async function servedAnew(t: ExecutionContext, {alice, bob}: Chat): Promise<void> {
  const next = await alice.startChat(bobAddress);
  t.true((await next.sendText('once more', {dispositions: []})).accepted);
  await bob.messages.first(({text}) => text === 'once more');
}

test.serial(
  "8.3.2.3 RFC 4028 §10: the client's session timer runs out: BYE to it, BYE 503 to the inviter, whose own leg has no such timer",
  async (t) => {
    const all = await chatting(t, {}, expires);
    await bothHear(t, all);
    await servedAnew(t, all);
  },
);

test.serial(
  "8.3.2.3 RFC 4028 §10: the inviter's session timer runs out: BYE to him, BYE 503 to the client, and what he says next is kept while the client is off",
  async (t) => {
    const all = await chatting(t);
    // A hold of the client is offered to the inviter, whose 200 brings the timer.
    const {call} = all.chat;
    call.onOffer = () => ({status: 200, headers: expires, body: call.invite.body.toString()});
    const hold = all.answering.call.response.body.toString().replace('a=sendrecv', 'a=sendonly');
    t.is((await all.answering.call.reinvite(hold)).status, 200);
    t.deepEqual(await all.answering.ended, {by: 'peer', reason: gone});
    t.is((await all.chat.ended).by, 'peer');
    await nothingIsLeft(all.pf);
    await all.bob.close();
    const next = await all.alice.startChat(bobAddress);
    t.true((await next.sendText('kept', {dispositions: []})).accepted);
    t.like(await all.pf.status(), {ledger: {pending: 1}});
  },
);

test.serial(
  "8.3.2.3: the inviter's MSRP connection is lost: BYE 503 to both, and his next session is served",
  async (t) => {
    const all = await chatting(t);
    all.chat.msrp.connection?.destroy();
    await bothHear(t, all);
    t.is((await all.answering.ended).reason, gone);
    await servedAnew(t, all);
  },
);

test.serial(
  "8.2.2.3: the inviter's phone is gone without a word: BYE 503 to the client; what that says next is kept for him, who is served, too",
  async (t) => {
    const all = await chatting(t);
    all.chat.msrp.connection?.destroy();
    await all.alice.close();
    t.deepEqual(await all.answering.ended, {by: 'peer', reason: gone});
    await nothingIsLeft(all.pf);
    const next = await all.bob.startChat(aliceAddress);
    t.true((await next.sendText('where are you?', {dispositions: []})).accepted);
    t.like(await all.pf.status(), {ledger: {pending: 1}});
    await next.end();
    const back = await all.pf.alice();
    await all.pf.register(back);
    t.is((await back.messages.first()).text, 'where are you?');
  },
);

test.serial(
  "8.2.2.3 A16: the client's MSRP connection is lost: BYE 503 to it, the inviter stays, and what he says comes with the next registration",
  async (t) => {
    const all = await chatting(t);
    all.answering.msrp.connection?.destroy();
    t.true((await all.chat.sendText('are you there?', {dispositions: []})).accepted);
    t.deepEqual(await all.answering.ended, {by: 'peer', reason: gone});
    t.false(all.chat.call.over);
    await all.pf.register(all.bob);
    t.is((await all.bob.messages.first(({text}) => text === 'are you there?')).text, 'are you there?');
    t.is(all.bob.repetitions.items.length, 0);
    t.true((await all.chat.sendText('good', {dispositions: []})).accepted);
    await all.bob.messages.first(({text}) => text === 'good');
  },
);

test.serial(
  '8.3.2.3: the MSRP relay is lost: BYE 503 to both, and the next session goes through the one that is started in its place',
  async (t) => {
    const all = await chatting(t);
    const {log} = all.pf.pf;
    const before = new Set(log.items);
    process.kill(await all.pf.pidOf('relay'), 'SIGKILL');
    await log.first((record) => !before.has(record) && record.msg === 'MSRP relay connected');
    await bothHear(t, all);
    await servedAnew(t, all);
  },
);
