/** The core's way: an S-CSCF hands over as TS 24.229 §5.4 says, and gets its requests back along the Route that it gave. */
import {randomUUID} from 'node:crypto';
import {readFile} from 'node:fs/promises';
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {deployment, type Deployment} from '../support/deployment.ts';
import {MsrpPeer} from '../support/msrp-peer.ts';
import {rawSip, type RawMessage, type RawSip} from '../support/raw-sip.ts';
import {addressOf} from '../support/registrar-peer.ts';

const user = 'sip:user2_public1@home1.net';
const gruu = 'sip:user2_public1@home1.net;gr=urn:gsma:imei:90420156-025763-0';
const served = {served: {users: [{identities: [user, 'tel:+15550142']}], numberPrefixes: []}};

interface Scscf extends RawSip {
  /** The Route with the original dialog identifier, as it stands in the fixture. */
  readonly odi: string;
  /** Sends a fixture; `change` is for what the test wants otherwise. */
  hand(name: 'register' | 'invite', values?: Readonly<Record<string, string>>, change?: (text: string) => string): void;
}

async function scscf(t: ExecutionContext, pf: Deployment): Promise<Scscf> {
  const raw = await rawSip({server: addressOf(pf), transport: 'tcp', tag: 'device'});
  t.teardown(async () => raw.close());
  const texts = new Map<string, string>();
  for (const name of ['register', 'invite']) texts.set(name, await readFile(`test/fixtures/isc/${name}.sip`, 'utf8'));
  return {
    ...raw,
    odi: `<sip:cb03a0s09a2sdfglkj490333@${raw.address};transport=tcp;lr>`,
    hand(name, values = {}, change = (text) => text) {
      const all: Readonly<Record<string, string>> = {
        pf: addressOf(pf),
        scscf: raw.address,
        target: user,
        regstate: 'reg',
        branch: `z9hG4bK${randomUUID()}`,
        callid: randomUUID(),
        ...values,
      };
      const text = change(texts.get(name) ?? '').replaceAll(/\{(\w+)\}/g, (_, key: string) => all[key] ?? '');
      const end = text.indexOf('\n\n');
      raw.send(text.slice(0, end), text.slice(end + 2).replaceAll('\n', '\r\n'));
    },
  };
}

const final = async (peer: RawSip): Promise<RawMessage> => {
  for (;;) {
    const answer = await peer.next('SIP/2.0');
    if (!answer.startLine.startsWith('SIP/2.0 1')) return answer;
  }
};

