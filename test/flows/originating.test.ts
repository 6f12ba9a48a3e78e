/** Sessions that served users begin (CPM-CF 8.2.2). */
import {randomUUID} from 'node:crypto';
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {headerOf} from '../../lib/codecs/sip-message.ts';
import type {SessionCase} from '../../lib/phone/core.ts';
import {account} from '../../lib/phone/ledger.ts';
import {Refused} from '../../lib/phone/phone.ts';
import {chatHeaders, chatOffer} from '../support/chat-offer.ts';
import {bobAddress, deployment, type Deployment} from '../support/deployment.ts';
import {nothingIsLeft} from '../support/nothing-left.ts';
import {until} from '../support/persistent-sender.ts';
import type {RawMessage} from '../support/raw-sip.ts';
import {answerSdp, binding, final, inside, passes, pathIn, scscf, served, valueOf} from '../support/scscf.ts';

/** Outside the home network's number range: nobody serves him here. */
const strangerAddress = 'sip:+4930222@home.example;user=phone';
const caller = {served: {users: [{identities: ['sip:user1_public1@home1.net']}], numberPrefixes: []}};

/** The PF is asked for the one who calls, too. */
const network = async (
  t: ExecutionContext,
  cpm: Readonly<Record<string, unknown>> = {originatingSessions: 'b2bua'},
  cases: readonly SessionCase[] = ['orig'],
): Promise<Deployment> => {
  t.timeout(60_000);
  return deployment(t, {core: {cases}, config: {cpm}});
};

/** The fixture's INVITE, as the S-CSCF of the one who calls hands it over. */
const originating = (text: string): string =>
  text.replace(/^P-Served-User: .*$/m, 'P-Served-User: <sip:user1_public1@home1.net>;sescase=orig;regstate=reg');

const pathOf = ({body}: {readonly body: Buffer}): string => /a=path:(\S+)/.exec(body.toString())?.[1] ?? 'none';

test.serial(
  '8.2.2 E7: what the client says and what the network hears are two dialogs and two MSRP sessions; texts and notifications pass',
  async (t) => {
    const pf = await network(t);
    const [alice, stranger] = [await pf.alice(), await pf.phone(strangerAddress)];
    await pf.register(alice);
    await stranger.register();
    const chat = await alice.startChat(strangerAddress, {
      conversationId: 'Conv-A',
      contributionId: 'Contr-A',
      headers: [['Subject', 'Lunch']],
    });
    await chat.sendText('hello');
    await chat.sendText('y'.repeat(150_000));
    const [first] = await stranger.messages.atLeast(2);
    await first?.session.sendText('hello yourself');
    await alice.messages.first();
    await alice.notifications.atLeast(4);
    t.like(account(alice.sent.items, stranger.messages.items), {sent: 2, delivered: 2, identical: true, inOrder: true});
    t.true(alice.notifications.items.every(({via}) => via === 'session'));

    const invite = await stranger.requests.first(({method}) => method === 'INVITE');
    t.not(headerOf(invite, 'Call-ID'), headerOf(chat.call.invite, 'Call-ID'));
    t.notRegex(invite.body.toString(), new RegExp(pathOf(chat.call.invite)));
    t.is(headerOf(invite, 'Conversation-ID'), 'Conv-A');
    t.is(headerOf(invite, 'Contribution-ID'), 'Contr-A');
    t.is(headerOf(invite, 'Subject'), 'Lunch');
    t.true(headerOf(invite, 'Contact')?.includes(alice.instance ?? 'none'));
    t.is(await chat.end('SIP;cause=200;text="Call completed"'), 200);
    t.deepEqual(await first?.session.ended, {by: 'peer', reason: 'SIP;cause=200;text="Call completed"'});
    await nothingIsLeft(pf);
  },
);

