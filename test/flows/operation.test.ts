/** The PF's processes start, stop, die and are taken over; and requests that are not for it pass. */
import {randomUUID} from 'node:crypto';
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {headerOf} from '../../lib/codecs/sip-message.ts';
import {Refused} from '../../lib/phone/phone.ts';
import {aliceAddress, bobAddress, deployment, type Deployment} from '../support/deployment.ts';
import {rawSip, type RawMessage, type RawSip} from '../support/raw-sip.ts';
import {addressOf} from '../support/registrar-peer.ts';

const unavailable = 'SIP;cause=503;text="Service Unavailable"';
const embeddedTest = process.env['DRACHTIO_HOST'] === undefined ? test.serial : test.serial.skip;

/** Alice and Bob chat live. */
async function chatting(pf: Deployment) {
  const [alice, bob] = [await pf.alice(), await pf.bob()];
  await pf.register(alice);
  await pf.register(bob);
  const chat = await alice.startChat(bobAddress);
  await chat.sendText('live');
  const {session} = await bob.messages.first();
  return {alice, bob, chat, session};
}

/** Alice's session is held for Bob, who is off; one message waits. */
async function held(pf: Deployment) {
  const alice = await pf.alice();
  await pf.register(alice);
  const chat = await alice.startChat(bobAddress);
  await chat.sendText('kept');
  return {alice, chat};
}

/** Until another process has taken the place of one that was killed. */
async function replaced(pf: Deployment, name: string, killed: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if ((await pf.pidOf(name)) !== killed) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }

  throw new Error(`no other ${name} came`);
}

async function ready(pf: Deployment): Promise<{status: number; body: unknown}> {
  const {url} = JSON.parse(await readFile(path.join(pf.folder, 'run', 'admin.json'), 'utf8')) as {url: string};
  const response = await fetch(new URL('/ready', url));
  return {status: response.status, body: await response.json()};
}

async function becomesReady(pf: Deployment): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if ((await ready(pf)).status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }

  throw new Error(`not ready: ${JSON.stringify(await ready(pf))}`);
}

test.serial('RFC 3261 §15: SIGTERM ends sessions with cause 503, and the process with 0', async (t) => {
  const pf = await deployment(t);
  const {chat, session} = await chatting(pf);
  const carol = await pf.alice({address: 'sip:+15550103@home.example;user=phone'});
  const kept = await carol.startChat('sip:+15550104@home.example;user=phone');
  t.is(await pf.stop(), 0);
  for (const each of [chat, session, kept]) t.deepEqual(await each.ended, {by: 'peer', reason: unavailable});
});

test.serial('RFC 3261 §21.5.4: while the PF drains, a new INVITE gets 503 with Retry-After', async (t) => {
  const pf = await deployment(t, {config: {sip: {retryAfterSeconds: 7}}});
  const {alice, session} = await chatting(pf);
  // The device keeps its BYE to itself, so that the drain lasts.
  let release: () => void = () => undefined;
  const draining = new Promise<void>((resolve) => {
    session.call.onBye = async () => {
      resolve();
      await new Promise<void>((answer) => {
        release = answer;
      });
      return {status: 200};
    };
  });
  const ended = pf.stop();
  await draining;
  const refused = await t.throwsAsync(alice.startChat(bobAddress), {instanceOf: Refused});
  t.is(refused.response.status, 503);
  t.is(headerOf(refused.response, 'Retry-After'), '7');
  t.is((await ready(pf)).status, 503);
  release();
  t.is(await ended, 0);
});

embeddedTest(
  'RFC 3261 §15: after SIGKILL the next PF takes over relay and SIP server, and ends what was left with cause 503',
  async (t) => {
    const pf = await deployment(t);
    const {alice, chat, session} = await chatting(pf);
    const waiting = await alice.startChat('sip:+15550104@home.example;user=phone');
    await waiting.sendText('kept');
    const pids = await Promise.all(['relay', 'sip-server'].map(async (name) => pf.pidOf(name)));
    await pf.kill();
    // The sidecar closes what was held at once; a relayed pair goes on without its PF.
    t.false((await waiting.sendText('nobody keeps this')).accepted);
    t.true((await chat.sendText('relayed without a PF')).accepted);
    await pf.start();
    t.deepEqual(await Promise.all(['relay', 'sip-server'].map(async (name) => pf.pidOf(name))), pids);
    for (const each of [chat, session, waiting]) t.deepEqual(await each.ended, {by: 'peer', reason: unavailable});
    const again = await alice.startChat(bobAddress);
    t.true((await again.sendText('a new life')).accepted);
  },
);

test.serial('RFC 4975 §5.4: a relay that died takes its sessions along, another one serves new ones', async (t) => {
  const pf = await deployment(t);
  const {alice, bob, chat, session} = await chatting(pf);
  const killed = await pf.pidOf('relay');
  process.kill(killed, 'SIGKILL');
  for (const each of [chat, session]) t.deepEqual(await each.ended, {by: 'peer', reason: unavailable});
  await replaced(pf, 'relay', killed);
  await becomesReady(pf);
  const again = await alice.startChat(bobAddress);
  await again.sendText('through the next one');
  await bob.messages.first(({text}) => text === 'through the next one');
});

