/** CPM-CF 8.3.2.9.1.2: what a member missed of his groups is handed over. */
import test from 'ava';
import {GROUP_STATE_TYPE} from '../../lib/codecs/group-state.ts';
import {parseResourceLists} from '../../lib/codecs/resource-lists.ts';
import {headerOf, headersOf} from '../../lib/codecs/sip-message.ts';
import {account} from '../../lib/phone/ledger.ts';
import type {PhoneEvent} from '../../lib/phone/phone.ts';
import {multipartPart} from '../controlling-function/parts.ts';
import {bobAddress, type Deployment} from '../support/deployment.ts';
import {
  largeGroup,
  bobWasThere,
  carolAddress,
  daveAddress,
  groupDeployment,
  groupUri,
  ids,
  inactivity,
  isMissed,
  usualWrappedTypes,
} from '../support/group-deployment.ts';
import {until} from '../support/persistent-sender.ts';
import {withRawGroup} from '../support/raw-focus.ts';

const keptChange = 'a change of a group is kept for its user';
const keeps = {focus: {keepsForAbsent: true}};

test.serial(
  '8.3.2.9.1.2 C1 C7: the PF stands in a group for a member who is off, and hands over what was said, in order',
  async (t) => {
    t.timeout(60_000);
    const {pf, begin, carol, dave} = await groupDeployment(t);
    const {carols, daves} = await begin();
    await pf.pf.log.first(({msg}) => msg === 'the PF stands in a group for its user');
    for (const text of ['one', 'two', 'x'.repeat(50_000), 'four']) await carols.sendText(text);
    await dave.messages.atLeast(4);
    await daves.sendText('five');
    await carol.messages.atLeast(1);
    await pf.pf.log.atLeast(5, ({msg}) => msg === 'a message is kept for a user who cannot take it now');
    const bob = await pf.bob();
    await pf.register(bob);
    await bob.messages.atLeast(5);
    t.like(account(carol.sent.items, bob.messages.items), {delivered: 4, identical: true, inOrder: true});
    t.deepEqual(
      bob.messages.items.map(({text}) => text.slice(0, 5)),
      ['one', 'two', 'xxxxx', 'four', 'five'],
    );

    const invite = await bob.requests.first(({method}) => method === 'INVITE');
    t.is(headerOf(invite, 'Conversation-ID'), ids.conversationId);
    t.is(headerOf(invite, 'Contribution-ID'), ids.contributionId);
    t.is(headerOf(invite, 'Subject'), 'Lunch');
    t.regex(headerOf(invite, 'Contact') ?? '', /;isfocus/);
    t.is(headerOf(invite, 'P-Asserted-Identity'), '<sip:rcse-standfw@home.example>');
    t.is(headerOf(invite, 'Referred-By'), undefined);
    t.is(headerOf(invite, 'Require'), undefined);
    const list = multipartPart(invite, 'application/resource-lists+xml');
    t.is(list?.disposition, 'recipient-list-history;handling=optional');
    t.deepEqual(
      parseResourceLists(list?.body ?? '')
        .map(({uri}) => uri)
        .sort(),
      [carolAddress, daveAddress],
    );
    t.is(bob.sessions.items.length, 1);

    // Joined with the living group: in both directions.
    const [bobs] = bob.sessions.items;
    await pf.pf.log.first(({msg}) => msg === 'a client is joined with his group');
    await carols.sendText('six');
    await bob.messages.first(({text}) => text === 'six');
    await bobs?.sendText('seven');
    await carol.messages.first(({text}) => text === 'seven');
    await dave.messages.first(({text}) => text === 'seven');
    t.is(bob.repetitions.items.length, 0);
  },
);

