import test from 'ava';
import {headerOf, headersOf, type SipRequest} from '../../lib/codecs/sip-message.ts';
import {account} from '../../lib/phone/ledger.ts';
import type {Phone} from '../../lib/phone/phone.ts';
import {aliceAddress, bobAddress, deployment, type Deployment, runHasEnded} from '../support/deployment.ts';
import {registrarPeer, type Contact} from '../support/registrar-peer.ts';

const patient = {cpm: {deliveryRetrySeconds: [600]}};

/** Alice leaves messages for somebody who is off, and keeps her session. */
async function leave(pf: Deployment, texts: readonly string[], to = bobAddress) {
  const alice = await pf.alice();
  await pf.register(alice);
  const chat = await alice.startChat(to);
  for (const text of texts) if (!(await chat.sendText(text)).accepted) throw new Error('a message was not accepted');
  return {alice, chat};
}

const ownInvites = (pf: Deployment): readonly SipRequest[] =>
  pf.core.passed.items
    .map(({request}) => request)
    .filter((request) => request.method === 'INVITE' && headerOf(request, 'Call-ID')?.startsWith('cpm-pf-') === true);

const invitations = (phone: Phone): number => phone.requests.items.filter(({method}) => method === 'INVITE').length;

/** Deliveries that have run so far, whoever they were for. */
const runs = (pf: Deployment): number => pf.pf.log.items.filter(runHasEnded).length;
const runsEnded = async (pf: Deployment, count: number): Promise<unknown> => pf.pf.log.atLeast(count, runHasEnded);

test.serial(
  "8.3.2.9.1.2 C1 T36: with the phone's REGISTER and its 200 in the body, the device is addressed by its GRUU",
  async (t) => {
    const pf = await deployment(t, {core: {thirdPartyBody: 'both'}});
    await leave(pf, ['hello']);
    const bob = await pf.bob();
    await pf.register(bob);
    await bob.messages.first();
    const [invite] = ownInvites(pf);
    t.is(invite?.uri, bob.gruu);
    t.deepEqual(
      pf.core.told.items.map(({status}) => status),
      [200, 200],
    );
  },
);

test.serial(
  '8.3.2.9.1.2 C1 T36: with the REGISTER alone in the body, devices told one after the other are both known',
  async (t) => {
    const pf = await deployment(t, {core: {thirdPartyBody: 'request'}});
    const [alice, mobile, tablet] = [await pf.alice(), await pf.bob(), await pf.bob()];
    await pf.register(alice);
    await pf.register(mobile);
    await pf.register(tablet);
    for (const phone of [mobile, tablet])
      phone.onInvitation = (invitation) => {
        invitation.refuse(480);
      };
    const chat = await alice.startChat(bobAddress);
    t.true((await chat.sendText('kept')).accepted);
    t.deepEqual([mobile, tablet].map(invitations), [1, 1]);
  },
);

test.serial(
  '8.3.2.9.1.1 A3: without a body there is one unknown device, addressed by public identity, ICSI and no-fork',
  async (t) => {
    const pf = await deployment(t, {core: {thirdPartyBody: 'none'}});
    const {chat} = await leave(pf, ['hello']);
    await chat.end();
    const bob = await pf.bob();
    await pf.register(bob);
    await bob.messages.first();
    await bob.sessions.items[0]?.ended;
    const live = await (await pf.alice()).startChat(bobAddress);
    await live.sendText('live');
    await bob.messages.first(({text}) => text === 'live');
    const invites = ownInvites(pf);
    t.true(invites.some((invite) => headerOf(invite, 'Referred-By') === undefined));
    for (const invite of invites) {
      t.is(invite.uri, bobAddress);
      t.is(headerOf(invite, 'Request-Disposition'), 'no-fork');
      t.is(
        headersOf(invite, 'Accept-Contact').join(', '),
        '*;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"',
      );
    }
  },
);

test.serial('8.3.2.9.1.2 C1 T37: Expires 0 ends the attempts to deliver', async (t) => {
  const pf = await deployment(t, {config: {cpm: {deliveryRetrySeconds: [1]}}});
  await leave(pf, ['hello']);
  const bob = await pf.bob();
  bob.onInvitation = (invitation) => {
    invitation.refuse(503);
  };
  const before = runs(pf);
  await pf.register(bob);
  await runsEnded(pf, before + 1);
  const told = pf.core.told.items.length;
  await bob.deregister();
  await pf.core.told.atLeast(told + 1);
  const rung = invitations(bob);
  // The next attempt comes, finds nobody, and is the last one.
  await runsEnded(pf, before + 2);
  t.is(invitations(bob), rung);
  t.like(await pf.status(), {ledger: {pending: 1}});
});

