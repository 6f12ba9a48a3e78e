/** Sessions that the PF lets pass to users who are there (CPM-CF 8.3.2.1, 8.3.2.3 1): it stays on the way of SIP, and has no media. */
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {headerOf, type SipRequest} from '../../lib/codecs/sip-message.ts';
import type {ChatSession} from '../../lib/phone/chat-session.ts';
import {Refused, type Phone} from '../../lib/phone/phone.ts';
import {chatHeaders, chatOffer} from '../support/chat-offer.ts';
import {bobAddress, deployment, type Deployment} from '../support/deployment.ts';

interface Network {
  readonly pf: Deployment;
  readonly alice: Phone;
  readonly bob: Phone;
}

/** A PF in proxy mode, Alice and Bob registered. */
async function network(t: ExecutionContext, cpm: Readonly<Record<string, unknown>> = {}): Promise<Network> {
  t.timeout(60_000);
  const pf = await deployment(t, {config: {cpm: {terminatingSessions: 'proxy', ...cpm}}});
  const [alice, bob] = [await pf.alice(), await pf.bob()];
  await pf.register(alice);
  await pf.register(bob);
  return {pf, alice, bob};
}

interface Chat extends Network {
  readonly chat: ChatSession;
  readonly answering: ChatSession;
}

async function chatting(t: ExecutionContext): Promise<Chat> {
  const all = await network(t);
  const chat = await all.alice.startChat(bobAddress);
  await chat.sendText('hello');
  const {session} = await all.bob.messages.first();
  await session.sendText('hello yourself');
  await all.alice.messages.first();
  return {...all, chat, answering: session};
}

/** The PF was on the way of the INVITE, and did nothing else. */
async function passed(t: ExecutionContext, {pf, bob, chat}: Chat): Promise<void> {
  const invite = await bob.requests.first(({method}) => method === 'INVITE');
  t.is(headerOf(invite, 'Call-ID'), headerOf(chat.call.invite, 'Call-ID'));
  t.is(invite.body.toString(), chat.call.invite.body.toString());
  t.true(chat.call.dialog.routeSet.some((route) => route.includes(hostPort(pf.uri))));
  t.like(await pf.status(), {load: {sessions: 0}, ledger: {accepted: 0}});
  t.false(pf.pf.log.items.some(({msg}) => msg === 'leg opened'));
}

for (const reason of [undefined, 'SIP;cause=410;text="Gone"'])
  test.serial(
    `8.3.2.3 B1: in proxy mode the BYE (Reason: ${reason ?? 'none'}) and its 200 are forwarded as they are, and nothing else is done`,
    async (t) => {
      const all = await chatting(t);
      let bye: SipRequest | undefined;
      all.answering.call.onBye = (request) => {
        bye = request;
        return Promise.resolve({status: 200, headers: [['X-Said', 'by the client']]});
      };
      const answer = await all.chat.call.request('BYE', reason === undefined ? [] : [['Reason', reason]]);
      t.is(answer.status, 200);
      t.is(headerOf(answer, 'X-Said'), 'by the client');
      t.is(bye && headerOf(bye, 'Call-ID'), headerOf(all.chat.call.invite, 'Call-ID'));
      t.is(bye && headerOf(bye, 'Reason'), reason);
      await passed(t, all);
    },
  );

test.serial("8.3.2.3 B1: in proxy mode the client's BYE passes the other way", async (t) => {
  const all = await chatting(t);
  t.is(await all.answering.end('SIP;cause=503;text="Service Unavailable"'), 200);
  t.deepEqual(await all.chat.ended, {by: 'peer', reason: 'SIP;cause=503;text="Service Unavailable"'});
  await passed(t, all);
});

test.serial('8.3.2.3 B1: in proxy mode re-INVITE and UPDATE pass, too', async (t) => {
  const all = await chatting(t);
  const offer = all.chat.call.invite.body.toString().replace('a=sendrecv', 'a=inactive');
  let heard = '';
  all.answering.call.onOffer = ({body}) => {
    heard = body.toString();
    return {status: 488};
  };
  t.is((await all.chat.call.reinvite(offer)).status, 488);
  t.is(heard, offer);
  all.answering.call.onOffer = undefined;
  t.is((await all.chat.call.request('UPDATE')).status, 200);
  await passed(t, all);
});

