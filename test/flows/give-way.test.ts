/** A session that needs what another one is handing over: the older one gives way, on one node and between two (NOTE 2, A17, T36, T52). */
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {headerOf} from '../../lib/codecs/sip-message.ts';
import type {ChatSession} from '../../lib/phone/chat-session.ts';
import {Inbox} from '../../lib/phone/inbox.ts';
import type {ChatInvitation, Phone} from '../../lib/phone/phone.ts';
import {certificate, type TestCertificate} from '../support/certificates.ts';
import {bobAddress, deployment, type Deployment, type DeploymentOptions, runHasEnded} from '../support/deployment.ts';
import {mongoName, startMongo, testWithMongo} from '../support/mongo.ts';
import {until} from '../support/persistent-sender.ts';
import {temporaryFolder} from '../support/temporary-folder.ts';

const withMongo = testWithMongo(test);
const elsewhere = 'SIP;cause=200;text="Call completed elsewhere"';
const config = {cpm: {deliveryRetrySeconds: [600]}, sip: {inviteSeconds: 20}};
// A proxy on the way of our own INVITE would send a CANCEL of its own.
const core = {handBack: false};
const texts = ['one', 'two', 'three'];

/** Who delivers what waits for Bob, and who has Alice's call to him: one node, or two. */
interface Stage {
  readonly deliverer: Deployment;
  readonly caller: Deployment;
}

async function twoNodes(
  t: ExecutionContext,
  database: string,
  peers: readonly [DeploymentOptions['config'], DeploymentOptions['config']] = [{}, {}],
): Promise<Stage> {
  t.timeout(120_000);
  const mongo = await startMongo();
  t.teardown(async () => mongo.stop());
  const store = {kind: 'mongodb', uri: mongo.uri, database: `${database}_${process.pid}`};
  const deliverer = await deployment(t, {core, config: {...config, store, ...peers[0]}});
  const caller = await deployment(t, {config: {...config, store, ...peers[1]}, beside: deliverer});
  return {deliverer, caller};
}

const runs = (pf: Deployment): number => pf.pf.log.items.filter(runHasEnded).length;

/** Leaves texts for Bob, who is off; what the registration and the end of the session have set off is over. */
async function leave(pf: Deployment, person: Phone, texts: readonly string[]): Promise<void> {
  const before = runs(pf);
  await pf.register(person);
  const chat = await person.startChat(bobAddress);
  for (const text of texts)
    if (!(await chat.sendText(text, {dispositions: []})).accepted) throw new Error('a message was not accepted');
  await chat.end();
  await pf.pf.log.atLeast(before + 2, runHasEnded);
}

/**
 * Alice has left three texts, and calls Bob, who is rung; then a delivery of the three rings him, too. He has not said anything to either.
 * `silent` may be set, and then his phone answers no SEND. Somebody else may have written `before` her: then it is his text that is delivered first.
 */
async function bothRing(stage: Stage, before?: Phone) {
  const {deliverer, caller} = stage;
  deliverer.core.pf = deliverer.uri;
  if (before !== undefined) await leave(deliverer, before, ['from carol']);
  const alice = await deliverer.alice();
  await leave(deliverer, alice, texts);

  const state = {silent: false, awake: false};
  const bob = await deliverer.bob({behaviour: {answer: () => (state.silent ? 'silent' : 200)}});
  const invitations = new Inbox<ChatInvitation>('invitation');
  bob.onInvitation = (invitation) => {
    if (state.awake) {
      invitation.ring();
      invitations.push(invitation);
    } else {
      invitation.refuse(486);
    }
  };
  await deliverer.register(bob);
  await deliverer.pf.log.first(({msg}) => msg === 'what waits for a user is tried again later');
  state.awake = true;

  deliverer.core.pf = caller.uri;
  const calling = alice.startChat(bobAddress);
  calling.catch(() => undefined);
  const live = await invitations.first();
  deliverer.core.pf = deliverer.uri;
  await deliverer.register(bob);
  const delivery = await invitations.first(({request}) => headerOf(request, 'Referred-By') !== undefined);
  return {alice, bob, calling, live, delivery, state};
}

const textsOn = (bob: Phone, session: ChatSession): readonly string[] =>
  [...bob.messages.items, ...bob.repetitions.items].filter((one) => one.session === session).map(({text}) => text);

/** All of it came over Alice's call, in order, and nothing is left. */
async function cameLive(t: ExecutionContext, {deliverer}: Stage, bob: Phone, chat: ChatSession, session: ChatSession) {
  t.true((await chat.sendText('live', {dispositions: []})).accepted);
  await until(() => Promise.resolve(textsOn(bob, session).includes('live')));
  t.deepEqual(textsOn(bob, session), [...texts, 'live']);
  await until(async () => {
    const {ledger} = (await deliverer.status()) as {ledger: Record<string, number>};
    return ledger['pending'] === 0;
  });
}

const ringing = 'a delivery that rings gives way to a session that needs the same messages';
const standing = 'a delivery session gives way to a session that needs the same messages';

async function ringingGivesWay(t: ExecutionContext, stage: Stage): Promise<void> {
  const {bob, calling, live, delivery} = await bothRing(stage);
  const session = await live.accept();
  t.is(await delivery.cancelled, elsewhere);
  await cameLive(t, stage, bob, await calling, session);
  await stage.deliverer.pf.log.first(({msg}) => msg === ringing);
  // The 487 is no failure that would be told, or waited after.
  t.false(stage.deliverer.pf.log.items.some(({statuses}) => statuses === '487'));
}

