/** PF, relay and focus are killed at seeded moments while a group of twenty chats (docs/acknowledgement.md). */
import test from 'ava';
import {cpimHeader, parseCpim} from '../../lib/codecs/cpim.ts';
import type {ReceivedChat} from '../../lib/phone/ledger.ts';
import type {Frame} from '../../lib/phone/msrp-connection.ts';
import {bobAddress, type Deployment} from '../support/deployment.ts';
import {bobIn, groupDeployment, ids, knownGroup} from '../support/group-deployment.ts';
import {killRounds, killSeed} from '../support/kill-rounds.ts';
import {impatient, impatientServer} from '../support/persistent-sender.ts';
import {seededRandom} from '../support/random.ts';
import {patiently, talkingGroup} from '../support/talking-group.ts';

/** What is said in a round, in the midst of which something is killed. */
const words = 30;
/** Messages without an answer that the focus has on their way at a time: what it repeats when the session breaks. */
const focusWindow = 16;

const focus = {keepsForAbsent: true, timers: {t1Ms: 50}};

/** Resolves when a process of the PF's own is there in place of the one that is killed here. */
async function killRelay(pf: Deployment): Promise<void> {
  const killed = await pf.pidOf('relay');
  process.kill(killed, 'SIGKILL');
  await patiently(async () => (await pf.pidOf('relay')) !== killed);
}

test.serial(
  '8.2.2.7 E8: PF, relay and focus are killed in the midst of the chat of twenty: what the PF has taken arrives once, in order, and it knows who has come and who has gone',
  async (t) => {
    const rounds = killRounds(4);
    t.timeout(60_000 + rounds * 60_000);
    t.log(`KILL_SEED=${killSeed}`);
    const random = seededRandom(killSeed);
    const all = await groupDeployment(t, {config: impatientServer, focus});
    const {pf} = all;
    const group = await talkingGroup(all, random);
    const standing = async () => (await knownGroup(pf, bobAddress, ids.contributionId))?.standing;

    for (let round = 0; round < rounds; round += 1) {
      const victim = (['pf', 'relay', 'focus'] as const)[round < 3 ? round : random.below(3)];
      const before = 1 + random.below(words - 1);
      await group.talk(before);
      t.log(`${round}: ${String(victim)} after ${before}, ${group.unanswered().length} of them without an answer`);
      const former = bobIn(group.conference);
      if (victim === 'pf') {
        const killed = pf.kill();
        const rest = group.talk(words - before);
        await killed;
        group.oneForAnother();
        await pf.start();
        await rest;
      } else if (victim === 'relay') {
        const kills = killRelay(pf);
        group.oneForAnother();
        await Promise.all([kills, group.talk(words - before)]);
      } else {
        // The PF may hear of the new focus before the old one has told it that it knows no such group any more.
        const hears = random.below(2) === 0;
        await group.killFocus(async () =>
          hears ? patiently(async () => (await standing()) === 'inactive') : undefined,
        );
        group.oneForAnother();
        await group.talk(words - before);
      }

      await patiently(() => bobIn(group.conference) !== undefined && bobIn(group.conference) !== former);
      group.oneForAnother();
      await group.allTaken();
      await group.membersKnown(pf);
      t.is(await standing(), 'active');
    }

    const {said, lost} = group;
    await group.talk(1);
    await group.allTaken();
    const bob = await pf.bob({...impatient, notifications: 'none'});
    await pf.register(bob);
    await bob.messages.first(({text}) => text === said.at(-1), 60_000);
    const got = bob.messages.items.map(({text}) => text);
    t.deepEqual(missing(said, [...got, ...lost]), [], 'nothing that was taken is lost');
    t.deepEqual(numbersOf(got), numbersOf(said.filter((text) => got.includes(text))), 'in order, each once');
    t.is(bob.repetitions.items.length, 0);
    const authors = new Set(bob.messages.items.map(({bytes}) => cpimHeader(parseCpim(bytes), undefined, 'From')));
    t.true(authors.size > 1);
    t.log(`${said.length} said, ${lost.size} died with a focus, ${got.length} came`);
  },
);

/** Texts without what fills them: each begins with its number. */
const numbersOf = (texts: Iterable<string>): readonly string[] => [...texts].map((text) => text.split(' ')[0] ?? '');

const missing = (wanted: Iterable<string>, there: Iterable<string>): readonly string[] => {
  const isThere = new Set(there);
  return numbersOf([...wanted].filter((text) => !isThere.has(text)));
};

