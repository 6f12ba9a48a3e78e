/** The PF stands in a group for an identity that a registration then shows to be another user's, whom it knows by another key (T36). */
import test from 'ava';
import type {Phone} from '../../lib/phone/phone.ts';
import {bobAddress, deployment, type Deployment} from '../support/deployment.ts';
import {daveAddress, groupDeployment, ids, isMissed, knownGroup} from '../support/group-deployment.ts';
import {mongoName, startMongo, testWithMongo} from '../support/mongo.ts';
import {until} from '../support/persistent-sender.ts';
import {registrarPeer, type RegistrarPeer} from '../support/registrar-peer.ts';

const robert = 'sip:robert@home.example';
const options = {
  config: {served: {users: [], domains: ['home.example']}, cpm: {deliveryRetrySeconds: [1]}},
  focus: {keepsForAbsent: true},
};
const textsOf = ({messages}: Phone): readonly string[] => messages.items.map(({text}) => text);

/** Carol begins a group with Robert, for whom the PF stands. */
async function robertsGroup(t: Parameters<typeof groupDeployment>[0], more: object = {}) {
  const group = await groupDeployment(t, {...options, config: {...options.config, ...more}});
  const {pf, focus, carol} = group;
  const carols = await carol.startGroup(focus.factory, {...ids, subject: 'Lunch', members: [daveAddress, robert]});
  await pf.pf.log.first(({msg}) => msg === 'the PF stands in a group for its user');
  return {...group, carols};
}

/** A phone that the core knows, and tells nobody of. */
async function untoldBob(deployed: Deployment): Promise<Phone> {
  const phone = await deployed.bob();
  const {core} = deployed;
  const {pf} = core;
  core.pf = undefined;
  await phone.register();
  core.pf = pf;
  return phone;
}

/** Bob's number and the name Robert are one registration set. */
async function isRobert(peer: RegistrarPeer, {core}: Deployment, bob: Phone): Promise<number> {
  const uri = /<([^>]+)>/.exec(bob.userAgent.contact)?.[1] ?? '';
  return peer.register(bobAddress, {
    contacts: [{uri, instance: bob.instance ?? '', publicGruu: bob.gruu ?? '', cpm: true}],
    associated: [bobAddress, robert],
    servingNode: `${core.uri};step=1`,
  });
}

for (const before of [[], ['one']])
  test.serial(
    `8.3.2.9.1.2 C1 C9 T36: what is said to a group after a registration has made two keys one user reaches him, ${before.length === 0 ? 'nothing' : 'something'} having waited before`,
    async (t) => {
      t.timeout(60_000);
      const {pf, carols} = await robertsGroup(t);
      await isMissed(pf, carols, before);
      const bob = await untoldBob(pf);
      t.is(await isRobert(await registrarPeer(t, pf), pf, bob), 200);
      await carols.sendText('two');
      await bob.messages.first(({text}) => text === 'two');
      t.deepEqual(textsOf(bob), [...before, 'two']);
      const known = await knownGroup(pf, bobAddress, ids.contributionId);
      t.is(known?.servedUser, 'tel:+15550102');
      t.is(known?.standing, 'active');
      // He is in it as one, by the dialog that stood.
      const session = await bob.sessions.first();
      await pf.pf.log.first(({msg}) => msg === 'a client is joined with his group');
      t.true((await session.sendText('from Bob')).accepted);
      t.is(bob.repetitions.items.length, 0);
    },
  );

testWithMongo(test)(
  `8.3.2.9.1.2 C1 C9 T36: what one node keeps of a group after a registration at another one has made two keys one user reaches him (${mongoName})`,
  async (t) => {
    t.timeout(120_000);
    const mongo = await startMongo();
    t.teardown(async () => mongo.stop());
    const store = {kind: 'mongodb', uri: mongo.uri, database: `two_keys_${process.pid}`};
    const {pf: a, carols} = await robertsGroup(t, {store});
    const b = await deployment(t, {config: {...options.config, store}, beside: a});
    const bob = await untoldBob(b);
    const {pf} = a.core;
    a.core.pf = b.uri;
    const peer = await registrarPeer(t, b);
    a.core.pf = pf;
    t.is(await isRobert(peer, b, bob), 200);
    await carols.sendText('one');
    await bob.messages.first(({text}) => text === 'one', 30_000);
    await carols.sendText('two');
    await bob.messages.first(({text}) => text === 'two');
    t.deepEqual(textsOf(bob), ['one', 'two']);
    await until(async () => {
      const {ledger} = (await a.status()) as {ledger: Record<string, number>};
      return ledger['pending'] === 0;
    });
    t.is(bob.repetitions.items.length, 0);
  },
);