const charging = 'icid-value="AyretyU0dm+6O2IrT5tAFrbHLso=023551024";orig-ioi="home1.net"';
/** What belongs to the session passes from leg to leg as it stands. */
const passes: readonly (readonly [name: string, value: string])[] = [
  ['P-Charging-Vector', charging],
  ['P-Charging-Function-Addresses', 'ccf=192.1.1.1; ecf=192.1.1.2'],
  ['P-Access-Network-Info', '3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=234151D0FCE11'],
  ['History-Info', '<sip:user2_old@home1.net>;index=1, <sip:user2_public1@home1.net;cause=302>;index=1.1'],
  ['P-Asserted-Identity', '"John Doe" <sip:user1_public1@home1.net>, <tel:+15550141>'],
  ['P-Asserted-Service', 'urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session'],
  ['Privacy', 'none'],
  ['Conversation-ID', 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'],
  ['Contribution-ID', 'abcdef-1234-5678-90ab-cdef01234567'],
];

const valueOf = (message: RawMessage, name: string): string =>
  message
    .headers(name)
    .join(', ')
    .replaceAll(/\s*;\s*/g, ';');

const answerSdp = (path: string): string =>
  [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    'm=message 9 TCP/MSRP *',
    'a=accept-types:message/cpim',
    `a=path:${path}`,
    'a=setup:active',
    '',
  ].join('\r\n');

const pathIn = (message: RawMessage): string => /a=path:(\S+)/.exec(message.body.toString())?.[1] ?? '';

/** An empty SEND binds an MSRP session (RFC 4975 §5.4). */
async function binding(t: ExecutionContext, to: string, from: string): Promise<void> {
  const peer = await MsrpPeer.to(to);
  t.teardown(() => peer.socket.destroy());
  peer.write(`MSRP bind1 SEND\r\nTo-Path: ${to}\r\nFrom-Path: ${from}\r\nMessage-ID: bind\r\n-------bind1$\r\n`);
  t.is((await peer.next()).what, '200');
}

/** A request inside the dialog of an INVITE that the PF answered so. */
function inside(peer: Scscf, method: string, answer: RawMessage): void {
  const target = /<([^>]+)>/.exec(answer.header('Contact'))?.[1] ?? '';
  peer.send(
    [
      `${method} ${target} SIP/2.0`,
      `Via: SIP/2.0/TCP ${peer.address};branch=z9hG4bK${randomUUID()}`,
      'Max-Forwards: 70',
      `From: ${answer.header('From')}`,
      `To: ${answer.header('To')}`,
      `Call-ID: ${answer.header('Call-ID')}`,
      `CSeq: ${method === 'ACK' ? 127 : 128} ${method}`,
    ].join('\n'),
  );
}

test.serial(
  'TS 24.229 §5.7.5: an INVITE over ISC goes back to the S-CSCF along its Route, its dialog identifier unchanged, with what belongs to the session',
  async (t) => {
    t.timeout(60_000);
    const pf = await deployment(t, {config: served});
    const core = await scscf(t, pf);
    core.hand('register');
    const registered = await final(core);
    t.true(registered.startLine.startsWith('SIP/2.0 200'));
    t.is(registered.header('Expires'), '600000');

    core.hand('invite');
    const back = await core.next('INVITE');
    t.is(back.startLine, `INVITE ${gruu} SIP/2.0`);
    t.deepEqual(back.headers('Route'), [core.odi]);
    for (const [name, value] of passes) t.is(valueOf(back, name), value.replaceAll(/\s*;\s*/g, ';'), name);
    // What is between S-CSCF and PF, and what belongs to the first leg's dialog, does not pass.
    for (const name of ['P-Served-User', 'Record-Route']) t.deepEqual(back.headers(name), [], name);
    t.notRegex(back.header('From'), /171828/);
    t.true(back.header('To').includes(user));

    // The S-CSCF goes on with the request, the device answers.
    core.answer(
      back,
      '200 OK',
      [
        `Contact: <sip:user2@${core.address};transport=tcp>`,
        `Record-Route: <sip:${core.address};transport=tcp;lr>`,
        'P-Asserted-Identity: <sip:user2_public1@home1.net>',
        'P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=1',
        `P-Charging-Vector: ${charging};term-ioi="home1.net"`,
        'Content-Type: application/sdp',
      ],
      answerSdp('msrp://127.0.0.1:9/device1;tcp'),
    );
    await core.next('ACK');
    const answered = await final(core);
    t.true(answered.startLine.startsWith('SIP/2.0 200'));
    t.is(answered.header('P-Asserted-Identity'), '<sip:user2_public1@home1.net>');
    t.is(answered.header('P-Charging-Vector'), `${charging};term-ioi="home1.net"`);
    t.is(answered.header('P-Access-Network-Info'), '3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=1');
    t.true(answered.header('Record-Route').includes(core.address));
    inside(core, 'ACK', answered);
    await binding(t, pathIn(answered), 'msrp://127.0.0.1:9/anicf73hj;tcp');
    await binding(t, pathIn(back), 'msrp://127.0.0.1:9/device1;tcp');

    // The BYE of one leg reaches the other one's device along its own Record-Route.
    inside(core, 'BYE', answered);
    const bye = await core.next('BYE');
    t.is(bye.header('Call-ID'), back.header('Call-ID'));
    t.deepEqual(bye.headers('Route'), [`<sip:${core.address};transport=tcp;lr>`]);
    core.answer(bye, '200 OK');
    const over = await final(core);
    t.is(over.header('Call-ID'), answered.header('Call-ID'));
    t.true(over.startLine.startsWith('SIP/2.0 200'));
  },
);

test.serial(
  'RFC 5502 §4: regstate=unreg makes the PF accept at once, and the charging identifier comes back in its 200',
  async (t) => {
    t.timeout(60_000);
    const pf = await deployment(t, {config: served});
    const core = await scscf(t, pf);
    core.hand('register');
    await final(core);
    core.hand('invite', {regstate: 'unreg'});
    const answered = await final(core);
    t.true(answered.startLine.startsWith('SIP/2.0 200'));
    t.is(answered.header('P-Charging-Vector'), charging);
    t.false(core.received.some(({startLine}) => startLine.startsWith('INVITE')));
    inside(core, 'ACK', answered);
    inside(core, 'BYE', answered);
    t.true((await final(core)).startLine.startsWith('SIP/2.0 200'));
  },
);

test.serial(
  'RFC 5502 §4: regstate=reg of a user whose devices nobody told goes back along the Route all the same',
  async (t) => {
    t.timeout(60_000);
    const pf = await deployment(t, {config: served});
    const core = await scscf(t, pf);
    core.hand('invite', {target: 'tel:+15550142'});
    const back = await core.next('INVITE');
    t.is(back.startLine, `INVITE ${user} SIP/2.0`);
    t.deepEqual(back.headers('Route'), [core.odi]);
    t.is(back.header('Request-Disposition'), 'no-fork');
    core.answer(back, '603 Decline');
    t.true((await final(core)).startLine.startsWith('SIP/2.0 603'));
  },
);

test.serial(
  'TS 24.229 §5.7.3 T35: a delivery goes to the S-CSCF of the registration, and on along its Route when that hands it back',
  async (t) => {
    t.timeout(60_000);
    const pf = await deployment(t, {config: served});
    const core = await scscf(t, pf);
    core.hand('invite', {regstate: 'unreg'});
    const held = await final(core);
    inside(core, 'ACK', held);
    const sender = await MsrpPeer.to(pathIn(held));
    t.teardown(() => sender.socket.destroy());
    const body =
      'From: <sip:user1_public1@home1.net>\r\nTo: <sip:user2_public1@home1.net>\r\n\r\nContent-Type: text/plain\r\n\r\nhello';
    sender.write(
      `MSRP first1 SEND\r\nTo-Path: ${pathIn(held)}\r\nFrom-Path: msrp://127.0.0.1:9/anicf73hj;tcp\r\nMessage-ID: m1\r\n` +
        `Byte-Range: 1-${body.length}/${body.length}\r\nContent-Type: message/cpim\r\n\r\n${body}\r\n-------first1$\r\n`,
    );
    t.is((await sender.next()).what, '200');
    inside(core, 'BYE', held);
    await final(core);

    core.hand('register');
    const delivery = await core.next('INVITE');
    t.is(delivery.startLine, `INVITE ${gruu} SIP/2.0`);
    t.deepEqual(delivery.headers('Route'), [`<sip:${core.address};transport=tcp;lr>`]);
    t.is(delivery.header('P-Asserted-Identity'), '<sip:rcse-standfw@home.example>');
    t.is(delivery.header('Referred-By'), '<sip:user1_public1@home1.net>');
    // The user's filter criteria fit this one, too: back it comes, with an identifier of its dialog.
    const again = delivery.headerLines.filter((line) => !/^(Route|Via|Max-Forwards|Content-Length):/i.test(line));
    core.send(
      [
        delivery.startLine,
        `Via: SIP/2.0/TCP ${core.address};branch=z9hG4bK${randomUUID()}`,
        ...delivery.headers('Via').map((via) => `Via: ${via}`),
        'Route: <sip:pf.home1.net;lr>',
        `Route: <sip:ODI-of-the-delivery@${core.address};transport=tcp;lr>`,
        `P-Served-User: <${user}>;sescase=term;regstate=reg`,
        'Max-Forwards: 60',
        ...again,
      ].join('\n'),
      delivery.body,
    );
    const on = await core.next('INVITE');
    t.deepEqual(on.headers('Route'), [`<sip:ODI-of-the-delivery@${core.address};transport=tcp;lr>`]);
    t.is(on.startLine, delivery.startLine);
    t.is(on.header('Call-ID'), delivery.header('Call-ID'));
    t.is(on.body.toString(), delivery.body.toString());
    // The answer takes the same way back.
    core.answer(on, '480 Temporarily Unavailable');
    const refused = await core.next('SIP/2.0 480');
    core.send(
      [
        refused.startLine,
        ...refused.headers('Via').join(', ').split(/,\s*/).slice(1).map((via) => `Via: ${via}`), // prettier-ignore
        ...['From', 'To', 'Call-ID', 'CSeq'].map((name) => `${name}: ${refused.header(name)}`),
      ].join('\n'),
    );
    await pf.pf.log.first(({statuses}) => statuses === '480');
  },
);

test.serial('RFC 3261 §16: behind a plain proxy, without any header of the core, the same is served', async (t) => {
  t.timeout(60_000);
  const pf = await deployment(t, {config: {...served, sip: {outboundProxy: 'sip:127.0.0.1:9;transport=tcp'}}});
  const proxy = await scscf(t, pf);
  // The S-CSCF that the registration names is the proxy; its INVITE has neither Route nor any P- header.
  const plain = (text: string): string =>
    text.replaceAll(/^(?:P-[\w-]+|History-Info|Privacy|Route|Record-Route): .*\n/gm, '');
  proxy.hand('register', {}, plain);
  t.true((await final(proxy)).startLine.startsWith('SIP/2.0 200'));
  await pf.configure({...served, sip: {outboundProxy: `sip:${proxy.address};transport=tcp`}});
  pf.pf.process.kill('SIGHUP');
  await pf.pf.log.first(({msg}) => msg === 'the configuration was read anew');

  proxy.hand('invite', {}, plain);
  const back = await proxy.next('INVITE');
  t.is(back.startLine, `INVITE ${gruu} SIP/2.0`);
  t.deepEqual(back.headers('Route'), []);
  for (const name of ['P-Charging-Vector', 'P-Access-Network-Info', 'History-Info', 'P-Asserted-Identity'])
    t.deepEqual(back.headers(name), [], name);
  t.true(back.header('From').includes('sip:user1_public1@home1.net'));
  proxy.answer(back, '603 Decline');
  const refused = await final(proxy);
  t.true(refused.startLine.startsWith('SIP/2.0 603'));
  t.deepEqual(refused.headers('P-Charging-Vector'), []);
});
