import {readFile} from 'node:fs/promises';
import path from 'node:path';
import {setTimeout as wait} from 'node:timers/promises';
import type {ExecutionContext} from 'ava';
import type {Core} from '../../../lib/phone/core.ts';
import {aliceAddress, bobAddress, deployment} from '../../support/deployment.ts';
import {rawSip} from '../../support/raw-sip.ts';
import {startProgram, testWith, type Program} from './programs.ts';

const withSipp = testWith(['sipp']);

/** UDP address of the core, as sipp wants it: it makes one call, or takes one, and its status says whether every step of it came. */
function udpOf(core: Core): string {
  const address = core.addresses.find(({protocol}) => protocol === 'udp');
  return `127.0.0.1:${address?.port ?? 0}`;
}

function startSipp(t: ExecutionContext, core: Core, scenario: string, more: readonly string[]): Program {
  return startProgram(t, 'sipp', [
    ...[udpOf(core), '-sf', path.resolve('test/fixtures/sipp', scenario), '-i', '127.0.0.1', '-m', '1', '-nostdin'],
    ...['-timeout', '20s', '-timeout_error', ...more],
  ]);
}

/** A registered device of Bob that is sipp; resolves with its program once the PF was told. */
async function sippAsBob(t: ExecutionContext, core: Core, scenario: string): Promise<Program> {
  // It takes its port first, so that nobody else gets it between the registration and the start.
  const registrant = await rawSip({server: udpOf(core)});
  const port = Number(registrant.address.split(':')[1]);
  registrant.send(`REGISTER sip:home.example SIP/2.0
    Via: SIP/2.0/UDP ${registrant.address};branch=z9hG4bK-registers;rport
    Max-Forwards: 70
    From: <${bobAddress}>;tag=registers
    To: <${bobAddress}>
    Call-ID: registers@${registrant.address}
    CSeq: 1 REGISTER
    Contact: <sip:sipp@${registrant.address}>;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session";+sip.instance="<urn:gsma:imei:00000000-000002-0>"
    Expires: 600`);
  await registrant.next('SIP/2.0 200');
  await core.told.first(({identity, status}) => identity === bobAddress && status === 200);
  await registrant.close();
  const sipp = startSipp(t, core, scenario, ['-p', String(port)]);
  await listening(port);
  return sipp;
}

/** sipp says nothing when it is ready: the system's table of UDP sockets does. */
async function listening(port: number): Promise<void> {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000`;
  for (let attempt = 0; attempt < 400; attempt++) {
    if ((await readFile('/proc/net/udp', 'utf8')).includes(local)) return;
    await wait(25);
  }
  throw new Error('sipp does not listen');
}

withSipp('RFC 3261 §13: sipp calls somebody who is off, and the PF takes the call and its end', async (t) => {
  const pf = await deployment(t);
  const sipp = startSipp(t, pf.core, 'caller.xml', ['-key', 'from', aliceAddress, '-key', 'to', bobAddress]);
  t.is(await sipp.status, 0, sipp.output());
});

withSipp('RFC 3261 §13: sipp calls a phone through the PF', async (t) => {
  const pf = await deployment(t);
  const bob = await pf.bob();
  await bob.register();
  await pf.core.told.first();
  const sipp = startSipp(t, pf.core, 'caller.xml', ['-key', 'from', aliceAddress, '-key', 'to', bobAddress]);
  const session = await bob.sessions.first();
  t.is(session.conversationId, 'sipp-conversation-1');
  t.is((await session.ended).by, 'peer');
  t.is(await sipp.status, 0, sipp.output());
});

withSipp('RFC 3261 §13: sipp is called through the PF, rings, answers, and hears the BYE', async (t) => {
  const pf = await deployment(t);
  const alice = await pf.alice();
  await alice.register();
  const sipp = await sippAsBob(t, pf.core, 'callee.xml');
  const chat = await alice.startChat(bobAddress);
  t.is(await chat.end(), 200);
  t.is(await sipp.status, 0, sipp.output());
});

withSipp('8.3.2.1: sipp answers 480, and the PF keeps what is sent to it', async (t) => {
  const pf = await deployment(t);
  const alice = await pf.alice();
  await alice.register();
  const sipp = await sippAsBob(t, pf.core, 'callee-away.xml');
  const chat = await alice.startChat(bobAddress);
  const kept = await chat.sendText('for later');
  t.deepEqual(kept.outcomes, [200]);
  t.is(await sipp.status, 0, sipp.output());
  t.like(await pf.status(), {ledger: {accepted: 1, pending: 1}});
});
