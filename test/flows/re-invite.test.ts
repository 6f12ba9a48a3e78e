/** What changes inside a session that stands (RFC 3261 §14, RFC 3264 §8): each leg has its own negotiation, what one wants of the session both have. */
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {headerOf, type SipResponse} from '../../lib/codecs/sip-message.ts';
import type {Call} from '../../lib/phone/call.ts';
import {chatMessage, notificationMessage} from '../../lib/phone/chat-messages.ts';
import type {ChatSession} from '../../lib/phone/chat-session.ts';
import type {MsrpSession} from '../../lib/phone/msrp-session.ts';
import type {Phone} from '../../lib/phone/phone.ts';
import {mediaOf, offererRole} from '../../lib/phone/session-description.ts';
import {bobAddress, deployment, type Deployment} from '../support/deployment.ts';
import {until} from '../support/persistent-sender.ts';

interface Half {
  readonly phone: Phone;
  readonly session: ChatSession;
}

interface Chat {
  readonly pf: Deployment;
  readonly inviter: Half;
  readonly device: Half;
}

/** Two phones in a chat that is relayed, both ways. */
async function chatting(t: ExecutionContext): Promise<Chat> {
  t.timeout(60_000);
  const pf = await deployment(t, {config: {cpm: {deliveryRetrySeconds: [600]}}});
  const [alice, bob] = [await pf.alice({notifications: 'none'}), await pf.bob({notifications: 'none'})];
  await pf.register(alice);
  await pf.register(bob);
  const chat = await alice.startChat(bobAddress);
  await chat.sendText('hello', {dispositions: []});
  const {session} = await bob.messages.first();
  await session.sendText('hello yourself', {dispositions: []});
  await alice.messages.first();
  return {pf, inviter: {phone: alice, session: chat}, device: {phone: bob, session}};
}

/** Texts still go, both ways. */
async function talks(t: ExecutionContext, {inviter, device}: Chat, text: string): Promise<void> {
  for (const [from, to] of [
    [inviter, device],
    [device, inviter],
  ] as const) {
    t.true((await from.session.sendText(text, {dispositions: []})).accepted);
    await to.phone.messages.first((message) => message.text === text);
  }
}

/** What a phone has said of itself last. */
const said = ({role, invite, response}: Call): string => (role === 'caller' ? invite : response).body.toString();

/** The same with a change, one version on. */
const changed = (call: Call, from: string | RegExp, to: string): string =>
  said(call)
    .replace(from, to)
    .replace(/^(o=\S+ \S+ )(\d+)/m, (_, start: string, version: string) => `${start}${Number(version) + 1}`);

const bodyOf = (message: {readonly body: Buffer}): string => message.body.toString();
const versionOf = (sdp: string): number => Number(/^o=\S+ \S+ (\d+)/m.exec(sdp)?.[1]);
const directionOf = (sdp: string): string | undefined => /^a=(sendrecv|sendonly|recvonly|inactive)\r?$/m.exec(sdp)?.[1];

/** Answers each offer of the PF as asked; what was offered. */
function answering({session: {call}}: Half, direction: string): string[] {
  const offers: string[] = [];
  call.onOffer = (request) => {
    offers.push(bodyOf(request));
    return {status: 200, body: changed(call, 'a=sendrecv', `a=${direction}`)};
  };
  return offers;
}

const halves = ['inviter', 'device'] as const;
const otherOf = {inviter: 'device', device: 'inviter'} as const;

