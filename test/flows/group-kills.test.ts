/** PF, relay and focus are killed at seeded moments while a group of twenty chats (docs/acknowledgement.md). */
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {cpimHeader, imdnMessageId, parseCpim} from '../../lib/codecs/cpim.ts';
import type {Conference} from '../../lib/controlling-function/conference.ts';
import {bobAddress, type Deployment} from '../support/deployment.ts';
import {carolAddress, groupDeployment, ids, knownGroup} from '../support/group-deployment.ts';
import {killRounds, killSeed} from '../support/kill-rounds.ts';
import {impatient, impatientServer, until} from '../support/persistent-sender.ts';
import {seededRandom} from '../support/random.ts';

/** Members who have no phone: what they say the focus says in their name. */
const absent = Array.from({length: 18}, (_, index) => `sip:+1444${String(1000 + index)}@elsewhere.example;user=phone`);
const members = [bobAddress, carolAddress, ...absent];
const rounds = killRounds(4);

const bobIn = (conference: Conference) =>
  [...conference.members.values()].find(({address}) => address === bobAddress)?.media;

/** What follows on a kill takes its time where many processes share a machine. */
async function patiently(fits: () => Promise<boolean>): Promise<void> {
  for (let tries = 1; tries < 6; tries += 1)
    if (
      await until(fits).then(
        () => true,
        () => false,
      )
    )
      return;
  await until(fits);
}

/** IMDN-Message-IDs of what waits in the group's conversation. */
async function waitingIds({folder}: Deployment): Promise<ReadonlySet<string | undefined>> {
  const file = await readFile(path.join(folder, 'run', 'admin.json'), 'utf8');
  const {url, key} = JSON.parse(file) as {url: string; key: string};
  const query = new URLSearchParams({by: 'conversation', value: ids.conversationId, limit: '1000'});
  const response = await fetch(new URL(`/messages?${query.toString()}`, url), {
    headers: {authorization: `Bearer ${key}`},
  });
  const {messages} = (await response.json()) as {messages: readonly {imdnMessageId?: string}[]};
  return new Set(messages.map((message) => message.imdnMessageId));
}

test.serial(
  '8.2.2.7 E8: PF, relay and focus are killed again and again while a group of twenty chats: what the focus had taken from it arrives once, in order',
  async (t) => {
    t.timeout(60_000 + rounds * 30_000);
    const random = seededRandom(killSeed);
    t.log(`KILL_SEED=${killSeed}`);
    const all = await groupDeployment(t, {
      config: impatientServer,
      focus: {keepsForAbsent: true, timers: {t1Ms: 50}},
    });
    const {pf} = all;
    let conference = await all.focus.create({...ids, subject: 'Twenty', members});
    const said: string[] = [];
    /** What a killed focus had not brought to the PF dies with it. */
    const lost = new Set<string>();
    const idOf = new Map<string, string>();
    /** All that was said, and did not die with a focus, waits in the PF for Bob. */
    const allWaits = async (): Promise<void> => {
      const wanted = said.filter((text) => !lost.has(text)).map((text) => idOf.get(text));
      await patiently(async () => {
        const waiting = await waitingIds(pf);
        return wanted.every((id) => waiting.has(id));
      });
    };
    let begun = 0;
    const chat = async (count: number): Promise<void> => {
      for (let index = 0; index < count; index += 1) {
        const text = `${said.length} ${'x'.repeat(random.below(10) === 0 ? 30_000 : 20)}`;
        const {bytes} = conference.say(absent[random.below(absent.length)] ?? '', text);
        said.push(text);
        idOf.set(text, imdnMessageId(parseCpim(bytes)) ?? '');
        if (random.below(4) === 0) await new Promise((resolve) => setTimeout(resolve, random.below(20)));
      }
    };

    for (let round = 0; round < rounds; round += 1) {
      await patiently(() => Promise.resolve(bobIn(conference) !== undefined));
      await allWaits();
      const before = bobIn(conference);
      begun = said.length;
      const chatting = chat(30);
      await new Promise((resolve) => setTimeout(resolve, random.below(150)));
      const victim = (['pf', 'relay', 'focus'] as const)[round < 3 ? round : random.below(3)];
      t.log(`${round}: ${String(victim)} after ${said.length}`);
      if (victim === 'pf') {
        await pf.kill();
        await chatting;
        await pf.start();
      } else if (victim === 'relay') {
        const killed = await pf.pidOf('relay');
        process.kill(killed, 'SIGKILL');
        await chatting;
        await patiently(async () => (await pf.pidOf('relay')) !== killed);
      } else {
        await chatting;
        for (const text of said.slice(begun)) lost.add(text);
        const focus = await all.restartFocus();
        await patiently(async () => (await knownGroup(pf, bobAddress, ids.contributionId))?.standing === 'inactive');
        conference = await focus.create({...ids, subject: 'Twenty', members});
      }

      if (victim !== 'focus')
        await patiently(() => Promise.resolve(bobIn(conference) !== undefined && bobIn(conference) !== before));
    }

    await patiently(() => Promise.resolve(bobIn(conference) !== undefined));
    await chat(1);
    const last = said.at(-1);
    const bob = await pf.bob({...impatient, notifications: 'none'});
    await pf.register(bob);
    await bob.messages.first(({text}) => text === last, 60_000);
    const got = bob.messages.items.map(({text}) => text);
    const isThere = new Set(got);
    t.deepEqual(
      said.filter((text) => !isThere.has(text) && !lost.has(text)).map((text) => text.slice(0, 5)),
      [],
      'nothing that was taken is lost',
    );
    t.deepEqual(
      got,
      said.filter((text) => isThere.has(text)),
      'in order, each once',
    );
    const authors = new Set(bob.messages.items.map(({bytes}) => cpimHeader(parseCpim(bytes), undefined, 'From')));
    t.true(authors.size > 1);
    const known = await knownGroup(pf, bobAddress, ids.contributionId);
    t.deepEqual(known?.conference.participants.map(({entity}) => entity).sort(), members.toSorted());
    t.log(`${said.length} said, ${got.length} came, ${bob.repetitions.items.length} repeated`);
  },
);
