import test from 'ava';
import {bobAddress, deployment, type Deployment} from '../support/deployment.ts';
import {headerOf, type SipMessage} from '../../lib/codecs/sip-message.ts';
import {Inbox} from '../../lib/phone/inbox.ts';
import type {ChatInvitation} from '../../lib/phone/phone.ts';
import {until} from '../support/persistent-sender.ts';

const elsewhere = 'SIP;cause=200;text="Call completed elsewhere"';

const isOver = ({msg}: {readonly msg: string}): boolean => msg === 'a delivery session is done';

/** Alice leaves messages for Bob, who is off, and ends her session. */
async function leave(pf: Deployment, texts: readonly string[]): Promise<void> {
  const alice = await pf.alice();
  await pf.register(alice);
  const chat = await alice.startChat(bobAddress);
  for (const text of texts) {
    const {accepted} = await chat.sendText(text, {dispositions: []});
    if (!accepted) throw new Error('a message was not accepted');
  }

  await chat.end();
}

/** A device of Bob: first busy, then with invitations that it does not answer yet; and how often a 200 to an INVITE has left it. */
async function asked(pf: Deployment) {
  const yes = new Inbox<SipMessage>('200 to an INVITE');
  const phone = await pf.bob({
    trace: (event) => {
      if (event.kind !== 'sip' || event.direction !== 'out' || event.message.kind !== 'response') return;
      if (event.message.status === 200 && headerOf(event.message, 'CSeq')?.endsWith('INVITE') === true)
        yes.push(event.message);
    },
  });
  const invitations = new Inbox<ChatInvitation>('invitation');
  const state = {busy: true};
  phone.onInvitation = (invitation) => {
    if (state.busy) invitation.refuse(486);
    else invitations.push(invitation);
  };
  return {phone, yes, invitations, state};
}

test.serial(
  '8.3.2.9.1.1 A17: where two devices say yes at once the later one takes the delivery over, and everything comes once',
  async (t) => {
    t.timeout(60_000);
    const pf = await deployment(t, {config: {cpm: {deliveryRetrySeconds: [1]}}});
    const devices = [await asked(pf), await asked(pf)];
    for (const {phone} of devices) await pf.register(phone);
    await leave(pf, ['one', 'two', 'three']);
    for (const device of devices) device.state.busy = false;
    await Promise.all(devices.map(async ({invitations}) => invitations.first()));
    pf.pf.process.kill('SIGSTOP');
    for (const {invitations} of devices)
      void invitations.items
        .at(-1)
        ?.accept()
        .catch(() => undefined);
    // A 200 that is said again was not acknowledged in time: the first ones have long reached the server.
    await Promise.all(devices.map(async ({yes}) => yes.atLeast(2)));
    pf.pf.process.kill('SIGCONT');
    await until(async () => {
      const {ledger} = (await pf.status()) as {ledger: Record<string, number>};
      return ledger['pending'] === 0 && ledger['delivered'] === 3;
    });
    t.deepEqual(devices.flatMap(({phone}) => phone.messages.items.map(({text}) => text)).sort(), [
      'one',
      'three',
      'two',
    ]);
    const ends = await Promise.all(devices.map(async ({phone}) => (await phone.sessions.items.at(-1)?.ended)?.reason));
    t.true(ends.includes(elsewhere), String(ends));
  },
);

test.serial(
  '8.3.2.9.1.1 A17: a session that stands with the same sender is ended when a delivery of his is taken, and what he says goes on in order',
  async (t) => {
    t.timeout(60_000);
    const pf = await deployment(t, {config: {cpm: {sentReofferSeconds: 1}}});
    const alice = await pf.alice();
    await pf.register(alice);
    const before = await alice.startChat(bobAddress);
    t.true((await before.sendText('unconfirmed')).accepted);
    await before.end();
    const bob = await pf.bob({notifications: 'none'});
    await bob.register();
    await bob.messages.first();
    await bob.sessions.items[0]?.ended;
    await pf.pf.log.first(isOver);
    const chat = await alice.startChat(bobAddress);
    await pf.pf.log.first(({msg}) => msg === 'a device took the session');
    t.true((await chat.sendText('live', {dispositions: []})).accepted);
    const {session: live} = await bob.messages.first(({text}) => text === 'live');
    // The time for which a word is awaited passes; it is a second here.
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await bob.register();
    await bob.repetitions.first(({text}) => text === 'unconfirmed');
    t.deepEqual(await live.ended, {by: 'peer', reason: elsewhere});
    t.true((await chat.sendText('more', {dispositions: []})).accepted);
    await bob.messages.first(({text}) => text === 'more');
    t.deepEqual(
      bob.messages.items.map(({text}) => text),
      ['unconfirmed', 'live', 'more'],
    );
  },
);

test.serial(
  '8.3.2.9.1.1 A17: a new session of the same sender that the client takes ends the one that stood',
  async (t) => {
    const pf = await deployment(t);
    const alice = await pf.alice();
    const bob = await pf.bob();
    await pf.register(alice);
    await pf.register(bob);
    const one = await alice.startChat(bobAddress);
    t.true((await one.sendText('one')).accepted);
    const other = await alice.startChat(bobAddress);
    t.true((await other.sendText('two')).accepted);
    await bob.messages.atLeast(2);
    const ends = await Promise.all([one.ended, bob.sessions.items[0]?.ended]);
    for (const end of ends) t.is(end?.reason, elsewhere);
  },
);