test.serial(
  'TS 24.229 §5.4.1.7: the REGISTER of a user who is not served is answered 200 and changes nothing',
  async (t) => {
    const pf = await deployment(t);
    await leave(pf, ['for Bob alone']);
    const peer = await registrarPeer(t, pf);
    const eve: Contact = {uri: peer.uri, instance: '<urn:uuid:eve>', cpm: true};
    t.is(await peer.register('sip:eve@elsewhere.example', {contacts: [eve], associated: [bobAddress]}), 200);
    const bob = await pf.bob();
    await pf.register(bob);
    await bob.messages.first();
    t.deepEqual(
      peer.raw.received.filter(({startLine}) => startLine.startsWith('INVITE')),
      [],
    );
  },
);

test.serial('RFC 3325 §5: a third-party REGISTER from an untrusted peer gets 403 and changes nothing', async (t) => {
  const pf = await deployment(t, {config: {sip: {trustedPeers: ['192.0.2.1']}}});
  const peer = await registrarPeer(t, pf);
  t.is(await peer.register(bobAddress, {contacts: [{uri: peer.uri, cpm: true}]}), 403);
  t.is(pf.pf.log.items.filter(({msg}) => msg === 'a served user is registered').length, 0);
});

test.serial('8.3.2.9.1.2 T36: refreshes while a delivery runs do not deliver twice', async (t) => {
  const pf = await deployment(t);
  const {alice} = await leave(pf, ['one', 'two', 'three']);
  const bob = await pf.bob();
  const rings = new Promise<() => void>((resolve) => {
    bob.onInvitation = (invitation) => {
      invitation.ring();
      resolve(() => void invitation.accept());
    };
  });
  const before = runs(pf);
  await pf.register(bob);
  const accept = await rings;
  for (let refresh = 0; refresh < 3; refresh++) await pf.register(bob);
  accept();
  await bob.messages.atLeast(3);
  await bob.sessions.items[0]?.ended;
  await runsEnded(pf, before + 1);
  t.is(invitations(bob), 1);
  t.is(bob.repetitions.items.length, 0);
  t.like(account(alice.sent.items, bob.messages.items), {accepted: 3, delivered: 3, inOrder: true, identical: true});
});

test.serial('8.3.2.9.1.2 T37: a contact for voice alone triggers nothing and is not rung', async (t) => {
  const pf = await deployment(t);
  await leave(pf, ['hello']);
  const peer = await registrarPeer(t, pf);
  const before = runs(pf);
  t.is(await peer.register(bobAddress, {contacts: [{uri: peer.uri, instance: '<urn:uuid:desk>', cpm: false}]}), 200);
  await pf.pf.log.first(({msg, cpm}) => msg === 'a served user is registered' && cpm === false);
  const again = await pf.alice();
  const chat = await again.startChat(bobAddress);
  t.true((await chat.sendText('still kept')).accepted);
  t.like(await pf.status(), {ledger: {accepted: 2, pending: 2}});
  t.deepEqual(
    peer.raw.received.filter(({startLine}) => startLine.startsWith('INVITE')),
    [],
  );
  t.is(runs(pf), before);
});

for (const identity of ['tel:+15550102', 'sip:bob@home.example', 'sip:+1-555-0102@home.example;user=phone'])
  test.serial(`8.3.2.9.1.1 E7: what was sent to ${identity} is delivered when ${bobAddress} registers`, async (t) => {
    const pf = await deployment(t);
    const {chat} = await leave(pf, ['hello'], identity);
    await chat.end();
    const bob = await pf.bob();
    await pf.register(bob);
    t.is((await bob.messages.first()).text, 'hello');
  });

test.serial(
  '8.3.2.9.1.2 C1: an identity that a registration shows to be his brings him what was sent to it before, and after, in order',
  async (t) => {
    const pf = await deployment(t, {config: {served: {domains: ['home.example']}}});
    const {alice, chat} = await leave(pf, ['one', 'two'], 'sip:robert@home.example');
    const bob = await pf.bob();
    // The phone is in the core by itself; this word about it names one identity more.
    const core = pf.core.pf;
    pf.core.pf = undefined;
    await bob.register();
    pf.core.pf = core;
    const peer = await registrarPeer(t, pf);
    const contact: Contact = {
      uri: /<([^>]+)>/.exec(bob.userAgent.contact)?.[1] ?? '',
      instance: bob.instance ?? '',
      publicGruu: bob.gruu ?? '',
      cpm: true,
    };
    const told = {contacts: [contact], associated: [bobAddress, 'sip:robert@home.example']};
    t.is(await peer.register(bobAddress, {...told, servingNode: `${pf.core.uri};step=1`}), 200);
    await bob.messages.atLeast(2);
    t.true((await chat.sendText('three')).accepted);
    await bob.messages.atLeast(3);
    t.like(account(alice.sent.items, bob.messages.items), {delivered: 3, identical: true, inOrder: true});
  },
);

