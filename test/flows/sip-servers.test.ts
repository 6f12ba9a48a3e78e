/** drachtio servers as operators have them: several, over TLS, connecting to the PF for each call, and dying. */
import {once} from 'node:events';
import {connect, createServer, type AddressInfo, type Socket} from 'node:net';
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {freePort} from '../../lib/demo/pf-process.ts';
import {Refused} from '../../lib/phone/phone.ts';
import {bobAddress, deployment, type Deployment} from '../support/deployment.ts';
import {authorityFile, ownSipServer} from '../support/sip-servers.ts';

const secret = 'cymru';
const user = (number: number): string => `sip:+1555020${number}@home.example;user=phone`;

/** Stands between a server and the PF's listener, and counts. */
async function tap(t: ExecutionContext, to: number): Promise<{port: number; open: Set<Socket>; made: () => number}> {
  const open = new Set<Socket>();
  let made = 0;
  const server = createServer((near) => {
    made += 1;
    open.add(near);
    const far = connect(to, '127.0.0.1');
    near.on('error', () => undefined).on('close', () => {
      open.delete(near);
      far.destroy();
    }); // prettier-ignore
    far.on('error', () => undefined).on('close', () => near.destroy());
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return {port: (server.address() as AddressInfo).port, open, made: () => made};
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 400) throw new Error(`not so: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** A PF whose SIP server connects to it for each request, through a tap. */
async function outbound(t: ExecutionContext, listen: object = {}) {
  const port = await freePort();
  const counted = await tap(t, port);
  const methods = ['INVITE', 'REGISTER', 'MESSAGE'];
  const server = await ownSipServer(t, {outbound: {port: counted.port, methods}});
  const pf = await deployment(t, {
    config: {sip: {drachtio: [server.admin], listen: {port, secret, ...listen}, inviteSeconds: 20}},
  });
  pf.core.pf = server.uri;
  return {pf, counted, port, server};
}

test.serial(
  'drachtio servers: beside one that is there already the PF runs once its relay is there, too',
  async (t) => {
    const server = await ownSipServer(t);
    const pf = await deployment(t, {config: {sip: {drachtio: [server.admin]}}});
    t.like(await pf.pf.log.first(({msg}) => msg === 'the Participating Function runs'), {ready: true, media: 'up'});
  },
);

test.serial(
  'drachtio outbound: a server connects for each request, the dialog stays on its connection, and that ends with it',
  async (t) => {
    t.timeout(60_000);
    const {pf, counted} = await outbound(t);
    const [alice, bob] = [await pf.alice(), await pf.bob()];
    await pf.register(alice);
    await pf.register(bob);
    await until(() => counted.open.size === 0, 'the connections of the REGISTERs are closed');
    const registers = counted.made();
    t.is(registers, 2);

    const chat = await alice.startChat(bobAddress);
    await chat.sendText('over a connection of its own');
    const {session} = await bob.messages.first();
    t.true((await session.sendText('and back')).accepted);
    await until(() => counted.open.size === 1, 'the connection of the call stays, those of notifications do not');
    // The device leaves: the BYE to the inviter goes over the connection that has his dialog.
    t.is(await session.end('SIP;cause=200;text="Call completed"'), 200);
    t.deepEqual(await chat.ended, {by: 'peer', reason: 'SIP;cause=200;text="Call completed"'});
    await until(() => counted.open.size === 0, 'the connection of the call is closed');

    // The inviter leaves: his BYE comes over it, and so does its answer.
    const second = await alice.startChat(bobAddress);
    await second.sendText('once more');
    await bob.messages.first(({text}) => text === 'once more');
    await until(() => counted.open.size === 1, 'the connection of the second call stays');
    t.is(await second.end(), 200);
    await until(() => counted.open.size === 0, 'the connection of the second call is closed');
    t.false(pf.pf.log.items.some(({level}) => level === 'error'));
  },
);

test.serial(
  'drachtio outbound: what the PF originates goes over the connection that it made; refused, cancelled and passed requests leave none open',
  async (t) => {
    t.timeout(60_000);
    const {pf, counted} = await outbound(t);
    const alice = await pf.alice();
    await pf.register(alice);
    const chat = await alice.startChat(bobAddress);
    for (const text of ['one', 'two']) t.true((await chat.sendText(text)).accepted);
    await chat.end();
    const bob = await pf.bob();
    await pf.register(bob);
    await bob.messages.atLeast(2);
    await alice.notifications.atLeast(2);

    bob.onInvitation = (invitation) => {
      invitation.refuse(603);
    };
    t.is((await t.throwsAsync(alice.startChat(bobAddress), {instanceOf: Refused})).response.status, 603);
    // Not for the PF: proxied, and then the server's own business.
    const eve = 'sip:eve@elsewhere.example';
    t.is((await t.throwsAsync(alice.startChat(eve), {instanceOf: Refused})).response.status, 480);
    await until(() => counted.open.size === 0, 'all connections are closed');
  },
);

test.serial('drachtio outbound: a connection that breaks ends its call alone, on both sides', async (t) => {
  t.timeout(60_000);
  const {pf, counted} = await outbound(t);
  const [alice, bob] = [await pf.alice(), await pf.bob()];
  await pf.register(alice);
  await pf.register(bob);
  const chat = await alice.startChat(bobAddress);
  await chat.sendText('first');
  const {session} = await bob.messages.first();
  const [broken] = counted.open;
  const other = await alice.startChat(user(9));
  t.true((await other.sendText('kept')).accepted);
  broken?.destroy();
  t.is((await session.ended).by, 'peer');
  // The server still has the inviter's dialog: it is ended over the connection that the PF made.
  t.is((await chat.ended).by, 'peer');
  t.true((await other.sendText('the other call goes on')).accepted);
});

test.serial('drachtio outbound: who may not connect is told no secret', async (t) => {
  t.timeout(60_000);
  const {pf, port} = await outbound(t, {servers: ['192.0.2.1']});
  const stranger = connect(port, '127.0.0.1');
  let heard = '';
  stranger.on('error', () => undefined).on('data', (data: Buffer) => (heard += data.toString()));
  await once(stranger, 'close');
  t.is(heard, '');
  await pf.pf.log.first(({msg}) => msg === 'a connection of somebody who may not be a SIP server is refused');
});

test.serial('drachtio admin TLS: the PF connects over TLS, and again after the server was away', async (t) => {
  t.timeout(60_000);
  const server = await ownSipServer(t);
  const admin = {...server.admin, port: server.adminTlsPort, tls: {authorityFile}};
  const pf = await deployment(t, {config: {sip: {drachtio: [admin]}}});
  pf.core.pf = server.uri;
  const [alice, bob] = [await pf.alice(), await pf.bob()];
  await pf.register(alice);
  await pf.register(bob);
  await (await alice.startChat(bobAddress)).sendText('over TLS');
  await bob.messages.first();
  await server.kill();
  await pf.pf.log.first(({msg}) => msg === 'the SIP server is away');
  await server.start();
  await pf.pf.log.atLeast(2, ({msg}) => msg === 'connected to the SIP server');
  const again = await alice.startChat(bobAddress);
  t.true((await again.sendText('over TLS again')).accepted);
  await bob.messages.first(({text}) => text === 'over TLS again');
});

test.serial('drachtio admin TLS: a server whose certificate nobody known has signed is not spoken to', async (t) => {
  t.timeout(60_000);
  const server = await ownSipServer(t);
  const pf = await deployment(t, {config: {sip: {drachtio: [{...server.admin, port: server.adminTlsPort, tls: {}}]}}});
  await pf.pf.log.first(({code}) => code === 'CPM_SIP_TLS');
  t.like(await pf.status(), {parts: {sip: 'away'}});
  t.is(pf.pf.log.items.filter(({code}) => code === 'CPM_SIP_TLS').length, 1);
});

/** The core hands what comes from now on to this server. */
function through(pf: Deployment, server: {readonly uri: string}): void {
  pf.core.pf = server.uri;
}

test.serial('drachtio servers: both legs of a call are on the server by which it came', async (t) => {
  t.timeout(60_000);
  const [first, second] = [await ownSipServer(t), await ownSipServer(t)];
  const pf = await deployment(t, {config: {sip: {drachtio: [first.admin, second.admin]}}});
  through(pf, first);
  const [alice, bob] = [await pf.alice(), await pf.bob()];
  await pf.register(alice);
  await pf.register(bob);
  for (const server of [first, second, first, second]) {
    through(pf, server);
    const before = bob.requests.items.length;
    const chat = await alice.startChat(bobAddress);
    await bob.requests.atLeast(before + 1);
    const contact = bob.requests.items.at(-1)?.headers.find(({name}) => name === 'Contact')?.value ?? '';
    t.true(contact.includes(/127[^;]+/.exec(server.uri)?.[0] ?? 'none'), contact);
    await chat.end();
  }
});

test.serial(
  'drachtio servers: one of two dies under load: its calls end, deliveries are repeated over the other, nothing is lost',
  async (t) => {
    t.timeout(120_000);
    const [first, second] = [await ownSipServer(t), await ownSipServer(t)];
    // No retry of the PF's own comes within the test: the loss itself makes it try again.
    const pf = await deployment(t, {
      config: {sip: {drachtio: [first.admin, second.admin]}, cpm: {deliveryRetrySeconds: [600]}},
    });
    const senders = await Promise.all([1, 2, 3, 4].map(async (number) => pf.alice({address: user(number)})));
    through(pf, first);
    for (const sender of senders) await pf.register(sender);
    const carol = await pf.bob({address: user(5)});
    await pf.register(carol);

    // What waits for Bob came over both servers.
    const accepted = new Map<string, string[]>();
    const say = async (chat: Awaited<ReturnType<(typeof senders)[0]['startChat']>>, by: string, text: string) => {
      if (!(await chat.sendText(text)).accepted) return false;
      accepted.set(by, [...(accepted.get(by) ?? []), text]);
      return true;
    };
    for (const [index, sender] of senders.entries()) {
      through(pf, index % 2 === 0 ? first : second);
      const chat = await sender.startChat(bobAddress);
      for (let each = 0; each < 20; each++) t.true(await say(chat, sender.address, `${sender.address} ${each}`));
      await chat.end();
    }

    // Live calls on both, as well.
    const [one, two] = senders;
    if (one === undefined || two === undefined) return t.fail();
    through(pf, first);
    const onFirst = await one.startChat(user(5));
    await onFirst.sendText('live on the first');
    through(pf, second);
    const onSecond = await two.startChat(user(5));
    await onSecond.sendText('live on the second');
    await carol.messages.atLeast(2);

    const bob = await pf.bob();
    await pf.register(bob);
    await bob.messages.first();
    await first.kill();
    // The call on the dead server is taken apart; the other one does not notice.
    await pf.pf.log.atLeast(senders.length + 1, ({msg}) => /^the (network|client) ends the session$/.test(msg));
    // What it may still accept on its way out is kept for Carol.
    const late = await onFirst.sendText('late');
    if (late.accepted) await carol.messages.first(({text}) => text === 'late');
    t.true((await onSecond.sendText('still live')).accepted);
    await carol.messages.first(({text}) => text === 'still live');
    // New calls go over the one that is there, at once.
    const next = await one.startChat(user(5));
    t.true((await next.sendText('over the other one')).accepted);
    await carol.messages.first(({text}) => text === 'over the other one');

    const total = [...accepted.values()].reduce((sum, texts) => sum + texts.length, 0);
    t.is(total, 80);
    await bob.messages.atLeast(total);
    for (const [sender, texts] of accepted)
      t.deepEqual(
        bob.messages.items.map(({text}) => text).filter((text) => text.startsWith(`${sender} `)),
        texts,
      );
    t.like(await pf.status(), {parts: {sip: 'up'}});

    // It comes back, and takes calls again.
    await first.start();
    await pf.pf.log.atLeast(3, ({msg}) => msg === 'connected to the SIP server');
    through(pf, first);
    const again = await two.startChat(user(5));
    t.true((await again.sendText('over the first again')).accepted);
    await carol.messages.first(({text}) => text === 'over the first again');
  },
);
