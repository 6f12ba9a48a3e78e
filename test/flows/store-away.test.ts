/** MongoDB dies and comes back below a running PF (docs/acknowledgement.md). */
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {headerOf} from '../../lib/codecs/sip-message.ts';
import {Refused} from '../../lib/phone/phone.ts';
import {bobAddress, deployment, type Deployment} from '../support/deployment.ts';
import {mongoKind, mongoName, startMongo} from '../support/mongo.ts';

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
