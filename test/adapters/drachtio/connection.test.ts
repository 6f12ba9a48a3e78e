import {once} from 'node:events';
import {connect, createServer, type Socket} from 'node:net';
import test from 'ava';
import {connectServer, type SipServer} from '../../../lib/adapters/drachtio/connection.ts';
import {createSip, type DrachtioSip} from '../../../lib/adapters/drachtio/sip.ts';
import {systemClock, type Clock} from '../../../lib/ports/clock.ts';
import {silentLog, type Log} from '../../../lib/ports/log.ts';
import type {IncomingInvite, SipDialog, SipHandlers} from '../../../lib/ports/sip.ts';
import {rawSip} from '../../support/raw-sip.ts';
import {scriptedDrachtio, type ScriptedDrachtio} from '../../support/scripted-drachtio.ts';
import {sipServer} from '../../support/sip-server.ts';
import {answer, connected, offer, passEverything, soon} from './setup.ts';

interface Adapter {
  readonly connection: SipServer;
  readonly sip: DrachtioSip;
}

function adapter(port: number, {clock = systemClock, log = silentLog}: {clock?: Clock; log?: Log} = {}): Adapter {
  const connection = connectServer({host: '127.0.0.1', port, secret: 'cymru'}, {clock, log});
  return {connection, sip: createSip({servers: [connection], homeDomain: 'home.net', clock, log})};
}

function change(sip: DrachtioSip, to: boolean): Promise<void> {
  return soon((resolve) => {
    sip.onConnection((state) => {
      if (state === to) resolve();
    });
  });
}

/** Passes everything on to a port until it is cut; takes connections again at once. */
async function tap(port: number): Promise<{port: number; cut: () => void; close: () => Promise<void>}> {
  const sockets = new Set<Socket>();
  const listener = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('error', () => undefined);
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    cut,
    async close() {
      const closed = once(listener, 'close');
      listener.close();
      cut();
      await closed;
    },
  };
}

test.serial(
  'RFC 3261 §15: with the connection to the server every dialog ends as by the server, and the peer gets its BYE when the connection is back',
  async (t) => {
    const server = await sipServer();
    const line = await tap(server.admin.port);
    const {connection, sip} = adapter(line.port);
    await sip.attach(passEverything, {fallback: 'proxy'});
    await connected(connection);
    const bob = await rawSip({server: server.sip, tag: 'b1'});
    const out = sip.invite({uri: `sip:bob@${bob.address}`, headers: {'Content-Type': 'application/sdp'}, body: offer});
    const invite = await bob.next('INVITE');
    bob.answer(invite, '200 OK', [`Contact: <sip:bob@${bob.address}>`, 'Content-Type: application/sdp'], answer);
    const outcome = await out.outcome;
    if (outcome.kind !== 'accepted') return t.fail(outcome.kind);
    const {dialog} = outcome;
    await bob.next('ACK');
    const pending = sip.request('OPTIONS', {uri: `sip:bob@${bob.address}`, headers: {}});
    const ringing = sip.invite({
      uri: `sip:carol@${bob.address}`,
      headers: {'Content-Type': 'application/sdp'},
      body: offer,
    });
    await bob.next('OPTIONS');
    await bob.next('INVITE');
    const told = soon<string>((resolve) => {
      dialog.onBye = (bye, by) => {
        resolve(`${by} ${bye.method} ${bye.header('Reason') ?? ''}`);
        return Promise.resolve(undefined);
      };
    });
    const back = change(sip, true);
    line.cut();
    t.is(await told, 'server BYE SIP;cause=503;text="connection to the SIP server lost"');
    t.true(dialog.ended);
    t.is((await pending).status, 503);
    t.like(await ringing.outcome, {kind: 'failed', status: 503});
    t.is((await sip.request('OPTIONS', {uri: `sip:bob@${bob.address}`, headers: {}})).status, 503);
    await back;
    const bye = await bob.next('BYE');
    t.is(bye.header('Call-ID'), invite.header('Call-ID'));
    t.is(bye.header('Reason'), 'SIP;cause=503;text="connection to the SIP server lost"');
    bob.answer(bye, '200 OK');
    const again = sip.request('OPTIONS', {uri: `sip:bob@${bob.address}`, headers: {From: '<sip:again@home.net>'}});
    for (;;) {
      const options = await bob.next('OPTIONS');
      bob.answer(options, '200 OK');
      if (options.header('From').includes('again')) break;
    }

    t.is((await again).status, 200);
    await bob.close();
    await sip.close();
    await line.close();
    await server.stop();
  },
);

