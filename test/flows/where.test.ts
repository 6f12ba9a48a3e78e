import {readFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type {ExecutionContext} from 'ava';
import type {TracedMessage} from '../../lib/cpm/history.ts';
import type {Phone} from '../../lib/phone/phone.ts';
import {runNode} from '../support/child.ts';
import {aliceAddress, bobAddress, deployment, runHasEnded, type Deployment} from '../support/deployment.ts';
import {temporaryFolder} from '../support/temporary-folder.ts';
import {until} from '../support/persistent-sender.ts';

const conversationId = 'Conv-Where';

/** Alice leaves messages for Bob, who is off, asks for every word about them, and ends her session. */
async function leave(pf: Deployment, texts: readonly string[], alice?: Phone): Promise<Phone> {
  const phone = alice ?? (await pf.alice());
  if (alice === undefined) await pf.register(phone);
  const chat = await phone.startChat(bobAddress, {conversationId});
  for (const text of texts) {
    const {accepted} = await chat.sendText(text, {dispositions: ['positive-delivery', 'negative-delivery']});
    if (!accepted) throw new Error('a message was not accepted');
  }

  await chat.end();
  return phone;
}

/** Runs the command line on the running PF; answers its status and its lines. */
async function cpmPf(pf: Deployment, ...args: string[]): Promise<{status: number | string; lines: readonly string[]}> {
  const child = runNode('lib/cli.ts', [...args, '--config', path.join(pf.folder, 'pf.yaml')]);
  return {status: await child.ended, lines: child.output().split('\n').slice(0, -1)};
}

async function traced(pf: Deployment, ...args: string[]): Promise<readonly TracedMessage[]> {
  const {lines} = await cpmPf(pf, 'where', ...args, '--json');
  return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as TracedMessage);
}

const ledgerOf = async (pf: Deployment): Promise<Record<string, unknown>> =>
  ((await pf.status()) as {ledger: Record<string, unknown>}).ledger;

const idsOf = (alice: Phone): readonly string[] => alice.sent.items.map(({messageId}) => messageId);

const isOver = ({msg}: {readonly msg: string}): boolean => msg === 'a delivery session is done';

/** What an operator sees fits his terminal. */
function isReadable(t: ExecutionContext, lines: readonly string[]): void {
  t.deepEqual(
    lines.filter((line) => line.length > 100),
    [],
  );
}

test.serial(
  '8.3.2.9.1.1 A21: where tells a message from its acceptance to its delivery, each answer in between, and its notification',
  async (t) => {
    t.timeout(60_000);
    const pf = await deployment(t);
    const alice = await leave(pf, ['one']);
    const [id = ''] = idsOf(alice);
    const bob = await pf.bob({notifications: 'none'});
    const accept = bob.onInvitation;
    bob.onInvitation = (invitation) => {
      bob.onInvitation = accept;
      invitation.refuse(480);
    };
    await bob.register();
    await pf.pf.log.first(isOver);
    const [sent] = await traced(pf, id);
    if (sent === undefined) return t.fail('nobody knows the message');
    t.is(sent.state, 'sent');
    t.deepEqual(
      sent.history.map(({what, answer}) => [what, answer]),
      [
        ['accepted', undefined],
        ['refused', 'SIP 480'],
        ['sent', 'MSRP 200'],
      ],
    );
    const [accepted, , taken] = sent.history;
    t.is(accepted?.session, conversationId);
    t.true(
      pf.pf.log.items.some(({leg}) => leg === taken?.session),
      'the log knows the leg by the same name',
    );
    t.true(sent.history.every(({node}) => node.startsWith('pf-')));

    const message = await bob.messages.first();
    await bob.notify(message, 'delivered');
    await alice.notifications.first();
    await until(async () => (await traced(pf, id))[0]?.state === 'delivered');
    const [delivered] = await traced(pf, id);
    t.is(delivered?.history.at(-1)?.answer, 'IMDN delivered');

    const byUser = await cpmPf(pf, 'where', bobAddress);
    const byConversation = await cpmPf(pf, 'where', conversationId);
    const bySender = await cpmPf(pf, 'where', '+15550101', '--sender');
    for (const {status, lines} of [byUser, byConversation, bySender]) {
      t.is(status, 0);
      t.true(
        lines.some((line) => line.includes(`chat ${id}: delivered`)),
        lines.join('\n'),
      );
      isReadable(t, lines);
    }

    t.deepEqual(await cpmPf(pf, 'where', 'nobody-knows-it'), {status: 1, lines: ['no such message is kept']});
    t.log(byUser.lines.join('\n'));
  },
);

test.serial(
  '8.3.2.9.1.1 A0: what is held is kept from a user who registers, and release hands it over; each is one record of who did it',
  async (t) => {
    t.timeout(60_000);
    const pf = await deployment(t);
    const alice = await leave(pf, ['one', 'two', 'three']);
    const second = idsOf(alice)[1] ?? '';
    t.deepEqual(await cpmPf(pf, 'queue', 'hold', '--message', second), {
      status: 0,
      lines: ['hold: 1 messages, 1 users'],
    });
    t.deepEqual((await cpmPf(pf, 'queue', 'hold', '--message', second)).lines, ['hold: 0 messages, 0 users']);
    const listed = await cpmPf(pf, 'queue', 'list', '--user', bobAddress);
    t.deepEqual(
      listed.lines.slice(1).map((line) => line.split(/ +/, 1)[0]),
      ['queued', 'held', 'queued'],
    );
    isReadable(t, listed.lines);

    const bob = await pf.bob();
    await bob.register();
    await bob.messages.atLeast(2);
    await until(async () => (await ledgerOf(pf))['pending'] === 0);
    const ledger = await ledgerOf(pf);
    t.is(ledger['held'], 1);
    t.is(ledger['addsUp'], true);

    t.deepEqual((await cpmPf(pf, 'queue', 'release', '--conversation', conversationId, '--json')).lines, [
      '{"what":"release","messages":1,"users":1}',
    ]);
    await bob.messages.atLeast(3);
    t.deepEqual(
      bob.messages.items.map(({text}) => text),
      ['one', 'three', 'two'],
    );
    const audit = pf.pf.log.items.filter(({msg}) => msg === 'an operator has acted on the queue');
    t.deepEqual(
      audit.map(({level, what, messages, by}) => [level, what, messages, by]),
      [
        ['info', 'hold', 1, 'message'],
        ['info', 'hold', 0, 'message'],
        ['info', 'release', 1, 'conversation'],
      ],
    );
    t.true(audit.every(({operator}) => typeof operator === 'string' && operator !== ''));
    t.false(JSON.stringify(audit).includes('15550'));
  },
);

