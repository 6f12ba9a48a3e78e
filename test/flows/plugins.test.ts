/** Plugins in a PF that runs: what their hooks answer, and what becomes of it when they fail (docs/plugins.md). */
import {readFile, writeFile} from 'node:fs/promises';
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {formatAcceptContact} from '../../lib/codecs/sip-headers/accept-contact.ts';
import {headerOf} from '../../lib/codecs/sip-message.ts';
import {ICSI} from '../../lib/cpm/feature-tags.ts';
import {chatMessage} from '../../lib/phone/chat-messages.ts';
import {Inbox} from '../../lib/phone/inbox.ts';
import {Refused, type Phone} from '../../lib/phone/phone.ts';
import {verifyJournal} from '../../plugins/lawful-retention/index.ts';
import {bobAddress, deployment, type Deployment, type DeploymentOptions} from '../support/deployment.ts';
import {groupDeployment} from '../support/group-deployment.ts';
import {withRawFocus} from '../support/raw-focus.ts';
import {temporaryFolder} from '../support/temporary-folder.ts';

/** A message in pager mode (5.4). */
const standalone = {
  headers: [
    ['Accept-Contact', formatAcceptContact({icsi: ICSI.pagerMessage})],
    ['P-Preferred-Service', ICSI.pagerMessage],
    ['Content-Type', 'message/cpim'],
  ] as const,
  bytes: chatMessage({
    messageId: 'Standalone-1',
    dispositions: [],
    contentType: 'text/plain',
    content: Buffer.from('hello'),
  }),
};

const api = new URL('../../lib/index.js', import.meta.url).href;

/** A deployment with one plugin of the test's own; `hooks` is source. */
async function withHooks(
  t: ExecutionContext,
  hooks: string,
  config: DeploymentOptions['config'] = {},
): Promise<Deployment> {
  return deployment(t, {config: {...config, ...(await ownPlugin(t, hooks))}});
}

/** The section of the configuration that loads it. */
async function ownPlugin(t: ExecutionContext, hooks: string): Promise<{readonly plugins: readonly unknown[]}> {
  const file = path.join(await temporaryFolder(t), 'own.js');
  await writeFile(
    file,
    `import {definePlugin, z} from '${api}';
export default definePlugin({name: 'own', options: z.strictObject({}), hooks: (_, {clock, log}) => (${hooks})});`,
  );
  return {plugins: [{use: file}]};
}

const hookFailed = (hook: string) => (record: Readonly<Record<string, unknown>>) =>
  record['level'] === 'warn' && record['plugin'] === 'own' && record['hook'] === hook;

test.serial(
  "CPM-CF 8.3.2.1: a plugin's refusal is the inviter's answer, no device rings, and nothing is kept",
  async (t) => {
    const pf = await withHooks(t, `{beforeAccept: () => ({refuse: 488, reason: 'Not in this house'})}`);
    const [alice, bob] = [await pf.alice(), await pf.bob()];
    await pf.register(bob);
    const {response} = await t.throwsAsync(alice.startChat(bobAddress), {instanceOf: Refused});
    t.is(response.status, 488);
    t.is(response.reason, 'Not in this house');
    t.is(bob.requests.items.length, 0);
    t.like(await pf.status(), {ledger: {accepted: 0}, load: {sessions: 0}});
  },
);

for (const [hook, startLine, retryAfter] of [
  ["({refuse: 488, reason: 'Not in this house'})", 'SIP/2.0 488 Not in this house', ''],
  ['new Promise(() => {})', 'SIP/2.0 503 Service Unavailable', '30'],
] as const)
  test.serial(
    `CPM-CF 8.3.2.1: what a plugin says of a group invitation is what its focus hears, ${startLine}`,
    async (t) => {
      const own = await ownPlugin(t, `{beforeAccept: () => ${hook}}`);
      const {focus} = await withRawFocus(t, {config: {...own, hooks: {deadlineMilliseconds: 100}}});
      const answer = await focus.inviteInVain('invite-list-first');
      t.is(answer.startLine, startLine);
      t.is(answer.header('Retry-After'), retryAfter);
    },
  );