test('RFC 3261 §18: a server that is not there yet is found when it comes; one that refuses the secret is asked again after the longest pause', async (t) => {
  const first = await scriptedDrachtio();
  const {port} = first;
  await first.close();
  let slow: () => void = () => undefined;
  const longest = new Promise<void>((resolve) => {
    slow = resolve;
  });
  const clock: Clock = {
    ...systemClock,
    after(milliseconds, fire) {
      if (milliseconds === 5000) slow();
      return systemClock.after(milliseconds, fire);
    },
  };
  const errors: string[] = [];
  const log: Log = {...silentLog, error: (_fields, sentence) => errors.push(sentence)};
  const {connection, sip} = adapter(port, {clock, log});
  t.false(sip.connected);
  t.like(await sip.invite({uri: 'sip:bob@home.net', headers: {}}).outcome, {kind: 'failed', status: 503});
  const server = await scriptedDrachtio(port);
  await connected(connection);
  t.true(sip.connected);
  t.is(sip.contactUri, 'sip:127.0.0.1:5060');
  server.acceptsSecret = false;
  server.drop();
  await soon<undefined>((resolve) => {
    void longest.then(() => {
      resolve(undefined);
    });
  });
  t.is(errors.at(-1), 'the SIP server refuses our secret');
  t.false(sip.connected);
  await sip.close();
  await server.close();
});

test('RFC 3261 §18: a connection is there only when all routes are acknowledged', async (t) => {
  const server = await scriptedDrachtio();
  server.answersPings = false;
  const {connection, sip} = adapter(server.port);
  await sip.attach(passEverything, {fallback: 'proxy'});
  await server.next('route|update');
  t.false(sip.connected);
  const ready = connected(connection);
  server.answersPings = true;
  server.drop();
  await ready;
  t.true(sip.connected);
  await sip.close();
  await server.close();
});

test('RFC 3261 §18: a broken frame, or a message drachtio-srf cannot read, ends at most the connection', async (t) => {
  const errors: unknown[] = [];
  const log: Log = {...silentLog, error: (_fields, sentence) => errors.push(sentence)};
  const server = await scriptedDrachtio();
  const {connection, sip} = adapter(server.port, {log});
  await connected(connection);
  server.send('$id|nonsense|x');
  server.send(
    '$id|sip|network|10|udp|127.0.0.1|5060|10:00:00.000|txn||127.0.0.1|5060|\r\nINVITE sip:x SIP/2.0\r\n\r\n',
  );
  const answered = sip.request('OPTIONS', {uri: 'sip:bob@home.net', headers: {}});
  const [id = ''] = (await server.next('sip|')).split('|', 1);
  server.send(`$id|response|${id}|NOK|no such host`);
  t.is((await answered).status, 503, 'the connection lives');
  t.true(errors.length > 0);
  const lost = change(sip, false);
  const back = change(sip, true);
  server.sendOctets('not a frame at all');
  await lost;
  await back;
  t.true(sip.connected);
  await sip.close();
  await server.close();
});