test.serial(
  '8.3.2.9 A21: a dropped message never comes, its sender is told if he asked for it, and the ledger has it',
  async (t) => {
    t.timeout(60_000);
    const pf = await deployment(t);
    const alice = await leave(pf, ['one', 'two']);
    const [first] = idsOf(alice);
    t.deepEqual((await cpmPf(pf, 'queue', 'drop', '--message', first ?? '')).lines, ['drop: 1 messages, 1 users']);
    const {status, messageId} = await alice.notifications.first();
    t.deepEqual([status, messageId], ['failed', first]);
    const bob = await pf.bob();
    await bob.register();
    await bob.messages.first(({text}) => text === 'two');
    await until(async () => (await ledgerOf(pf))['pending'] === 0);
    t.deepEqual(
      bob.messages.items.map(({text}) => text),
      ['two'],
    );
    const ledger = await ledgerOf(pf);
    t.is(ledger['dropped'], 1);
    t.is(ledger['addsUp'], true);
    const [dropped] = await traced(pf, first ?? '');
    t.is(dropped?.state, 'dropped');
    t.truthy(dropped?.history.at(-1)?.by);
  },
);

test.serial('8.3.2.9.1.1 A18: retry is a trigger: what a 480 stopped is delivered at once', async (t) => {
  t.timeout(60_000);
  const pf = await deployment(t, {config: {cpm: {deliveryRetrySeconds: [3600]}}});
  await leave(pf, ['one']);
  const bob = await pf.bob();
  const accept = bob.onInvitation;
  bob.onInvitation = (invitation) => {
    invitation.refuse(480);
  };
  await bob.register();
  await pf.pf.log.first((record) => runHasEnded(record) && record['outcome'] === 'try-again');
  bob.onInvitation = accept;
  t.is(bob.messages.items.length, 0);
  t.deepEqual((await cpmPf(pf, 'queue', 'retry', '--user', '+15550102')).lines, ['retry: 1 messages, 1 users']);
  await bob.messages.first();
  t.is(bob.messages.items.length, 1);
});

test.serial(
  '8.3.2.9 A21: erase leaves nothing of a user, neither to be asked for nor in the file of the store, and names the journal that stays',
  async (t) => {
    t.timeout(60_000);
    const file = path.join(await temporaryFolder(t), 'journal.jsonl');
    const pf = await deployment(t, {config: {plugins: [{use: 'lawful-retention', options: {file}}]}});
    const alice = await leave(pf, ['a word for Bob alone']);
    const bob = await pf.bob({notifications: 'none'});
    await pf.register(bob);
    await pf.pf.log.first(isOver);
    await bob.deregister();
    await leave(pf, ['another word for Bob alone'], alice);
    t.is((await traced(pf, bobAddress)).length, 2);

    const {status, lines} = await cpmPf(pf, 'erase', bobAddress, '--json');
    t.is(status, 0);
    t.like(JSON.parse(lines[0] ?? ''), {messagesTo: 2, messagesFrom: 0, kept: [`lawful-retention: ${file}`]});
    t.deepEqual(await traced(pf, bobAddress), []);
    t.is((await cpmPf(pf, 'where', bobAddress)).status, 1);
    const ledger = await ledgerOf(pf);
    t.is(ledger['dropped'], 2);
    t.is(ledger['addsUp'], true);
    const record = pf.pf.log.items.find(({msg}) => msg === 'an operator has erased a user');
    t.is(record?.['messagesTo'], 2);
    t.is(record?.['kept'], `lawful-retention: ${file}`);
    t.false(JSON.stringify(record).includes('15550102'));

    if (process.env['MONGODB_URI'] !== undefined) return;
    await pf.stop();
    const octets = await readFile(path.join(pf.folder, 'state', 'cpm.db'), 'latin1');
    t.true(octets.includes('15550101'), 'of Alice, who is registered, there is');
    t.false(octets.includes('word for Bob'));
    t.false(octets.includes('15550102'));
  },
);

test.serial('cpm-pf: queue and where end with 64 without a selection, and with 69 where no PF runs', async (t) => {
  t.timeout(60_000);
  const pf = await deployment(t);
  t.is((await cpmPf(pf, 'queue', 'drop')).status, 64);
  t.is((await cpmPf(pf, 'queue', 'drop', '--user', aliceAddress, '--sender', aliceAddress)).status, 64);
  t.is((await cpmPf(pf, 'where')).status, 64);
  await pf.stop();
  t.is((await cpmPf(pf, 'queue', 'drop', '--user', aliceAddress)).status, 69);
  t.is((await cpmPf(pf, 'where', 'x')).status, 69);
  t.is((await cpmPf(pf, 'erase', aliceAddress)).status, 69);
});