test.serial(
  'CPM-CF 8.3.2.1: a plugin that is late for an invitation refuses it with 503 and Retry-After',
  async (t) => {
    const pf = await withHooks(t, `{beforeAccept: () => new Promise(() => {})}`, {hooks: {deadlineMilliseconds: 100}});
    const alice = await pf.alice();
    const {response} = await t.throwsAsync(alice.startChat(bobAddress), {instanceOf: Refused});
    t.is(response.status, 503);
    t.is(headerOf(response, 'Retry-After'), '30');
    t.like(await pf.pf.log.first(hookFailed('beforeAccept')), {code: 'CPM_HOOK_LATE'});
  },
);

test.serial(
  'CPM-CF 8.3.2.1: a plugin that throws at an invitation refuses it with 500, and at others nothing of it is left',
  async (t) => {
    const pf = await withHooks(
      t,
      `{beforeAccept({sender}) { if (sender.endsWith('101')) throw new Error('broken'); }}`,
    );
    const [alice, carol] = [await pf.alice(), await pf.phone('sip:+15550103@home.example;user=phone')];
    const {response} = await t.throwsAsync(alice.startChat(bobAddress), {instanceOf: Refused});
    t.is(response.status, 500);
    t.like(await pf.pf.log.first(hookFailed('beforeAccept')), {code: 'CPM_HOOK_FAILED'});
    const chat = await carol.startChat(bobAddress);
    t.true((await chat.sendText('kept')).accepted);
  },
);

test.serial(
  'CPM-CF 8.3.2.1 E8: a plugin that throws before a message is kept refuses it with 408, and nothing is stored',
  async (t) => {
    const pf = await withHooks(t, `{beforeDefer({size}) { if (size > 1000) throw new Error('broken'); }}`);
    const alice = await pf.alice();
    const chat = await alice.startChat(bobAddress);
    const refused = await chat.sendText('x'.repeat(1000));
    t.deepEqual(refused.outcomes, [408]);
    t.like(await pf.status(), {ledger: {accepted: 0, pending: 0}});
    t.true((await chat.sendText('short')).accepted);
    t.like(await pf.status(), {ledger: {accepted: 1, pending: 1}});
    t.like(await pf.pf.log.first(hookFailed('beforeDefer')), {code: 'CPM_HOOK_FAILED'});
  },
);

test.serial(
  'CPM-CF 8.3.2.1: a message over which plugins take their time is not overtaken by the next one',
  async (t) => {
    const pf = await withHooks(
      t,
      `{beforeDefer: ({size}) => size > 1000 ? new Promise((go) => clock.after(300, () => go(undefined))) : undefined}`,
    );
    const [alice, bob] = [await pf.alice(), await pf.bob()];
    const chat = await alice.startChat(bobAddress);
    const texts = ['x'.repeat(1000), 'second', 'third'];
    const sent = await Promise.all(texts.map(async (text) => chat.sendText(text)));
    t.true(sent.every(({accepted}) => accepted));
    await pf.register(bob);
    await bob.messages.atLeast(3);
    t.deepEqual(
      bob.messages.items.map(({text}) => text),
      texts,
    );
  },
);

test.serial(
  '8.3.1 5.4: a standalone message gets the status that a plugin says, 503 with Retry-After where one fails, and nothing is kept',
  async (t) => {
    const pf = await withHooks(
      t,
      `{beforeDefer({sender}) { if (sender.endsWith('103')) return {refuse: 403}; throw new Error('broken'); }}`,
    );
    const [alice, carol] = [await pf.alice(), await pf.phone('sip:+15550103@home.example;user=phone')];
    const send = async (from: Phone) => from.request('MESSAGE', bobAddress, standalone.headers, standalone.bytes);
    t.is((await send(carol)).status, 403);
    const failed = await send(alice);
    t.is(failed.status, 503);
    t.is(headerOf(failed, 'Retry-After'), '30');
    t.like(await pf.status(), {ledger: {accepted: 0}});
  },
);

test.serial(
  '8.3.2.9.1.1 A18: a plugin that is late before the INVITE leaves the messages queued, and they are delivered after',
  async (t) => {
    const pf = await withHooks(
      t,
      `{beforeInvite: (() => { let asked = 0; return () => asked++ === 0 ? new Promise(() => {}) : undefined; })()}`,
      {hooks: {deadlineMilliseconds: 100}},
    );
    const [alice, bob] = [await pf.alice(), await pf.bob()];
    const chat = await alice.startChat(bobAddress);
    t.true((await chat.sendText('one')).accepted);
    t.true((await chat.sendText('two')).accepted);
    await chat.end();
    await pf.register(bob);
    t.like(await pf.pf.log.first(hookFailed('beforeInvite')), {code: 'CPM_HOOK_LATE'});
    await bob.messages.atLeast(2);
    t.deepEqual(
      bob.messages.items.map(({text}) => text),
      ['one', 'two'],
    );
  },
);

