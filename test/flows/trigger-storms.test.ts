/** Many triggers at once make one delivery at a time for each user, and nothing comes twice (T36). */
import test from 'ava';
import {account} from '../../lib/phone/ledger.ts';
import type {Phone, PhoneEvent} from '../../lib/phone/phone.ts';
import {bobAddress, deployment, type Deployment} from '../support/deployment.ts';
import {until} from '../support/persistent-sender.ts';
import {registrarPeer} from '../support/registrar-peer.ts';

const carolAddress = 'sip:+15550103@home.example;user=phone';
const texts = ['one', 'two', 'three'];

async function leave(pf: Deployment, options: {readonly address?: string; readonly to?: string} = {}): Promise<Phone> {
  const {to = bobAddress, ...phone} = options;
  const person = await pf.alice(phone);
  await pf.register(person);
  const chat = await person.startChat(to);
  for (const text of texts) if (!(await chat.sendText(text)).accepted) throw new Error('a message was not accepted');
  await chat.end();
  return person;
}

/** How many of the PF's calls to a phone there are at a time, and the most that there were. */
function calls(): {readonly most: () => number; readonly trace: (event: PhoneEvent) => void} {
  const open = new Set<string>();
  let most = 0;
  return {
    most: () => most,
    trace: (event) => {
      if (event.kind !== 'sip' || event.direction !== 'in' || event.message.kind !== 'request') return;
      const {method, headers} = event.message;
      const callId = headers.find(({name}) => name.toLowerCase() === 'call-id')?.value ?? '';
      if (method === 'INVITE') open.add(callId);
      if (method === 'BYE' || method === 'CANCEL') open.delete(callId);
      most = Math.max(most, open.size);
    },
  };
}

/** Nothing waits, and nothing runs any more. */
async function isQuiet(pf: Deployment): Promise<void> {
  await until(async () => {
    const {ledger, deliveries} = (await pf.status()) as Record<string, Record<string, number>>;
    return ledger?.['pending'] === 0 && deliveries?.['running'] === 0;
  });
}

test.serial(
  '8.3.2.9.1.2 T36: a burst of registrations makes one delivery, sender after sender, and nothing comes twice',
  async (t) => {
    const pf = await deployment(t);
    const alice = await leave(pf);
    const carol = await leave(pf, {address: carolAddress});
    const {most, trace} = calls();
    const bob = await pf.bob({trace});
    await Promise.all(Array.from({length: 12}, async () => bob.register()));
    await bob.messages.atLeast(6);
    await isQuiet(pf);
    t.is(most(), 1);
    t.is(bob.sessions.items.length, 2);
    t.is(bob.repetitions.items.length, 0);
    for (const person of [alice, carol]) {
      const own = bob.messages.items.filter(({session}) => session.partner === person.address);
      t.like(account(person.sent.items, own), {delivered: 3, inOrder: true, identical: true});
    }
  },
);

test.serial('8.3.2.9.1.2 T36: two identities of one registration set, told at once, make one delivery', async (t) => {
  const pf = await deployment(t);
  await leave(pf);
  await leave(pf, {address: carolAddress, to: 'sip:bob@home.example'});
  const {most, trace} = calls();
  const bob = await pf.bob({trace, notifications: 'none'});
  // The core of the test learns where he is, and tells nobody.
  const {pf: uri} = pf.core;
  pf.core.pf = undefined;
  await bob.register();
  pf.core.pf = uri;
  const peers = [await registrarPeer(t, pf), await registrarPeer(t, pf)];
  const associated = [bobAddress, 'sip:bob@home.example'];
  const contact = {uri: 'sip:bob@127.0.0.1:9', instance: bob.instance ?? '', cpm: true, publicGruu: bob.gruu ?? ''};
  const told = {contacts: [contact], associated, servingNode: `${pf.core.uri};step=1`};
  const statuses = await Promise.all(peers.map(async (peer, index) => peer.register(associated[index] ?? '', told)));
  t.deepEqual(statuses, [200, 200]);
  await bob.messages.atLeast(6);
  await bob.sessions.atLeast(2);
  await Promise.all(bob.sessions.items.map(async ({ended}) => ended));
  t.is(most(), 1);
  t.is(bob.messages.items.length, 6);
  t.is(bob.repetitions.items.length, 0);
});

test.serial('8.3.2.9.1.2 T36: two devices that register at once are rung for one delivery', async (t) => {
  const pf = await deployment(t, {config: {sip: {inviteSeconds: 2}}});
  const alice = await leave(pf);
  const silent = await pf.bob();
  silent.onInvitation = (invitation) => {
    invitation.ring();
  };
  const {most, trace} = calls();
  const ready = await pf.bob({trace});
  await Promise.all([silent.register(), ready.register()]);
  await ready.messages.atLeast(3);
  await alice.notifications.atLeast(3);
  await isQuiet(pf);
  t.is(most(), 1);
  t.is(ready.repetitions.items.length, 0);
  t.is(silent.messages.items.length, 0);
  t.like(account(alice.sent.items, ready.messages.items), {delivered: 3, inOrder: true, identical: true});
});
