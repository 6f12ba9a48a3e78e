/** A group of a user whose requests come to another node than the one that stands in it for him. */
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {keyOf} from '../../lib/controlling-function/conference.ts';
import {bobAddress, deployment} from '../support/deployment.ts';
import {
  bobWasThere,
  groupDeployment,
  groupUri,
  ids,
  invitesOfBob,
  isMissed,
  knownGroup,
} from '../support/group-deployment.ts';
import {nothingIsLeft} from '../support/in-group.ts';
import {mongoName, startMongo, testWithMongo} from '../support/mongo.ts';
import {until} from '../support/persistent-sender.ts';

const withMongo = testWithMongo(test);
const texts = ['one', 'two', 'three'];

/** The transport that a client reads there is its own matter. */
const plain = (uri: string): string => uri.replace(/;transport=tcp/, '');

/** Node A stands in a group for Bob, who is off and has missed something; from now on the core turns to node B. */
async function moved(t: ExecutionContext, database: string) {
  t.timeout(120_000);
  const mongo = await startMongo();
  t.teardown(async () => mongo.stop());
  const config = {store: {kind: 'mongodb', uri: mongo.uri, database: `${database}_${process.pid}`}};
  const group = await groupDeployment(t, {config, core: {cases: ['orig', 'term']}, focus: {keepsForAbsent: true}});
  const {pf: a} = group;
  const b = await deployment(t, {config, beside: a});
  a.core.pf = a.uri;
  const {conference, carols, identity} = await bobWasThere(group);
  await isMissed(a, carols, texts);
  a.core.pf = b.uri;
  const bob = await b.bob();
  /** What he missed came, in order, and so does what is said now; node B is the one that stands for him. */
  const arrives = async () => {
    await bob.messages.first(({text}) => text === 'three', 30_000);
    await b.pf.log.first(({msg}) => msg === 'a client is joined with his group');
    await carols.sendText('live');
    await bob.messages.first(({text}) => text === 'live');
    t.deepEqual(
      bob.messages.items.map(({text}) => text),
      [...texts, 'live'],
    );
    t.is(invitesOfBob(group).length, 1);
    t.true(conference.isMember(bobAddress));
    await a.pf.log.first(({msg}) => msg === 'the network ends a group session');
    await a.pf.log.first(({msg}) => msg.startsWith('another node has come into a group'));
    await until(async () => {
      const known = await knownGroup(b, bobAddress, ids.contributionId);
      return known?.standing === 'active' && known.node.endsWith(b.folder.split('/').at(-1) ?? '');
    });
    t.is(bob.repetitions.items.length, 0);
  };
  return {...group, a, b, bob, arrives, conference, carols, identity};
}

withMongo(
  `8.3.2.9.1.3 D1 D5 T36: a re-join by the URI that the other node gave joins at the node to which it comes, with all that waits; the other node yields (${mongoName})`,
  async (t) => {
    const {a, b, bob, arrives, conference, identity} = await moved(t, 'rejoined');
    a.core.pf = undefined;
    await bob.register();
    a.core.pf = b.uri;
    t.is(plain(identity), plain(groupUri(a)));
    await bob.startGroup(identity, ids);
    await arrives();
    t.is((await knownGroup(b, bobAddress, ids.contributionId))?.focus, conference.identity);
    const watch = await bob.watch(identity);
    await watch.states.first(({participants}) => participants.length === 3);
    t.is(await watch.end(), 200);
  },
);

withMongo(
  `8.3.2.9.1.2 C9 T36: a delivery by a node that is not in the active group joins the client there; the other node yields (${mongoName})`,
  async (t) => {
    const {b, bob, arrives} = await moved(t, 'delivered');
    await b.register(bob);
    await arrives();
  },
);

withMongo(
  `8.3.2.9.1.2 C5 T39: 603 at a node that is not in the active group: the focus sees him leave, and neither node is in it any more (${mongoName})`,
  async (t) => {
    const {a, b, bob, conference, carols} = await moved(t, 'declined');
    bob.onInvitation = (invitation) => {
      invitation.refuse(603);
    };
    await b.register(bob);
    const left = await conference.changes.first(
      ({member, endpoint}) => member === keyOf(bobAddress) && endpoint.disconnectionMethod === 'departed',
      30_000,
    );
    t.is(left.endpoint.disconnectionInfo?.reason, 'SIP;cause=200;text="Call completed"');
    await a.pf.log.first(({msg}) => msg === 'the network ends a group session');
    await until(() => Promise.resolve(!conference.events.subscribers.includes(keyOf(bobAddress))));
    t.false(conference.isMember(bobAddress));
    await b.pf.log.first(({msg}) => msg === 'what waited of a group is discarded');
    await carols.sendText('not for him');
    await nothingIsLeft(a);
    await nothingIsLeft(b);
    for (const node of [a, b])
      await until(async () => (await knownGroup(node, bobAddress, ids.contributionId))?.standing === 'left');
    t.is(bob.requests.items.filter(({method}) => method === 'INVITE').length, 1);
    t.deepEqual(bob.messages.items, []);
  },
);