test.serial(
  '8.2.2 T35: caller and called on one PF, which is asked for both: one B2BUA, on the side of the one called, and no loop',
  async (t) => {
    const pf = await network(t, {originatingSessions: 'b2bua'}, ['orig', 'term']);
    const alice = await pf.alice();
    await pf.register(alice);
    const chat = await alice.startChat(bobAddress);
    t.true((await chat.sendText('kept')).accepted);
    const bob = await pf.bob();
    await pf.register(bob);
    t.is((await bob.messages.first()).text, 'kept');
    await bob.sessions.items[0]?.ended;
    await chat.sendText('live');
    const live = await bob.messages.first(({text}) => text === 'live');
    await live.session.sendText('hello yourself');
    await alice.messages.first();
    // Hers goes to the PF twice and stays one; each of those for his device goes there once more.
    const callIds = pf.core.passed.items
      .filter(({request, to}) => request.method === 'INVITE' && to !== 'route')
      .map(({request}) => headerOf(request, 'Call-ID') ?? '');
    t.is(new Set(callIds).size, 3, callIds.join());
    t.is(await chat.end(), 200);
    await nothingIsLeft(pf);
    t.is(bob.repetitions.items.length, 0);
  },
);

test.serial(
  '8.2.2 T35: the INVITE that another PF sent for a caller of its own is none of ours: he who is called is off, and it is accepted for him',
  async (t) => {
    t.timeout(60_000);
    const pf = await deployment(t, {config: served});
    const core = await scscf(t, pf);
    core.hand('invite', {regstate: 'unreg', callid: `cpm-orig-${randomUUID()}`});
    const answered = await final(core);
    t.true(answered.startLine.startsWith('SIP/2.0 200'));
    inside(core, 'ACK', answered);
    inside(core, 'BYE', answered);
    t.is((await final(core)).header('CSeq'), '128 BYE');
  },
);

test.serial('8.2.2 T35: our own INVITE for a caller, handed back on his side, goes on along its Route', async (t) => {
  t.timeout(60_000);
  const pf = await deployment(t, {config: {...caller, cpm: {originatingSessions: 'b2bua'}}});
  const core = await scscf(t, pf);
  core.hand('invite', {callid: `cpm-orig-${randomUUID()}`}, originating);
  const on = await core.next('INVITE');
  t.regex(on.header('Call-ID'), /^cpm-orig-/);
  t.regex(on.body.toString(), /anicf73hj/);
  core.answer(on, '603 Decline');
  t.true((await final(core)).startLine.startsWith('SIP/2.0 603'));
});

test.serial(
  'TS 24.229 §5.7.5 8.2.2: the INVITE goes on along the given Route, its dialog identifier unchanged, with what belongs to the session and the caller’s preferences',
  async (t) => {
    t.timeout(60_000);
    const pf = await deployment(t, {config: {...caller, cpm: {originatingSessions: 'b2bua'}}});
    const core = await scscf(t, pf);
    core.hand('invite', {}, (text) =>
      originating(text).replace(
        /^Accept-Contact: .*$/m,
        (line) => `${line}\nAccept-Contact: *;+sip.instance="<urn:gsma:imei:9-0>";require;explicit`,
      ),
    );
    const on = await core.next('INVITE');
    t.is(on.startLine, 'INVITE sip:user2_public1@home1.net SIP/2.0');
    t.deepEqual(on.headers('Route'), [core.odi]);
    for (const [name, value] of passes) t.is(valueOf(on, name), value.replaceAll(/\s*;\s*/g, ';'), name);
    t.regex(valueOf(on, 'Accept-Contact'), /oma\.cpm\.session.*\+sip\.instance="<urn:gsma:imei:9-0>";require;explicit/);
    for (const name of ['P-Served-User', 'Record-Route', 'Request-Disposition'])
      t.deepEqual(on.headers(name), [], name);
    t.notRegex(on.header('From'), /171828/);
    t.notRegex(on.body.toString(), /anicf73hj/);

    // Two phones ring for the one called: their tags are the network's own business.
    core.answer(tagged(on, 'one'), '180 Ringing');
    core.answer(tagged(on, 'two'), '180 Ringing');
    const ringing = await core.next('SIP/2.0 180');
    core.answer(
      tagged(on, 'two'),
      '200 OK',
      [
        `Contact: <sip:user2@${core.address};transport=tcp>;+sip.instance="<urn:gsma:imei:9-0>"`,
        `Record-Route: <sip:${core.address};transport=tcp;lr>`,
        'P-Asserted-Identity: <sip:user2_public1@home1.net>',
        'Content-Type: application/sdp',
      ],
      answerSdp('msrp://127.0.0.1:9/device1;tcp'),
    );
    t.regex((await core.next('ACK')).header('To'), /tag=two/);
    const answered = await final(core);
    t.true(answered.startLine.startsWith('SIP/2.0 200'));
    t.is(answered.header('To'), ringing.header('To'));
    t.is(answered.header('P-Asserted-Identity'), '<sip:user2_public1@home1.net>');
    t.regex(answered.header('Contact'), /\+sip\.instance="<urn:gsma:imei:9-0>"/);
    inside(core, 'ACK', answered);
    await binding(t, pathIn(answered), 'msrp://127.0.0.1:9/anicf73hj;tcp');
    await binding(t, pathIn(on), 'msrp://127.0.0.1:9/device1;tcp');

    inside(core, 'BYE', answered);
    const bye = await core.next('BYE');
    t.is(bye.header('Call-ID'), on.header('Call-ID'));
    t.is(bye.header('Reason'), 'SIP;cause=200;text="Call completed"');
    core.answer(bye, '200 OK');
    t.is((await final(core)).header('CSeq'), '128 BYE');
    await nothingIsLeft(pf);
  },
);

