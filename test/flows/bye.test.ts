import test from 'ava';
import type {ExecutionContext} from 'ava';
import {headerOf, type SipRequest} from '../../lib/codecs/sip-message.ts';
import {notificationMessage} from '../../lib/phone/chat-messages.ts';
import type {ChatSession} from '../../lib/phone/chat-session.ts';
import type {Phone} from '../../lib/phone/phone.ts';
import {bobAddress, deployment, type Deployment} from '../support/deployment.ts';
import {nothingIsLeft} from '../support/nothing-left.ts';
import {impatientServer, until} from '../support/persistent-sender.ts';

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

/** What a client may say when the BYE is on its way to it, and what it hears. */
const late: Readonly<Record<string, (answering: ChatSession) => Promise<unknown>>> = {
  'a chat message gets 481': async (answering) => (await answering.sendText('are you still there?')).outcomes.at(-1),
  'a notification gets 481': async (answering) =>
    answering.msrp.send(notificationMessage('m1', 'displayed'), {contentType: 'message/cpim'}),
  'a chat message that wants no report gets nothing': async (answering) => {
    const {outcomes} = await answering.sendText('hello?', {failureReport: 'no'});
    // Behind it on the same connection, so that it has been looked at when this is answered.
    const next = await answering.sendText('hello?');
    return outcomes.at(-1) === 'unasked' ? next.outcomes.at(-1) : outcomes.at(-1);
  },
};

for (const [what, say] of Object.entries(late))
  test.serial(
    `8.3.2.3 B7 B10 B11: until the client has answered the BYE ${what}, nobody sees it, and the network waits for its 200`,
    async (t) => {
      const all = await chatting(t);
      const {pf, alice, chat, answering} = all;
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
      t.is(await say(answering), 481);
      t.false(ended);
      answer.make(undefined);
      t.is(await end, 200);
      await nothingIsLeft(all.pf);
      t.is(alice.messages.items.length, 1);
      t.deepEqual(alice.notifications.items, []);
      t.like(await pf.status(), {ledger: {pending: 0}});
    },
  );

for (const status of [481, 500] as const)
  test.serial(
    `8.3.2.3 B10 B11: a client that answers the BYE with ${status} is gone all the same, the network has its 200`,
    async (t) => {
      const all = await chatting(t);
      all.answering.call.onBye = () => Promise.resolve({status});
      t.is(await all.chat.end(), 200);
      await nothingIsLeft(all.pf);
    },
  );

test.serial('8.3.2.3 B8 B11: of two devices the one in the session has the BYE, and the other none', async (t) => {
  const all = await chatting(t);
  const other = await all.pf.bob({notifications: 'none'});
  await all.pf.register(other);
  t.is(await all.chat.end('SIP;cause=503;text="gone"'), 200);
  t.deepEqual(await all.answering.ended, {by: 'peer', reason: 'SIP;cause=503;text="gone"'});
  await nothingIsLeft(all.pf);
  t.deepEqual(
    other.requests.items.filter(({method}) => method !== 'OPTIONS'),
    [],
  );
});

test.serial(
  '8.3.2.3 B8 B11: devices that still ring for a session that the network ends are cancelled, every one, with its Reason',
  async (t) => {
    t.timeout(60_000);
    const pf = await deployment(t, {config: {sip: {inviteSeconds: 30}}});
    const alice = await pf.alice({notifications: 'none'});
    await pf.register(alice);
    const chat = await alice.startChat(bobAddress);
    const devices = [await pf.bob(), await pf.bob()];
    const rung = devices.map((device) => {
      const [rings, cancelled] = [decision<undefined>(), decision<string | undefined>()];
      device.onInvitation = (invitation) => {
        invitation.ring();
        rings.make(undefined);
        void invitation.cancelled.then(cancelled.make);
      };
      return {rings, cancelled};
    });
    for (const device of devices) await pf.register(device);
    // A delivery that runs would take the message along, and the devices would ring for that.
    await pf.pf.log.first(({msg, devices: count}) => msg === 'a served user is registered' && count === 2);
    await until(async () => {
      const {deliveries} = (await pf.status()) as {deliveries: {running: number; queued: number}};
      return deliveries.running + deliveries.queued === 0;
    });
    t.true((await chat.sendText('ring', {dispositions: []})).accepted);
    for (const {rings} of rung) await rings.made;
    t.is(await chat.end('SIP;cause=480;text="Bearer unavailable"'), 200);
    for (const {cancelled} of rung) t.is(await cancelled.made, 'SIP;cause=480;text="Bearer unavailable"');
    t.like(await pf.status(), {ledger: {pending: 1}});
  },
);

test.serial(
  '8.3.2.3 B10 B11: a client that never answers the BYE is waited for no longer than a transaction',
  async (t) => {
    const all = await chatting(t, {config: impatientServer});
    all.answering.call.onBye = () => Promise.resolve(undefined);
    t.is(await all.chat.end(), 200);
    // A server with timers of its own gives up after 32 s (RFC 3261 §17.1.2.2, Timer F).
    await nothingIsLeft(all.pf, 40_000);
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
      const {by, reason} = await all.answering.ended;
      t.is(by, 'peer');
      // A SIP server may write blanks its own way.
      t.is(reason?.replaceAll(/\s*([;=])\s*/g, '$1'), passed.replaceAll(/\s*([;=])\s*/g, '$1'));
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