test.serial(
  '8.3.2.9.1.1 A13: what a plugin keeps back before it is sent stays queued with all behind it, and goes later, in order',
  async (t) => {
    const pf = await withHooks(
      t,
      `{beforeSend: (() => { let asked = 0; return () => ++asked === 2 ? 'later' : undefined; })()}`,
    );
    const [alice, bob] = [await pf.alice(), await pf.bob()];
    const chat = await alice.startChat(bobAddress);
    for (const text of ['one', 'two', 'three']) t.true((await chat.sendText(text)).accepted);
    await chat.end();
    await pf.register(bob);
    await bob.messages.atLeast(3);
    t.deepEqual(
      bob.messages.items.map(({text}) => text),
      ['one', 'two', 'three'],
    );
    t.is(new Set(bob.messages.items.map(({session}) => session)).size, 2);
  },
);

test.serial(
  '8.3.2.9.1.1 A14: a notification that a plugin discards releases its message, and the sender never sees it',
  async (t) => {
    const pf = await withHooks(
      t,
      `{beforeNotification: ({reports}) => reports.some(({status}) => status === 'displayed') ? 'discard' : undefined}`,
    );
    const [alice, bob] = [await pf.alice(), await pf.bob()];
    const chat = await alice.startChat(bobAddress);
    t.true((await chat.sendText('one')).accepted);
    await pf.register(bob);
    await bob.messages.atLeast(1);
    await alice.notifications.first(({status}) => status === 'delivered');
    await pf.pf.log.first(({hook, answer}) => hook === 'beforeNotification' && answer === 'discard');
    t.false(alice.notifications.items.some(({status}) => status === 'displayed'));
    t.like(await pf.status(), {ledger: {pending: 0}});
  },
);

test.serial('CPM-CF 8.3.2.1: plugins are told of all that happens to a message, in order', async (t) => {
  const names = ['Registration', 'Accept', 'Defer', 'Invite', 'Notification', 'Delivered', 'Bye'];
  const pf = await withHooks(
    t,
    `Object.fromEntries(${JSON.stringify(names)}.map((name) => ['after' + name, ({by, outcome, kind, how}) => log.info({told: name, by, outcome, kind, how}, 'told')]))`,
  );
  const [alice, bob] = [await pf.alice(), await pf.bob()];
  const chat = await alice.startChat(bobAddress);
  t.true((await chat.sendText('one', {dispositions: ['positive-delivery']})).accepted);
  await chat.end();
  await pf.register(bob);
  await bob.messages.first();
  await pf.pf.log.first(({told, kind}) => told === 'Delivered' && kind === 'chat');
  const told = pf.pf.log.items.filter(({msg}) => msg === 'told').map(({told: name, ...record}) => ({name, ...record}));
  t.like(
    told.filter((record: Readonly<Record<string, unknown>>) => record['kind'] !== 'notification'),
    [
      {name: 'Accept', by: 'participating-function'},
      {name: 'Defer', outcome: 'stored', kind: 'chat'},
      {name: 'Bye', by: 'network'},
      {name: 'Registration'},
      {name: 'Invite', outcome: 'answered'},
      {name: 'Notification'},
      {name: 'Delivered', kind: 'chat', how: 'delivered'},
    ],
  );
});

test.serial(
  'CPM-CF 8.3.2.9: registration, BYE and expiry go on, whatever the hooks that are told of them do',
  async (t) => {
    const pf = await withHooks(
      t,
      `{afterRegistration() { throw new Error('broken'); }, afterBye: () => new Promise(() => {}), afterExpired: async () => { throw new Error('broken'); }}`,
      {cpm: {deferredRetentionSeconds: 1, expirySweepSeconds: 1}, hooks: {deadlineMilliseconds: 100}},
    );
    const alice = await pf.alice();
    await pf.register(alice);
    t.is(pf.core.told.items.at(-1)?.status, 200);
    const chat = await alice.startChat(bobAddress);
    t.true((await chat.sendText('soon gone', {dispositions: ['negative-delivery']})).accepted);
    t.is(await chat.end(), 200);
    await alice.notifications.first(({status}) => status === 'failed');
    for (const hook of ['afterRegistration', 'afterBye', 'afterExpired']) await pf.pf.log.first(hookFailed(hook));
    t.like(await pf.status(), {ledger: {expired: 1}});
  },
);

