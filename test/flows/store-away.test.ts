/** MongoDB dies and comes back below a running PF (docs/acknowledgement.md). */
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {parseGroupState} from '../../lib/codecs/group-state.ts';
import {headerOf} from '../../lib/codecs/sip-message.ts';
import {Refused} from '../../lib/phone/phone.ts';
import {bobAddress, deployment, type Deployment} from '../support/deployment.ts';
import {
  carolAddress,
  groupDeployment,
  groupUri,
  ids,
  inactivity,
  isMissed,
  knownGroup,
} from '../support/group-deployment.ts';
import {everybody, inGroup, nothingIsLeft} from '../support/in-group.ts';
import {mongoKind, mongoName, startMongo} from '../support/mongo.ts';
import {recordedBytes, recordedObjects} from '../support/recorded.ts';

/** Only a server of our own may be killed. */
const killable = (
  mongoKind.kind === 'none' || mongoKind.kind === 'uri' ? test.serial.skip : test.serial
) as typeof test;

async function ready(pf: Deployment): Promise<{status: number; body: unknown}> {
  const {url} = JSON.parse(await readFile(path.join(pf.folder, 'run', 'admin.json'), 'utf8')) as {url: string};
  const response = await fetch(new URL('/ready', url));
  return {status: response.status, body: await response.json()};
}

killable(
  `8.3.2.1 E1: without its store the PF refuses to keep, relays on, remembers who registers; with it all resumes (${mongoName})`,
  async (t) => {
    t.timeout(120_000);
    const mongo = await startMongo();
    t.teardown(async () => mongo.stop());
    const carolAddress = 'sip:+15550103@home.example;user=phone';
    const pf = await deployment(t, {
      config: {
        store: {kind: 'mongodb', uri: mongo.uri, database: 'away', answerSeconds: 2},
        sip: {retryAfterSeconds: 9},
      },
    });
    const [alice, carol] = [await pf.alice(), await pf.bob({address: carolAddress})];
    await pf.register(alice);
    await pf.register(carol);
    const forBob = await alice.startChat(bobAddress);
    t.true((await forBob.sendText('before')).accepted);
    const live = await alice.startChat(carolAddress);
    t.true((await live.sendText('live')).accepted);
    await carol.messages.first();
    t.true((await live.sendText('spliced')).accepted);
    // Both notifications of both messages are through: nothing about this session is under way in the store.
    await alice.notifications.atLeast(4);

    await mongo.kill();
    t.false((await forBob.sendText('not promised')).accepted);
    t.like(await ready(pf), {status: 503, body: {store: 'away', sip: 'up', media: 'up'}});
    const refused = await t.throwsAsync(alice.startChat(bobAddress), {instanceOf: Refused});
    t.is(refused.response.status, 503);
    t.is(headerOf(refused.response, 'Retry-After'), '9');
    t.true((await live.sendText('live without a store')).accepted);
    const bob = await pf.bob();
    await pf.register(bob);
    t.is(pf.core.told.items.at(-1)?.status, 200);

    const backs = pf.pf.log.items.filter(({msg}) => msg === 'the store is back').length;
    await mongo.start();
    await pf.pf.log.atLeast(backs + 1, ({msg}) => msg === 'the store is back', 30_000);
    await bob.messages.first(({text}) => text === 'before', 30_000);
    t.is((await ready(pf)).status, 200);
    t.is(bob.messages.items[0]?.text, 'before');
    t.true((await live.sendText('live with it')).accepted);
    await carol.messages.atLeast(4);
    t.is(bob.messages.items.filter(({text}) => text === 'before').length, 1);
  },
);

/** The PF stands in a group for Bob, whose phone is on and unknown to it; its store can be killed. */
async function groupOnMongo(t: ExecutionContext, database: string) {
  t.timeout(120_000);
  const mongo = await startMongo();
  t.teardown(async () => mongo.stop());
  const group = await groupDeployment(t, {
    config: {
      store: {kind: 'mongodb', uri: mongo.uri, database, answerSeconds: 2},
      sip: {retryAfterSeconds: 9},
    },
  });
  const {pf} = group;
  const {conference, carols} = await group.begin();
  await pf.pf.log.first(({msg}) => msg === 'nothing of a group waits for its user');
  const bob = await pf.bob({notifications: 'none'});
  pf.core.pf = undefined;
  await bob.register();
  pf.core.pf = pf.uri;
  return {...group, mongo, conference, carols, bob};
}

