import test from 'ava';
import {headerOf, headersOf, type SipRequest} from '../../lib/codecs/sip-message.ts';
import {account} from '../../lib/phone/ledger.ts';
import {aliceAddress, bobAddress, deployment, type Deployment, runHasEnded} from '../support/deployment.ts';

const icsi = '*;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"';
const carolAddress = 'sip:+15550103@home.example;user=phone';

/** Alice leaves messages for Bob, who is off, and ends her session. */
async function leave(pf: Deployment, texts: readonly string[], options: {dispositions?: []} = {}) {
  const alice = await pf.alice();
  await pf.register(alice);
  const chat = await alice.startChat(bobAddress, {conversationId: 'Conv-1', contributionId: 'Contr-1'});
  for (const text of texts) accepted((await chat.sendText(text, options)).accepted);
  return {alice, chat};
}

function accepted(is: boolean): void {
  if (!is) throw new Error('a message was not accepted');
}

const invitesTo = (requests: readonly SipRequest[]): readonly SipRequest[] =>
  requests.filter(({method}) => method === 'INVITE');

test.serial(
  '8.3.2.9.1.1 A1–A9: the delivery INVITE names the original session, the sender, his device, and the PF',
  async (t) => {
    const pf = await deployment(t);
    const {alice, chat} = await leave(pf, ['hello']);
    await chat.end();
    const bob = await pf.bob();
    await bob.register();
    await bob.messages.first();
    const [invite] = invitesTo(bob.requests.items);
    if (invite === undefined) return t.fail('no INVITE came');
    t.is(headerOf(invite, 'Conversation-ID'), 'Conv-1');
    t.is(headerOf(invite, 'Contribution-ID'), 'Contr-1');
    t.is(headerOf(invite, 'P-Asserted-Identity'), '<sip:rcse-standfw@home.example>');
    t.is(headerOf(invite, 'P-Asserted-Service'), 'urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session');
    t.is(headerOf(invite, 'Referred-By'), `<${aliceAddress}>`);
    t.true(headersOf(invite, 'Accept-Contact').join(', ').includes(icsi));
    const contact = headerOf(invite, 'Contact') ?? '';
    t.true(contact.includes(icsi.slice(2)), contact);
    t.true(contact.includes(`+sip.instance="${alice.instance ?? ''}"`), contact);
    t.false(contact.includes('+15550101'), contact);
    const sdp = invite.body.toString();
    t.regex(sdp, /^a=sendrecv\r$/m);
    t.regex(sdp, /^a=setup:actpass\r$/m);
    t.regex(sdp, /^a=accept-types:message\/cpim application\/im-iscomposing\+xml\r$/m);
  },
);

test.serial(
  '8.3.2.9.1.1 A3: a device is addressed by its GRUU, else by its instance, else by the identity alone without forking',
  async (t) => {
    const pf = await deployment(t, {core: {thirdPartyBody: 'request'}});
    const {chat} = await leave(pf, ['hello']);
    await chat.end();
    const bob = await pf.bob();
    await bob.register();
    await bob.messages.first();
    const sent = pf.core.passed.items
      .map(({request}) => request)
      .find(
        (request) => request.method === 'INVITE' && headerOf(request, 'P-Asserted-Identity')?.includes('rcse-standfw'),
      );
    if (sent === undefined) return t.fail('no delivery INVITE was sent');
    t.true(
      headersOf(sent, 'Accept-Contact')
        .join(', ')
        .includes(`*;+sip.instance="${bob.instance ?? ''}";require;explicit`),
    );
  },
);

test.serial(
  '8.3.2.9.1.1 A13 A15 E1: messages come in order and octet for octet, and BYE follows the 200 to the last one',
  async (t) => {
    const pf = await deployment(t);
    const large = 'x'.repeat(200_000);
    const {alice, chat} = await leave(pf, ['one', 'grüß dich – 你好 👋', large, 'four']);
    await chat.end();
    const bob = await pf.bob();
    await bob.register();
    await bob.messages.atLeast(4);
    const [session] = bob.sessions.items;
    const ended = await session?.ended;
    t.is(ended?.by, 'peer');
    t.is(ended?.reason, 'SIP;cause=200;text="Call completed"');
    const books = account(alice.sent.items, bob.messages.items);
    t.like(books, {sent: 4, accepted: 4, delivered: 4, identical: true, inOrder: true});
    t.is(bob.sessions.items.length, 1);
  },
);

test.serial('8.3.2.9.1.1 A0: one session for each sender, one after another, the oldest message first', async (t) => {
  const pf = await deployment(t);
  const carol = await pf.alice({address: carolAddress});
  await pf.register(carol);
  const fromCarol = await carol.startChat(bobAddress);
  await fromCarol.sendText('from carol');
  await fromCarol.end();
  const {chat} = await leave(pf, ['from alice 1', 'from alice 2']);
  await chat.end();
  const bob = await pf.bob();
  await bob.register();
  await bob.messages.atLeast(3);
  t.deepEqual(
    bob.messages.items.map(({text}) => text),
    ['from carol', 'from alice 1', 'from alice 2'],
  );
  t.deepEqual(
    bob.sessions.items.map(({partner}) => partner),
    [carolAddress, aliceAddress],
  );
});