for (const status of [480, 486, 503])
  test.serial(
    `8.3.2.1: a ${status} of the device is not the end: the PF accepts and keeps, and hands over once`,
    async (t) => {
      const {pf, alice, bob} = await network(t, {deliveryRetrySeconds: [600]});
      bob.onInvitation = (invitation) => {
        invitation.refuse(status);
      };
      const chat = await alice.startChat(bobAddress);
      t.true((await chat.sendText('kept')).accepted);
      t.like(await pf.status(), {ledger: {accepted: 1, pending: 1}});
      t.is(await chat.end(), 200);
      bob.onInvitation = (invitation) => void invitation.accept();
      await pf.register(bob);
      t.is((await bob.messages.first()).text, 'kept');
      await alice.notifications.first();
      t.is(bob.repetitions.items.length, 0);
    },
  );

test.serial('8.3.2.1: a device that is gone without a word: the PF accepts and keeps', async (t) => {
  const {pf, alice, bob} = await network(t);
  await bob.close();
  const chat = await alice.startChat(bobAddress);
  t.true((await chat.sendText('kept')).accepted);
  t.like(await pf.status(), {ledger: {pending: 1}});
  t.is(await chat.end(), 200);
});

for (const status of [603, 488])
  test.serial(`8.3.2.1: a ${status} of the device goes back to the inviter, and nothing is kept`, async (t) => {
    const {pf, alice, bob} = await network(t);
    bob.onInvitation = (invitation) => {
      invitation.refuse(status);
    };
    const refused = await t.throwsAsync(alice.startChat(bobAddress), {instanceOf: Refused});
    t.is(refused.response.status, status);
    t.like(await pf.status(), {ledger: {accepted: 0}});
  });

test.serial('8.3.2.1: the inviter who gives up is heard by the device, and nobody accepts for it', async (t) => {
  const {pf, alice, bob} = await network(t);
  const cancelled = new Promise<unknown>((resolve) => {
    bob.onInvitation = (invitation) => {
      void invitation.cancelled.then(() => {
        resolve('cancelled');
      });
      invitation.ring();
      call.cancel();
    };
  });
  const call = alice.userAgent.invite(bobAddress, chatOffer, chatHeaders);
  const outcome = await call.outcome;
  t.is('status' in outcome && outcome.status, 487);
  t.is(await cancelled, 'cancelled');
  t.like(await pf.status(), {load: {sessions: 0}});
});

test.serial('8.3.2.1: nobody is there: the PF accepts at once', async (t) => {
  const {pf, alice, bob} = await network(t);
  await bob.deregister();
  await pf.core.told.first(({expires}) => expires === 0);
  const chat = await alice.startChat(bobAddress);
  t.true((await chat.sendText('kept')).accepted);
  t.is(bob.requests.items.length, 0);
});

test.serial('8.3.2.1 T42: what waits goes first, so that session has both its legs at the PF', async (t) => {
  const {pf, alice, bob} = await network(t, {deliveryRetrySeconds: [600]});
  bob.onInvitation = (invitation) => {
    invitation.refuse(480);
  };
  const early = await alice.startChat(bobAddress);
  for (const text of ['one', 'two']) await early.sendText(text);
  await early.end();
  bob.onInvitation = (invitation) => void invitation.accept();
  const chat = await alice.startChat(bobAddress);
  await chat.sendText('three');
  const came = await bob.messages.atLeast(3);
  t.deepEqual(
    came.map(({text}) => text),
    ['one', 'two', 'three'],
  );
  t.like(await pf.status(), {load: {sessions: 1}});
  await chat.end();
  // From now on nothing waits: the next one passes.
  const next = await alice.startChat(bobAddress);
  await next.sendText('four');
  const {session} = await bob.messages.first(({text}) => text === 'four');
  t.is(headerOf(session.call.invite, 'Call-ID'), headerOf(next.call.invite, 'Call-ID'));
});

const hostPort = (uri: string): string => /^sip:([^;]+)/.exec(uri)?.[1] ?? 'none';