for (const who of halves)
  for (const [hold, back] of [
    ['sendonly', 'recvonly'],
    ['inactive', 'inactive'],
  ] as const)
    test.serial(
      `8.3.2.1 RFC 3264 §8.4: the ${who} puts the session on hold (${hold}) and takes it back, and the other side is told both`,
      async (t) => {
        const chat = await chatting(t);
        const [half, other] = [chat[who], chat[otherOf[who]]];
        const before = other.session.call.remoteSdp;
        const offers = answering(other, back);
        const held = await half.session.call.reinvite(changed(half.session.call, 'a=sendrecv', `a=${hold}`));
        t.is(held.status, 200);
        t.is(directionOf(bodyOf(held)), back);
        t.is(offers.length, 1);
        t.is(directionOf(offers[0] ?? ''), hold);
        t.is(versionOf(offers[0] ?? ''), versionOf(before) + 1);
        t.is(pathOf(offers[0] ?? ''), pathOf(before));

        answering(other, 'sendrecv');
        const resumed = await half.session.call.reinvite(changed(half.session.call, 'a=sendrecv', 'a=sendrecv'));
        t.is(directionOf(bodyOf(resumed)), 'sendrecv');
        t.is(directionOf(other.session.call.remoteSdp), 'sendrecv');
        t.is(versionOf(other.session.call.remoteSdp), versionOf(before) + 2);
        await talks(t, chat, 'back again');
      },
    );

for (const who of halves)
  test.serial(
    `8.3.2.1 E6: the ${who} moves to another MSRP path: that is between it and the PF, the other side hears nothing of it`,
    async (t) => {
      const chat = await chatting(t);
      const [half, other] = [chat[who], chat[otherOf[who]]];
      const offers = answering(other, 'sendrecv');
      const {msrp, answer} = await moved(half);
      t.is(answer.status, 200);
      t.deepEqual(offers, []);
      t.is(await msrp.send(text('from the new place'), {contentType: 'message/cpim'}), 200);
      await other.phone.messages.first((message) => message.text === 'from the new place');
      t.true((await other.session.sendText('to the new place', {dispositions: []})).accepted);
      const came = await msrp.messages.first();
      t.regex(came.bytes.toString(), /to the new place/);
      // The old path is nobody's any more, and the next refresh is one.
      const again = await half.session.call.reinvite(changed(half.session.call, /a=path:\S+/, `a=path:${msrp.uri}`));
      t.is(bodyOf(again), bodyOf(answer));
    },
  );

for (const who of halves)
  test.serial(
    `8.3.2.1 RFC 3264 §8.1: the ${who} adds other media: refused with port 0, the chat and its connection stay`,
    async (t) => {
      const chat = await chatting(t);
      const half = chat[who];
      const offers = answering(chat[otherOf[who]], 'sendrecv');
      const more = `${changed(half.session.call, 'a=sendrecv', 'a=sendrecv')}m=audio 40000 RTP/AVP 0 8\r\na=sendrecv\r\n`;
      const answer = bodyOf(await half.session.call.reinvite(more));
      t.deepEqual(
        answer.match(/^m=.*$/gm)?.map((line) => line.trim().replace(/^(m=message) [1-9]\d*/, '$1 P')),
        ['m=message P TCP/MSRP *', 'm=audio 0 RTP/AVP 0 8'],
      );
      t.is(
        pathOf(answer),
        pathOf(
          half.session.call.role === 'caller' ? bodyOf(half.session.call.response) : bodyOf(half.session.call.invite),
        ),
      );
      t.deepEqual(offers, []);
      await talks(t, chat, 'still only text');
    },
  );