test('RFC 3261 §18: a server that reads no more is taken for dead', async (t) => {
  const fires: (() => void)[] = [];
  const clock: Clock = {
    now: () => 0,
    after(milliseconds, fire) {
      if (milliseconds < 1000) return systemClock.after(milliseconds, fire);
      if (milliseconds === 10_000) fires.push(fire);
      return {cancel: () => undefined};
    },
  };
  const server = await scriptedDrachtio();
  server.answersPings = false;
  const {sip} = adapter(server.port, {clock});
  await server.next('authenticate|');
  while (fires.length === 0) await new Promise((resolve) => setImmediate(resolve));
  fires[0]?.();
  await server.next('authenticate|');
  t.pass('it was left and sought anew');
  await sip.close();
  await server.close();
});

test('RFC 3261 §18: a server that has gone without a word is found out while nothing is to be sent', async (t) => {
  const timers = new Map<number, () => void>();
  const clock: Clock = {
    now: () => 0,
    after(milliseconds, fire) {
      if (milliseconds < 1000) return systemClock.after(milliseconds, fire);
      timers.set(milliseconds, fire);
      return {cancel: () => undefined};
    },
  };
  const server = await scriptedDrachtio();
  const {connection, sip} = adapter(server.port, {clock});
  await connected(connection);
  const gone = change(sip, false);
  server.answersPings = false;
  // A quarter of a minute of silence makes us ask; ten seconds without an answer make it dead.
  timers.get(15_000)?.();
  timers.get(10_000)?.();
  await gone;
  server.answersPings = true;
  await change(sip, true);
  t.true(sip.connected);
  await sip.close();
  await server.close();
});

test('RFC 3261 §13.3.1.4: an ACK that never comes rejects the acceptance; a session that expires is ended by the server', async (t) => {
  const server = await scriptedDrachtio();
  const {connection, sip} = adapter(server.port);
  const invites: ((invite: IncomingInvite) => void)[] = [];
  const handlers: SipHandlers = {
    ...passEverything,
    invite(invite) {
      invites.shift()?.(invite);
      return Promise.resolve('handled');
    },
  };
  await sip.attach(handlers, {fallback: 'proxy'});
  await connected(connection);

  const unacknowledged = await accepted(server, invites, 'call-1');
  unsolicitedBye(server, 'call-1', 'ACK timeout');
  await t.throwsAsync(unacknowledged.dialog, {code: 'CPM_SIP_NO_ACK'});

  const {dialog: coming} = await accepted(server, invites, 'call-2');
  server.send(inDialog('ACK', 'call-2'));
  const dialog = await coming;
  const told = soon<string>((resolve) => {
    dialog.onBye = (bye, by) => {
      resolve(`${by} ${bye.header('Reason') ?? ''}`);
      return Promise.resolve({headers: {'X-Never': 'sent'}});
    };
  });
  unsolicitedBye(server, 'call-2', 'Session timer expired');
  t.is(await told, 'server SIP;cause=200;text="Session timer expired"');
  t.is(await dialog.bye(), 481);
  t.false(
    server.frames.some((frame) => frame.includes('X-Never') || frame.includes('BYE')),
    'nobody waits for an answer',
  );
  await sip.close();
  await server.close();
});