test.serial(
  '8.3.2.9.1.1 A14 A21: over a notification for which a plugin fails the client gets 408, and the message is released by the next one',
  async (t) => {
    const pf = await withHooks(
      t,
      `{beforeNotification: (() => { let asked = 0; return () => { if (asked++ === 0) throw new Error('broken'); }; })()}`,
    );
    const [alice, bob] = [await pf.alice(), await pf.bob()];
    await pf.register(alice);
    const chat = await alice.startChat(bobAddress);
    t.true((await chat.sendText('one')).accepted);
    await pf.register(bob);
    t.like(await pf.pf.log.first(hookFailed('beforeNotification')), {code: 'CPM_HOOK_FAILED'});
    // What the session did not take his phone says by SIP MESSAGE, or the display does.
    await alice.notifications.first();
    await pf.pf.log.first(({msg}) => msg === 'a notification releases a deferred message');
    t.pass();
  },
);

test.serial(
  'CPM-CF 8.3.2.1: an invitation that a plugin keeps from the devices is accepted by the PF, and delivered at the next registration',
  async (t) => {
    const pf = await withHooks(t, `{beforeAccept: () => 'keep'}`);
    const [alice, bob] = [await pf.alice(), await pf.bob()];
    await pf.register(bob);
    const chat = await alice.startChat(bobAddress);
    t.true((await chat.sendText('for later')).accepted);
    t.is(bob.requests.items.length, 0);
    await chat.end();
    await pf.register(bob);
    t.true((await bob.messages.first()).session.deferred);
  },
);

test.serial('plugins: block-list refuses the inviter with 603, and no device rings', async (t) => {
  const pf = await deployment(t, {
    config: {plugins: [{use: 'block-list', options: {senders: ['tel:+15550101']}}]},
  });
  const [alice, carol, bob] = [
    await pf.alice(),
    await pf.phone('sip:+15550103@home.example;user=phone'),
    await pf.bob(),
  ];
  await pf.register(bob);
  const {response} = await t.throwsAsync(alice.startChat(bobAddress), {instanceOf: Refused});
  t.is(response.status, 603);
  await (await carol.startChat(bobAddress)).sendText('hello');
  t.is((await bob.messages.first()).text, 'hello');
  t.is(bob.requests.items.filter(({method}) => method === 'INVITE').length, 1);
});

test.serial('plugins: block-list swallows: the sender has his 200, no device rings, and nothing is kept', async (t) => {
  const plugin = {
    use: 'block-list',
    options: {users: [{user: bobAddress, senders: ['tel:+1555010*']}], action: 'swallow'},
  };
  const pf = await deployment(t, {config: {plugins: [plugin]}});
  const [alice, bob] = [await pf.alice(), await pf.bob()];
  await pf.register(bob);
  const chat = await alice.startChat(bobAddress);
  t.true((await chat.sendText('nobody reads this')).accepted);
  t.like(await pf.status(), {ledger: {accepted: 0, pending: 0}});
  t.is(bob.requests.items.length, 0);
});

