/** How notifications reach the sender of a message: in a session with their author, else by SIP MESSAGE (rows A14, A20; CPM-CF 8.3.4). */
import {randomUUID} from 'node:crypto';
import test from 'ava';
import {formatCpim} from '../../lib/codecs/cpim.ts';
import {formatImdn, formatNotificationCpim, type Imdn} from '../../lib/codecs/imdn.ts';
import {formatMultipart} from '../../lib/codecs/multipart.ts';
import {formatAcceptContact} from '../../lib/codecs/sip-headers/accept-contact.ts';
import {headerOf, headersOf, type SipRequest} from '../../lib/codecs/sip-message.ts';
import {ICSI} from '../../lib/cpm/feature-tags.ts';
import {notificationMessage} from '../../lib/phone/chat-messages.ts';
import type {Phone} from '../../lib/phone/phone.ts';
import {aliceAddress, bobAddress, deployment, type Deployment} from '../support/deployment.ts';
import {impatientServer, until} from '../support/persistent-sender.ts';

const anonymous = '<sip:anonymous@anonymous.invalid>';

async function message(from: Phone, to: string, contentType: string, bytes: Uint8Array): Promise<number> {
  const headers = [
    ['Accept-Contact', formatAcceptContact({icsi: ICSI.pagerMessage})],
    ['P-Preferred-Service', ICSI.pagerMessage],
    ['Conversation-ID', 'Conv-7'],
    ['Contribution-ID', 'Contr-7'],
    ['Content-Type', contentType],
  ] as const;
  return (await from.request('MESSAGE', to, headers, bytes)).status;
}

const inCpim = (imdn: Imdn): Buffer =>
  formatNotificationCpim({
    imdn,
    from: anonymous,
    to: anonymous,
    messageId: randomUUID(),
    dateTime: '2026-01-01T00:00:00Z',
  });

async function ledgerIs(pf: Deployment, expected: Readonly<Record<string, number>>): Promise<void> {
  await until(async () => {
    const {ledger} = (await pf.status()) as {ledger: Record<string, number>};
    return Object.entries(expected).every(([what, count]) => ledger[what] === count);
  });
}

/** Alice leaves a message for Bob, who is off, and ends her session. */
async function leave(pf: Deployment, text = 'hello'): Promise<Phone> {
  const alice = await pf.alice();
  await pf.register(alice);
  const chat = await alice.startChat(bobAddress);
  if (!(await chat.sendText(text)).accepted) throw new Error('a message was not accepted');
  await chat.end();
  return alice;
}

const isInvite = ({method}: SipRequest): boolean => method === 'INVITE';

const reports = (messageId: string): readonly Imdn[] => [
  {messageId, dateTime: undefined, kind: 'delivery', status: 'delivered'},
  {messageId: 'other', dateTime: undefined, kind: 'delivery', status: 'failed'},
  {messageId, dateTime: undefined, kind: 'display', status: 'displayed'},
  {messageId, dateTime: undefined, kind: 'processing', status: 'processed'},
  {messageId, dateTime: undefined, kind: 'interworking', status: 'sms'},
];

test.serial(
  '8.3.4 A20: a notification of each kind, bare or in CPIM or several in one, waits for a sender who is off, comes by SIP MESSAGE without INVITE, and once',
  async (t) => {
    const pf = await deployment(t);
    const bob = await pf.bob();
    await pf.register(bob);
    for (const imdn of reports('one'))
      t.is(await message(bob, aliceAddress, 'message/cpim', inCpim(imdn)), 202, imdn.kind);
    for (const imdn of reports('two'))
      t.is(await message(bob, aliceAddress, 'message/imdn+xml', Buffer.from(formatImdn(imdn))), 202, imdn.kind);
    const parts = reports('three').map((imdn) => ({
      headers: [{name: 'Content-Type', value: 'message/imdn+xml'}],
      body: Buffer.from(formatImdn(imdn)),
    }));
    const aggregate = formatCpim({
      headers: [
        {name: 'From', value: anonymous},
        {name: 'To', value: anonymous},
      ],
      contentHeaders: [{name: 'Content-Type', value: 'multipart/mixed;boundary=parts'}],
      body: formatMultipart(parts, 'parts'),
    });
    t.is(await message(bob, aliceAddress, 'message/cpim', aggregate), 202);
    // Said again, it is the same: one of a kind for each message (RFC 5438 §7.2.1).
    t.is(await message(bob, aliceAddress, 'message/cpim', notificationMessage('one', 'delivered')), 202);
    t.like(await pf.status(), {ledger: {pending: 10}});
    const alice = await pf.alice();
    await pf.register(alice);
    await ledgerIs(pf, {pending: 0, delivered: 10});
    t.deepEqual(
      alice.notifications.items.map(({messageId, status, via}) => [messageId, status, via]),
      ['one', 'two', 'three']
        .flatMap((id) => reports(id).map(({messageId, status}) => [messageId, status, 'message']))
        .filter(([messageId], index) => !(messageId === 'other' && index === 6)),
    );
    t.is(alice.requests.items.filter(isInvite).length, 0);
    // A notification never causes one (row E2).
    t.is(bob.notifications.items.length, 0);
  },
);