test.serial(
  '8.3.2.9.1.1 A14 A20: notifications reach the sender by SIP MESSAGE when his session is over, at the device that sent',
  async (t) => {
    const pf = await deployment(t);
    const {alice, chat} = await leave(pf, ['hello']);
    await chat.end();
    const bob = await pf.bob();
    await bob.register();
    for (const expected of ['delivered', 'displayed'])
      t.is((await alice.notifications.first(({status}) => status === expected)).via, 'message');
    const message = alice.requests.items.find(({method}) => method === 'MESSAGE');
    if (message === undefined) return t.fail('no MESSAGE came');
    t.is(headerOf(message, 'Conversation-ID'), 'Conv-1');
    t.is(headerOf(message, 'Contribution-ID'), 'Contr-1');
  },
);

test.serial('8.3.2.9.1.1 A14: notifications go on the session of the sender while it stands', async (t) => {
  const pf = await deployment(t);
  const {alice} = await leave(pf, ['hello']);
  const bob = await pf.bob();
  await bob.register();
  // The phone shows the message when its session is over already: it sends that word by SIP MESSAGE itself.
  t.is((await alice.notifications.first(({status}) => status === 'delivered')).via, 'session');
  await alice.notifications.first(({status}) => status === 'displayed');
});

test.serial(
  '8.3.2.9.1.1 A16: the client ends the delivery at any point, and what it did not answer comes again',
  async (t) => {
    const pf = await deployment(t);
    const {alice, chat} = await leave(pf, ['one', 'two', 'three']);
    await chat.end();
    let taken = 0;
    const bob = await pf.bob({
      behaviour: {answer: () => (++taken > 1 ? 'silent' : 200)},
      notifications: 'none',
    });
    await bob.register();
    await bob.messages.first();
    const [session] = bob.sessions.items;
    t.is(await session?.end('SIP;cause=200;text="Call completed"'), 200);
    await bob.close();
    const again = await pf.bob();
    await again.register();
    // The first one may come again: its 200 and the end of the session were under way at the same time.
    await again.messages.first(({text}) => text === 'three');
    const texts = again.messages.items.map(({text}) => text).filter((text) => text !== 'one');
    t.deepEqual(texts, ['two', 'three']);
    t.true(account(alice.sent.items, again.messages.items).identical);
  },
);

test.serial('8.3.2.9.1.1 A18: a 480 stops the delivery for every sender until the next registration', async (t) => {
  const pf = await deployment(t, {config: {cpm: {deliveryRetrySeconds: [600]}}});
  const carol = await pf.alice({address: carolAddress});
  await pf.register(carol);
  const fromCarol = await carol.startChat(bobAddress);
  await fromCarol.sendText('from carol');
  await fromCarol.end();
  // What each of them has set off, by registering and by hanging up, is over: what follows is Bob's registration alone.
  await pf.pf.log.atLeast(2, runHasEnded);
  const {chat} = await leave(pf, ['from alice']);
  await chat.end();
  await pf.pf.log.atLeast(4, runHasEnded);
  const bob = await pf.bob();
  bob.onInvitation = (invitation) => {
    invitation.refuse(480);
  };
  await bob.register();
  await pf.pf.log.atLeast(5, runHasEnded);
  t.is(invitesTo(bob.requests.items).length, 1);
  bob.onInvitation = (invitation) => void invitation.accept();
  await bob.register();
  await bob.messages.atLeast(2);
  t.pass();
});

test.serial(
  '8.3.2.9.1.1 A21: the MSRP 200 alone does not release a message whose delivery notification is awaited',
  async (t) => {
    const pf = await deployment(t, {config: {cpm: {sentReofferSeconds: 1}}});
    const {chat} = await leave(pf, ['asked', 'and again']);
    await chat.end();
    const bob = await pf.bob({notifications: 'none'});
    await bob.register();
    await bob.messages.atLeast(2);
    await bob.sessions.items[0]?.ended;
    t.like(await pf.status(), {ledger: {accepted: 2, pending: 2, delivered: 0}});
    await bob.close();
    // The time for which a word is awaited passes; it is a second here.
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const again = await pf.bob();
    await again.register();
    const came = await again.messages.atLeast(2);
    t.deepEqual(
      came.map(({text}) => text),
      ['asked', 'and again'],
    );
    await pf.pf.log.first(({msg}) => msg === 'a notification releases a deferred message');
  },
);

test.serial('8.3.2.9.1.1 A21: without a notification asked for, the MSRP 200 releases the message', async (t) => {
  const pf = await deployment(t);
  const {chat} = await leave(pf, ['hello'], {dispositions: []});
  await chat.end();
  const bob = await pf.bob();
  await bob.register();
  await bob.messages.first();
  await bob.sessions.items[0]?.ended;
  t.like(await pf.status(), {ledger: {accepted: 1, pending: 0, delivered: 1}});
});

