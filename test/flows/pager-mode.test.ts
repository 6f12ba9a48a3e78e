/** Standalone messages, by SIP MESSAGE, for a user who is off (CPM-CF 8.3.1). */
import {randomUUID} from 'node:crypto';
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {formatIsComposing} from '../../lib/codecs/iscomposing.ts';
import {formatAcceptContact} from '../../lib/codecs/sip-headers/accept-contact.ts';
import {headerOf, type SipRequest} from '../../lib/codecs/sip-message.ts';
import {ICSI} from '../../lib/cpm/feature-tags.ts';
import type {Disposition} from '../../lib/cpm/deferred-message.ts';
import type {HeaderList} from '../../lib/phone/call.ts';
import {chatMessage, notificationMessage} from '../../lib/phone/chat-messages.ts';
import type {Phone} from '../../lib/phone/phone.ts';
import {aliceAddress, bobAddress, deployment, type Deployment, runHasEnded} from '../support/deployment.ts';
import {mongoKind, mongoName, startMongo} from '../support/mongo.ts';
import {impatient, impatientServer, until} from '../support/persistent-sender.ts';
import type {RawSip} from '../support/raw-sip.ts';
import {registrarPeer} from '../support/registrar-peer.ts';

const carolAddress = 'sip:+15550103@home.example;user=phone';

const pagerHeaders: HeaderList = [
  ['Accept-Contact', formatAcceptContact({icsi: ICSI.pagerMessage})],
  ['P-Preferred-Service', ICSI.pagerMessage],
  ['Conversation-ID', 'Conv-9'],
  ['Contribution-ID', 'Contr-9'],
  ['Content-Type', 'message/cpim'],
];

interface Pager {
  readonly messageId: string;
  readonly bytes: Buffer;
}

const pager = (text: string, dispositions: readonly Disposition[] = []): Pager => {
  const messageId = randomUUID();
  const content = {contentType: 'text/plain;charset=UTF-8', content: Buffer.from(text)};
  return {messageId, bytes: chatMessage({messageId, dispositions, ...content})};
};

/** Sends it to Bob; resolves with the status. */
async function send(from: Phone, {bytes}: Pager, more: HeaderList = []): Promise<number> {
  return (await from.request('MESSAGE', bobAddress, [...pagerHeaders, ...more], bytes)).status;
}

const isMessage = ({method}: SipRequest): boolean => method === 'MESSAGE';

async function ledgerIs(pf: Deployment, expected: Readonly<Record<string, number>>): Promise<void> {
  await until(async () => {
    const {ledger} = (await pf.status()) as {ledger: Record<string, number>};
    return Object.entries(expected).every(([what, count]) => ledger[what] === count);
  });
}

async function aliceIn(pf: Deployment): Promise<Phone> {
  const alice = await pf.alice();
  await pf.register(alice);
  return alice;
}

test.serial(
  '8.3.1 E1: a standalone message for a user who is off gets 202, and comes to him by SIP MESSAGE, octet for octet, without INVITE',
  async (t) => {
    const pf = await deployment(t);
    const alice = await aliceIn(pf);
    const message = pager('grüß dich – 👋', ['positive-delivery']);
    t.is(await send(alice, message), 202);
    t.like(await pf.status(), {ledger: {accepted: 1, pending: 1}});
    const bob = await pf.bob();
    await pf.register(bob);
    const came = await bob.requests.first(isMessage);
    t.true(came.body.equals(message.bytes));
    t.is(headerOf(came, 'Conversation-ID'), 'Conv-9');
    t.is(headerOf(came, 'Contribution-ID'), 'Contr-9');
    t.is(headerOf(came, 'P-Asserted-Identity'), `<${aliceAddress}>`);
    t.is(headerOf(came, 'P-Asserted-Service'), ICSI.pagerMessage);
    // His word releases it, and goes on to her.
    const {status} = await bob.request(
      'MESSAGE',
      aliceAddress,
      pagerHeaders,
      notificationMessage(message.messageId, 'delivered'),
    );
    t.is(status, 200);
    await ledgerIs(pf, {pending: 0, delivered: 1});
    await bob.register();
    await pf.pf.log.atLeast(3, runHasEnded);
    t.is(bob.requests.items.length, 1);
  },
);

test.serial('8.3.1: a standalone message for a user who is there goes on to him, and his answer back', async (t) => {
  const pf = await deployment(t);
  const alice = await aliceIn(pf);
  const bob = await pf.bob();
  await pf.register(bob);
  t.is(await send(alice, pager('hello')), 200);
  // The phone's own word on what it does not understand.
  const {status} = await alice.request(
    'MESSAGE',
    bobAddress,
    pagerHeaders,
    Buffer.from('From: <im:a>\r\n\r\nContent-Type: text/plain\r\n\r\nno id'),
  );
  t.is(status, 415);
  t.like(await pf.status(), {ledger: {accepted: 0}});
});