test.serial(
  'plugins: wake-up-push asks the gateway for whom something waits, once, and the phone that comes gets it',
  async (t) => {
    const asked = new Inbox<unknown>('push');
    const gateway = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        asked.push(JSON.parse(Buffer.concat(chunks).toString()));
        response.writeHead(202).end();
      });
    });
    await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      gateway.closeAllConnections();
      gateway.close();
    });
    const url = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}/push`;
    const pf = await deployment(t, {config: {plugins: [{use: 'wake-up-push', options: {url}}]}});
    const [alice, bob] = [await pf.alice(), await pf.bob()];
    const chat = await alice.startChat(bobAddress);
    for (const text of ['one', 'two', 'three']) t.true((await chat.sendText(text)).accepted);
    t.deepEqual(await asked.first(), {user: 'tel:+15550102', attempt: 1});
    await pf.register(bob);
    await bob.messages.atLeast(3);
    t.is(asked.items.length, 1);
  },
);

test.serial(
  'plugins: lawful-retention has a record of each message before its 200, in a chain, and of its delivery',
  async (t) => {
    const file = path.join(await temporaryFolder(t), 'journal.jsonl');
    const pf = await deployment(t, {config: {plugins: [{use: 'lawful-retention', options: {file}}]}});
    const [alice, bob] = [await pf.alice(), await pf.bob()];
    await pf.register(alice);
    const chat = await alice.startChat(bobAddress);
    const sent = await chat.sendText('for the record');
    t.true(sent.accepted);
    const events = async () =>
      (await readFile(file, 'utf8'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as {event: string; content?: string});
    const offered = (await events()).find(({event}) => event === 'offered');
    t.is(offered?.content, Buffer.from(sent.bytes).toString('base64'));
    await chat.end();
    await pf.register(bob);
    await bob.messages.first();
    await alice.notifications.first();
    t.is(await pf.stop(), 0);
    t.like(await verifyJournal(file), {broken: 0, firstWrong: undefined});
    t.true((await events()).some(({event}) => event === 'released'));
  },
);

test.serial(
  'plugins: options that cannot be used keep the PF from starting, with file, line and what was expected',
  async (t) => {
    const pf = await deployment(t);
    await pf.stop();
    await pf.configure({plugins: [{use: 'quota', options: {user: {messages: 'many'}}}]});
    await t.throwsAsync(pf.start(), {
      message: /the PF ended with 78: .*plugins\.0\.options\.user\.messages: expected a whole number/,
    });
    const file = path.join(pf.folder, 'nowhere', 'journal.jsonl');
    await pf.configure({plugins: [{use: 'lawful-retention', options: {file}}]});
    await t.throwsAsync(pf.start(), {message: /the PF ended with 69: .*CPM_PLUGIN/});
  },
);

test.serial('8.3.2.9.1.1 A0: sender-order hands over first what the preferred sender wrote last', async (t) => {
  const plugin = {use: 'sender-order', options: {first: ['tel:+15550103']}};
  const pf = await deployment(t, {config: {plugins: [plugin]}});
  const [alice, carol, bob] = [
    await pf.alice(),
    await pf.phone('sip:+15550103@home.example;user=phone'),
    await pf.bob(),
  ];
  for (const [phone, text] of [
    [alice, 'of Alice'],
    [carol, 'of Carol'],
  ] as const) {
    const chat = await phone.startChat(bobAddress);
    t.true((await chat.sendText(text)).accepted);
    await chat.end();
  }

  await pf.register(bob);
  await bob.messages.atLeast(2);
  t.deepEqual(
    bob.messages.items.map(({text}) => text),
    ['of Carol', 'of Alice'],
  );
});

test.serial('plugins: quota refuses with 403 what is beyond it, and what was kept is delivered', async (t) => {
  const pf = await deployment(t, {config: {plugins: [{use: 'quota', options: {user: {messages: 2}}}]}});
  const [alice, bob] = [await pf.alice(), await pf.bob()];
  const chat = await alice.startChat(bobAddress);
  const outcomes: unknown[] = [];
  for (const text of ['one', 'two', 'three']) outcomes.push(...(await chat.sendText(text)).outcomes);
  t.deepEqual(outcomes, [200, 200, 403]);
  t.like(await pf.status(), {ledger: {accepted: 2, pending: 2}});
  await chat.end();
  await pf.register(bob);
  await bob.messages.atLeast(2);
});

test.serial(
  '8.3.2.9.1.2 C2: plugins are asked before the INVITE of a group delivery, and told what came of it',
  async (t) => {
    t.timeout(60_000);
    const config = await ownPlugin(
      t,
      `{beforeInvite: (() => { let asked = 0; return () => asked++ === 0 ? 'later' : undefined; })(),
      afterInvite: ({sender, outcome, devices}) => log.info({sender, outcome, devices}, 'told of an INVITE')}`,
    );
    const {pf, begin} = await groupDeployment(t, {config});
    const {carols} = await begin();
    await pf.pf.log.first(({msg}) => msg === 'the PF stands in a group for its user');
    await carols.sendText('hello');
    await pf.pf.log.first(({msg}) => msg === 'a message is kept for a user who cannot take it now');
    const bob = await pf.bob();
    await pf.register(bob);
    t.is((await bob.messages.first(undefined, 20_000)).text, 'hello');
    const told = await pf.pf.log.first(({msg}) => msg === 'told of an INVITE');
    t.like(told, {sender: 'group:Contr-Group', outcome: 'answered', devices: 1});
    t.is(bob.requests.items.filter(({method}) => method === 'INVITE').length, 1);
  },
);