test.serial('8.3.4 A21: what a server on the way reports (processing, interworking) releases nothing', async (t) => {
  const pf = await deployment(t);
  const alice = await leave(pf);
  const messageId = alice.sent.items[0]?.messageId ?? '';
  const bob = await pf.bob({notifications: 'none'});
  await pf.register(bob);
  await bob.messages.first();
  await bob.sessions.items[0]?.ended;
  for (const imdn of reports(messageId).slice(3))
    t.is(await message(bob, aliceAddress, 'message/cpim', inCpim(imdn)), 200);
  t.like(await pf.status(), {ledger: {pending: 1, delivered: 0, failed: 0}});
  t.is(
    await message(
      bob,
      aliceAddress,
      'message/cpim',
      inCpim({messageId, dateTime: undefined, kind: 'display', status: 'displayed'}),
    ),
    200,
  );
  await ledgerIs(pf, {pending: 0, delivered: 1, failed: 0});
});

test.serial(
  '8.3.4 A21: a notification by SIP MESSAGE, bare, before the 200 to the INVITE releases the message',
  async (t) => {
    const pf = await deployment(t);
    const alice = await leave(pf);
    const messageId = alice.sent.items[0]?.messageId ?? '';
    const bob = await pf.bob();
    let status: Promise<number> | undefined;
    bob.onInvitation = (invitation) => {
      const bare = Buffer.from(formatImdn({messageId, dateTime: undefined, kind: 'delivery', status: 'delivered'}));
      status = message(bob, aliceAddress, 'message/imdn+xml', bare);
      void status.then(() => invitation.accept());
    };
    await pf.register(bob);
    await alice.notifications.first();
    await bob.sessions.first();
    await bob.sessions.items[0]?.ended;
    t.is(await status, 200);
    t.like(await pf.status(), {ledger: {pending: 0, delivered: 1}});
    t.is(bob.messages.items.length, 0);
  },
);

for (const [notificationTransport, via] of [
  ['session', 'session'],
  ['message', 'message'],
] as const) {
  test.serial(
    `8.3.2.9.1.1 A20: what waits from one who wrote, too, goes by ${via} where the policy says ${notificationTransport}`,
    async (t) => {
      const pf = await deployment(t, {config: {cpm: {notificationTransport}}});
      const alice = await leave(pf);
      await alice.deregister();
      await pf.core.told.atLeast(2);
      const bob = await pf.bob();
      await pf.register(bob);
      await bob.messages.first();
      await bob.sessions.items[0]?.ended;
      const chat = await bob.startChat(aliceAddress);
      t.true((await chat.sendText('and you?')).accepted);
      await chat.end();
      await pf.register(alice);
      await alice.messages.first();
      const came = await alice.notifications.atLeast(2);
      t.deepEqual(
        came.map(({status}) => status),
        ['delivered', 'displayed'],
      );
      t.true(came.some((each) => each.via === via));
      await ledgerIs(pf, {pending: 0});
      t.is(alice.repetitions.items.length, 0);
    },
  );
}

test.serial(
  '8.3.2.9.1.1 A20 T31: a notification that no SIP MESSAGE brings over is tried again, then parked, and the next registration brings it to the device that sent',
  async (t) => {
    t.timeout(90_000);
    const config = {...impatientServer, cpm: {deliveryRetrySeconds: [1], deliveryRetries: 1}};
    const pf = await deployment(t, {core: {timers: {t1Ms: 50}}, config});
    const alice = await leave(pf);
    const {instance = ''} = alice;
    await alice.close();
    const bob = await pf.bob();
    await pf.register(bob);
    await bob.messages.first();
    await pf.pf.log.first(({msg}) => msg.startsWith('what waits for a user is parked'), 60_000);
    t.true(pf.pf.log.items.filter(({msg}) => msg.startsWith('a SIP MESSAGE was not taken')).length >= 2);
    t.like(await pf.status(), {deliveries: {parked: 1}});
    const again = await pf.alice({instance});
    await pf.register(again);
    await again.notifications.first(({status, via}) => status === 'delivered' && via === 'message');
    const [came] = again.requests.items;
    t.is(came?.method, 'MESSAGE');
    t.true(
      headersOf(came ?? ({headers: []} as never), 'Accept-Contact')
        .join()
        .includes(`+sip.instance="${instance}";require;explicit`),
    );
    t.is(came && headerOf(came, 'P-Asserted-Service'), ICSI.pagerMessage);
    await until(async () => {
      const {deliveries} = (await pf.status()) as {deliveries: Record<string, number>};
      return deliveries['parked'] === 0;
    });
  },
);