test.serial(
  '8.3.1 A0: standalone messages and those of sessions come in the order in which their sender sent them',
  async (t) => {
    const pf = await deployment(t);
    const alice = await aliceIn(pf);
    t.is(await send(alice, pager('one')), 202);
    const chat = await alice.startChat(bobAddress);
    await chat.sendText('two', {dispositions: []});
    t.is(await send(alice, pager('three')), 202);
    await chat.sendText('four', {dispositions: []});
    await chat.end();
    t.is(await send(alice, pager('five')), 202);
    const order: string[] = [];
    const bob = await pf.bob({
      trace: (event) => {
        if (event.kind === 'received') order.push(event.message.text);
        if (event.kind !== 'sip' || event.direction !== 'in' || event.message.kind !== 'request') return;
        if (event.message.method === 'MESSAGE') order.push(event.message.body.toString().split('\r\n').at(-1) ?? '');
      },
    });
    await pf.register(bob);
    await ledgerIs(pf, {delivered: 5, pending: 0});
    t.deepEqual(order, ['one', 'two', 'three', 'four', 'five']);
    t.is(bob.sessions.items.length, 1);
  },
);

test.serial(
  'RFC 3428 §7: a standalone message lives as long as its Expires says, and its sender hears that it died',
  async (t) => {
    const pf = await deployment(t, {config: {cpm: {expirySweepSeconds: 1}}});
    const alice = await aliceIn(pf);
    const message = pager('in time', ['negative-delivery']);
    t.is(await send(alice, message, [['Expires', '1']]), 202);
    const {messageId, status} = await alice.notifications.first();
    t.deepEqual({messageId, status}, {messageId: message.messageId, status: 'failed'});
    await ledgerIs(pf, {expired: 1, pending: 0});
    const lasting = pager('lasting');
    t.is(await send(alice, lasting, [['Expires', '600']]), 202);
    const bob = await pf.bob();
    await pf.register(bob);
    const came = await bob.requests.first(isMessage);
    t.true(came.body.equals(lasting.bytes));
    const left = Number(headerOf(came, 'Expires'));
    t.true(left > 0 && left <= 600);
  },
);

test.serial('RFC 3428 §7: a standalone message that is for this moment only is not kept', async (t) => {
  const pf = await deployment(t);
  const alice = await aliceIn(pf);
  t.is(await send(alice, pager('now'), [['Expires', '0']]), 480);
  t.is(await send(alice, pager('when'), [['Expires', 'soon']]), 400);
  t.like(await pf.status(), {ledger: {accepted: 0}});
});

test.serial('8.3.1 E2: what is too large, unreadable or isComposing is not kept, and one line says so', async (t) => {
  const pf = await deployment(t, {config: {cpm: {maxPagerMessageBytes: 2000}}});
  const alice = await aliceIn(pf);
  t.is(await send(alice, pager('x'.repeat(2000))), 413);
  await pf.pf.log.first(({msg, limit}) => msg === 'a standalone message is refused: it is too large' && limit === 2000);
  t.is(await send(alice, {messageId: '', bytes: Buffer.from('no CPIM at all')}), 400);
  await pf.pf.log.first(({msg, code}) => msg === 'a request is refused' && code === 'CPM_CPIM');
  const typing = Buffer.from(formatIsComposing({state: 'active'}));
  const composing = chatMessage({
    messageId: randomUUID(),
    dispositions: [],
    contentType: 'application/im-iscomposing+xml',
    content: typing,
  });
  t.is(await send(alice, {messageId: '', bytes: composing}), 480);
  t.like(await pf.status(), {ledger: {accepted: 0}});
});

test.serial('8.3.1: for a user whose messages are not kept, and for a list, the core answers', async (t) => {
  const pf = await deployment(t, {
    config: {served: {users: [{identities: [bobAddress], policy: {deferral: false}}], numberPrefixes: ['+1555']}},
  });
  const alice = await aliceIn(pf);
  t.is(await send(alice, pager('hello')), 480);
  const listed = pagerHeaders.map(([name, value]) => [name, value.replace(/cpm\.msg/, 'cpm.msg.group')] as const);
  t.is((await alice.request('MESSAGE', carolAddress, listed, pager('hello all').bytes)).status, 480);
});

