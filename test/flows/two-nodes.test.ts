/** Two PF nodes, each with a relay and a SIP server of its own, on one MongoDB. */
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {account, isNotified} from '../../lib/phone/ledger.ts';
import type {Phone} from '../../lib/phone/phone.ts';
import {bobAddress, deployment, type Deployment, runHasEnded} from '../support/deployment.ts';
import {mongoName, startMongo, testWithMongo} from '../support/mongo.ts';
import {until} from '../support/persistent-sender.ts';

const withMongo = testWithMongo(test);
const texts = Array.from({length: 40}, (_, number) => `${number}${number % 8 === 7 ? 'x'.repeat(30_000) : ''}`);

async function nodes(t: ExecutionContext, database: string): Promise<{a: Deployment; b: Deployment}> {
  t.timeout(120_000);
  const mongo = await startMongo();
  t.teardown(async () => mongo.stop());
  const config = {store: {kind: 'mongodb', uri: mongo.uri, database: `${database}_${process.pid}`}};
  const a = await deployment(t, {config});
  const b = await deployment(t, {config, beside: a});
  return {a, b};
}

/** What waits for Bob was accepted by this node. */
async function left(node: Deployment): Promise<Phone> {
  node.core.pf = node.uri;
  const alice = await node.alice();
  await node.register(alice);
  const chat = await alice.startChat(bobAddress);
  for (const text of texts) await chat.sendText(text);
  await chat.end();
  // Its own look for somebody to hand it to is over, too: the next one who looks is the one who is told of a registration.
  await until(() => {
    const {items} = node.pf.log;
    const end = items.findLastIndex(({msg}) => msg === 'the network ends the session');
    return Promise.resolve(end !== -1 && items.slice(end).some(runHasEnded));
  });
  return alice;
}

const whole = {sent: 40, accepted: 40, delivered: 40, notified: 40, identical: true, inOrder: true};

async function everythingArrived(
  t: ExecutionContext,
  {alice, bob, node}: {alice: Phone; bob: Phone; node: Deployment},
) {
  await bob.messages.atLeast(texts.length, undefined, 30_000);
  await alice.sent.atLeast(texts.length, (message) => isNotified(message), 30_000);
  t.deepEqual(account(alice.sent.items, bob.messages.items), whole);
  t.is(bob.repetitions.items.length, 0);
  await until(async () => {
    const {ledger} = (await node.status()) as {ledger: {pending: number}};
    return ledger.pending === 0;
  });
}

withMongo(
  `8.3.2.9.1.1 A0 T36: what one node accepted another one delivers, where the user registers (${mongoName})`,
  async (t) => {
    const {a, b} = await nodes(t, 'moved');
    const alice = await left(a);
    a.core.pf = b.uri;
    const bob = await b.bob();
    await b.register(bob);
    await everythingArrived(t, {alice, bob, node: a});
    t.true(b.pf.log.items.some(({msg}) => msg === 'a delivery session stands'));
    t.false(a.pf.log.items.some(({msg}) => msg === 'a delivery session stands'));
  },
);

withMongo(
  `8.3.2.9.1.1 A0 T36: two nodes that hear of a registration at once deliver in turn, each message once (${mongoName})`,
  async (t) => {
    const {a, b} = await nodes(t, 'both');
    const alice = await left(a);
    const bob = await b.bob();
    for (const {uri} of [a, b, a, b]) {
      a.core.pf = uri;
      await a.register(bob);
    }
    await everythingArrived(t, {alice, bob, node: b});
  },
);