test.serial(
  '8.3.2.9.1.2 C2 C3 C4: the INVITE of a delivery has the ids, the Subject and the latest participants of the group, the PF as its focus, and the original offer with a=sendrecv',
  async (t) => {
    const {pf, call, subscriber} = await withRawGroup(t);
    await subscriber.notify('notify-partial');
    const said = 'From: <sip:+15550101@home.example>\r\nTo: <sip:x@y>\r\n\r\nContent-Type: text/plain\r\n\r\nhello';
    t.is(await call.say('message/cpim', said), '200');
    const bob = await pf.bob();
    await pf.register(bob);
    const invite = await bob.requests.first(({method}) => method === 'INVITE');
    t.is(headerOf(invite, 'Conversation-ID'), ids.conversationId);
    t.is(headerOf(invite, 'Contribution-ID'), ids.contributionId);
    t.is(headerOf(invite, 'Subject'), 'Mittagessen  &  Kaffee');
    t.is(headerOf(invite, 'P-Asserted-Identity'), '<sip:rcse-standfw@home.example>');
    t.is(headerOf(invite, 'P-Asserted-Service'), 'urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session');
    t.true(
      headersOf(invite, 'Accept-Contact').some((value) =>
        value.includes('+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"'),
      ),
    );
    const contact = headerOf(invite, 'Contact') ?? '';
    t.regex(contact, /^<sip:127\.0\.0\.1:\d+[^>]*;ocid=Contr-Group>/);
    t.regex(contact, /;isfocus/);
    t.true(contact.includes('+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"'));
    t.false(contact.includes('+sip.instance'));
    for (const absent of ['Require', 'Referred-By', 'P-Served-User', 'Session-Replaces', 'Min-SE'])
      t.is(headerOf(invite, absent), undefined, absent);
    t.not(headerOf(invite, 'Session-Expires'), '1800;refresher=uac');

    const list = multipartPart(invite, 'application/resource-lists+xml');
    t.is(list?.disposition, 'recipient-list-history;handling=optional');
    // One left, one came since the invitation.
    t.deepEqual(
      parseResourceLists(list?.body ?? '')
        .map(({uri}) => uri)
        .sort(),
      ['sip:+15550103@other.example;user=phone', 'tel:+15550104'],
    );
    const offer = multipartPart(invite, 'application/sdp')?.body.toString() ?? '';
    t.true(offer.includes('a=sendrecv'));
    t.true(offer.includes('a=accept-types:message/cpim\r\n'));
    t.true(
      offer.includes(
        'a=accept-wrapped-types:text/plain message/imdn+xml application/im-iscomposing+xml application/vnd.oma.cpm-groupdata+xml',
      ),
    );
    t.false(offer.includes('/peer;tcp'));
    t.false(offer.includes('o=IMAS'));
  },
);

for (const [what, groupData, subject] of [
  ['has its new name where members may change it', true, 'Abendessen'],
  ['keeps the name that the focus invited with where they may not', false, 'Mittagessen  &  Kaffee'],
] as const)
  test.serial(`8.3.2.9.1.2 C2 T46: the INVITE for a group that a NOTIFY has renamed ${what}`, async (t) => {
    const {pf, call, subscriber} = await withRawGroup(t, {config: {cpm: {groupData}}});
    await subscriber.notify('notify-partial');
    const said = 'From: <sip:+15550101@home.example>\r\nTo: <sip:x@y>\r\n\r\nContent-Type: text/plain\r\n\r\nhello';
    t.is(await call.say('message/cpim', said), '200');
    const bob = await pf.bob();
    await pf.register(bob);
    t.is(headerOf(await bob.requests.first(({method}) => method === 'INVITE'), 'Subject'), subject);
  });

