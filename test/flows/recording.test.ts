import path from 'node:path';
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {formatIsComposing} from '../../lib/codecs/iscomposing.ts';
import type {StoredSummary} from '../../lib/cpm/stored-object.ts';
import type {ChatSession} from '../../lib/phone/chat-session.ts';
import type {Phone} from '../../lib/phone/phone.ts';
import {runNode} from '../support/child.ts';
import {aliceAddress, bobAddress, deployment, type Deployment, type DeploymentOptions} from '../support/deployment.ts';
import {mongoKind, mongoName, startMongo} from '../support/mongo.ts';
import {impatientServer, until} from '../support/persistent-sender.ts';
import {recordedBytes, recordedObjects, recordedSessions} from '../support/recorded.ts';

const conversationId = 'Conv-Recorded';
const bobKey = 'tel:+15550102';
const aliceKey = 'tel:+15550101';

/** Bob lets his sessions be recorded. */
const allowed = {served: {users: [{identities: [bobAddress], policy: {allowOfflineStorage: true}}]}};

interface Chat {
  readonly pf: Deployment;
  readonly alice: Phone;
  readonly bob: Phone;
  readonly chat: ChatSession;
  /** Bob's end of it. */
  readonly answering: ChatSession;
}

/** Alice and Bob in a chat that is relayed, after one message each way. */
async function chatting(
  t: ExecutionContext,
  config: NonNullable<DeploymentOptions['config']> = allowed,
): Promise<Chat> {
  t.timeout(60_000);
  const pf = await deployment(t, {config});
  const [alice, bob] = [await pf.alice({notifications: 'none'}), await pf.bob({notifications: 'none'})];
  await pf.register(alice);
  await pf.register(bob);
  const chat = await alice.startChat(bobAddress, {conversationId});
  await chat.sendText('hello', {dispositions: []});
  const {session: answering} = await bob.messages.first();
  await answering.sendText('hello yourself', {dispositions: []});
  await alice.messages.first();
  return {pf, alice, bob, chat, answering};
}

const objectsOf = async (pf: Deployment): Promise<readonly StoredSummary[]> =>
  recordedObjects(pf, bobAddress, conversationId);

const kindsOf = (objects: readonly StoredSummary[]): readonly string[] =>
  objects.map(({kind, direction}) => [kind, direction].join(' ').trim());

const isRecorded = ({msg}: {readonly msg: string}): boolean => msg === 'a session is recorded';

/** As the relayed ones below are put in: of both directions at once the order is not told. */
const texts = async (pf: Deployment, objects: readonly StoredSummary[]): Promise<readonly string[]> => {
  const found: string[] = [];
  for (const {id, kind} of objects)
    if (kind === 'message') found.push((await recordedBytes(pf, bobAddress, id)).toString().split('\r\n').at(-1) ?? '');
  return found;
};

test.serial(
  '8.3.2.3 B9 B10: on the client’s 200 the session is in the message store with its messages and notifications, octet for octet; then the network has its 200',
  async (t) => {
    const {pf, alice, bob, chat, answering} = await chatting(t, {...allowed, sip: {byeAnswerSeconds: 20}});
    const large = await chat.sendText('x'.repeat(300_000));
    const received = await bob.messages.first(({text}) => text.length === 300_000);
    await bob.notify(received, 'delivered');
    await alice.notifications.first();
    const typing = formatIsComposing({
      state: 'active',
      lastActive: undefined,
      contentType: undefined,
      refreshSeconds: undefined,
    });
    await chat.msrp.send(Buffer.from(typing), {contentType: 'application/im-iscomposing+xml'});

    let answer: () => void = () => undefined;
    const answered = new Promise<void>((resolve) => (answer = resolve));
    const came = new Promise<void>((resolve) => {
      answering.call.onBye = async () => {
        resolve();
        await answered;
        return {status: 200};
      };
    });
    const last = await chat.sendText('good bye', {dispositions: []});
    let over = false;
    const end = chat.end().then((status) => {
      over = true;
      return status;
    });
    await came;
    t.false(pf.pf.log.items.some(isRecorded));
    t.false(over);
    answer();
    t.is(await end, 200);
    const objects = await objectsOf(pf);
    t.like(await pf.pf.log.first(isRecorded, 30_000), {clause: 'CPM-CF 8.5.2', conversationId});

    t.deepEqual(kindsOf(objects).toSorted(), [
      ...['message received', 'message received', 'message received', 'message sent', 'notification sent'],
      'session-info',
    ]);
    const [info] = objects;
    t.like(info, {from: aliceKey, to: bobKey, contentType: 'Application/X-CPM-Session'});
    t.deepEqual(info?.headers, [
      {name: 'P-Asserted-Service', value: 'urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session'},
    ]);
    t.regex((await recordedBytes(pf, bobAddress, info?.id ?? '')).toString(), /<session-type>1-1<\/session-type>/);
    t.true(objects.every(({contributionId}) => contributionId === chat.contributionId));
    for (const {messageId, bytes} of [large, last]) {
      const stored = objects.find(({imdnMessageId}) => imdnMessageId === messageId);
      t.like(stored, {from: aliceKey, to: bobKey, direction: 'received', contentType: 'message/cpim'});
      t.true((await recordedBytes(pf, bobAddress, stored?.id ?? '')).equals(bytes));
    }
    t.like(
      objects.find(({kind}) => kind === 'notification'),
      {from: bobKey, to: aliceKey},
    );
  },
);