async function standingGivesWay(t: ExecutionContext, stage: Stage): Promise<void> {
  const {bob, calling, live, delivery, state} = await bothRing(stage);
  state.silent = true;
  const older = await delivery.accept();
  await older.msrp.frames.first(({body}) => body !== undefined);
  state.silent = false;
  const session = await live.accept();
  t.deepEqual(await older.ended, {by: 'peer', reason: elsewhere});
  await cameLive(t, stage, bob, await calling, session);
  await stage.deliverer.pf.log.first(({msg}) => msg === standing);
}

for (const [what, givesWay] of [
  ['that rings is cancelled, its 487 is no failure, and', ringingGivesWay],
  ['that stands gets BYE, and what was not acknowledged', standingGivesWay],
] as const) {
  test.serial(
    `8.3.2.9.1.1 A17 T52: a delivery ${what} goes over the session with the same sender that he takes`,
    async (t) => {
      t.timeout(60_000);
      const pf = await deployment(t, {core, config});
      await givesWay(t, {deliverer: pf, caller: pf});
    },
  );

  withMongo(
    `8.3.2.9.1.1 A17 T36 T52: a delivery of another node ${what} goes over the session that he takes (${mongoName})`,
    async (t) => {
      const stage = await twoNodes(t, 'asked');
      await givesWay(t, stage);
      const asked = await stage.caller.pf.log.first(({msg}) => msg.startsWith('the node that delivers'));
      t.is(asked['answer'], 'free');
    },
  );
}

const notAsked = 'the node that delivers to a user cannot be asked to give way; its lease is waited for';

/** He takes Alice's call, and the node that has it does not get at what waits: it holds, and all comes over the delivery. */
async function comesAnyway(
  t: ExecutionContext,
  stage: Stage,
  act: () => Promise<void> | void,
  then: () => Promise<void> | void,
) {
  const {alice, bob, live, calling, delivery} = await bothRing(stage);
  await act();
  const session = await live.accept();
  const {error} = await stage.caller.pf.log.first(({msg}) => msg === notAsked);
  t.like(error, {code: 'CPM_PEER_AWAY'});
  t.is((await session.ended).by, 'peer');
  t.deepEqual(textsOn(bob, session), []);
  const chat = await calling;
  bob.onInvitation = (invitation) => void invitation.accept();
  await then();
  void delivery.accept().catch(() => undefined);
  t.true((await chat.sendText('later', {dispositions: []})).accepted);
  await bob.messages.atLeast(4, undefined, 30_000);
  t.deepEqual(
    bob.messages.items.map(({text}) => text),
    [...texts, 'later'],
  );
  t.is(alice.sent.items.length, 4);
}

withMongo(
  `8.3.2.9.1.1 T36: a node that delivers and does not answer is not waited for longer than a while (${mongoName})`,
  async (t) => {
    const stage = await twoNodes(t, 'silent');
    const {process: owner} = stage.deliverer.pf;
    await comesAnyway(
      t,
      stage,
      () => void owner.kill('SIGSTOP'),
      () => void owner.kill('SIGCONT'),
    );
  },
);

withMongo(
  `8.3.2.9.1.1 T36: a node that died while it delivered is not waited for, and its next life delivers (${mongoName})`,
  async (t) => {
    const stage = await twoNodes(t, 'died');
    await comesAnyway(
      t,
      stage,
      async () => stage.deliverer.kill(),
      async () => stage.deliverer.start(),
    );
  },
);

withMongo(
  `8.3.2.9.1.1 T36 T52: a delivery of another sender's messages is not disturbed, and what was asked for comes behind it (${mongoName})`,
  async (t) => {
    const stage = await twoNodes(t, 'another');
    const carol = await stage.deliverer.phone('sip:+15550103@home.example;user=phone');
    const {bob, calling, live, delivery} = await bothRing(stage, carol);
    const session = await live.accept();
    const {answer} = await stage.caller.pf.log.first(({msg}) => msg.startsWith('the node that delivers'), 20_000);
    t.is(answer, 'busy');
    t.is((await session.ended).by, 'peer');
    bob.onInvitation = (invitation) => void invitation.accept();
    const fromCarol = await delivery.accept();
    t.is(fromCarol.partner, carol.address);
    await bob.messages.atLeast(4, undefined, 30_000);
    t.deepEqual(
      bob.messages.items.map(({text}) => text),
      ['from carol', ...texts],
    );
    t.is((await fromCarol.ended).reason, 'SIP;cause=200;text="Call completed"');
    await (await calling).end();
  },
);

function tls(folder: string, name: string, authority: TestCertificate, trusts = authority) {
  const {certificateFile, keyFile} = certificate(folder, name, authority);
  return {peers: {tls: {certificateFile, keyFile, authorityFile: trusts.certificateFile}}};
}

withMongo(`8.3.2.9.1.1 T36: over mutual TLS a node asks another one to give way (${mongoName})`, async (t) => {
  const folder = await temporaryFolder(t);
  const authority = certificate(folder, 'authority');
  const stage = await twoNodes(t, 'tls', [tls(folder, 'a', authority), tls(folder, 'b', authority)]);
  await ringingGivesWay(t, stage);
});

withMongo(
  `8.3.2.9.1.1 T36: a node with a certificate of somebody else disturbs no delivery (${mongoName})`,
  async (t) => {
    const folder = await temporaryFolder(t);
    const [authority, stranger] = [certificate(folder, 'authority'), certificate(folder, 'stranger')];
    const stage = await twoNodes(t, 'stranger', [tls(folder, 'a', authority), tls(folder, 'b', stranger, authority)]);
    await comesAnyway(
      t,
      stage,
      () => undefined,
      () => undefined,
    );
  },
);
