/** Processes are really killed, at seeded moments and at chosen ones, and the phones' own books are compared (docs/acknowledgement.md). */
import test from 'ava';
import {bobAddress, deployment, type Deployment} from '../support/deployment.ts';
import {killRounds, killSeed} from '../support/kill-rounds.ts';
import {compare, impatient, impatientServer, inTime, numbered, persist, until} from '../support/persistent-sender.ts';
import {seededRandom} from '../support/random.ts';

/** One message has gone through in both books. */
const booksAreEqual = (pf: Deployment, accepted: number) => async (): Promise<boolean> => {
  const {ledger} = (await pf.status()) as {ledger: Record<string, number>};
  return ledger['pending'] === 0 && ledger['accepted'] === accepted && ledger['delivered'] === accepted;
};

test.serial(
  '8.3.2.1 A16 E8: the PF is killed under load again and again, and all that was accepted arrives once and in order',
  async (t) => {
    t.timeout(60_000 + killRounds(20) * 10_000);
    const random = seededRandom(killSeed);
    t.log(`KILL_SEED=${killSeed}`);
    const pf = await deployment(t, {config: impatientServer});
    const alice = await pf.alice(impatient);
    await pf.register(alice);
    const state = {stop: false};
    const sending = persist(alice, bobAddress, numbered(state), {dispositions: []});
    for (let round = 0; round < killRounds(20); round++) {
      await new Promise((resolve) => setTimeout(resolve, 20 + random.below(300)));
      await pf.kill();
      await pf.start();
    }

    state.stop = true;
    const sent = await sending;
    t.true(sent.length > 0);
    const bob = await pf.bob();
    await pf.register(bob);
    t.deepEqual(await compare(sent, bob), []);
    await until(booksAreEqual(pf, sent.length));
    t.log(`${sent.length} messages`);
  },
);

test.serial(
  '8.3.2.1 A16: the relay is killed under load again and again, and all that was accepted arrives once and in order',
  async (t) => {
    t.timeout(60_000 + killRounds(20) * 10_000);
    const random = seededRandom(killSeed);
    t.log(`KILL_SEED=${killSeed}`);
    const pf = await deployment(t, {config: impatientServer});
    const alice = await pf.alice(impatient);
    await pf.register(alice);
    const state = {stop: false};
    const sending = persist(alice, bobAddress, numbered(state), {dispositions: []});
    for (let round = 0; round < killRounds(20); round++) {
      await new Promise((resolve) => setTimeout(resolve, 20 + random.below(300)));
      const killed = await pf.pidOf('relay');
      process.kill(killed, 'SIGKILL');
      await until(async () => (await pf.pidOf('relay')) !== killed);
    }

    state.stop = true;
    const sent = await sending;
    t.true(sent.length > 0);
    const bob = await pf.bob();
    await pf.register(bob);
    t.deepEqual(await compare(sent, bob), []);
    t.log(`${sent.length} messages`);
  },
);

test.serial(
  '8.3.2.9.1.1 A16 T53: the PF is killed in the middle of deliveries, and every message arrives, in order',
  async (t) => {
    t.timeout(60_000 + killRounds(20) * 10_000);
    const random = seededRandom(killSeed);
    t.log(`KILL_SEED=${killSeed}`);
    const pf = await deployment(t, {config: {cpm: {sentReofferSeconds: 1}}});
    const alice = await pf.alice();
    await pf.register(alice);
    function* some(): Generator<string> {
      for (let number = 0; number < 300; number++) yield `${number} ${'y'.repeat(number % 7 === 6 ? 60_000 : 500)}`;
    }
    const sent = await persist(alice, bobAddress, some(), {dispositions: []});
    const bob = await pf.bob();
    await pf.register(bob);
    for (let round = 0; round < killRounds(20); round++) {
      await new Promise((resolve) => setTimeout(resolve, random.below(150)));
      await pf.kill();
      await pf.start();
    }

    // A message may come again after a kill, as the same message; the phone counts it once.
    t.deepEqual(await compare(sent, bob), []);
  },
);

for (const [aim, fact] of [
  ['stored-before-200', 'killed after a message is stored and before its 200, the PF has it once when it is repeated'],
  [
    'taken-before-sent',
    'killed after the client took a message and before the store knows, the PF offers it again as the same',
  ],
  ['bye', 'killed while it ends a delivery, the PF ends the dialog in its next life'],
] as const) {
  test.serial(`8.3.2.9.1.1 A16 E8: ${fact}`, async (t) => {
    t.timeout(60_000);
    const pf = await deployment(t);
    const alice = await pf.alice();
    await pf.register(alice);
    if (aim === 'stored-before-200') {
      await pf.kill();
      await pf.start(aim);
      const chat = await alice.startChat(bobAddress);
      const message = await chat.sendText('hello', {dispositions: []});
      t.false(message.accepted);
      await pf.pf.ended;
      await pf.start();
      const again = await alice.startChat(bobAddress);
      t.is(await again.sendAgain(message), 200);
      await again.end();
    } else {
      const chat = await alice.startChat(bobAddress);
      t.true((await chat.sendText('hello', {dispositions: []})).accepted);
      await chat.end();
      await pf.kill();
      await pf.start(aim);
    }

    const bob = await pf.bob();
    await bob.register();
    if (aim !== 'stored-before-200') {
      t.is(await pf.pf.ended, 'SIGKILL');
      await pf.start();
    }

    await bob.messages.first();
    t.is(bob.messages.items.length, 1);
    t.is(bob.messages.items[0]?.text, 'hello');
    await until(booksAreEqual(pf, 1));
    for (const session of bob.sessions.items) t.is((await session.ended).by, 'peer');
  });
}

for (const victim of ['pf', 'relay'] as const) {
  test.serial(
    `8.3.2.1 E3 T53: the ${victim} is killed in the middle of a message, which is then repeated and there once, from its first octet`,
    async (t) => {
      t.timeout(60_000);
      const pf = await deployment(t, {config: impatientServer});
      const alice = await pf.alice({timers: {t1Ms: 50}, behaviour: {answerMilliseconds: 3000, window: 1}});
      await pf.register(alice);
      const chat = await alice.startChat(bobAddress);
      const sending = chat.sendText('m'.repeat(400_000), {dispositions: []});
      // The relay has answered a chunk: the message is on its way, and far from whole.
      await alice.sent.first();
      if (victim === 'pf') {
        await pf.kill();
        await pf.start();
      } else {
        const killed = await pf.pidOf('relay');
        process.kill(killed, 'SIGKILL');
        await until(async () => (await pf.pidOf('relay')) !== killed);
      }

      const message = await sending;
      t.false(message.accepted);
      const again = await inTime(alice.startChat(bobAddress));
      t.is(await again.sendAgain(message), 200);
      const bob = await pf.bob();
      await pf.register(bob);
      await bob.messages.first();
      t.true(bob.messages.items[0]?.bytes.equals(message.bytes));
      await until(booksAreEqual(pf, 1));
    },
  );
}
