/** Notifications in a delivery session: of every kind and form, about the right message, to the right device (rows A14, A21; CPM-CF 8.3.4). */
import {randomUUID} from 'node:crypto';
import test from 'ava';
import {formatCpim} from '../../lib/codecs/cpim.ts';
import {formatImdn, formatNotificationCpim, type Imdn} from '../../lib/codecs/imdn.ts';
import {formatMultipart} from '../../lib/codecs/multipart.ts';
import {headerOf} from '../../lib/codecs/sip-message.ts';
import {chatMessage} from '../../lib/phone/chat-messages.ts';
import type {Phone} from '../../lib/phone/phone.ts';
import {aliceAddress, bobAddress, deployment, type Deployment} from '../support/deployment.ts';
import {until} from '../support/persistent-sender.ts';

const anonymous = '<sip:anonymous@anonymous.invalid>';
const carolAddress = 'sip:+15550103@home.example;user=phone';

async function leave(
  pf: Deployment,
  from: Phone,
  texts: readonly {readonly text: string; readonly messageId: string}[],
): Promise<void> {
  await pf.register(from);
  const chat = await from.startChat(bobAddress);
  for (const {text, messageId} of texts)
    if (!(await chat.sendText(text, {messageId})).accepted) throw new Error('a message was not accepted');
  await chat.end();
}

async function ledgerIs(pf: Deployment, expected: Readonly<Record<string, number>>): Promise<void> {
  await until(async () => {
    const {ledger} = (await pf.status()) as {ledger: Record<string, number>};
    return Object.entries(expected).every(([what, count]) => ledger[what] === count);
  });
}

const delivered = (messageId: string): Imdn => ({
  messageId,
  dateTime: undefined,
  kind: 'delivery',
  status: 'delivered',
});

/** The forms in which a client may say it. */
const forms: readonly [form: string, made: (imdn: Imdn) => {readonly contentType: string; readonly bytes: Buffer}][] = [
  [
    'in CPIM',
    (imdn) => ({
      contentType: 'message/cpim',
      bytes: formatNotificationCpim({
        imdn,
        from: anonymous,
        to: anonymous,
        messageId: randomUUID(),
        dateTime: '2026-01-01T00:00:00Z',
      }),
    }),
  ],
  ['bare', (imdn) => ({contentType: 'message/imdn+xml', bytes: Buffer.from(formatImdn(imdn))})],
];

const kinds: readonly (Pick<Imdn, 'kind' | 'status'> & {readonly ends: string | undefined})[] = [
  {kind: 'delivery', status: 'delivered', ends: 'delivered'},
  {kind: 'display', status: 'displayed', ends: 'delivered'},
  {kind: 'delivery', status: 'failed', ends: 'failed'},
  {kind: 'processing', status: 'processed', ends: undefined},
  {kind: 'interworking', status: 'sms', ends: undefined},
];

for (const [form, made] of forms) {
  test.serial(
    `8.3.4 A14 A21: delivery, display, failed, processing and interworking, ${form} in the delivery session, reach the sender; each ends what it ends`,
    async (t) => {
      const pf = await deployment(t, {config: {cpm: {notificationWaitSeconds: 20}}});
      const alice = await pf.alice();
      const texts = kinds.map(({status}) => ({text: status, messageId: `of-${status}`}));
      await leave(pf, alice, texts);
      const bob = await pf.bob({
        notifications: 'none',
        media: {acceptTypes: 'message/cpim message/imdn+xml application/im-iscomposing+xml'},
      });
      await pf.register(bob);
      const [first] = await bob.messages.atLeast(kinds.length);
      for (const {kind, status} of kinds) {
        const {contentType, bytes} = made({messageId: `of-${status}`, dateTime: undefined, kind, status});
        t.is(await first?.session.msrp.send(bytes, {contentType}), 200);
      }

      await alice.notifications.atLeast(kinds.length);
      t.deepEqual(
        alice.notifications.items.map(({messageId, status}) => [messageId, status]),
        kinds.map(({status}) => [`of-${status}`, status]),
      );
      // Five notifications of Alice's and two messages of Bob's are delivered, one has failed, two wait for a word.
      await ledgerIs(pf, {accepted: 10, delivered: 7, failed: 1, pending: 2});
    },
  );
}