test.serial('8.3.2.9.1.1 E8: a message that is repeated with its imdn.Message-ID is delivered once', async (t) => {
  const pf = await deployment(t);
  const {alice, chat} = await leave(pf, ['hello']);
  const [first] = alice.sent.items;
  if (first === undefined) return t.fail();
  t.is(await chat.sendAgain(first), 200);
  await chat.end();
  const bob = await pf.bob();
  await bob.register();
  await bob.messages.first();
  await bob.sessions.items[0]?.ended;
  t.is(bob.messages.items.length, 1);
  t.is(bob.repetitions.items.length, 0);
});

test.serial(
  '8.3.2.9.1.1 A10: the core shows the PF its own INVITE, and it goes on to the phone unchanged',
  async (t) => {
    const pf = await deployment(t, {core: {handBack: true}});
    const {chat} = await leave(pf, ['hello']);
    await chat.end();
    const bob = await pf.bob();
    await bob.register();
    await bob.messages.first();
    const own = pf.core.passed.items.filter(({request}) => headerOf(request, 'Referred-By') !== undefined);
    t.true(own.some(({to}) => to === 'pf'));
    t.is(bob.sessions.items.length, 1);
  },
);

test.serial('8.3.2.9.1.1 A11 A12: a session timer is asked for, and nothing is sent before the ACK', async (t) => {
  const pf = await deployment(t);
  const {chat} = await leave(pf, ['hello']);
  await chat.end();
  const seen: string[] = [];
  const bob = await pf.bob({
    trace: (event) => {
      if (event.kind === 'sip' && event.message.kind === 'request') seen.push(event.message.method);
      if (event.kind === 'received') seen.push('message');
    },
  });
  await bob.register();
  await bob.messages.first();
  await bob.sessions.items[0]?.ended;
  const invite = invitesTo(bob.requests.items)[0];
  if (invite === undefined) return t.fail('no INVITE came');
  t.is(headerOf(invite, 'Supported'), 'timer');
  t.is(headerOf(invite, 'Session-Expires'), '1800');
  t.deepEqual(
    seen.filter((what) => ['INVITE', 'ACK', 'message', 'BYE'].includes(what)),
    ['INVITE', 'ACK', 'message', 'BYE'],
  );
});

for (const setup of ['active', 'passive'] as const) {
  test.serial(`8.3.2.9.1.1 A12: a client that answers a=setup:${setup} gets its messages`, async (t) => {
    const pf = await deployment(t);
    const {chat} = await leave(pf, ['one', 'two']);
    await chat.end();
    const bob = await pf.bob({media: {answerSetup: setup}});
    await bob.register();
    const came = await bob.messages.atLeast(2);
    t.deepEqual(
      came.map(({text}) => text),
      ['one', 'two'],
    );
  });
}

test.serial(
  '8.3.2.9.1.1 A12 A16: a client whose MSRP connection does not come about is left, and its messages stay',
  async (t) => {
    const pf = await deployment(t, {config: {relay: {bindSeconds: 1}, cpm: {deliveryRetrySeconds: [600]}}});
    const {chat} = await leave(pf, ['hello']);
    await chat.end();
    const bob = await pf.bob({media: {answerSetup: 'passive'}, faults: {dropAfterBytes: 1}});
    await bob.register();
    await pf.pf.log.first(({msg}) => msg === 'a delivery session was broken off; its messages stay queued');
    t.like(await pf.status(), {ledger: {accepted: 1, pending: 1}});
  },
);

test.serial(
  '8.3.2.9.1.1 A13 T21: a message that the client does not admit stays, and the others are delivered',
  async (t) => {
    const pf = await deployment(t, {config: {cpm: {deliveryRetrySeconds: [600]}}});
    const {chat} = await leave(pf, ['short', 'x'.repeat(5000), 'short too'], {dispositions: []});
    await chat.end();
    const bob = await pf.bob({media: {maxSize: 2000}});
    await bob.register();
    const came = await bob.messages.atLeast(2);
    t.deepEqual(
      came.map(({text}) => text),
      ['short', 'short too'],
    );
    await bob.sessions.items[0]?.ended;
    t.like(await pf.status(), {ledger: {accepted: 3, pending: 1, delivered: 2}});
  },
);

test.serial(
  '8.3.2.9.1.1 A0 T25: what the sender says while his messages are delivered comes in the same session',
  async (t) => {
    const pf = await deployment(t, {config: {cpm: {notificationWaitSeconds: 5}}});
    const {chat} = await leave(pf, ['one']);
    const bob = await pf.bob({notifications: 'none'});
    await bob.register();
    await bob.messages.first();
    t.true((await chat.sendText('two')).accepted);
    await bob.messages.atLeast(2);
    t.is(bob.sessions.items.length, 1);
  },
);