test.serial(
  '8.3.1 E8: a standalone message that is repeated, since a kill came before its 202, comes once',
  async (t) => {
    const pf = await deployment(t, {config: impatientServer});
    await pf.kill();
    await pf.start('stored-before-200');
    const alice = await pf.alice(impatient);
    await pf.register(alice);
    const message = pager('hello');
    t.not(await send(alice, message), 202);
    await pf.pf.ended;
    await pf.start();
    t.is(await send(alice, message), 202);
    t.is(await send(alice, pager('and on')), 202);
    const bob = await pf.bob();
    await pf.register(bob);
    await ledgerIs(pf, {accepted: 2, delivered: 2});
    t.deepEqual(
      bob.requests.items.map(({body}) => body.toString().split('\r\n').at(-1)),
      ['hello', 'and on'],
    );
  },
);

test.serial(
  '8.3.1 A18: a client that is away gets his standalone messages with the retry, in order; what it refuses holds up nothing',
  async (t) => {
    const pf = await deployment(t);
    const alice = await aliceIn(pf);
    for (const text of ['one', 'two', 'three']) t.is(await send(alice, pager(text)), 202);
    const peer = await registrarPeer(t, pf);
    t.is(await peer.register(bobAddress, {contacts: [{uri: peer.uri, instance: '<urn:uuid:1>', cpm: true}]}), 200);
    const said: string[] = [];
    for (const status of ['480 Away', '200 OK', '403 Not this one', '202 Accepted']) {
      const message = await peer.raw.next('MESSAGE');
      said.push(message.body.toString().split('\r\n').at(-1) ?? '');
      peer.raw.answer(message, status);
    }

    t.deepEqual(said, ['one', 'one', 'two', 'three']);
    await ledgerIs(pf, {delivered: 2, pending: 1});
  },
);

const textOf = ({body}: {readonly body: Buffer}): string => body.toString().split('\r\n').at(-1) ?? '';

test.serial(
  '8.3.1 E8: a standalone message that is said again after it was delivered gets 202, and comes once',
  async (t) => {
    const pf = await deployment(t);
    const alice = await aliceIn(pf);
    const message = pager('hello');
    t.is(await send(alice, message), 202);
    const bob = await pf.bob();
    await pf.register(bob);
    await ledgerIs(pf, {delivered: 1, pending: 0});
    t.is(await send(alice, message), 202);
    // Other words under the same id are another message (T62).
    const other = {...message, bytes: Buffer.from(message.bytes.toString().replace('hello', 'adieu'))};
    t.is(await send(alice, other), 202);
    await ledgerIs(pf, {accepted: 2, delivered: 2, pending: 0});
    t.deepEqual(bob.requests.items.map(textOf), ['hello', 'adieu']);
  },
);

test.serial(
  '8.3.1 A18: a standalone message for a phone that has gone without a word gets 202, and comes when he is back, in order',
  async (t) => {
    const pf = await deployment(t);
    const alice = await aliceIn(pf);
    const bob = await pf.bob();
    await pf.register(bob);
    await bob.close();
    t.is(await send(alice, pager('one')), 202);
    await pf.pf.log.first(({msg}) => msg.startsWith('a standalone message did not reach a user who was there'));
    t.is(await send(alice, pager('two')), 202);
    t.like(await pf.status(), {ledger: {accepted: 2, pending: 2}});
    const again = await pf.bob({instance: bob.instance ?? ''});
    await pf.register(again);
    await ledgerIs(pf, {delivered: 2, pending: 0});
    t.deepEqual(again.requests.items.map(textOf), ['one', 'two']);
  },
);

/** A device that answers what, and when, the test says; the core's part is played, too. */
async function deviceIn(t: ExecutionContext, pf: Deployment): Promise<RawSip> {
  const peer = await registrarPeer(t, pf);
  t.is(await peer.register(bobAddress, {contacts: [{uri: peer.uri, instance: '<urn:uuid:1>', cpm: true}]}), 200);
  return peer.raw;
}

test.serial(
  '8.3.1 A18: a device that never answers a MESSAGE holds nothing up, and its late 200 counts for what it took',
  async (t) => {
    const pf = await deployment(t, {config: {sip: {messageSeconds: 1}, cpm: {deliveryRetrySeconds: [600]}}});
    const alice = await aliceIn(pf);
    t.is(await send(alice, pager('one')), 202);
    const device = await deviceIn(t, pf);
    const first = await device.next('MESSAGE');
    const {status} = await pf.pf.log.first(({msg}) => msg.startsWith('a SIP MESSAGE was not taken'));
    t.is(status, 408);
    await until(async () => {
      const {deliveries} = (await pf.status()) as {deliveries: Record<string, number>};
      return deliveries['running'] === 0 && deliveries['retrying'] === 1;
    });
    device.answer(first, '200 OK');
    await ledgerIs(pf, {delivered: 1, pending: 0});
  },
);