embeddedTest(
  'RFC 3261 §18: an embedded server that died is replaced on its ports, and the PF is ready again',
  async (t) => {
    const pf = await deployment(t);
    const {alice} = await held(pf);
    const killed = await pf.pidOf('sip-server');
    process.kill(killed, 'SIGKILL');
    await pf.pf.log.first(({msg}) => msg === 'the SIP server is away');
    t.like(await ready(pf), {status: 503, body: {sip: 'away'}});
    await replaced(pf, 'sip-server', killed);
    await becomesReady(pf);
    const bob = await pf.bob();
    await pf.register(bob);
    await bob.messages.first(({text}) => text === 'kept');
    const chat = await alice.startChat(bobAddress);
    t.true((await chat.sendText('again')).accepted);
  },
);

test.serial('RFC 4975 §5.4: a relay of other options is replaced, one of the same is kept', async (t) => {
  const pf = await deployment(t);
  const before = await pf.pidOf('relay');
  await pf.kill();
  await pf.start();
  t.is(await pf.pidOf('relay'), before);
  await pf.kill();
  await pf.configure({relay: {graceSeconds: 7}});
  await pf.start();
  t.not(await pf.pidOf('relay'), before);
  // Gone, or a zombie where nobody buries orphans.
  t.is(await readFile(`/proc/${before}/cmdline`, 'utf8').catch(() => ''), '');
  const {chat} = await held(pf);
  t.true((await chat.sendText('through the new one')).accepted);
});

// What is not for the PF, and what cannot be taken.

interface Invite {
  readonly to?: string;
  readonly headers?: readonly string[];
  readonly contact?: string;
  readonly body?: string;
  readonly contentType?: string;
}

const accepts = 'Accept-Contact: *;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"';
const ids = ['Conversation-ID: c', 'Contribution-ID: d'];
const description = (media: readonly string[]): string =>
  ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0', ...media, ''].join('\r\n');
const chatOffer = description([
  'm=message 9 TCP/MSRP *',
  'a=path:msrp://127.0.0.1:9/abcdefgh;tcp',
  'a=setup:active',
  'a=accept-types:message/cpim',
]);

async function peerOf(t: ExecutionContext, pf: Deployment): Promise<RawSip> {
  const peer = await rawSip({server: addressOf(pf), transport: 'tcp'});
  t.teardown(async () => peer.close());
  return peer;
}

/** An INVITE of the core, through the PF and back to the peer. */
function invite(pf: Deployment, peer: RawSip, {to = bobAddress, headers = [], ...how}: Invite): void {
  peer.send(
    [
      `INVITE ${to} SIP/2.0`,
      `Via: SIP/2.0/TCP ${peer.address};branch=z9hG4bK${randomUUID()}`,
      `Route: <${pf.core.pf ?? ''};lr>`,
      `Route: <sip:${peer.address};transport=tcp;lr>`,
      'Max-Forwards: 70',
      `From: <${aliceAddress}>;tag=${randomUUID()}`,
      `To: <${to}>`,
      `Call-ID: ${randomUUID()}`,
      'CSeq: 1 INVITE',
      `Contact: ${how.contact ?? `<sip:alice@${peer.address};transport=tcp>`}`,
      `Content-Type: ${how.contentType ?? 'application/sdp'}`,
      ...headers,
    ].join('\n'),
    how.body ?? chatOffer,
  );
}

const final = async (peer: RawSip): Promise<RawMessage> => {
  for (;;) {
    const answer = await peer.next('SIP/2.0');
    if (!answer.startLine.startsWith('SIP/2.0 1')) return answer;
  }
};

test.serial('RFC 3261 §11: OPTIONS to the PF itself gets 200', async (t) => {
  const pf = await deployment(t);
  const alice = await pf.alice();
  const peer = await peerOf(t, pf);
  peer.send(
    [
      `OPTIONS ${pf.core.pf ?? ''} SIP/2.0`,
      `Via: SIP/2.0/TCP ${peer.address};branch=z9hG4bK${randomUUID()}`,
      'Max-Forwards: 70',
      `From: <${alice.address}>;tag=1`,
      `To: <${pf.core.pf ?? ''}>`,
      `Call-ID: ${randomUUID()}`,
      'CSeq: 1 OPTIONS',
    ].join('\n'),
  );
  const answer = await final(peer);
  t.true(answer.startLine.startsWith('SIP/2.0 200'));
  t.true(answer.header('Allow').includes('INVITE'));
});