test.serial(
  '8.3.2.9.1.2 C9 E8: PF and relay are killed while a client is in the group, and while he is handed over what waits: all of it comes, in order, and twice only what the kill cut off',
  async (t) => {
    const rounds = killRounds(4);
    t.timeout(60_000 + rounds * 60_000);
    t.log(`KILL_SEED=${killSeed}`);
    const random = seededRandom(killSeed);
    const all = await groupDeployment(t, {
      config: {...impatientServer, cpm: {deliveryRetrySeconds: [1], sentReofferSeconds: 1}},
      focus,
    });
    const {pf} = all;
    const group = await talkingGroup(all, random, []);
    const {said} = group;
    /** So many messages more he takes; a session that brings another one gets no answer any more. */
    let takes = Infinity;
    const stuck = new Set<string | undefined>();
    const answer = ({body, flag, toPath}: Frame) => {
      if (body === undefined || body.length === 0) return 200;
      if (takes === 0) stuck.add(toPath.at(-1));
      if (stuck.has(toPath.at(-1))) return 'silent';
      if (flag === '$') takes -= 1;
      return 200;
    };
    const bob = await pf.bob({timers: impatient.timers, notifications: 'none', behaviour: {answer}});
    await pf.register(bob);
    await group.talk(1);
    const everythingCame = async (): Promise<void> => {
      await bob.messages.first(({text}) => text === said.at(-1), 60_000);
      await group.allTaken();
      await patiently(async () => ((await pf.status()) as {ledger: {pending: number}}).ledger.pending === 0);
    };
    const log = async (msg: string, from = 0): Promise<unknown> =>
      pf.pf.log.first((record) => record.msg === msg && pf.pf.log.items.indexOf(record) >= from, 60_000);
    await log('a client is joined with his group');

    for (let round = 0; round < rounds; round += 1) {
      await everythingCame();
      const [begun, repeated, cuts] = [said.length, bob.repetitions.items.length, stuck.size];
      const choice = round < 4 ? round : random.below(4);
      const [victim, live] = [choice % 2 === 0 ? 'pf' : 'relay', choice < 2];
      const before = 1 + random.below(words - 1);
      if (live) await group.talk(before);
      else {
        const from = pf.pf.log.items.length;
        await bob.deregister();
        await bob.sessions.items.at(-1)?.end('SIP;cause=503;text="Service Unavailable"');
        await log('the PF stays in a group for its user', from);
        await group.talk(words);
        await group.allTaken();
        takes = before;
        await pf.register(bob);
        await patiently(() => stuck.size > cuts);
      }

      t.log(`${round}: ${victim} ${live ? 'in the group' : 'in a hand-over'} after ${before}`);
      const cutOff = bob.sessions.items.at(-1);
      const former = bobIn(group.conference);
      const withoutAnswer = group.unanswered();
      const killedAt = said.length;
      const from = victim === 'pf' ? 0 : pf.pf.log.items.length;
      const kills = victim === 'pf' ? pf.kill().then(async () => pf.start()) : killRelay(pf);
      takes = Infinity;
      group.oneForAnother();
      await Promise.all([kills, group.talk(words - before)]);
      await patiently(() => bobIn(group.conference) !== undefined && bobIn(group.conference) !== former);
      group.oneForAnother();
      // He is rung again for something that he has not heard; all else may have come before his session broke.
      await group.talk(1);
      await log('a client is joined with his group', from);
      await everythingCame();
      await group.membersKnown(pf);
      const got = bob.messages.items.map(({text}) => text);
      t.deepEqual(numbersOf(got), numbersOf(said));
      // Twice comes what he had taken in the session that was cut off, of which nobody had heard, and what the focus says again as its 200 was cut off.
      const again = bob.repetitions.items.slice(repeated);
      const isOfFocus = ({messageId}: ReceivedChat): boolean =>
        live || !bob.messages.items.some((first) => first.messageId === messageId && first.session === cutOff);
      const ofFocus = again.filter(isOfFocus).map(({text}) => text);
      t.deepEqual(missing(ofFocus, [...withoutAnswer, ...said.slice(killedAt)]), []);
      t.true(ofFocus.length <= focusWindow, `the focus said ${ofFocus.length} again`);
      t.true(again.every(({text}) => said.indexOf(text) >= begun));
      t.is(new Set(again.map(({messageId}) => messageId)).size, again.length);
    }

    t.log(`${said.length} said, ${bob.repetitions.items.length} came twice`);
  },
);