test.serial('8.3.4 A14 A21: several notifications in one release every message that they are about', async (t) => {
  const pf = await deployment(t, {config: {cpm: {notificationWaitSeconds: 20}}});
  const alice = await pf.alice();
  const texts = ['one', 'two', 'three'].map((text) => ({text, messageId: `of-${text}`}));
  await leave(pf, alice, texts);
  const bob = await pf.bob({notifications: 'none'});
  await pf.register(bob);
  const [first] = await bob.messages.atLeast(3);
  const parts = texts.map(({messageId}) => ({
    headers: [{name: 'Content-Type', value: 'message/imdn+xml'}],
    body: Buffer.from(formatImdn(delivered(messageId))),
  }));
  const aggregate = formatCpim({
    headers: [
      {name: 'From', value: anonymous},
      {name: 'To', value: anonymous},
    ],
    contentHeaders: [{name: 'Content-Type', value: 'multipart/mixed;boundary=parts'}],
    body: formatMultipart(parts, 'parts'),
  });
  t.is(await first?.session.msrp.send(aggregate, {contentType: 'message/cpim'}), 200);
  await alice.notifications.atLeast(3);
  t.deepEqual(
    alice.notifications.items.map(({messageId}) => messageId),
    texts.map(({messageId}) => messageId),
  );
  await ledgerIs(pf, {pending: 0, delivered: 4});
});

test.serial(
  '8.3.4 A21 T62: where two senders use one imdn.Message-ID, a notification is about the message of the sender to whom it goes',
  async (t) => {
    const pf = await deployment(t, {config: {cpm: {notificationWaitSeconds: 20, deliveryRetrySeconds: [600]}}});
    const [alice, carol] = [await pf.alice(), await pf.phone(carolAddress)];
    await leave(pf, alice, [{text: 'from alice', messageId: 'Same'}]);
    await leave(pf, carol, [{text: 'from carol', messageId: 'Same'}]);
    t.like(await pf.status(), {ledger: {accepted: 2, pending: 2}});
    const bob = await pf.bob({notifications: 'none'});
    await pf.register(bob);
    const {session} = await bob.messages.first(({text}) => text === 'from alice');
    const {contentType, bytes} = forms[0]?.[1](delivered('Same')) ?? {contentType: '', bytes: Buffer.alloc(0)};
    t.is(await session.msrp.send(bytes, {contentType}), 200);
    t.is((await alice.notifications.first()).messageId, 'Same');
    // Carol's comes all the same; the phone takes its id for one that it had.
    await bob.repetitions.first(({text}) => text === 'from carol');
    await ledgerIs(pf, {accepted: 3, delivered: 2, pending: 1});
    t.is(carol.notifications.items.length, 0);
  },
);

test.serial(
  '8.3.4 A14 T31: a notification goes to the device that sent the message, in its conversation, and to no other',
  async (t) => {
    const pf = await deployment(t);
    const devices = [await pf.alice(), await pf.alice()];
    for (const [index, device] of devices.entries())
      await leave(pf, device, [{text: `hello ${index}`, messageId: `of-${index}`}]);
    const bob = await pf.bob({displays: false});
    await pf.register(bob);
    await ledgerIs(pf, {pending: 0, delivered: 4});
    t.is(bob.sessions.items.length, 1);
    for (const [index, device] of devices.entries()) {
      t.deepEqual(
        device.notifications.items.map(({messageId, via}) => [messageId, via]),
        [[`of-${index}`, 'message']],
      );
      const conversationOf = (method: string, phone: Phone): string | undefined =>
        phone.requests.items
          .filter((request) => request.method === method)
          .map((request) => headerOf(request, 'Conversation-ID'))[0];
      t.is(conversationOf('MESSAGE', device), device.sessions.items[0]?.conversationId);
    }
  },
);

test.serial(
  '8.3.2.9.1.1 A0 T64: arrival orders the messages of a sender, whatever DateTime they carry, and their octets stay',
  async (t) => {
    const pf = await deployment(t);
    const alice = await pf.alice();
    await pf.register(alice);
    const chat = await alice.startChat(bobAddress);
    const sent = ['2026-03-03', '2026-01-01', '2026-02-02'].map((day) => {
      const content = {contentType: 'text/plain', content: Buffer.from(day)};
      const bytes = chatMessage({messageId: `of-${day}`, dispositions: [], ...content});
      return Buffer.from(bytes.toString().replace(/^DateTime: .*$/m, `DateTime: ${day}T00:00:00Z`));
    });
    for (const bytes of sent) t.is(await chat.msrp.send(bytes, {contentType: 'message/cpim'}), 200);
    await chat.end();
    const bob = await pf.bob();
    await pf.register(bob);
    const came = await bob.messages.atLeast(3);
    t.deepEqual(
      came.map(({bytes}) => bytes.toString()),
      sent.map(String),
    );
    t.is(came[0]?.session.partner, aliceAddress);
  },
);
