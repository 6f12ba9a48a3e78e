/** What a client's answer does not admit (row A13, T21; RFC 4975 §8.6). */
import test from 'ava';
import {formatAcceptContact} from '../../lib/codecs/sip-headers/accept-contact.ts';
import {ICSI} from '../../lib/cpm/feature-tags.ts';
import {notificationMessage} from '../../lib/phone/chat-messages.ts';
import type {Phone, PhoneOptions} from '../../lib/phone/phone.ts';
import {aliceAddress, bobAddress, deployment, type Deployment} from '../support/deployment.ts';
import {until} from '../support/persistent-sender.ts';
import {registrarPeer} from '../support/registrar-peer.ts';

const patient = {deliveryRetrySeconds: [600]};
const odd = 'application/vnd.example.odd+xml';

/** Alice leaves a text, something of another type, and another text. */
async function leave(pf: Deployment): Promise<Phone> {
  const alice = await pf.alice();
  await pf.register(alice);
  const chat = await alice.startChat(bobAddress);
  const dispositions = ['negative-delivery'] as const;
  for (const [text, contentType] of [
    ['one', 'text/plain;charset=UTF-8'],
    ['odd', odd],
    ['two', 'text/plain'],
  ] as const)
    if (!(await chat.sendText(text, {dispositions, contentType})).accepted) throw new Error('it was not accepted');
  await chat.end();
  return alice;
}

async function ledgerIs(pf: Deployment, expected: Readonly<Record<string, number>>): Promise<void> {
  await until(async () => {
    const {ledger} = (await pf.status()) as {ledger: Record<string, number>};
    return Object.entries(expected).every(([what, count]) => ledger[what] === count);
  });
}

const textsOf = (phone: Phone): readonly string[] => phone.messages.items.map(({text}) => text);

const cases: readonly [what: string, media: PhoneOptions['media'], admitted: readonly string[]][] = [
  ['a=accept-wrapped-types', {acceptWrappedTypes: 'text/* message/imdn+xml'}, ['one', 'two']],
  ['a=accept-types', {acceptTypes: 'text/plain', acceptWrappedTypes: undefined}, []],
];

for (const [what, media, admitted] of cases) {
  test.serial(
    `8.3.2.9.1.1 A13 T21: what ${what} does not admit stays, the others are delivered, and another device gets it`,
    async (t) => {
      const pf = await deployment(t, {config: {cpm: patient}});
      await leave(pf);
      const bob = await pf.bob({media: media ?? {}});
      await pf.register(bob);
      await ledgerIs(pf, {delivered: admitted.length, pending: 3 - admitted.length});
      t.deepEqual(textsOf(bob), admitted);
      await bob.deregister();
      const other = await pf.bob();
      await pf.register(other);
      await ledgerIs(pf, {delivered: 3, pending: 0});
      t.deepEqual([...admitted, ...textsOf(other)].sort(), ['odd', 'one', 'two']);
    },
  );

  test.serial(
    `8.3.2.9.1.1 A13 T21: what ${what} does not admit fails where the policy says so, and its sender is told`,
    async (t) => {
      const pf = await deployment(t, {config: {cpm: {...patient, notAdmitted: 'fail'}}});
      const alice = await leave(pf);
      const bob = await pf.bob({media: media ?? {}});
      await pf.register(bob);
      const failed = 3 - admitted.length;
      await alice.notifications.atLeast(failed);
      t.true(alice.notifications.items.every(({status}) => status === 'failed'));
      await ledgerIs(pf, {delivered: admitted.length + failed, failed, pending: 0});
      t.deepEqual(textsOf(bob), admitted);
    },
  );
}

test.serial(
  '8.3.2.9.1.1 A13 A20: a notification that the client does not admit in the session comes by SIP MESSAGE',
  async (t) => {
    const pf = await deployment(t, {config: {cpm: patient}});
    await leave(pf);
    const carol = await pf.phone('sip:+15550103@home.example;user=phone');
    await pf.register(carol);
    // What Alice reports waits behind what she wrote.
    const alice = await pf.alice();
    const {status} = await alice.request(
      'MESSAGE',
      bobAddress,
      [
        ['Accept-Contact', formatAcceptContact({icsi: ICSI.pagerMessage})],
        ['P-Preferred-Service', ICSI.pagerMessage],
        ['Content-Type', 'message/cpim'],
      ],
      notificationMessage('of-bob', 'displayed'),
    );
    t.is(status, 202);
    const bob = await pf.bob({media: {acceptWrappedTypes: `text/plain ${odd}`}});
    await pf.register(bob);
    const {messageId, via} = await bob.notifications.first();
    t.deepEqual({messageId, via}, {messageId: 'of-bob', via: 'message'});
    await bob.messages.atLeast(3);
    await ledgerIs(pf, {pending: 0});
    t.is(alice.address, aliceAddress);
  },
);

test.serial('8.3.2.9.1.1 A13 T21: an answer with port 0 gets BYE with cause 488, and everything stays', async (t) => {
  const pf = await deployment(t, {config: {cpm: patient}});
  await leave(pf);
  const peer = await registrarPeer(t, pf);
  t.is(await peer.register(bobAddress, {contacts: [{uri: peer.uri, instance: '<urn:uuid:1>', cpm: true}]}), 200);
  const invite = await peer.raw.next('INVITE');
  peer.raw.answer(
    invite,
    '200 OK',
    [`Contact: <${peer.uri}>`, 'Content-Type: application/sdp'],
    'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=message 0 TCP/MSRP *\r\n',
  );
  await peer.raw.next('ACK');
  const bye = await peer.raw.next('BYE');
  t.regex(bye.header('Reason'), /^SIP;cause=488/);
  peer.raw.answer(bye, '200 OK');
  await pf.pf.log.first(({msg, statuses}) => msg.startsWith('a delivery was not taken') && statuses === '488');
  t.like(await pf.status(), {ledger: {pending: 3, delivered: 0, failed: 0}});
});