test.serial("8.2.2.3: the client's BYE reaches the other side with its Reason, whatever it is", async (t) => {
  const pf = await network(t);
  const [alice, stranger] = [await pf.alice(), await pf.phone(strangerAddress)];
  await pf.register(alice);
  await stranger.register();
  const chat = await alice.startChat(strangerAddress);
  await chat.sendText('hello');
  const {session} = await stranger.messages.first();
  t.is(await chat.end('SIP;cause=503;text="Service Unavailable"'), 200);
  t.deepEqual(await session.ended, {by: 'peer', reason: 'SIP;cause=503;text="Service Unavailable"'});
});

test.serial(
  "8.3.2.3 B2 B7 B10: the network's BYE reaches the client who called; until he has answered it his messages get 481",
  async (t) => {
    const pf = await network(t);
    const [alice, stranger] = [await pf.alice({notifications: 'none'}), await pf.phone(strangerAddress)];
    await pf.register(alice);
    await stranger.register();
    const chat = await alice.startChat(strangerAddress);
    await chat.sendText('hello', {dispositions: []});
    const {session} = await stranger.messages.first();
    let late: Promise<unknown> | undefined;
    chat.call.onBye = async () => {
      late = chat.sendText('are you still there?').then(({outcomes}) => outcomes);
      await late;
      return {status: 200};
    };
    t.is(await session.end(), 200);
    t.deepEqual(await late, [481]);
    t.deepEqual(await chat.ended, {by: 'peer', reason: 'SIP;cause=200;text="Call completed"'});
    t.is(stranger.messages.items.length, 1);
    await nothingIsLeft(pf);
  },
);

test.serial("8.2.2: the caller's CANCEL goes on with its Reason, and nothing is left", async (t) => {
  const pf = await network(t);
  const [alice, stranger] = [await pf.alice(), await pf.phone(strangerAddress)];
  await pf.register(alice);
  await stranger.register();
  const cancelled = new Promise<string | undefined>((resolve) => {
    stranger.onInvitation = (invitation) => {
      void invitation.cancelled.then(resolve);
      invitation.ring();
    };
  });
  const call = alice.userAgent.invite(strangerAddress, chatOffer, chatHeaders);
  await stranger.requests.first(({method}) => method === 'INVITE');
  await until(() => Promise.resolve(call.provisionals.length > 0));
  call.cancel('SIP;cause=200;text="Call completed"');
  const outcome = await call.outcome;
  t.is('status' in outcome && outcome.status, 487);
  t.is(await cancelled, 'SIP;cause=200;text="Call completed"');
  await nothingIsLeft(pf);
});

