/** The core's way: an S-CSCF hands over as TS 24.229 §5.4 says, and gets its requests back along the Route that it gave. */
import {randomUUID} from 'node:crypto';
import test from 'ava';
import {deployment} from '../support/deployment.ts';
import {MsrpPeer} from '../support/msrp-peer.ts';
import {
  answerSdp,
  binding,
  charging,
  final,
  gruu,
  inside,
  passes,
  pathIn,
  scscf,
  served,
  user,
  valueOf,
} from '../support/scscf.ts';

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
