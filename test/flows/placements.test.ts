/**
 * Where the PF stands: behind the core, which asks it by filter criteria, gives it a Route back and may show it again what it originates (T35);
 * or before the core, which takes what the PF sends straight to the device.
 */
import {randomUUID} from 'node:crypto';
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {formatAcceptContact} from '../../lib/codecs/sip-headers/accept-contact.ts';
import {headerOf} from '../../lib/codecs/sip-message.ts';
import {ICSI} from '../../lib/cpm/feature-tags.ts';
import {chatMessage} from '../../lib/phone/chat-messages.ts';
import type {CoreOptions} from '../../lib/phone/core.ts';
import type {Phone} from '../../lib/phone/phone.ts';
import {bobAddress, deployment, type Deployment} from '../support/deployment.ts';
import {nothingIsLeft} from '../support/nothing-left.ts';

/** Outside the home network's number range: nobody serves him here. */
const strangerAddress = 'sip:+4930222@home.example;user=phone';

interface Placement {
  readonly name: string;
  readonly core: CoreOptions;
  /** Whether senders reach the PF first, and the core only through it. */
  readonly first: boolean;
  /** By what the core is passed: what the PF originates for a live session, and for what was kept. */
  readonly live: readonly string[];
  readonly kept: readonly string[];
}

const placements: readonly Placement[] = [
  {
    name: 'before the core',
    core: {cases: []},
    first: true,
    live: ['own to phone'],
    kept: ['own to phone'],
  },
  {
    name: 'behind the core',
    core: {cases: ['term']},
    first: false,
    // The Route of the one that came says how far it is: what follows from it is not shown again.
    live: ['other to pf', 'own to phone'],
    kept: ['own to pf', 'own to phone'],
  },
  {
    name: 'behind a core that shows nothing again',
    core: {cases: ['term'], handBack: false},
    first: false,
    live: ['other to pf', 'own to phone'],
    kept: ['own to phone'],
  },
  {
    name: 'before a core that asks it all the same',
    core: {cases: ['term']},
    first: true,
    live: ['own to pf', 'own to phone'],
    kept: ['own to pf', 'own to phone'],
  },
];

interface Network {
  readonly pf: Deployment;
  readonly sender: Phone;
  readonly bob: Phone;
}

async function network(
  t: ExecutionContext,
  {core, first}: Placement,
  cpm: Readonly<Record<string, unknown>> = {},
): Promise<Network> {
  t.timeout(60_000);
  const pf = await deployment(t, {core, config: {cpm: {deliveryRetrySeconds: [600], ...cpm}}});
  const sender = await pf.phone(strangerAddress, {notifications: 'none', ...(first ? {core: pf.uri} : {})});
  return {pf, sender, bob: await pf.bob({notifications: 'none'})};
}

/** How the core has passed requests of a method on, in order. */
const passed = ({core}: Deployment, method: string): string[] =>
  core.passed.items
    .filter(({request}) => request.method === method)
    .map(({request, to}) => `${headerOf(request, 'Call-ID')?.startsWith('cpm-pf-') ? 'own' : 'other'} to ${to}`);

const silent = {dispositions: []};

const pagerHeaders = [
  ['Accept-Contact', formatAcceptContact({icsi: ICSI.pagerMessage})],
  ['P-Preferred-Service', ICSI.pagerMessage],
  ['Conversation-ID', 'c'],
  ['Contribution-ID', 'd'],
  ['Content-Type', 'message/cpim'],
] as const;

const pager = (text: string): Buffer =>
  chatMessage({messageId: randomUUID(), ...silent, contentType: 'text/plain', content: Buffer.from(text)});