test.serial(
  '8.3.2.9.1.2 C1 T53: a message that came incompletely is sent again from its first octet, with the same imdn.Message-ID',
  async (t) => {
    t.timeout(90_000);
    const group = await groupDeployment(t, {...keeps, config: {cpm: {deliveryRetrySeconds: [1]}}});
    const {pf, carol} = group;
    const {carols} = await bobWasThere(group);
    await isMissed(pf, carols, ['one', 'x'.repeat(400_000), 'three']);
    const chunks = {seen: 0};
    const lost = await pf.bob({
      notifications: 'none',
      // Of the long one the first chunk is taken, and then nothing more.
      behaviour: {
        answer: ({body}) => {
          if (body === undefined || body.length < 10_000) return chunks.seen === 0 ? 200 : 'silent';
          return chunks.seen++ === 0 ? 200 : 'silent';
        },
      },
    });
    await pf.register(lost);
    const session = await lost.sessions.first();
    await session.msrp.frames.atLeast(2, ({body}) => body !== undefined && body.length > 10_000);
    await lost.messages.first(({text}) => text === 'one');
    await lost.deregister();
    await lost.close();
    const bob = await pf.bob();
    await pf.register(bob);
    await bob.messages.first(({text}) => text === 'three', 30_000);
    const long = bob.messages.items.find(({text}) => text.startsWith('xxx'));
    t.is(long?.messageId, carol.sent.items[1]?.messageId);
    t.true(long?.bytes.equals(carol.sent.items[1]?.bytes ?? Buffer.alloc(0)));
    t.true(account(carol.sent.items, bob.messages.items).inOrder);
    t.is(bob.messages.items.filter(({text}) => text.startsWith('xxx')).length, 1);
  },
);

test.serial(
  '8.3.2.9.1.2 C1: a message that was taken and never confirmed is offered again at a later registration, with the same id',
  async (t) => {
    t.timeout(90_000);
    const {pf, begin} = await groupDeployment(t, {config: {cpm: {sentReofferSeconds: 1}}});
    const {conference, carols} = await begin();
    await isMissed(pf, carols, ['one', 'two']);
    await conference.end(inactivity);
    const bob = await pf.bob({notifications: 'none'});
    await pf.register(bob);
    const session = await bob.sessions.first();
    await bob.messages.first(({text}) => text === 'two');
    await session.end();
    const [one, two] = bob.messages.items;
    await until(async () => {
      await pf.register(bob);
      return bob.repetitions.items.some(({text}) => text === 'two');
    });
    t.deepEqual(
      bob.repetitions.items.slice(0, 2).map(({messageId}) => messageId),
      [one?.messageId, two?.messageId],
    );
    t.not(bob.repetitions.items[0]?.session, session);
  },
);

test.serial(
  '8.3.2.9.1.2 C7 C8: messages of several members, notifications and changes of the group come in the order in which they were, each change once with an id of its own',
  async (t) => {
    t.timeout(90_000);
    const group = await groupDeployment(t, {...keeps, config: {cpm: {groupData: true}}});
    const {pf, carol, dave} = group;
    const {conference, carols, daves} = await bobWasThere(group);
    const changes = async (count: number) => pf.pf.log.atLeast(count, ({msg}) => msg === keptChange);
    await isMissed(pf, carols, ['one']);
    await isMissed(pf, daves, ['two']);
    conference.setSubject('Dinner', carolAddress);
    await changes(1);
    await isMissed(pf, carols, ['three']);
    await daves.end('SIP;cause=200;text="Call completed"');
    await changes(2);
    await isMissed(pf, carols, ['four']);

    const order: string[] = [];
    const bob = await pf.bob({
      trace: (event: PhoneEvent) => {
        if (event.kind === 'received') order.push(event.message.text);
        if (event.kind === 'group-state') {
          const {subject, participants} = event.message.state;
          order.push(`${subject?.text} ${participants.length}`);
        }
      },
    });
    await pf.register(bob);
    await bob.messages.first(({text}) => text === 'four');
    t.deepEqual(order, ['one', 'two', 'Dinner 3', 'three', 'Dinner 2', 'four']);
    const [dinner, left] = bob.groupStates.items;
    t.deepEqual(left?.state.participants.map(({address}) => address).sort(), [bobAddress, carolAddress].sort());
    t.truthy(dinner?.messageId);
    t.not(dinner?.messageId, left?.messageId);
    t.regex(dinner?.bytes.toString() ?? '', new RegExp(`Content-Type: ${GROUP_STATE_TYPE.replace('+', '\\+')}`, 'i'));
    t.is(bob.repetitions.items.length, 0);
    t.true(dave.sent.items.every(({accepted}) => accepted) && carol.sent.items.every(({accepted}) => accepted));
  },
);