test.serial(
  '8.3.4 A20: a notification that the client says again by SIP MESSAGE, as it missed its 200 in the session, reaches the sender once',
  async (t) => {
    const pf = await deployment(t);
    const alice = await aliceIn(pf);
    const bob = await pf.bob({notifications: 'none'});
    const chat = await alice.startChat(bobAddress);
    t.true((await chat.sendText('hello')).accepted);
    await chat.end();
    const messageId = alice.sent.items[0]?.messageId ?? '';
    const report = notificationMessage(messageId, 'delivered');
    await pf.register(bob);
    const {session} = await bob.messages.first();
    t.is(await session.msrp.send(report, {contentType: 'message/cpim'}), 200);
    await alice.notifications.first();
    t.is((await bob.request('MESSAGE', aliceAddress, pagerHeaders, report)).status, 202);
    // Another copy of the same report, which has an id of its own.
    const copy = notificationMessage(messageId, 'delivered');
    t.is((await bob.request('MESSAGE', aliceAddress, pagerHeaders, copy)).status, 202);
    t.is(
      (await bob.request('MESSAGE', aliceAddress, pagerHeaders, notificationMessage(messageId, 'displayed'))).status,
      200,
    );
    await alice.notifications.first(({status}) => status === 'displayed');
    t.deepEqual(
      alice.notifications.items.map(({status}) => status),
      ['delivered', 'displayed'],
    );
  },
);

test.serial(
  '8.3.4 A20: notifications for a served sender who is off wait for his registration, and nobody is asked before',
  async (t) => {
    const pf = await deployment(t, {config: {cpm: {deliveryRetrySeconds: [1], deliveryRetries: 1}}});
    const alice = await aliceIn(pf);
    const chat = await alice.startChat(bobAddress);
    t.true((await chat.sendText('hello')).accepted);
    await chat.end();
    await alice.deregister();
    await pf.core.told.first(({expires}) => expires === 0);
    const bob = await pf.bob();
    await pf.register(bob);
    await ledgerIs(pf, {delivered: 1, pending: 2});
    await until(async () => {
      const {deliveries} = (await pf.status()) as {deliveries: Record<string, number>};
      return deliveries['running'] === 0;
    });
    t.like(await pf.status(), {deliveries: {retrying: 0, parked: 0}});
    t.false(pf.pf.log.items.some(({msg}) => msg.startsWith('a SIP MESSAGE was')));
    await pf.register(alice);
    await alice.notifications.atLeast(2);
    t.deepEqual(
      alice.notifications.items.map(({status, via}) => [status, via]),
      [
        ['delivered', 'message'],
        ['displayed', 'message'],
      ],
    );
    await ledgerIs(pf, {delivered: 3, pending: 0});
  },
);

for (const [plugin, options, status] of [
  ['block-list', {senders: ['tel:+15550101']}, 603],
  ['quota', {sender: {messages: 1}}, 403],
] as const) {
  test.serial(`8.3.1: ${plugin} is asked of standalone messages for a user who is there, too`, async (t) => {
    const pf = await deployment(t, {config: {plugins: [{use: plugin, options}]}});
    const alice = await aliceIn(pf);
    const bob = await pf.bob();
    await pf.register(bob);
    if (plugin === 'quota') t.is(await send(alice, pager('within')), 200);
    t.is(await send(alice, pager('beyond')), status);
    t.deepEqual(bob.requests.items.map(textOf), plugin === 'quota' ? ['within'] : []);
    t.like(await pf.status(), {ledger: {accepted: 0}});
  });
}

/** Only a server of our own may be killed. */
const killable = (
  mongoKind.kind === 'none' || mongoKind.kind === 'uri' ? test.serial.skip : test.serial
) as typeof test;

killable(
  `8.3.1 E1: without its store the PF keeps no standalone message, and says when to come again (${mongoName})`,
  async (t) => {
    t.timeout(120_000);
    const mongo = await startMongo();
    t.teardown(async () => mongo.stop());
    const store = {kind: 'mongodb', uri: mongo.uri, database: 'pager', answerSeconds: 2};
    const pf = await deployment(t, {config: {store, sip: {retryAfterSeconds: 9}}});
    const alice = await aliceIn(pf);
    const message = pager('hello');
    await mongo.kill();
    const refused = await alice.request('MESSAGE', bobAddress, pagerHeaders, message.bytes);
    t.is(refused.status, 503);
    t.is(headerOf(refused, 'Retry-After'), '9');
    const backs = pf.pf.log.items.filter(({msg}) => msg === 'the store is back').length;
    await mongo.start();
    await pf.pf.log.atLeast(backs + 1, ({msg}) => msg === 'the store is back', 30_000);
    t.is(await send(alice, message), 202);
  },
);