test.serial('8.3.2.3 B9 T8: the operator’s recording alone is enough', async (t) => {
  const {pf, chat} = await chatting(t, {cpm: {recording: ['tel:+1555010*']}});
  t.is(await chat.end(), 200);
  t.deepEqual(await texts(pf, await objectsOf(pf)), ['hello', 'hello yourself']);
});

test.serial('8.3.2.3 B9 T8: without either nothing is recorded, nor copied', async (t) => {
  const {pf, chat} = await chatting(t, {
    cpm: {recording: ['tel:+4915*']},
    served: {
      users: [{identities: [bobAddress], policy: {allowOfflineStorage: false}}],
      policy: {allowOfflineStorage: true},
    },
  });
  t.is(await chat.end(), 200);
  t.deepEqual(await recordedSessions(pf, bobAddress), []);
});

for (const status of [481, 500] as const)
  test.serial(`8.3.2.3 B9 T8: a client that answers the BYE with ${status} hinders no record`, async (t) => {
    const {pf, chat, answering} = await chatting(t);
    answering.call.onBye = () => Promise.resolve({status});
    t.is(await chat.end(), 200);
    t.deepEqual(kindsOf(await objectsOf(pf)), ['session-info', 'message received', 'message sent']);
  });

test.serial('8.3.2.3 B9 T7 T8: a client that never answers the BYE hinders no record', async (t) => {
  const {pf, chat, answering} = await chatting(t, {...allowed, ...impatientServer});
  answering.call.onBye = () => Promise.resolve(undefined);
  t.is(await chat.end(), 200);
  await pf.pf.log.first(isRecorded, 30_000);
  t.is((await objectsOf(pf)).length, 3);
});

test.serial('8.3.2.3 B9: a BYE that is repeated records nothing twice', async (t) => {
  const {pf, chat, answering} = await chatting(t);
  let answer: () => void = () => undefined;
  const answered = new Promise<void>((resolve) => (answer = resolve));
  answering.call.onBye = async () => {
    await answered;
    return {status: 200};
  };
  const both = [chat.call.request('BYE'), chat.call.request('BYE')];
  answer();
  t.true((await Promise.all(both)).some((response) => response.status === 200));
  await pf.pf.log.first(isRecorded, 30_000);
  t.is((await objectsOf(pf)).length, 3);
});

test.serial('8.5.2 8.2.2.3: a session that its client ends is recorded', async (t) => {
  const {pf, answering} = await chatting(t);
  t.is(await answering.end(), 200);
  await pf.pf.log.first(isRecorded, 30_000);
  t.deepEqual(await texts(pf, await objectsOf(pf)), ['hello', 'hello yourself']);
});

test.serial('8.5.2: a session whose inviter is gone without a word is recorded', async (t) => {
  const {pf, chat} = await chatting(t);
  chat.msrp.connection?.destroy();
  await pf.pf.log.first(isRecorded, 30_000);
  t.deepEqual(await texts(pf, await objectsOf(pf)), ['hello', 'hello yourself']);
});