killable(
  `8.3.2.9.1.3 D1 D5: without its store the PF lets a client who comes again into the group that it stands in, where nothing waits for him (${mongoName})`,
  async (t) => {
    const {pf, carol, carols, bob, mongo} = await groupOnMongo(t, 'group_away');
    await mongo.kill();
    const bobs = await bob.startGroup(groupUri(pf), ids);
    await pf.pf.log.first(({msg}) => msg === 'a client is joined with his group');
    t.true((await carols.sendText('live')).accepted);
    await bob.messages.first(({text}) => text === 'live');
    t.true((await bobs.sendText('from Bob')).accepted);
    await carol.messages.first(({text}) => text === 'from Bob');
    t.like(await ready(pf), {status: 503, body: {store: 'away'}});
  },
);

killable(
  `8.3.2.9.1.3 D1 T42: what waits in a store that is away comes first when it is back; until then the client stays (${mongoName})`,
  async (t) => {
    const {pf, carol, carols, bob, mongo} = await groupOnMongo(t, 'group_waits');
    await isMissed(pf, carols, ['one', 'two']);
    await mongo.kill();
    const bobs = await bob.startGroup(groupUri(pf), ids);
    t.true((await bobs.sendText('from Bob')).accepted);
    await carol.messages.first(({text}) => text === 'from Bob');
    t.is(bob.messages.items.length, 0);
    await mongo.start();
    await pf.pf.log.first(({msg}) => msg === 'a client is joined with his group', 40_000);
    t.true((await carols.sendText('live')).accepted);
    await bob.messages.first(({text}) => text === 'live');
    t.deepEqual(
      bob.messages.items.map(({text}) => text),
      ['one', 'two', 'live'],
    );
    t.is(bob.repetitions.items.length, 0);
    t.is(bob.sessions.items.length, 1);
  },
);

killable(
  `8.3.2.9.1.3 D1 E1: a re-join of a group that only the store may know gets 503 with Retry-After while it is away, not 404 (${mongoName})`,
  async (t) => {
    const {pf, conference, bob, mongo} = await groupOnMongo(t, 'group_unknown');
    await conference.end(inactivity);
    await pf.pf.log.first(({msg}) => msg === 'the network ends a group session');
    await mongo.kill();
    const refused = await t.throwsAsync(bob.startGroup(groupUri(pf), ids), {instanceOf: Refused});
    t.is(refused.response.status, 503);
    t.is(headerOf(refused.response, 'Retry-After'), '9');
  },
);

killable(
  `8.3.2.3 B4 B10: the state of a group that ended while the store was away is there once it is back, and so is that it is over (${mongoName})`,
  async (t) => {
    const mongo = await startMongo();
    t.teardown(async () => mongo.stop());
    const store = {kind: 'mongodb', uri: mongo.uri, database: 'group-away', answerSeconds: 2};
    const {pf, conference, bobs} = await inGroup(t, {config: {store}});
    t.timeout(120_000);
    await mongo.kill();
    t.is(await conference.remove(bobAddress, carolAddress), 200);
    t.is((await bobs.ended).reason, 'SIP;cause=410;text="Gone"');
    await nothingIsLeft(pf);
    t.is(pf.pf.log.items.filter(({msg}) => msg === 'the state of a group waits for the store').length, 1);
    await mongo.start();
    await pf.pf.log.first(({msg}) => msg === 'the state of a group is stored now', 60_000);
    const stored = await recordedObjects(pf, bobAddress, ids.conversationId);
    const states = stored.filter(({kind}) => kind === 'group-state');
    t.is(states.length, 1);
    const state = parseGroupState(await recordedBytes(pf, bobAddress, states[0]?.id ?? ''));
    t.like(state, {removed: true, referredBy: carolAddress});
    t.deepEqual(state.participants.map(({address}) => address).sort(), everybody);
    t.is((await knownGroup(pf, bobAddress, ids.contributionId))?.standing, 'removed');
  },
);
