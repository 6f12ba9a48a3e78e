import {writeFileSync} from 'node:fs';
import path from 'node:path';
import {account, isNotified} from '../../../lib/phone/ledger.ts';
import {bobAddress, deployment} from '../../support/deployment.ts';
import {temporaryFolder} from '../../support/temporary-folder.ts';
import {startKamailio} from './kamailio.ts';
import {testWith} from './programs.ts';

const withKamailio = testWith(['kamailio']);

const texts = ['first', 'zweite – 二', 'x'.repeat(60_000), 'fourth', 'fifth'];

withKamailio(
  'RFC 4976 §5: what waits and what is live passes a relay, a=path of several URIs, in chunks, both ways',
  async (t) => {
    const relay = await startKamailio(t);
    const pf = await deployment(t);
    // The relay says 200 to a notification that the PF, done with its delivery, no longer takes: Bob's go by SIP MESSAGE.
    const [alice, bob] = [await pf.alice({relay}), await pf.bob({relay, notifications: 'message'})];
    await alice.register();

    const away = await alice.startChat(bobAddress);
    t.is(away.msrp.path.length, 2);
    // The relay answers for itself: only a report says that the PF has the message.
    for (const text of texts) t.true((await away.sendText(text, {successReport: true})).accepted);
    await away.msrp.reports.atLeast(texts.length, ({status}) => status === 200);
    await away.end();

    await bob.register();
    await bob.messages.atLeast(texts.length);
    await alice.sent.atLeast(texts.length, (message) => isNotified(message));
    const whole = {sent: 5, accepted: 5, delivered: 5, notified: 5, identical: true, inOrder: true};
    t.deepEqual(account(alice.sent.items, bob.messages.items), whole);

    await (
      await bob.sessions.first(({deferred}) => deferred)
    ).ended;
    const live = await alice.startChat(bobAddress);
    await live.sendText('are you there?');
    const answering = await bob.sessions.first(({deferred, call}) => !deferred && !call.over);
    for (const text of texts) {
      await answering.sendText(text);
      await live.sendText(text);
    }
    await alice.sent.atLeast(11, (message) => isNotified(message));
    await bob.sent.atLeast(texts.length, (message) => isNotified(message));
    t.deepEqual(account(bob.sent.items, alice.messages.items), whole);
    t.like(account(alice.sent.items, bob.messages.items), {
      delivered: 11,
      notified: 11,
      identical: true,
      inOrder: true,
    });
    t.is(await live.end(), 200);
  },
);

withKamailio(
  'RFC 4976 §5.1 §9.1: the PF goes through a relay that asks for a digest: what waits and what is live passes it, both ways',
  async (t) => {
    const uri = await startKamailio(t, 's3cret');
    const passwordFile = path.join(await temporaryFolder(t), 'relay-password');
    writeFileSync(passwordFile, 's3cret\n', {mode: 0o600});
    const via = {uri, username: 'pf', passwordFile};
    const pf = await deployment(t, {config: {relay: {access: {listenPort: 0, via}}}});
    const [alice, bob] = [await pf.alice(), await pf.bob({notifications: 'message'})];
    await alice.register();

    const away = await alice.startChat(bobAddress);
    for (const text of texts) t.true((await away.sendText(text)).accepted);
    await away.end();
    await bob.register();
    await bob.messages.atLeast(texts.length);
    const delivery = await bob.sessions.first(({deferred}) => deferred);
    // The path that Bob was given leads through the relay.
    t.is(delivery.msrp.remotePath.length, 2);
    t.true(delivery.msrp.remotePath[0]?.startsWith(uri.replace(/;.*/, '/')));
    await delivery.ended;
    await alice.sent.atLeast(texts.length, (message) => isNotified(message));
    const whole = {sent: 5, accepted: 5, delivered: 5, notified: 5, identical: true, inOrder: true};
    t.deepEqual(account(alice.sent.items, bob.messages.items), whole);

    const live = await alice.startChat(bobAddress);
    await live.sendText('are you there?');
    const answering = await bob.sessions.first(({deferred, call}) => !deferred && !call.over);
    for (const text of texts) {
      await answering.sendText(text);
      await live.sendText(text);
    }
    await alice.sent.atLeast(11, (message) => isNotified(message));
    await bob.sent.atLeast(texts.length, (message) => isNotified(message));
    t.deepEqual(account(bob.sent.items, alice.messages.items), whole);
    t.is(await live.end(), 200);
    // Two sessions of Bob's, each with a path of its own.
    const {relays} = (await pf.status()) as {relays: readonly {counters?: Record<string, number>}[]};
    t.is(relays[0]?.counters?.['authorizations'], 2);
    t.is(relays[0]?.counters?.['relayRefused'], 0);
  },
);
