/** Group data management: members ask by messages for another subject, icon or role; it is no chat. */
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {groupDeployment, inactivity, isMissed} from '../support/group-deployment.ts';
import {withRawFocus} from '../support/raw-focus.ts';

const groupData = 'application/vnd.oma.cpm-groupdata+xml';
const request = [
  '<?xml version="1.0" encoding="UTF-8"?>',
  '<cpm-group-management id="1" xmlns="urn:oma:xml:cpm:groupdata:1.0"><group-data><request>',
  '<target>subject</target><action>set</action><data><subject>Dinner</subject></data>',
  '</request></group-data></cpm-group-management>',
].join('');
const inCpim = (contentType: string, content: string): string =>
  [
    'From: <sip:+15550101@home.example>',
    'To: <sip:x@y>',
    'NS: imdn <urn:ietf:params:imdn>',
    'imdn.Message-ID: of-the-data',
    'imdn.Disposition-Notification: positive-delivery',
    '',
    `Content-Type: ${contentType}`,
    '',
    content,
  ].join('\r\n');

const isInvite = ({method}: {readonly method: string}): boolean => method === 'INVITE';

/** Bob is there for the first time that he is asked, or he is busy then. */
async function withBob(
  t: ExecutionContext,
  {isBusy, groupData}: {readonly isBusy: boolean; readonly groupData: boolean},
) {
  const {pf, focus} = await withRawFocus(t, {config: {cpm: {groupData}}});
  const bob = await pf.bob();
  await pf.register(bob);
  const {onInvitation} = bob;
  if (isBusy)
    bob.onInvitation = (invitation) => {
      bob.onInvitation = onInvitation;
      invitation.refuse(486);
    };
  return {pf, focus, bob, call: await focus.invite('invite-list-first')};
}

test.serial(
  '8.3.2.9.1.2 E2: a group data message for a member who is away gets 200, bare and in CPIM, is kept nowhere, and he is not rung for it',
  async (t) => {
    const {pf, bob, call} = await withBob(t, {isBusy: true, groupData: true});
    t.is(await call.say(groupData, request), '200');
    t.is(await call.say('message/cpim', inCpim(`${groupData};charset=utf-8`, request)), '200');
    t.like(await pf.status(), {ledger: {accepted: 0, pending: 0}});
    t.is(bob.requests.items.filter(isInvite).length, 1);
    t.is(await call.say('message/cpim', inCpim('text/plain', 'hello')), '200');
    await bob.messages.first(({text}) => text === 'hello');
    t.is(bob.messages.items.length, 1);
    t.is(bob.requests.items.filter(isInvite).length, 2);
    t.like(await pf.status(), {ledger: {accepted: 1}});
  },
);

test.serial('8.3.2.9.1.2 C9: a group data message passes, as it is, to a member who is there', async (t) => {
  const {pf, bob, call} = await withBob(t, {isBusy: false, groupData: false});
  await pf.pf.log.first(({msg}) => msg === 'a client is joined with his group');
  const {msrp} = await bob.sessions.first();
  const data = inCpim(groupData, request);
  t.is(await call.say('message/cpim', data), '200');
  await msrp.frames.first(({body}) => body?.toString() === data);
  t.like(await pf.status(), {ledger: {accepted: 0}});
});

test.serial(
  '8.3.2.9.1.3 D4: a group data message that cannot reach the group gets 408, and no notification is made of it',
  async (t) => {
    t.timeout(90_000);
    const {pf, focus, begin} = await groupDeployment(t, {focus: {keepsForAbsent: true}});
    const {conference, carols} = await begin();
    await isMissed(pf, carols, ['one']);
    await conference.end(inactivity);
    const bob = await pf.bob({notifications: 'none'});
    await pf.register(bob);
    const {session} = await bob.messages.first(({text}) => text === 'one');
    focus.refuses = () => 403;
    const data = Buffer.from(inCpim(groupData, request));
    t.is(await session.msrp.send(data, {contentType: 'message/cpim'}), 408);
    t.is((await session.ended).reason, 'SIP;cause=403');
    t.is(bob.notifications.items.length, 0);
  },
);