test.serial(
  '8.3.2.9.1.2 C7: notifications and changes of a group that wait alone cause no INVITE, and come with the next message',
  async (t) => {
    t.timeout(90_000);
    const group = await groupDeployment(t, {...keeps, config: {cpm: {groupData: true}}});
    const {pf, begin, carol, dave} = group;
    const former = await pf.bob();
    await pf.register(former);
    const {conference, carols} = await begin();
    const session = await former.sessions.first();
    await pf.pf.log.first(({msg}) => msg === 'a client is joined with his group');
    carol.onInvitation = () => undefined;
    const sent = await session.sendText('from Bob');
    await carol.messages.first(({text}) => text === 'from Bob');
    await former.notifications.first();
    await former.deregister();
    await former.close();
    await pf.pf.log.first(({msg}) => msg === 'the PF stays in a group for its user');
    const [message] = dave.messages.items;
    if (message === undefined) return t.fail();
    await dave.notify(message, 'displayed');
    conference.setSubject('Dinner', carolAddress);
    await pf.pf.log.first(({msg}) => msg === keptChange);
    const bob = await pf.bob();
    await pf.register(bob);
    await until(async () => {
      const {deliveries} = (await pf.status()) as {deliveries: {running: number}};
      return deliveries.running === 0;
    });
    t.false(bob.requests.items.some(({method}) => method === 'INVITE'));
    await carols.sendText('now');
    await bob.messages.first(({text}) => text === 'now');
    t.is(bob.groupStates.items.length, 1);
    t.true(bob.notifications.items.some(({messageId}) => messageId === sent.messageId));
    t.is(bob.requests.items.filter(({method}) => method === 'INVITE').length, 1);
  },
);

test.serial(
  '8.3.2.9.1.2 C2: a list of participants too long for an INVITE is shortened there, and the complete one comes as a Group State Object before everything else',
  async (t) => {
    t.timeout(90_000);
    const group = await groupDeployment(t, keeps);
    const {pf} = group;
    const {members, carols} = await largeGroup(group, 60);
    await isMissed(pf, carols, ['one']);
    const order: string[] = [];
    const bob = await pf.bob({
      trace: ({kind}: PhoneEvent) => {
        if (kind === 'received' || kind === 'group-state') order.push(kind);
      },
    });
    await pf.register(bob);
    await bob.messages.first(({text}) => text === 'one');
    const invite = await bob.requests.first(({method}) => method === 'INVITE');
    const listed = parseResourceLists(multipartPart(invite, 'application/resource-lists+xml')?.body ?? '');
    t.true(listed.length > 3 && listed.length < members.length - 1, String(listed.length));
    t.is(order[0], 'group-state');
    t.is(order.filter((kind) => kind === 'group-state').length, 1);
    const [state] = bob.groupStates.items;
    t.deepEqual(state?.state.participants.map(({address}) => address).sort(), [...members].sort());
    t.is(
      bob.sessions.items[0]?.group?.identity.replace(/;transport=tcp/, ''),
      groupUri(pf).replace(/;transport=tcp/, ''),
    );
  },
);

test.serial(
  '8.3.2.9.1.2 C2: the complete list comes even to a client whose answer does not name the type of Group State Objects',
  async (t) => {
    t.timeout(90_000);
    const group = await groupDeployment(t, keeps);
    const {pf} = group;
    const {members, carols} = await largeGroup(group, 60);
    await isMissed(pf, carols, ['one']);
    const bob = await pf.bob({media: {acceptWrappedTypes: usualWrappedTypes}});
    await pf.register(bob);
    await bob.messages.first(({text}) => text === 'one');
    t.is(bob.groupStates.items[0]?.state.participants.length, members.length);
  },
);