const passing: readonly (readonly [fact: string, how: Invite])[] = [
  ['RFC 3261 §16: an INVITE for voice', {body: description(['m=audio 4000 RTP/AVP 0']), headers: ['X-Unknown: kept']}],
  [
    '8.3.2.1: an invitation of a conference focus for somebody who is not served',
    {headers: [accepts, ...ids], contact: '<sip:focus@127.0.0.1:9>;isfocus', to: 'sip:eve@elsewhere.example'},
  ],
  [
    'RFC 5502 §4: an INVITE for the originating user, as P-Served-User says,',
    {headers: [accepts, ...ids, `P-Served-User: <${aliceAddress}>;sescase=orig;regstate=reg`]},
  ],
  [
    '8.3.2.1: an INVITE for the originating user, as the marker says,',
    {headers: [accepts, ...ids], to: 'sip:+15550102@home.example;user=phone;orig'},
  ],
  ['8.3.2.1: an INVITE for somebody who is not served', {headers: [accepts, ...ids], to: 'sip:eve@elsewhere.example'}],
];
for (const [fact, how] of passing)
  test.serial(`${fact} goes on unchanged along its Route`, async (t) => {
    const pf = await deployment(t);
    const peer = await peerOf(t, pf);
    invite(pf, peer, how);
    const passed = await peer.next('INVITE');
    t.is(passed.startLine, `INVITE ${how.to ?? bobAddress} SIP/2.0`);
    t.is(passed.body.toString(), how.body ?? chatOffer);
    for (const header of how.headers ?? []) t.true(passed.headerLines.includes(header), header);
    if (how.contact !== undefined) t.is(passed.header('Contact'), how.contact);
    peer.answer(passed, '486 Busy Here');
    t.true((await final(peer)).startLine.startsWith('SIP/2.0 486'));
  });

const refused: readonly (readonly [fact: string, status: number, how: Invite])[] = [
  ['8.3.2.1: an INVITE without Conversation-ID gets 400', 400, {headers: [accepts, 'Contribution-ID: d']}],
  [
    'RFC 3264 §6: an INVITE without an MSRP section gets 488',
    488,
    {headers: [accepts, ...ids], body: description(['m=audio 4000 RTP/AVP 0'])},
  ],
  [
    'RFC 3264 §6: an INVITE without a description gets 488',
    488,
    {headers: [accepts, ...ids], body: 'hello', contentType: 'text/plain'},
  ],
  [
    'RFC 4028 §4: an INVITE with a session timer below 90 s gets 422',
    422,
    {headers: [accepts, ...ids, 'Session-Expires: 30']},
  ],
];
for (const [fact, status, how] of refused)
  test.serial(fact, async (t) => {
    const pf = await deployment(t);
    const peer = await peerOf(t, pf);
    invite(pf, peer, how);
    t.true((await final(peer)).startLine.startsWith(`SIP/2.0 ${status}`));
  });

test.serial('RFC 3325 §5: an INVITE for a served user from an untrusted peer gets 403', async (t) => {
  const pf = await deployment(t, {config: {sip: {trustedPeers: ['192.0.2.1']}}});
  const peer = await peerOf(t, pf);
  invite(pf, peer, {headers: [accepts, ...ids]});
  t.true((await final(peer)).startLine.startsWith('SIP/2.0 403'));
});

const cpim = [
  `From: <${aliceAddress}>`,
  `To: <${bobAddress}>`,
  'NS: imdn <urn:ietf:params:imdn>',
  'imdn.Message-ID: first',
  '',
  'Content-Type: text/plain',
  '',
  'the first word',
].join('\r\n');
const withMessage = [
  '--both',
  'Content-Type: application/sdp',
  '',
  chatOffer,
  '--both',
  'Content-Type: message/cpim',
  '',
  cpim,
  '--both--',
  '',
].join('\r\n');
const carrying = {headers: [accepts, ...ids], body: withMessage, contentType: 'multipart/mixed;boundary=both'};

test.serial(
  '8.3.2.1 E8: a message that rides in the INVITE of somebody who is off is stored before the 200',
  async (t) => {
    const pf = await deployment(t);
    const peer = await peerOf(t, pf);
    invite(pf, peer, carrying);
    t.true((await final(peer)).startLine.startsWith('SIP/2.0 200'));
    t.like(await pf.status(), {ledger: {accepted: 1, pending: 1}, relays: [{counters: {sessions: 1}}]});
    const bob = await pf.bob();
    await pf.register(bob);
    t.is((await bob.messages.first()).bytes.toString(), cpim);
  },
);

test.serial(
  '8.3.2.1 E7: a message that rides in the INVITE reaches the device in its INVITE, octet for octet',
  async (t) => {
    const pf = await deployment(t);
    const bob = await pf.bob();
    await pf.register(bob);
    bob.onInvitation = (invitation) => {
      invitation.refuse(603);
    };
    const peer = await peerOf(t, pf);
    invite(pf, peer, {
      ...carrying,
      headers: [...carrying.headers, `P-Served-User: <${bobAddress}>;sescase=term;regstate=reg`],
    });
    const passed = await peer.next('INVITE');
    t.true(passed.header('Content-Type').startsWith('multipart/mixed'));
    t.true(passed.body.includes(Buffer.from(`\r\n\r\n${cpim}\r\n--`)));
    peer.answer(passed, '603 Decline');
    t.true((await final(peer)).startLine.startsWith('SIP/2.0 603'));
    t.like(await pf.status(), {ledger: {accepted: 0, pending: 0}});
  },
);