test('RFC 3261 §12.1: with two servers what the PF begins alternates, each with the Contact of its own server', async (t) => {
  const servers = [await scriptedDrachtio(), await scriptedDrachtio()];
  for (const [index, server] of servers.entries()) server.contact = `udp/127.0.0.1:${5070 + index}`;
  const surroundings = {clock: systemClock, log: silentLog};
  const connections = servers.map(({port}) => connectServer({host: '127.0.0.1', port, secret: 'x'}, surroundings));
  const sip = createSip({servers: connections, homeDomain: 'home.net', ...surroundings});
  for (const connection of connections) await connected(connection);
  for (const user of ['a', 'b']) {
    void sip.invite({uri: `sip:${user}@home.net`, headers: {Contact: `<${sip.contactUri}>;+g.oma.sip-im`}});
  }

  for (const [index, server] of servers.entries()) {
    t.true((await server.next('sip|')).includes(`Contact: <sip:127.0.0.1:${5070 + index}>;+g.oma.sip-im`));
  }

  // What belongs to a call goes by the server of that call, while it is there.
  for (let each = 0; each < 3; each++) {
    void sip.invite({uri: 'sip:c@home.net', headers: {}, via: connections[1]?.name ?? ''});
    t.true((await servers[1]?.next('sip|'))?.includes('INVITE sip:c@home.net'));
  }

  await servers[0]?.close();
  await soon<undefined>((resolve) => {
    connections[0]?.ifLost(() => {
      resolve(undefined);
    });
    if (connections[0]?.connected === false) resolve(undefined);
  });
  t.true(sip.connected, 'one is enough');
  // A dialog on the one that is away waits for it, and is looked for nowhere else.
  t.is(await sip.endLeftDialog({id: 'x;from-tag=y', server: connections[0]?.name ?? ''}, {}), undefined);
  void sip.invite({uri: 'sip:d@home.net', headers: {}, via: connections[0]?.name ?? ''});
  t.true((await servers[1]?.next('sip|'))?.includes('INVITE sip:d@home.net'));
  t.is(
    await Promise.race([
      sip.endLeftDialog({id: 'x;from-tag=y', server: 'another'}, {}),
      servers[1]?.next('sip|').then(() => 'asked'),
    ]),
    'asked',
  );
  await sip.close();
  await servers[1]?.close();
});

/** An INVITE that the procedures accept; its ACK is still to come. */
async function accepted(
  server: ScriptedDrachtio,
  invites: ((invite: IncomingInvite) => void)[],
  callId: string,
): Promise<{dialog: Promise<SipDialog>}> {
  const coming = soon<IncomingInvite>((resolve) => {
    invites.push(resolve);
  });
  server.send(
    `$id|sip|network|400|udp|127.0.0.1|5060|10:00:00.000000|txn-${callId}||127.0.0.1|5060|
INVITE sip:bob@home.net SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5099;branch=z9hG4bK${callId}
From: <sip:alice@home.net>;tag=a1
To: <sip:bob@home.net>
Call-ID: ${callId}
CSeq: 1 INVITE
Contact: <sip:alice@127.0.0.1:5099>
Content-Length: 0

`,
  );
  const invite = await coming;
  const dialog = invite.accept({});
  dialog.catch(() => undefined);
  const [id = ''] = (await server.next(`sip|txn-${callId}|`)).split('|', 1);
  server.send(
    `$id|response|${id}|OK|application|300|udp|127.0.0.1|5060|10:00:00.000000|txn-${callId}|${callId};from-tag=a1||Msg sent:|
SIP/2.0 200 OK
Via: SIP/2.0/UDP 127.0.0.1:5099;branch=z9hG4bK${callId}
From: <sip:alice@home.net>;tag=a1
To: <sip:bob@home.net>;tag=s1
Call-ID: ${callId}
CSeq: 1 INVITE
Contact: <sip:127.0.0.1:5060>
Content-Length: 0

`,
  );
  return {dialog};
}

function inDialog(method: string, callId: string, headerLines = '', source = 'network', txn = `txn-${callId}`): string {
  return `$id|sip|${source}|300|udp|127.0.0.1|5060|10:00:00.000000|${txn}|${callId};from-tag=a1|
${method} sip:bob@127.0.0.1:5060 SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5099;branch=z9hG4bK${callId}${method}
From: <sip:alice@home.net>;tag=a1
To: <sip:bob@home.net>;tag=s1
Call-ID: ${callId}
CSeq: 2 ${method}
${headerLines}Content-Length: 0

`;
}

function unsolicitedBye(server: ScriptedDrachtio, callId: string, text: string): void {
  server.send(inDialog('BYE', callId, `Reason: SIP;cause=200;text="${text}"\n`, 'application', 'unsolicited'));
}