const reginfo = (
  version: number,
  state: 'full' | 'partial',
  contacts: readonly string[],
  aorState = 'active',
): string =>
  `<?xml version="1.0"?><reginfo xmlns="urn:ietf:params:xml:ns:reginfo" xmlns:gr="urn:ietf:params:xml:ns:gruuinfo" version="${version}" state="${state}">` +
  `<registration aor="${bobAddress}" id="r1" state="${aorState}">${contacts.join('')}</registration></reginfo>`;

const contactElement = (id: string, state: 'active' | 'terminated'): string =>
  `<contact id="${id}" state="${state}" event="${state === 'active' ? 'registered' : 'unregistered'}">` +
  `<uri>sip:${id}@127.0.0.1:9</uri>` +
  `<unknown-param name="+sip.instance">"&lt;urn:uuid:${id}&gt;"</unknown-param>` +
  '<unknown-param name="+g.3gpp.icsi-ref">"urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"</unknown-param>' +
  `<gr:pub-gruu uri="sip:+15550102@home.example;gr=urn:uuid:${id}"/></contact>`;

test.serial(
  'RFC 3680 §5 C1 A18: where configured, the reg event tells the devices, and is the trigger after a 480: full and partial documents, and a terminated contact is not rung',
  async (t) => {
    const pf = await deployment(t, {config: {...patient, sip: {regEvent: true}}});
    await leave(pf, ['hello']);
    const peer = await registrarPeer(t, pf);
    const before = runs(pf);
    const invited = async (): Promise<string> => {
      const invite = await peer.raw.next('INVITE');
      peer.raw.answer(invite, '480 Temporarily Unavailable');
      await peer.raw.next('ACK');
      return invite.startLine.split(' ')[1] ?? '';
    };
    t.is(await peer.register(bobAddress), 200);
    const notify = await peer.subscribed();
    t.is(await invited(), bobAddress);
    await runsEnded(pf, before + 1);
    t.is(
      await notify(reginfo(0, 'full', [contactElement('mobile', 'active'), contactElement('tablet', 'active')])),
      200,
    );
    t.deepEqual(
      [await invited(), await invited()].sort(),
      ['mobile', 'tablet'].map((id) => `sip:+15550102@home.example;gr=urn:uuid:${id}`),
    );
    await runsEnded(pf, before + 2);
    t.is(await notify(reginfo(1, 'partial', [contactElement('tablet', 'terminated')])), 200);
    t.is(await invited(), 'sip:+15550102@home.example;gr=urn:uuid:mobile');
    await runsEnded(pf, before + 3);
    t.is(await notify(reginfo(2, 'partial', [contactElement('mobile', 'terminated')], 'terminated')), 200);
    await pf.pf.log.first(({msg}) => msg === 'the reg event says that a served user is no longer registered');
    const chat = await (await pf.alice()).startChat(bobAddress);
    t.true((await chat.sendText('nobody is there')).accepted);
    t.deepEqual(ownInvites(pf), []);
    t.deepEqual(peer.raw.received.filter(({startLine}) => startLine.startsWith('INVITE')).length, 4);
  },
);

test.serial('RFC 3680 §4.6: a full document is asked for when one was missed', async (t) => {
  const pf = await deployment(t, {config: {...patient, sip: {regEvent: true}}});
  const peer = await registrarPeer(t, pf);
  t.is(await peer.register(bobAddress), 200);
  const notify = await peer.subscribed();
  t.is(await notify(reginfo(0, 'full', [contactElement('mobile', 'active')])), 200);
  t.is(await notify(reginfo(7, 'partial', [contactElement('tablet', 'active')])), 200);
  const refresh = await peer.raw.next('SUBSCRIBE');
  t.is(refresh.header('Event'), 'reg');
  t.true(refresh.header('To').includes(';tag=scscf'));
  peer.raw.answer(refresh, '200 OK', [`Contact: <${peer.uri}>`, 'Expires: 600000']);
});

test.serial('RFC 3680: where the core refuses the reg event, the third-party REGISTER alone counts', async (t) => {
  const pf = await deployment(t, {config: {sip: {regEvent: true}}});
  await leave(pf, ['hello']);
  const peer = await registrarPeer(t, pf);
  t.is(await peer.register(bobAddress), 200);
  const subscribe = await peer.raw.next('SUBSCRIBE');
  peer.raw.answer(subscribe, '489 Bad Event');
  const invite = await peer.raw.next('INVITE');
  t.is(invite.header('Request-Disposition'), 'no-fork');
  peer.raw.answer(invite, '480 Temporarily Unavailable');
  t.true(invite.header('Referred-By').includes(aliceAddress));
});