for (const [said, heard] of [
  [486, 486],
  [603, 603],
  [302, 480],
] as const)
  test.serial(`8.2.2: a ${said} of the network is a ${heard} to the caller, and nothing is kept`, async (t) => {
    const pf = await network(t);
    const [alice, stranger] = [await pf.alice(), await pf.phone(strangerAddress)];
    await pf.register(alice);
    await stranger.register();
    stranger.onInvitation = (invitation) => {
      invitation.refuse(said, [['Retry-After', '17']]);
    };
    const refused = await t.throwsAsync(alice.startChat(strangerAddress), {instanceOf: Refused});
    t.is(refused.response.status, heard);
    t.is(headerOf(refused.response, 'Retry-After'), said === heard ? '17' : undefined);
    t.like(await pf.status(), {ledger: {accepted: 0}});
    await nothingIsLeft(pf);
  });

test.serial(
  "8.2.2: the caller's phone goes without a word: BYE 503 to the other side, and what he says meanwhile is kept for the caller",
  async (t) => {
    const pf = await network(t, {originatingSessions: 'b2bua', deliveryRetrySeconds: [600]});
    const [alice, stranger] = [await pf.alice(), await pf.phone(strangerAddress)];
    await pf.register(alice);
    await stranger.register();
    const chat = await alice.startChat(strangerAddress);
    await chat.sendText('hello', {dispositions: []});
    const {session} = await stranger.messages.first();
    chat.msrp.connection?.destroy();
    await alice.close();
    t.true((await session.sendText('where are you?')).accepted);
    t.is((await session.ended).reason, 'SIP;cause=503;text="Service Unavailable"');
    await nothingIsLeft(pf);
    const back = await pf.alice({instance: alice.instance ?? ''});
    await pf.register(back);
    const came = await back.messages.first();
    t.is(came.text, 'where are you?');
    t.is(came.session.partner, strangerAddress);
  },
);

test.serial(
  "8.2.2: the network's half goes without a word: what the caller says next fails, and he gets BYE 503",
  async (t) => {
    const pf = await network(t);
    const [alice, stranger] = [await pf.alice(), await pf.phone(strangerAddress)];
    await pf.register(alice);
    await stranger.register();
    const chat = await alice.startChat(strangerAddress);
    await chat.sendText('hello', {dispositions: []});
    await stranger.messages.first();
    await stranger.close();
    const next = await chat.sendText('and now?');
    t.false(next.accepted);
    t.is((await chat.ended).reason, 'SIP;cause=503;text="Service Unavailable"');
    await nothingIsLeft(pf);
    t.like(await pf.status(), {ledger: {accepted: 0}});
  },
);

test.serial('8.2.2: an offer without an MSRP session gets 488, and nothing is left', async (t) => {
  const pf = await network(t);
  const alice = await pf.alice();
  await pf.register(alice);
  const call = alice.userAgent.invite(
    strangerAddress,
    'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n',
    chatHeaders,
  );
  const refused = await call.outcome;
  t.is('status' in refused && refused.status, 488);
  await nothingIsLeft(pf);
});

test.serial(
  '8.2.2: by default what served users begin is proxied, record-routed, and its media do not pass the PF on their side',
  async (t) => {
    const pf = await network(t, {});
    const [alice, stranger] = [await pf.alice(), await pf.phone(strangerAddress)];
    await pf.register(alice);
    await stranger.register();
    const chat = await alice.startChat(strangerAddress);
    await chat.sendText('hello');
    const {session} = await stranger.messages.first();
    const invite = stranger.requests.items.find(({method}) => method === 'INVITE');
    t.is(invite && headerOf(invite, 'Call-ID'), headerOf(chat.call.invite, 'Call-ID'));
    t.is(invite?.body.toString(), chat.call.invite.body.toString());
    t.true(chat.call.dialog.routeSet.some((route) => route.includes(hostPort(pf.uri))));
    t.is((await session.call.reinvite(session.call.response.body.toString())).status, 200);
    t.is(await session.end('SIP;cause=200;text="Call completed"'), 200);
    t.deepEqual(await chat.ended, {by: 'peer', reason: 'SIP;cause=200;text="Call completed"'});
    t.like(await pf.status(), {load: {sessions: 0}});
  },
);

/** A request as one of several phones has it. */
const tagged = (request: RawMessage, tag: string): RawMessage => ({
  ...request,
  header: (name) => (name === 'To' ? `${request.header('To')};tag=${tag}` : request.header(name)),
});

const hostPort = (uri: string): string => /^sip:([^;]+)/.exec(uri)?.[1] ?? 'none';
