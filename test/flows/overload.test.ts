/** More than the PF can take: new sessions get 503 with Retry-After, those that run go on; and the end in good order. */
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import {setTimeout as wait} from 'node:timers/promises';
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {headerOf} from '../../lib/codecs/sip-message.ts';
import {Refused, type Phone} from '../../lib/phone/phone.ts';
import {bobAddress, deployment, type Deployment} from '../support/deployment.ts';

const dave = 'sip:+15550104@home.example;user=phone';
const retryAfter = {sip: {retryAfterSeconds: 7}};

/** The caller is refused with 503 and told when to come again. */
async function isRefused(t: ExecutionContext, caller: Phone, to: string): Promise<void> {
  const refused = await t.throwsAsync(caller.startChat(to), {instanceOf: Refused});
  t.is(refused.response.status, 503);
  t.is(headerOf(refused.response, 'Retry-After'), '7');
}

async function metrics(pf: Deployment): Promise<readonly string[]> {
  const {url} = JSON.parse(await readFile(path.join(pf.folder, 'run', 'admin.json'), 'utf8')) as {url: string};
  const response = await fetch(new URL('/metrics', url));
  return (await response.text()).split('\n');
}

test.serial('RFC 3261 §21.5.4: at the limit of sessions a new INVITE gets 503, running sessions go on', async (t) => {
  t.timeout(60_000);
  const pf = await deployment(t, {config: {...retryAfter, overload: {sessions: 1}}});
  const [alice, bob] = [await pf.alice(), await pf.bob()];
  await pf.register(alice);
  await pf.register(bob);
  const chat = await alice.startChat(bobAddress);
  await chat.sendText('live');
  const {session} = await bob.messages.first();
  await isRefused(t, alice, dave);
  await isRefused(t, alice, dave);
  t.like(await pf.status(), {load: {sessions: 1, over: ['sessions'], refused: {sessions: 2}}});
  const lines = await metrics(pf);
  for (const line of ['cpm_sessions 1', 'cpm_overloaded{limit="sessions"} 1', 'cpm_refused_total{why="sessions"} 2'])
    t.true(lines.includes(line), line);
  t.is(pf.pf.log.items.filter(({msg}) => msg === 'a limit is reached: new sessions get 503').length, 1);

  t.true((await chat.sendText('still live')).accepted);
  t.true((await session.sendText('and back')).accepted);
  await chat.end();
  await session.ended;
  await pf.pf.log.first(({msg}) => msg === 'below the limit again: new sessions are taken');
  const next = await alice.startChat(dave);
  t.true((await next.sendText('kept')).accepted);
});

test.serial('RFC 3261 §21.5.4: nothing more is accepted for a user for whom too much waits', async (t) => {
  t.timeout(60_000);
  const pf = await deployment(t, {config: {...retryAfter, overload: {pendingMessages: 2}}});
  const alice = await pf.alice();
  await pf.register(alice);
  const chat = await alice.startChat(bobAddress);
  for (const text of ['one', 'two']) t.true((await chat.sendText(text)).accepted);
  await isRefused(t, alice, bobAddress);
  // The session that runs keeps on, and so does whoever writes to somebody else.
  t.true((await chat.sendText('three')).accepted);
  t.true((await (await alice.startChat(dave)).sendText('to another')).accepted);
  t.like(await pf.status(), {load: {refused: {pending: 1}}});

  const bob = await pf.bob();
  await pf.register(bob);
  await bob.messages.atLeast(3);
  t.deepEqual(
    bob.messages.items.map(({text}) => text),
    ['one', 'two', 'three'],
  );
});

/** Lets a process run for a moment at a time, so that it is late to all its work, until `done`. */
async function slowed<T>(pid: number, done: Promise<T>): Promise<T> {
  let over = false;
  const ended = done.finally(() => {
    over = true;
  });
  while (!(over as boolean)) {
    process.kill(pid, 'SIGSTOP');
    await wait(300);
    process.kill(pid, 'SIGCONT');
    await wait(20);
  }

  return ended;
}

test.serial('RFC 3261 §21.5.4: a PF that gets late to its work refuses new sessions until it is in time', async (t) => {
  t.timeout(60_000);
  const pf = await deployment(t, {config: {...retryAfter, overload: {eventLoopDelayMilliseconds: 50}}});
  const alice = await pf.alice();
  await pf.register(alice);
  const chat = await alice.startChat(bobAddress);
  const pid = pf.pf.process.pid ?? 0;
  const refused = (async () => {
    await pf.pf.log.first(({limit}) => limit === 'event-loop', 30_000);
    await isRefused(t, alice, dave);
    t.true((await chat.sendText('kept')).accepted);
  })();
  await slowed(pid, refused);
  await pf.pf.log.first(({msg}) => msg === 'below the limit again: new sessions are taken', 30_000);
  t.like(await pf.status(), {ledger: {accepted: 1}, load: {over: [], refused: {'event-loop': 1}}});
});

test.serial(
  'RFC 3261 §15: a drain lets sessions end by themselves, and does not wait longer than for them',
  async (t) => {
    t.timeout(60_000);
    const pf = await deployment(t, {config: {node: {drainSeconds: 600}, ...retryAfter}});
    const [alice, bob] = [await pf.alice(), await pf.bob()];
    await pf.register(alice);
    await pf.register(bob);
    const chat = await alice.startChat(bobAddress);
    await chat.sendText('before');
    const {session} = await bob.messages.first();
    const ended = pf.stop();
    await pf.pf.log.first(({msg}) => msg === 'draining');
    await isRefused(t, alice, dave);
    t.true((await chat.sendText('during the drain')).accepted);
    await bob.messages.first(({text}) => text === 'during the drain');
    t.is(await chat.end(), 200);
    t.is((await session.ended).by, 'peer');
    t.is(await ended, 0);
  },
);

test.serial('RFC 3261 §21.5.4: SIGHUP changes limits and served users of a running PF', async (t) => {
  t.timeout(60_000);
  const pf = await deployment(t, {config: retryAfter});
  const alice = await pf.alice();
  await pf.register(alice);
  const chat = await alice.startChat(bobAddress);
  const reload = async (config: Parameters<Deployment['configure']>[0], times: number): Promise<void> => {
    await pf.configure(config);
    pf.pf.process.kill('SIGHUP');
    await pf.pf.log.atLeast(times, ({msg}) => msg === 'the configuration was read anew');
  };
  await reload({overload: {sessions: 1}}, 1);
  await isRefused(t, alice, dave);
  // Nobody is served any more but Bob: the others' calls go on to the core, which has no such phone.
  await reload({served: {numberPrefixes: []}}, 2);
  const passed = await t.throwsAsync(alice.startChat(dave), {instanceOf: Refused});
  t.is(passed.response.status, 480);
  t.true((await chat.sendText('all the while')).accepted);
});
