/** Invitations to a group that a PF in proxy mode gets back, or does not let pass as nobody is there (CPM-CF 8.3.2.1, 8.3.2.3 1). */
import test from 'ava';
import {keyOf} from '../../lib/controlling-function/conference.ts';
import {chatHeaders, chatOffer} from '../support/chat-offer.ts';
import {bobAddress} from '../support/deployment.ts';
import {ids, invitesOfBob, isMissed, knownGroup} from '../support/group-deployment.ts';
import {accept, invitesTo, passedBy, proxyingPf, refuse} from '../support/group-past-pf.ts';
import {nothingIsLeft} from '../support/nothing-left.ts';

/** A drachtio server gives nobody up whose network has said 100 (docs/interop.md). */
const embeddedTest = process.env['DRACHTIO_HOST'] === undefined ? test.serial : test.serial.skip;
const stands = 'the PF stands in a group for its user';

for (const [what, answer, serial] of [
  ['a 480', refuse(480), test.serial],
  ['a 486', refuse(486), test.serial],
  ['a 503', refuse(503), test.serial],
  ['silence', () => undefined, embeddedTest],
] as const)
  serial(
    `8.3.2.1 B1: ${what} of the device: the PF stands in the group without ringing it again, keeps, and hands over once at the next registration`,
    async (t) => {
      const {group, pf, bob} = await proxyingPf(t, {config: {sip: {inviteSeconds: 3}}});
      bob.onInvitation = answer;
      const {conference, carols} = await group.begin();
      await pf.pf.log.first(({msg}) => msg === stands);
      t.is(passedBy(pf), 1);
      t.is(invitesTo(bob).length, 1);
      const known = await knownGroup(pf, bobAddress, ids.contributionId);
      t.like(known, {...ids, standing: 'active', focus: conference.identity});
      await isMissed(pf, carols, ['one', 'two']);
      await pf.pf.log.first(({msg}) => msg === 'what waits for a user is tried again later');
      bob.onInvitation = accept;
      await pf.register(bob);
      await pf.pf.log.first(({msg}) => msg === 'a client is joined with his group');
      await carols.sendText('live');
      await bob.messages.first(({text}) => text === 'live');
      t.deepEqual(
        bob.messages.items.map(({text}) => text),
        ['one', 'two', 'live'],
      );
      t.is(bob.repetitions.items.length, 0);
      t.is(invitesOfBob(group).length, 0);
    },
  );

test.serial('8.3.2.1 B1: a device that is gone without a word: the PF stands in the group and keeps', async (t) => {
  const {group, pf, bob} = await proxyingPf(t);
  await bob.close();
  const {carols} = await group.begin();
  await isMissed(pf, carols, ['kept']);
  t.is(passedBy(pf), 1);
});

for (const terminatingSessions of ['proxy', 'b2bua'])
  for (const status of [603, 488])
    test.serial(
      `8.3.2.1 B1: a ${status} of the device goes back to the focus, and nothing is known of the group (${terminatingSessions})`,
      async (t) => {
        const {group, pf, bob} = await proxyingPf(t, {cpm: {terminatingSessions}});
        bob.onInvitation = refuse(status);
        const {conference} = await group.begin();
        const told = await conference.changes.first(({endpoint}) => endpoint.status === 'disconnected');
        t.like(told, {member: keyOf(bobAddress), endpoint: {disconnectionInfo: {reason: `SIP;cause=${status}`}}});
        t.is(passedBy(pf), terminatingSessions === 'proxy' ? 1 : 0);
        t.is(invitesTo(bob).length, 1);
        await nothingIsLeft(pf);
        t.is(await knownGroup(pf, bobAddress, ids.contributionId), undefined);
      },
    );

test.serial(
  '8.3.2.1 B1: the focus gives up while the device rings: it hears CANCEL, and nobody accepts for it',
  async (t) => {
    const {group, pf, bob} = await proxyingPf(t);
    const cancelled = new Promise((resolve) => {
      bob.onInvitation = (invitation) => {
        invitation.ring();
        call.cancel();
        void invitation.cancelled.then(() => {
          resolve('cancelled');
        });
      };
    });
    const {userAgent} = group.carol;
    const focus = ['Contact', `${userAgent.contact};isfocus`] as const;
    const call = userAgent.invite(bobAddress, chatOffer, [...chatHeaders, focus]);
    const outcome = await call.outcome;
    t.is('status' in outcome && outcome.status, 487);
    t.is(await cancelled, 'cancelled');
    t.is(passedBy(pf), 1);
    await nothingIsLeft(pf);
    t.is(await knownGroup(pf, bobAddress, 'd'), undefined);
  },
);

test.serial('8.3.2.1 B1: nobody is there: the PF stands in the group at once', async (t) => {
  const {group, pf, bob} = await proxyingPf(t);
  await bob.deregister();
  await pf.core.told.first(({expires}) => expires === 0);
  const {carols} = await group.begin();
  await isMissed(pf, carols, ['kept']);
  t.is(passedBy(pf), 0);
  t.is(bob.requests.items.length, 0);
});
