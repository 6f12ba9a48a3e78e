import test from 'ava';
import type {ExecutionContext} from 'ava';
import {headerOf, type SipRequest} from '../../lib/codecs/sip-message.ts';
import {notificationMessage} from '../../lib/phone/chat-messages.ts';
import type {ChatSession} from '../../lib/phone/chat-session.ts';
import type {Phone} from '../../lib/phone/phone.ts';
import {bobAddress, deployment, type Deployment} from '../support/deployment.ts';
import {nothingIsLeft} from '../support/nothing-left.ts';
import {impatientServer} from '../support/persistent-sender.ts';

interface Chat {
  readonly pf: Deployment;
  readonly alice: Phone;
  readonly bob: Phone;
  readonly chat: ChatSession;
  /** The other end of it. */
  readonly answering: ChatSession;
}

/** Two phones in a chat that is relayed. */
async function chatting(t: ExecutionContext, options: Parameters<typeof deployment>[1] = {}): Promise<Chat> {
  t.timeout(60_000);
  const pf = await deployment(t, options);
  const [alice, bob] = [await pf.alice({notifications: 'none'}), await pf.bob({notifications: 'none'})];
  await pf.register(alice);
  await pf.register(bob);
  const chat = await alice.startChat(bobAddress);
  await chat.sendText('hello', {dispositions: []});
  const {session} = await bob.messages.first();
  // Both directions are open: what Bob says is relayed.
  await session.sendText('hello yourself');
  await alice.messages.first();
  return {pf, alice, bob, chat, answering: session};
}

/** A decision that the test makes later. */
function decision<T>() {
  let make: (value: T) => void = () => undefined;
  const made = new Promise<T>((resolve) => (make = resolve));
  return {
    made,
    make: (value: T) => {
      make(value);
    },
  };
}

test.serial(
  '8.3.2.3 B7 B10 B11: until the client has answered the BYE its messages get 481, nobody sees them, and the network waits for its 200',
  async (t) => {
    const {pf, alice, chat, answering} = await chatting(t);
    const [came, answer] = [decision<SipRequest>(), decision<undefined>()];
    answering.call.onBye = async (request) => {
      came.make(request);
      await answer.made;
      return {status: 200};
    };
    let ended = false;
    const end = chat.end().then((status) => {
      ended = true;
      return status;
    });
    t.is(headerOf(await came.made, 'Reason'), 'SIP;cause=200;text="Call completed"');
    const late = await answering.sendText('are you still there?');
    t.deepEqual(late.outcomes, [481]);
    const notification = notificationMessage('m1', 'displayed');
    t.is(await answering.msrp.send(notification, {contentType: 'message/cpim'}), 481);
    t.false(ended);
    answer.make(undefined);
    t.is(await end, 200);
    await nothingIsLeft(pf);
    t.is(alice.messages.items.length, 1);
    t.like(await pf.status(), {ledger: {pending: 0}});
  },
);

test.serial(
  '8.3.2.3 B10 B11: a client that never answers the BYE is waited for no longer than a transaction',
  async (t) => {
    const all = await chatting(t, {config: impatientServer});
    all.answering.call.onBye = () => Promise.resolve(undefined);
    t.is(await all.chat.end(), 200);
    await nothingIsLeft(all.pf);
  },
);

test.serial('8.3.2.3 B2: a BYE that is repeated gets its 200 once more, and the client hears of one', async (t) => {
  const all = await chatting(t);
  let byes = 0;
  const answer = decision<undefined>();
  all.answering.call.onBye = async () => {
    byes += 1;
    await answer.made;
    return {status: 200};
  };
  const [first, again] = [all.chat.call.request('BYE'), all.chat.call.request('BYE')];
  answer.make(undefined);
  const statuses = [(await first).status, (await again).status];
  t.true(statuses.includes(200), statuses.join());
  t.true(
    statuses.every((status) => status === 200 || status === 481),
    statuses.join(),
  );
  t.is(byes, 1);
  await nothingIsLeft(all.pf);
});

test.serial('8.3.2.3 B11: BYEs that cross end the session for both, and nothing is left', async (t) => {
  const all = await chatting(t);
  const statuses = await Promise.all([all.chat.end(), all.answering.end()]);
  t.true(
    statuses.every((status) => status === 200 || status === 481),
    statuses.join(),
  );
  await nothingIsLeft(all.pf);
});

for (const [given, passed] of [
  ['Q.850;cause=16', 'Q.850;cause=16'],
  ['SIP ;cause=503 ; text="Service, Unavailable"', 'SIP ;cause=503 ; text="Service, Unavailable"'],
  ['SIP;cause=410;text="Gone"', 'SIP;cause=410;text="Gone"'],
] as const)
  test.serial(
    `8.3.2.3 B2 B3 B11 T4: a BYE with Reason «${given}» reaches the client with it, and no cause leaves a trace`,
    async (t) => {
      const all = await chatting(t);
      t.is(await all.chat.end(given), 200);
      t.deepEqual(await all.answering.ended, {by: 'peer', reason: passed});
      await nothingIsLeft(all.pf);
      t.like(await all.pf.status(), {ledger: {pending: 0}});
    },
  );

test.serial(
  '8.2.2.3 B11: half of a session gone without a word is a BYE to the other half, and what comes next is deferred',
  async (t) => {
    const all = await chatting(t);
    all.answering.msrp.connection?.destroy();
    await all.bob.close();
    const next = await all.chat.sendText('where are you?');
    t.true(next.accepted);
    t.like(await all.pf.status(), {ledger: {pending: 1}});
    const back = await all.pf.bob();
    await back.register();
    t.is((await back.messages.first()).text, 'where are you?');
  },
);
