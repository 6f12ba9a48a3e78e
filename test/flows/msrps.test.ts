import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'ava';
import {account} from '../../lib/phone/ledger.ts';
import {mediaOf} from '../../lib/phone/session-description.ts';
import {Refused} from '../../lib/phone/phone.ts';
import {certificate} from '../support/certificates.ts';
import {bobAddress, deployment} from '../support/deployment.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'cpm-msrps-'));
test.after.always(() => {
  rmSync(folder, {recursive: true});
});

const [pfs, alices, bobs, strangers] = ['pf', 'alice', 'bob', 'stranger'].map((name) => certificate(folder, name));
if (pfs === undefined || alices === undefined || bobs === undefined || strangers === undefined) throw new Error('none');
const files = {certificateFile: pfs.certificateFile, keyFile: pfs.keyFile, listenPort: 0};
const secured = {relay: {access: {tls: files}, core: {tls: files}}};
const texts = ['one', 'zwei – 二', 'x'.repeat(100_000)];

test.serial(
  'RFC 8122 §5: over TLS on both sides what waits is delivered and what is live is relayed, each end known by its fingerprint',
  async (t) => {
    t.timeout(60_000);
    const pf = await deployment(t, {config: secured});
    const alice = await pf.alice({tls: alices});
    const bob = await pf.bob({tls: bobs});
    await pf.register(alice);
    const away = await alice.startChat(bobAddress);
    for (const text of texts) t.true((await away.sendText(text)).accepted);
    const answer = mediaOf(away.call.remoteSdp, true);
    t.deepEqual(answer.fingerprints, [pfs.fingerprint]);
    t.regex(answer.path[0] ?? '', /^msrps:/);
    await away.end();

    await pf.register(bob);
    await bob.messages.atLeast(texts.length);
    const [delivery] = bob.sessions.items;
    t.true(delivery?.deferred);
    t.regex(delivery?.call.remoteSdp ?? '', /m=message \d+ TCP\/TLS\/MSRP \*/);
    await delivery?.ended;

    const live = await alice.startChat(bobAddress);
    await live.sendText('live');
    const answering = await bob.sessions.first(({deferred}) => !deferred);
    await answering.sendText('and back');
    await alice.messages.first(({text}) => text === 'and back');
    await bob.messages.first(({text}) => text === 'live');
    t.like(account(alice.sent.items, bob.messages.items), {delivered: 4, identical: true, inOrder: true});
    t.is(await live.end(), 200);
  },
);

test.serial(
  'RFC 8122 §6: a phone whose certificate is not the announced one gets nothing, and its messages wait for the right one',
  async (t) => {
    t.timeout(60_000);
    const pf = await deployment(t, {config: secured});
    const alice = await pf.alice({tls: alices});
    await pf.register(alice);
    const away = await alice.startChat(bobAddress);
    await away.sendText('for Bob alone');
    await away.end();

    const forger = await pf.bob({tls: {...strangers, announced: bobs.fingerprint}, instance: '<urn:uuid:f>'});
    await pf.register(forger);
    const refused = await pf.pf.log.first(({msg}) => msg.startsWith('a delivery session was broken off'), 20_000);
    t.like(refused['error'], {code: 'CPM_MEDIA_NOT_AUTHENTIC'});
    t.is(forger.messages.items.length, 0);
    await forger.deregister();
    await forger.close();

    const bob = await pf.bob({tls: bobs});
    await pf.register(bob);
    t.is((await bob.messages.first()).text, 'for Bob alone');
  },
);

test.serial(
  'RFC 8122 §6: an inviter whose certificate is not the announced one is heard by nobody, his session is ended',
  async (t) => {
    t.timeout(60_000);
    const pf = await deployment(t, {config: secured});
    const forger = await pf.alice({tls: {...strangers, announced: alices.fingerprint}});
    await pf.register(forger);
    const chat = await forger.startChat(bobAddress).catch(() => undefined);
    const sent = await chat?.sendText('let me in');
    t.not(sent?.accepted, true);
    await pf.pf.log.first(({msg, end}) => msg === "the inviter's MSRP session is gone" && end === 'not-authentic');
  },
);

test.serial('RFC 4975 §8.1: plain offers are answered in kind, and get 488 where TLS is required', async (t) => {
  t.timeout(60_000);
  const pf = await deployment(t, {config: {relay: {...secured.relay, core: {tls: {...files, require: true}}}}});
  const [plain, alice] = [await pf.alice(), await pf.alice({tls: alices, instance: '<urn:uuid:a>'})];
  await pf.register(plain);
  const error = await t.throwsAsync(plain.startChat(bobAddress), {instanceOf: Refused});
  t.is(error.response.status, 488);
  await plain.deregister();
  await pf.register(alice);
  t.true((await (await alice.startChat(bobAddress)).sendText('hello')).accepted);

  await pf.stop();
  await pf.configure({relay: {core: {tls: {require: false}}}});
  await pf.start();
  await pf.register(plain);
  t.true((await (await plain.startChat(bobAddress)).sendText('hello')).accepted);
});

test.serial(
  'RFC 6714 §4: phones behind a middlebox are reached where c= and m= say, since both sides speak CEMA; others where their path leads',
  async (t) => {
    t.timeout(60_000);
    const pf = await deployment(t);
    const alice = await pf.alice();
    await pf.register(alice);
    const chat = await alice.startChat(bobAddress);
    t.false(mediaOf(chat.call.remoteSdp).cema);
    await chat.sendText('hello');
    await chat.end();
    const hidden = {answerSetup: 'passive' as const, pathAuthority: '127.0.0.1:9'};
    const unreachable = await pf.bob({media: hidden, instance: '<urn:uuid:u>'});
    await pf.register(unreachable);
    await pf.pf.log.first(({msg}) => msg.startsWith('a delivery session was broken off'), 20_000);
    await unreachable.deregister();
    await unreachable.close();

    const bob = await pf.bob({media: {...hidden, extraLines: ['a=msrp-cema']}});
    await pf.register(bob);
    t.is((await bob.messages.first()).text, 'hello');
    t.true(mediaOf(bob.sessions.items[0]?.call.remoteSdp ?? '').cema);
  },
);

for (const setup of ['passive', 'active'] as const)
  test.serial(
    `RFC 6135 §4.2: with a=setup of every kind and none of it, and ${setup} as our own choice, phones are reached`,
    async (t) => {
      t.timeout(60_000);
      const pf = await deployment(t, {config: {relay: {access: {setup}, core: {setup}}}});
      for (const offerSetup of ['actpass', 'active', 'passive', undefined] as const) {
        const alice = await pf.alice({media: {offerSetup}});
        const bob = await pf.bob({media: {answerSetup: setup}});
        await pf.register(alice);
        await pf.register(bob);
        const chat = await alice.startChat(bobAddress);
        t.true((await chat.sendText(`hello ${offerSetup}`)).accepted);
        await bob.messages.first();
        await chat.end();
        await alice.deregister();
        await bob.deregister();
        await Promise.all([alice.close(), bob.close()]);
      }
    },
  );
