import test from 'ava';
import {bobAddress, deployment, type Deployment} from '../support/deployment.ts';
import {notificationMessage} from '../../lib/phone/chat-messages.ts';
import type {PhoneOptions} from '../../lib/phone/phone.ts';
import {until} from '../support/persistent-sender.ts';
import type {Disposition} from '../../lib/cpm/deferred-message.ts';

/** Alice leaves messages for Bob, who is off, ends her session and stays on line. */
async function leave(pf: Deployment, texts: readonly string[], dispositions: readonly Disposition[]) {
  const alice = await pf.alice();
  await pf.register(alice);
  const chat = await alice.startChat(bobAddress);
  for (const text of texts) accepted((await chat.sendText(text, {dispositions})).accepted);
  await chat.end();
  return alice;
}

function accepted(is: boolean): void {
  if (!is) throw new Error('a message was not accepted');
}

const isOver = ({msg}: {readonly msg: string}): boolean => msg === 'a delivery session is done';

const silentClients: readonly [string, Partial<PhoneOptions>, Record<string, unknown>][] = [
  ['names wrapped types and message/imdn+xml not among them', {media: {acceptWrappedTypes: 'text/plain'}}, {}],
  [
    'names no wrapped types, where the policy distrusts that,',
    {media: {acceptWrappedTypes: undefined}},
    {imdnUnknown: 'distrust'},
  ],
  [
    'has a User-Agent of the configured list',
    {userAgent: 'CPM-client/OMA1.0 Old-12'},
    {userAgentsWithoutImdn: ['^cpm-client/oma1\\.']},
  ],
];

for (const [which, options, cpm] of silentClients) {
  test.serial(
    `8.3.2.9.1.1 A19: for a client that ${which} the PF tells the sender of the delivery, after all his messages`,
    async (t) => {
      const pf = await deployment(t, {config: {cpm}});
      const alice = await leave(pf, ['one', 'two'], ['positive-delivery', 'display']);
      const bob = await pf.bob({notifications: 'none', ...options});
      await bob.register();
      const came = await alice.notifications.atLeast(2);
      t.deepEqual(
        came.map(({messageId, status}) => [messageId, status]),
        alice.sent.items.slice(-2).map(({messageId}) => [messageId, 'delivered']),
      );
      t.deepEqual(
        bob.messages.items.map(({text}) => text),
        ['one', 'two'],
      );
      await pf.pf.log.first(isOver);
      // Two messages and two notifications, nothing of them waits.
      await until(async () => {
        const {ledger} = (await pf.status()) as {ledger: Record<string, number>};
        return ledger['pending'] === 0 && ledger['accepted'] === 4 && ledger['delivered'] === 4;
      });
    },
  );
}

test.serial(
  '8.3.2.9.1.1 A19 A21: a silent client that is let into a session which holds for it is reported for, too',
  async (t) => {
    const pf = await deployment(t);
    const alice = await pf.alice();
    const chat = await alice.startChat(bobAddress);
    accepted((await chat.sendText('one', {dispositions: ['positive-delivery']})).accepted);
    const bob = await pf.bob({notifications: 'none', media: {acceptWrappedTypes: 'text/plain'}});
    await pf.register(bob);
    await bob.messages.first();
    const {messageId} = await alice.notifications.first();
    t.deepEqual(
      alice.sent.items.map((sent) => sent.messageId),
      [messageId],
    );
    await until(async () => ((await pf.status()) as {ledger: {pending: number}}).ledger.pending === 0);
  },
);

test.serial('8.3.2.9.1.1 A19: a client that names no wrapped types is trusted to say itself what it got', async (t) => {
  const pf = await deployment(t);
  const alice = await leave(pf, ['one'], ['positive-delivery']);
  const bob = await pf.bob({notifications: 'none', media: {acceptWrappedTypes: undefined}});
  await bob.register();
  await pf.pf.log.first(isOver);
  t.like(await pf.status(), {ledger: {accepted: 1, pending: 1, delivered: 0}});
  t.is(alice.notifications.items.length, 0);
});

test.serial('8.3.2.9.1.1 A19: nobody is told who did not ask', async (t) => {
  const pf = await deployment(t);
  const alice = await leave(pf, ['one'], ['display']);
  const bob = await pf.bob({notifications: 'none', media: {acceptWrappedTypes: 'text/plain'}});
  await bob.register();
  await pf.pf.log.first(isOver);
  await until(async () => {
    const {ledger} = (await pf.status()) as {ledger: Record<string, number>};
    return ledger['accepted'] === 1 && ledger['delivered'] === 1;
  });
  t.is(alice.notifications.items.length, 0);
});

test.serial(
  '8.3.2.9.1.1 A19 T32: a real delivery notification that comes after the one of the PF is not doubled',
  async (t) => {
    const pf = await deployment(t, {config: {cpm: {notificationWaitSeconds: 20}}});
    const alice = await leave(pf, ['one'], ['positive-delivery', 'display']);
    const old = await pf.bob({notifications: 'none', media: {acceptWrappedTypes: 'text/plain'}});
    await old.register();
    const {messageId} = await old.messages.first();
    await alice.notifications.first();
    await old.deregister();
    const again = await alice.startChat(bobAddress);
    accepted((await again.sendText('two')).accepted);
    await again.end();
    // A client that reports, and says what is known of the first message.
    const bob = await pf.bob({notifications: 'none'});
    await bob.register();
    const {msrp} = (await bob.messages.first()).session;
    for (const status of ['delivered', 'displayed'] as const)
      t.is(await msrp.send(notificationMessage(messageId, status), {contentType: 'message/cpim'}), 200);
    await alice.notifications.first(({status}) => status === 'displayed');
    t.deepEqual(
      alice.notifications.items.map(({status}) => status),
      ['delivered', 'displayed'],
    );
  },
);

test.serial('8.3.2.9 A21: the sender of a message that expired is told, if he asked for it', async (t) => {
  const pf = await deployment(t, {config: {cpm: {deferredRetentionSeconds: 1, expirySweepSeconds: 1}}});
  const alice = await leave(pf, ['asked'], ['negative-delivery']);
  const {status, messageId} = await alice.notifications.first();
  t.is(status, 'failed');
  t.is(messageId, alice.sent.items[0]?.messageId ?? '');
  await until(async () => {
    const {ledger} = (await pf.status()) as {ledger: Record<string, number>};
    return ledger['expired'] === 1 && ledger['pending'] === 0;
  });
});

test.serial(
  '8.3.2.9.1.1 A13: a message that the client does not admit fails, where the policy says so, and its sender is told',
  async (t) => {
    const pf = await deployment(t, {config: {cpm: {notAdmitted: 'fail'}}});
    const alice = await leave(pf, ['short', 'x'.repeat(5000), 'short too'], ['negative-delivery']);
    const bob = await pf.bob({media: {maxSize: 2000}});
    await bob.register();
    const {status, messageId} = await alice.notifications.first();
    t.is(status, 'failed');
    t.is(
      alice.sent.items.find((sent) => sent.messageId === messageId)?.bytes.length,
      Math.max(...alice.sent.items.map(({bytes}) => bytes.length)),
    );
    await bob.messages.atLeast(2);
    await until(async () => {
      const {ledger} = (await pf.status()) as {ledger: Record<string, number>};
      return ledger['failed'] === 1 && ledger['delivered'] === 3 && ledger['pending'] === 0;
    });
  },
);