test.serial(
  '8.5.2 8.2.2: a session that a served user begins is recorded for him, by whichever side it is ended',
  async (t) => {
    t.timeout(60_000);
    const stranger = 'sip:+4930222@home.example;user=phone';
    const pf = await deployment(t, {core: {cases: ['orig']}, config: allowed});
    const [bob, other] = [await pf.bob(), await pf.phone(stranger, {notifications: 'none'})];
    await pf.register(bob);
    await other.register();
    for (const by of ['client', 'network']) {
      const chat = await bob.startChat(stranger, {conversationId: by, headers: [['Subject', 'Lunch']]});
      const asked = await chat.sendText(`hello, ${by}`, {dispositions: ['positive-delivery']});
      const {session} = await other.messages.first(({text}) => text === `hello, ${by}`);
      await session.sendText('hello yourself', {dispositions: []});
      await bob.messages.first(({session: {conversationId: id}}) => id === by);
      t.is(await (by === 'client' ? chat : session).end(), 200);
      await pf.pf.log.first((record) => isRecorded(record) && record['conversationId'] === by);
      const objects = await recordedObjects(pf, bobAddress, by);
      t.deepEqual(kindsOf(objects), ['session-info', 'message sent', 'message received']);
      t.like(objects[0], {from: bobKey, to: 'tel:+4930222'});
      t.like(objects[0]?.headers[0], {name: 'Subject', value: 'Lunch'});
      t.true((await recordedBytes(pf, bobAddress, objects[1]?.id ?? '')).equals(asked.bytes));
    }
  },
);

test.serial(
  '8.5.2: of two who are served here each has a record of his own, the one who calls of what he sent, kept or taken',
  async (t) => {
    const all = {served: {policy: {allowOfflineStorage: true}}};
    const {pf, bob, chat, answering} = await chatting(t, all);
    answering.msrp.connection?.destroy();
    await bob.close();
    t.true((await chat.sendText('kept', {dispositions: []})).accepted);
    t.is(await chat.end(), 200);
    await pf.pf.log.first(isRecorded, 30_000);
    const ofAlice = await recordedObjects(pf, aliceAddress, conversationId);
    t.deepEqual(kindsOf(ofAlice).toSorted(), [...['message received', 'message sent', 'message sent', 'session-info']]);
    t.deepEqual(kindsOf(await objectsOf(pf)).toSorted(), ['message received', 'message sent', 'session-info']);
    t.true(ofAlice.every(({servedUser}) => servedUser === aliceKey));
  },
);

test.serial(
  '8.5.2: what was deferred is recorded when it is delivered, each message once, whether it was relayed, half relayed or kept',
  async (t) => {
    const {pf, bob, chat, answering} = await chatting(t);
    // Bob gets it whole and answers nothing: for the PF it is not delivered.
    const came = new Promise<void>((resolve) => {
      answering.msrp.behaviour.answer = () => {
        resolve();
        return 'silent';
      };
    });
    const half = chat.sendText('half', {dispositions: []});
    await came;
    answering.msrp.connection?.destroy();
    await bob.close();
    t.true((await half).accepted);
    t.true((await chat.sendText('kept', {dispositions: []})).accepted);
    t.is(await chat.end(), 200);
    await pf.pf.log.first(isRecorded, 30_000);
    t.deepEqual(await texts(pf, await objectsOf(pf)), ['hello', 'hello yourself']);

    const back = await pf.bob();
    await pf.register(back);
    await back.messages.first(({text}) => text === 'kept');
    await until(async () => (await objectsOf(pf)).filter(({kind}) => kind === 'message').length >= 4);
    t.deepEqual(await texts(pf, await objectsOf(pf)), ['hello', 'hello yourself', 'half', 'kept']);
    t.is((await recordedSessions(pf, bobAddress)).length, 1);
    t.is((await objectsOf(pf)).filter(({kind}) => kind === 'session-info').length, 1);
  },
);

test.serial('8.5.2: what waited for a phone that was off is recorded with what the phone says about it', async (t) => {
  t.timeout(60_000);
  const pf = await deployment(t, {config: allowed});
  const alice = await pf.alice();
  await pf.register(alice);
  const chat = await alice.startChat(bobAddress, {conversationId});
  const {messageId, bytes} = await chat.sendText('later', {dispositions: ['positive-delivery']});
  await chat.end();
  t.deepEqual(await recordedSessions(pf, bobAddress), []);
  const bob = await pf.bob();
  await pf.register(bob);
  await alice.notifications.first();
  await pf.pf.log.first(isRecorded, 30_000);
  const objects = await objectsOf(pf);
  t.deepEqual(kindsOf(objects), ['session-info', 'message received', 'notification sent']);
  t.is(objects[1]?.imdnMessageId, messageId);
  t.true((await recordedBytes(pf, bobAddress, objects[1]?.id ?? '')).equals(bytes));
});