for (const placement of placements) {
  const {name} = placement;

  test.serial(
    `8.3.2.1 T35 ${name}: a live session reaches the device, texts go both ways, its BYE ends it`,
    async (t) => {
      const {pf, sender, bob} = await network(t, placement);
      await pf.register(bob);
      const chat = await sender.startChat(bobAddress);
      t.true((await chat.sendText('hello', silent)).accepted);
      const {session} = await bob.messages.first();
      await session.sendText('hello yourself', silent);
      await sender.messages.first();
      t.deepEqual(passed(pf, 'INVITE'), placement.live);
      t.is(await chat.end(), 200);
      t.is((await session.ended).by, 'peer');
      // A text that is faster than the device's MSRP session is kept on the way, and leaves nothing.
      t.like(await pf.status(), {ledger: {pending: 0}});
      await nothingIsLeft(pf);
    },
  );

  test.serial(`8.3.2.9.1.1 A10 T35 ${name}: what waited is delivered at the registration, and kept once`, async (t) => {
    const {pf, sender, bob} = await network(t, placement);
    const chat = await sender.startChat(bobAddress);
    t.true((await chat.sendText('kept', silent)).accepted);
    t.is(await chat.end(), 200);
    const before = passed(pf, 'INVITE').length;
    await pf.register(bob);
    t.is((await bob.messages.first()).text, 'kept');
    await bob.sessions.items[0]?.ended;
    t.deepEqual(passed(pf, 'INVITE').slice(before), placement.kept);
    t.is(bob.repetitions.items.length, 0);
    t.like(await pf.status(), {ledger: {accepted: 1, delivered: 1, pending: 0}});
  });

  test.serial(
    `8.3.2.9.1.1 A10 A18 T35 ${name}: a delivery that the device refuses is not deferred a second time`,
    async (t) => {
      const {pf, sender, bob} = await network(t, placement);
      const chat = await sender.startChat(bobAddress);
      t.true((await chat.sendText('kept', silent)).accepted);
      t.is(await chat.end(), 200);
      const before = passed(pf, 'INVITE').length;
      bob.onInvitation = (invitation) => {
        invitation.refuse(480);
      };
      await pf.register(bob);
      await pf.pf.log.first(({statuses}) => statuses === '480');
      t.deepEqual(passed(pf, 'INVITE').slice(before), placement.kept);
      t.like(await pf.status(), {ledger: {accepted: 1, pending: 1}});
      bob.onInvitation = (invitation) => void invitation.accept();
      await pf.register(bob);
      t.is((await bob.messages.first()).text, 'kept');
      t.is(bob.repetitions.items.length, 0);
    },
  );

  test.serial(
    `8.3.1 T35 ${name}: a SIP MESSAGE is kept while the user is off, comes once, and goes on while he is there`,
    async (t) => {
      const {pf, sender, bob} = await network(t, placement);
      t.is((await sender.request('MESSAGE', bobAddress, pagerHeaders, pager('kept'))).status, 202);
      t.like(await pf.status(), {ledger: {accepted: 1, pending: 1}});
      const before = passed(pf, 'MESSAGE').length;
      await pf.register(bob);
      const came = await bob.requests.first(({method}) => method === 'MESSAGE');
      t.regex(came.body.toString(), /kept$/);
      t.deepEqual(passed(pf, 'MESSAGE').slice(before), placement.kept);
      const status = (await sender.request('MESSAGE', bobAddress, pagerHeaders, pager('live'))).status;
      t.true(status >= 200 && status < 300, String(status));
      await bob.requests.first(({method, body}) => method === 'MESSAGE' && body.toString().endsWith('live'));
      t.is(bob.requests.items.filter(({method}) => method === 'MESSAGE').length, 2);
    },
  );

  test.serial(
    `8.3.2.3 B1 ${name}: in proxy mode the INVITE itself reaches the device, and a refused one is accepted for its user`,
    async (t) => {
      const {pf, sender, bob} = await network(t, placement, {terminatingSessions: 'proxy'});
      await pf.register(bob);
      const chat = await sender.startChat(bobAddress);
      t.true((await chat.sendText('hello', silent)).accepted);
      const {session} = await bob.messages.first();
      t.is(headerOf(session.call.invite, 'Call-ID'), headerOf(chat.call.invite, 'Call-ID'));
      t.is(await chat.end(), 200);
      t.is((await session.ended).by, 'peer');
      t.like(await pf.status(), {ledger: {accepted: 0}, load: {sessions: 0}});
      bob.onInvitation = (invitation) => {
        invitation.refuse(480);
      };
      const next = await sender.startChat(bobAddress);
      t.true((await next.sendText('kept', silent)).accepted);
      t.like(await pf.status(), {ledger: {accepted: 1, pending: 1}});
      t.is(await next.end(), 200);
    },
  );
}
