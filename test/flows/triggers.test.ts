/** What begins a delivery anew after one that did not go through, and what does not (rows A18, A21). */
import test from 'ava';
import type {ExecutionContext} from 'ava';
import type {Phone} from '../../lib/phone/phone.ts';
import {bobAddress, deployment, type Deployment, type DeploymentOptions, runHasEnded} from '../support/deployment.ts';
import {mongoKind, mongoName, startMongo} from '../support/mongo.ts';
import {until} from '../support/persistent-sender.ts';
import {registrarPeer} from '../support/registrar-peer.ts';

const patient = {deliveryRetrySeconds: [600]};

/** Alice leaves texts for Bob, who is off; all that this sets off is over. */
async function leave(pf: Deployment, texts: readonly string[] = ['one', 'two']): Promise<Phone> {
  const alice = await pf.alice();
  await pf.register(alice);
  const chat = await alice.startChat(bobAddress);
  for (const text of texts) if (!(await chat.sendText(text)).accepted) throw new Error('a message was not accepted');
  await chat.end();
  await pf.pf.log.atLeast(2, runHasEnded);
  return alice;
}

/** A delivery to Bob has ended by his 480; from now on he would take one. */
async function refused(t: ExecutionContext, config: DeploymentOptions['config'] = {}) {
  const pf = await deployment(t, {config: {cpm: patient, ...config}});
  await leave(pf);
  const bob = await pf.bob();
  bob.onInvitation = (invitation) => {
    invitation.refuse(480);
  };
  await pf.register(bob);
  await pf.pf.log.first(({msg, stop}) => msg.startsWith('a delivery was not taken') && stop === true);
  await pf.pf.log.atLeast(3, runHasEnded);
  bob.onInvitation = (invitation) => void invitation.accept();
  return {pf, bob};
}

async function comes(t: ExecutionContext, pf: Deployment, bob: Phone): Promise<void> {
  await bob.messages.atLeast(2, undefined, 30_000);
  t.deepEqual(
    bob.messages.items.map(({text}) => text),
    ['one', 'two'],
  );
  await until(async () => {
    const {ledger} = (await pf.status()) as {ledger: Record<string, number>};
    return ledger['pending'] === 0;
  });
}

test.serial('8.3.2.9.1.1 A18: after a 480 the start of the PF is the next trigger', async (t) => {
  t.timeout(60_000);
  const {pf, bob} = await refused(t);
  await pf.stop();
  t.is(bob.messages.items.length, 0);
  await pf.start();
  await comes(t, pf, bob);
});

/** Only a server of our own may be killed. */
const killable = (
  mongoKind.kind === 'none' || mongoKind.kind === 'uri' ? test.serial.skip : test.serial
) as typeof test;

killable(`8.3.2.9.1.1 A18: after a 480 the return of the store is the next trigger (${mongoName})`, async (t) => {
  t.timeout(120_000);
  const mongo = await startMongo();
  t.teardown(async () => mongo.stop());
  const store = {kind: 'mongodb', uri: mongo.uri, database: 'triggers', answerSeconds: 2};
  const {pf, bob} = await refused(t, {store});
  await mongo.kill();
  await pf.pf.log.first(({msg}) => msg === 'the store is away', 30_000);
  await mongo.start();
  await comes(t, pf, bob);
});

test.serial(
  '8.3.2.9.1.1 A21 T26: what the client took and has not confirmed is not offered again before the time for that has passed',
  async (t) => {
    const pf = await deployment(t, {config: {cpm: {...patient, sentReofferSeconds: 600}}});
    await leave(pf);
    const bob = await pf.bob({notifications: 'none'});
    await pf.register(bob);
    await bob.messages.atLeast(2);
    await bob.sessions.items[0]?.ended;
    await pf.pf.log.atLeast(3, runHasEnded);
    await pf.register(bob);
    await pf.pf.log.atLeast(4, runHasEnded);
    t.is(bob.sessions.items.length, 1);
    t.is(bob.repetitions.items.length, 0);
    t.like(await pf.status(), {ledger: {pending: 2, delivered: 0}});
  },
);

for (const [what, servingNode, config] of [
  ['that cannot be connected to', 'sip:127.0.0.1:9;transport=tcp', {}],
  ['that never says a word', undefined, {sip: {inviteSeconds: 1}}],
] as const) {
  test.serial(`8.3.2.9.1.1 A18: what waits for a client ${what} stays, and is tried again`, async (t) => {
    const pf = await deployment(t, {config: {cpm: patient, ...config}});
    await leave(pf);
    const peer = await registrarPeer(t, pf);
    const contacts = [{uri: peer.uri, instance: '<urn:uuid:1>', cpm: true}];
    t.is(await peer.register(bobAddress, {contacts, ...(servingNode === undefined ? {} : {servingNode})}), 200);
    const {statuses} = await pf.pf.log.first(({msg}) => msg.startsWith('a delivery was not taken'), 40_000);
    t.regex(String(statuses), /^(408|503)$/);
    await pf.pf.log.first(({msg}) => msg === 'what waits for a user is tried again later');
    t.like(await pf.status(), {ledger: {pending: 2, delivered: 0}, deliveries: {retrying: 1}});
  });
}