test.serial('8.5.2: what is recorded goes when its time is over, and with its user when he is erased', async (t) => {
  const {pf, alice, bob, chat} = await chatting(t);
  await chat.end();
  t.is((await recordedSessions(pf, bobAddress)).length, 1);
  const erased = await cpmPf(pf, 'erase', bobAddress);
  t.true(erased.lines.includes('recorded       3'), erased.lines.join());
  t.deepEqual(await recordedSessions(pf, bobAddress), []);
  await pf.stop();

  await pf.configure({cpm: {recordedRetentionSeconds: 1, expirySweepSeconds: 1}});
  await pf.start();
  await pf.register(bob);
  const next = await alice.startChat(bobAddress, {conversationId});
  await next.sendText('short-lived', {dispositions: []});
  await bob.messages.first(({text}) => text === 'short-lived');
  t.is(await next.end(), 200);
  await pf.pf.log.first(isRecorded, 30_000);
  await until(async () => (await recordedSessions(pf, bobAddress)).length === 0);
});

async function cpmPf(pf: Deployment, ...args: string[]): Promise<{status: number | string; lines: readonly string[]}> {
  const child = runNode('lib/cli.ts', [...args, '--config', path.join(pf.folder, 'pf.yaml')]);
  return {status: await child.ended, lines: child.output().split('\n').slice(0, -1)};
}

test.serial('8.5.2: recorded tells the sessions of a user, what is in one, and one object as it is', async (t) => {
  const {pf, chat} = await chatting(t);
  await chat.end();
  const sessions = await cpmPf(pf, 'recorded', bobAddress);
  t.is(sessions.status, 0);
  t.regex(sessions.lines[0] ?? '', /^until +messages +notifications +states +conversation +session$/);
  t.regex(sessions.lines[1] ?? '', /^\d{4}-\S+Z +2 +0 +0 Conv-Recorded +\S+$/);
  const [session] = (await cpmPf(pf, 'recorded', bobAddress, '--json')).lines;
  t.like(JSON.parse(session ?? ''), {conversationId, contributionId: chat.contributionId, servedUser: bobKey});

  const {lines} = await cpmPf(pf, 'recorded', '+15550102', conversationId);
  t.is(lines.length, 4);
  t.true(lines.every((line) => line.length <= 100));
  t.regex(lines[2] ?? '', /^\d{4}-\S+Z message +received tel:\+15550101 +\d+ \S+ +\S+$/);
  const [, hello] = await objectsOf(pf);
  const object = await cpmPf(pf, 'recorded', bobAddress, '--object', hello?.id ?? '');
  t.is(object.lines[0], 'From: tel:+15550101\r');
  t.true(object.lines.includes('Message-Direction: received\r'));
  t.like(await pf.pf.log.first(({msg}) => msg === 'an operator reads a record'), {kind: 'message', conversationId});

  t.is((await cpmPf(pf, 'recorded', aliceAddress)).status, 1);
  t.is((await cpmPf(pf, 'recorded', aliceAddress, '--object', hello?.id ?? '')).status, 69);
});

/** Only a server of our own may be killed. */
const killable = (
  mongoKind.kind === 'none' || mongoKind.kind === 'uri' ? test.serial.skip : test.serial
) as typeof test;

killable(
  `8.3.2.3 B9 B10: with the store away the network has its 200 in time, one record of the log says so, and what waits is recorded when the store is back (${mongoName})`,
  async (t) => {
    const mongo = await startMongo();
    t.teardown(async () => mongo.stop());
    const store = {kind: 'mongodb', uri: mongo.uri, database: 'recording', answerSeconds: 2};
    const {pf, chat, bob} = await chatting(t, {...allowed, store});
    t.timeout(120_000);
    await until(async () => (await objectsOf(pf)).length === 3);
    // Nothing about this session is under way in the store.
    await pf.pf.log.first(({msg}) => msg === 'a device is joined with the inviter');
    await mongo.kill();
    t.true((await chat.sendText('while it is away', {dispositions: []})).accepted);
    await bob.messages.first(({text}) => text === 'while it is away');
    t.is(await chat.end(), 200);
    const said = await pf.pf.log.first(({code}) => code === 'CPM_NOT_RECORDED');
    t.like(said, {level: 'warn', conversationId, waiting: 1, lost: 0});
    t.is(pf.pf.log.items.filter(({code}) => code === 'CPM_NOT_RECORDED').length, 1);
    await mongo.start();
    await pf.pf.log.first(({msg}) => msg === 'the store is back', 30_000);
    await until(async () => ((await objectsOf(pf)) as readonly StoredSummary[] | undefined)?.length === 4);
    t.is((await texts(pf, await objectsOf(pf))).at(-1), 'while it is away');
  },
);