for (const [what, phone, note] of [
  ['does not admit', {media: {acceptWrappedTypes: usualWrappedTypes}}, 'not-admitted'],
  ['answers 415', {behaviour: {answer: ({body}) => (body?.includes('<groupstate') ? 415 : 200)}}, 'MSRP 415'],
] as const satisfies readonly (readonly [string, Parameters<Deployment['bob']>[0], string])[])
  test.serial(
    `8.3.2.9.1.2 C8: a change of the group that a client ${what} is dropped, never sent by SIP MESSAGE, and what is behind it comes`,
    async (t) => {
      t.timeout(90_000);
      const group = await groupDeployment(t, {...keeps, config: {cpm: {groupData: true}}});
      const {pf} = group;
      const {conference, carols} = await bobWasThere(group);
      await isMissed(pf, carols, ['one']);
      conference.setSubject('Dinner', carolAddress);
      await pf.pf.log.first(({msg}) => msg === keptChange);
      await isMissed(pf, carols, ['two']);
      const bob = await pf.bob(phone);
      await pf.register(bob);
      await bob.messages.first(({text}) => text === 'two');
      t.like(await pf.pf.log.first(({msg}) => msg === 'a change of a group is dropped: the client does not take it'), {
        outcome: note,
        contributionId: ids.contributionId,
      });
      await until(async () => ((await pf.status()) as {ledger: {pending: number}}).ledger.pending === 0);
      t.like(await pf.status(), {ledger: {accepted: 3, delivered: 2, dropped: 1}});
      t.deepEqual(
        bob.messages.items.map(({text}) => text),
        ['one', 'two'],
      );
      t.false(bob.requests.items.some(({method}) => method === 'MESSAGE'));
      t.is(bob.repetitions.items.length, 0);
    },
  );

test.serial(
  '8.3.2.9.1.2 C7 A21: what a client without IMDN support has taken is released by its 200, and no member hears of it by the PF',
  async (t) => {
    t.timeout(60_000);
    const group = await groupDeployment(t);
    const {pf, carol} = group;
    const {carols} = await bobWasThere(group);
    await isMissed(pf, carols, ['one', 'two']);
    const bob = await pf.bob({notifications: 'none', media: {acceptWrappedTypes: 'text/plain'}});
    await pf.register(bob);
    await bob.messages.atLeast(2);
    await until(async () => ((await pf.status()) as {ledger: {pending: number}}).ledger.pending === 0);
    await carols.sendText('three');
    await bob.messages.first(({text}) => text === 'three');
    // Dave's phone alone has said so, of each of them.
    await carol.notifications.first(
      ({messageId, status}) => messageId === carol.sent.items.at(-1)?.messageId && status === 'delivered',
    );
    t.deepEqual(
      carol.notifications.items.filter(({status}) => status === 'delivered').map(({messageId}) => messageId),
      carol.sent.items.map(({messageId}) => messageId),
    );
  },
);

test.serial(
  '8.3.2.9.1.2 C7 A21: a notification by SIP MESSAGE about a group’s message releases it, and goes on to its author; nothing comes again',
  async (t) => {
    t.timeout(60_000);
    const {pf, carol, begin} = await groupDeployment(t, {
      core: {cases: ['orig', 'term']},
      config: {cpm: {sentReofferSeconds: 1}},
      focus: {keepsForAbsent: true},
    });
    const {conference, carols} = await begin();
    await isMissed(pf, carols, ['one', 'two']);
    await conference.end(inactivity);
    const bob = await pf.bob({notifications: 'none'});
    await pf.register(bob);
    await bob.messages.first(({text}) => text === 'two');
    const session = await bob.sessions.first();
    await session.end();
    t.like(await pf.status(), {ledger: {pending: 2}});
    for (const message of bob.messages.items) await bob.notify(message, 'delivered');
    t.like(await pf.status(), {ledger: {pending: 0, delivered: 2}});
    for (const {messageId} of bob.messages.items)
      await carol.notifications.first((each) => each.messageId === messageId && each.via === 'message');
    await carol.startChat(bobAddress).then(async (chat) => chat.sendText('last'));
    await pf.register(bob);
    await bob.messages.first(({text}) => text === 'last');
    t.is(bob.repetitions.items.length, 0);
    t.is(bob.sessions.items.filter(({group}) => group !== undefined).length, 1);
  },
);