for (const who of halves)
  test.serial(
    `8.3.2.1 RFC 3261 §14.2: an offer of the ${who} without the chat is refused with 488 and a Warning, and the session stays as it was`,
    async (t) => {
      const chat = await chatting(t);
      const {call} = chat[who].session;
      const offers = answering(chat[otherOf[who]], 'sendrecv');
      for (const offer of [
        changed(call, /^m=message \d+/m, 'm=message 0'),
        changed(call, /^m=message \d+ TCP\/MSRP \*/m, 'm=audio 40000 RTP/AVP 0'),
      ]) {
        const refused = await call.request('INVITE', [['Content-Type', 'application/sdp']], offer);
        t.is(refused.status, 488);
        t.regex(headerOf(refused, 'Warning') ?? '', /^399 \S+ ".*MSRP/);
      }

      const unreadable = await call.request('INVITE', [['Content-Type', 'application/sdp']], 'v=0\r\nnonsense\r\n');
      t.is(unreadable.status, 400);
      t.deepEqual(offers, []);
      await talks(t, chat, 'as before');
    },
  );

for (const who of halves)
  test.serial(
    `8.3.2.1 RFC 3261 §14.2: what the other side refuses the ${who} hears, and both descriptions keep their versions`,
    async (t) => {
      const chat = await chatting(t);
      const [half, other] = [chat[who], chat[otherOf[who]]];
      // Our last word in this dialog: a refresh repeats it.
      const before = bodyOf(await half.session.call.reinvite(said(half.session.call)));
      const versions: number[] = [];
      for (const [status, heard] of [
        [488, 488],
        [491, 491],
        [407, 488],
      ] as const) {
        other.session.call.onOffer = (request) => {
          versions.push(versionOf(bodyOf(request)));
          return {status};
        };
        const hold = changed(half.session.call, 'a=sendrecv', 'a=inactive');
        t.is((await half.session.call.request('INVITE', [['Content-Type', 'application/sdp']], hold)).status, heard);
      }

      other.session.call.onOffer = undefined;
      t.is(new Set(versions).size, 1);
      t.is(bodyOf(await half.session.call.reinvite(said(half.session.call))), before);
      await talks(t, chat, 'nothing has changed');
    },
  );

test.serial(
  '8.3.2.1 RFC 3311 §5: an UPDATE with an offer is one, an UPDATE without only refreshes and gets no description',
  async (t) => {
    const chat = await chatting(t);
    for (const who of halves) {
      const [half, other] = [chat[who], chat[otherOf[who]]];
      const bare = await half.session.call.request('UPDATE', [
        ['Supported', 'timer'],
        ['Session-Expires', '1800;refresher=uac'],
      ]);
      t.is(bare.status, 200);
      t.is(bare.body.length, 0);
      t.is(headerOf(bare, 'Session-Expires'), '1800;refresher=uac');
      const offers = answering(other, 'inactive');
      const type = [['Content-Type', 'application/sdp']] as const;
      const hold = await half.session.call.request(
        'UPDATE',
        type,
        changed(half.session.call, 'a=sendrecv', 'a=inactive'),
      );
      t.is(hold.status, 200);
      t.is(directionOf(bodyOf(hold)), 'inactive');
      t.is(offers.length, 1);
      answering(other, 'sendrecv');
      await half.session.call.request('UPDATE', type, changed(half.session.call, 'a=sendrecv', 'a=sendrecv'));
      other.session.call.onOffer = undefined;
    }

    await talks(t, chat, 'after the updates');
  },
);

for (const who of halves)
  test.serial(
    `RFC 3261 §14.1: glare: while the ${who}'s offer is with the other side, what that one offers gets 491; so does the ${who} where it says so`,
    async (t) => {
      const chat = await chatting(t);
      const [half, other] = [chat[who], chat[otherOf[who]]];
      const type = [['Content-Type', 'application/sdp']] as const;
      let crossing: SipResponse | undefined;
      other.session.call.onOffer = async () => {
        const hold = changed(other.session.call, 'a=sendrecv', 'a=sendonly');
        crossing = await other.session.call.request('INVITE', type, hold);
        return {status: 491};
      };
      const ours = await half.session.call.request(
        'INVITE',
        type,
        changed(half.session.call, 'a=sendrecv', 'a=inactive'),
      );
      t.is(ours.status, 491);
      t.is(crossing?.status, 491);
      other.session.call.onOffer = undefined;
      const later = await half.session.call.reinvite(changed(half.session.call, 'a=sendrecv', 'a=sendrecv'));
      t.is(later.status, 200);
      await talks(t, chat, 'after the glare');
    },
  );

test.serial(
  '8.3.2.1 RFC 3261 §12.2.1.2: the client knows nothing of the dialog any more: BYE to it, and what comes next is kept for its user',
  async (t) => {
    const chat = await chatting(t);
    const {inviter, device, pf} = chat;
    device.session.call.onOffer = () => ({status: 481});
    const answer = await inviter.session.call.reinvite(changed(inviter.session.call, 'a=sendrecv', 'a=sendonly'));
    t.is(answer.status, 200);
    t.is((await device.session.ended).reason, 'SIP;cause=503;text="Service Unavailable"');
    t.true((await inviter.session.sendText('kept', {dispositions: []})).accepted);
    t.like(await pf.status(), {ledger: {pending: 1}});
    await pf.register(device.phone);
    t.is((await device.phone.messages.first((message) => message.text === 'kept')).text, 'kept');
  },
);

test.serial(
  '8.3.2.1 RFC 3261 §12.2.1.2: the inviter knows nothing of the dialog any more: BYE 503 to both, and nothing is left',
  async (t) => {
    const chat = await chatting(t);
    const {inviter, device, pf} = chat;
    inviter.session.call.onOffer = () => ({status: 481});
    const answer = await device.session.call.request(
      'INVITE',
      [['Content-Type', 'application/sdp']],
      changed(device.session.call, 'a=sendrecv', 'a=sendonly'),
    );
    t.true(answer.status >= 400);
    for (const {session} of [device, inviter])
      t.is((await session.ended).reason, 'SIP;cause=503;text="Service Unavailable"');
    t.like(await pf.status(), {ledger: {pending: 0}});
  },
);

test.serial(
  'RFC 3261 §14.2: a re-INVITE without an offer gets ours as it stands, and the answer in its ACK counts',
  async (t) => {
    const chat = await chatting(t);
    const {inviter, device} = chat;
    const {call} = inviter.session;
    const msrp = await inviter.phone.endpoint.openSession();
    const before = bodyOf(call.response);
    const offered = await call.reinviteWithoutOffer(
      changed(call, /a=path:\S+/, `a=path:${msrp.uri}`).replace('a=setup:actpass', 'a=setup:active'),
    );
    t.is(bodyOf(offered), before);
    await inviter.phone.endpoint.connect(msrp, mediaOf(before), offererRole(mediaOf(before)));
    await msrp.bound();
    // Nobody says when the ACK has had its effect; until then the new place is a stranger's.
    await until(async () => (await msrp.send(text('from the new place'), {contentType: 'message/cpim'})) === 200);
    await device.phone.messages.first((message) => message.text === 'from the new place');
  },
);

test.serial(
  '8.3.2.9.1.1 E6: the client moves to another MSRP path during its delivery, and says from there that it has the message',
  async (t) => {
    t.timeout(60_000);
    const pf = await deployment(t, {config: {cpm: {notificationWaitSeconds: 20}}});
    const alice = await pf.alice();
    await pf.register(alice);
    const chat = await alice.startChat(bobAddress);
    const {messageId} = await chat.sendText('kept', {dispositions: ['positive-delivery']});
    const bob = await pf.bob({notifications: 'none'});
    await pf.register(bob);
    const {session} = await bob.messages.first();
    const refreshed = await session.call.reinvite(said(session.call));
    const {msrp, answer} = await moved({phone: bob, session});
    t.is(answer.status, 200);
    t.is(bodyOf(answer), bodyOf(refreshed));
    t.is(await msrp.send(notificationMessage(messageId, 'delivered'), {contentType: 'message/cpim'}), 200);
    t.is((await session.ended).reason, 'SIP;cause=200;text="Call completed"');
    await alice.notifications.first((notification) => notification.messageId === messageId);
  },
);

const pathOf = (sdp: string): string => /a=path:(\S+)/.exec(sdp)?.[1] ?? 'none';

const text = (content: string): Buffer =>
  chatMessage({
    messageId: `id-${content.length}`,
    dispositions: [],
    contentType: 'text/plain;charset=UTF-8',
    content: Buffer.from(content),
  });

/** Opens another MSRP session at the phone, and moves the chat there. */
async function moved({phone, session: {call}}: Half): Promise<{msrp: MsrpSession; answer: SipResponse}> {
  const msrp = await phone.endpoint.openSession();
  const answer = await call.reinvite(changed(call, /a=path:\S+/, `a=path:${msrp.uri}`));
  const media = mediaOf(bodyOf(answer));
  await phone.endpoint.connect(msrp, media, offererRole(media));
  await msrp.bound();
  return {msrp, answer};
}
