/** Group sessions that the PF lets pass to users who are there (CPM-CF 8.3.2.1, 8.3.2.3 1): it stays on the way of SIP, and has no media. */
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {headerOf, type SipRequest} from '../../lib/codecs/sip-message.ts';
import {bobAddress} from '../support/deployment.ts';
import {carolAddress, ids, inactivity, knownGroup} from '../support/group-deployment.ts';
import {groupPastPf, invitesTo, type GroupPastPf} from '../support/group-past-pf.ts';
import {recordedObjects} from '../support/recorded.ts';

/** The PF was on the way of the INVITE, did nothing else, and has nothing of it. */
async function passed(t: ExecutionContext, {group: {pf}, bob, calling}: GroupPastPf): Promise<void> {
  const [invite, ...more] = invitesTo(bob);
  t.is(more.length, 0);
  t.is(invite && headerOf(invite, 'Call-ID'), headerOf(calling.invite, 'Call-ID'));
  t.is(invite?.body.toString(), calling.invite.body.toString());
  t.true(calling.dialog.routeSet.some((route) => route.includes(/^sip:([^;]+)/.exec(pf.uri)?.[1] ?? 'none')));
  t.like(await pf.status(), {load: {sessions: 0}, ledger: {accepted: 0}});
  t.false(pf.pf.log.items.some(({msg}) => msg === 'leg opened'));
  t.deepEqual(await recordedObjects(pf, bobAddress, ids.conversationId), []);
  t.is(await knownGroup(pf, bobAddress, ids.contributionId), undefined);
}

for (const [cause, headers] of [
  ['no Reason', []],
  [
    'SIP;cause=410',
    [
      ['Reason', 'SIP;cause=410;text="Gone"'],
      ['Referred-By', `<${carolAddress}>`],
    ],
  ],
  ['SIP;cause=480', inactivity],
] as const)
  test.serial(
    `8.3.2.3 B1: in proxy mode the BYE of a focus (${cause}) and its 200 are forwarded as they are, and no Group State Object is stored`,
    async (t) => {
      const all = await groupPastPf(t);
      let bye: SipRequest | undefined;
      all.bobs.call.onBye = (request) => {
        bye = request;
        return Promise.resolve({status: 200, headers: [['X-Said', 'by the client']]});
      };
      const answer = await all.calling.request('BYE', headers);
      t.is(answer.status, 200);
      t.is(headerOf(answer, 'X-Said'), 'by the client');
      t.is(bye && headerOf(bye, 'Call-ID'), headerOf(all.calling.invite, 'Call-ID'));
      for (const name of ['Reason', 'Referred-By'])
        t.is(bye && headerOf(bye, name), headers.find(([header]) => header === name)?.[1]);
      await passed(t, all);
    },
  );

test.serial("8.3.2.3 B1: in proxy mode a member's client ends its group session with the focus itself", async (t) => {
  const all = await groupPastPf(t);
  t.is(await all.bobs.end('SIP;cause=503;text="Service Unavailable"'), 200);
  t.deepEqual(await all.calling.ended, {by: 'peer', reason: 'SIP;cause=503;text="Service Unavailable"'});
  t.true(all.conference.isMember(bobAddress));
  await passed(t, all);
});

test.serial('8.3.2.3 B1: in proxy mode members of a group talk past the PF', async (t) => {
  const all = await groupPastPf(t);
  await all.carols.sendText('to all');
  await all.bob.messages.first(({text}) => text === 'to all');
  await all.bobs.sendText('from Bob');
  await Promise.all(
    [all.group.carol, all.group.dave].map(async (each) => each.messages.first(({text}) => text === 'from Bob')),
  );
  await passed(t, all);
});

test.serial(
  '8.3.2.3 B1: in proxy mode re-INVITE, SUBSCRIBE and NOTIFY pass within the dialog of a group session, and his own subscription to the conference beside it',
  async (t) => {
    const all = await groupPastPf(t, {core: {cases: ['orig', 'term']}});
    const {bob, bobs, calling, conference} = all;
    bobs.call.onOffer = () => ({status: 488, headers: [['X-Said', 'by the client']]});
    const offer = calling.invite.body.toString();
    t.is(headerOf(await calling.reinvite(offer), 'X-Said'), 'by the client');
    calling.onRequest = ({method}) => ({status: method === 'SUBSCRIBE' ? 202 : 405, headers: [['Expires', '60']]});
    bobs.call.onRequest = ({method}) => ({status: method === 'NOTIFY' ? 200 : 405});
    const contact = ['Contact', `<${conference.identity}>`] as const;
    t.is((await bobs.call.request('SUBSCRIBE', [['Event', 'conference'], ['Expires', '60'], contact])).status, 202);
    const notify = [['Event', 'conference'], ['Subscription-State', 'active;expires=60'], contact] as const;
    t.is((await calling.request('NOTIFY', notify)).status, 200);
    const watch = await bob.watch(bobs.group?.identity ?? '');
    await watch.states.first(({participants}) => participants.length === 3);
    t.is(await watch.end(), 200);
    await passed(t, all);
  },
);
