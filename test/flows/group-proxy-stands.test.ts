/** Group sessions which a PF in proxy mode is in, as something has to pass it, and those into which a client comes by himself (8.3.2.3 1, 8.2.2). */
import {writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {formatAcceptContact} from '../../lib/codecs/sip-headers/accept-contact.ts';
import {headerOf} from '../../lib/codecs/sip-message.ts';
import type {Conference} from '../../lib/controlling-function/conference.ts';
import {ICSI} from '../../lib/cpm/feature-tags.ts';
import type {GroupStanding} from '../../lib/cpm/group-session.ts';
import {bobAddress, type DeploymentOptions} from '../support/deployment.ts';
import {
  carolAddress,
  groupUri,
  ids,
  inactivity,
  invitesOfBob,
  isMissed,
  knownGroup,
} from '../support/group-deployment.ts';
import {
  accept,
  beginAgain,
  callingBob,
  groupPastPf,
  invitesTo,
  passedBy,
  proxyingPf,
  refuse,
  type ProxyingPf,
} from '../support/group-past-pf.ts';
import {until} from '../support/persistent-sender.ts';
import {recordedSessions} from '../support/recorded.ts';
import {temporaryFolder} from '../support/temporary-folder.ts';

const joined = 'a client is joined with his group';

/** Bob's phone was busy, so that the PF stands in the group; it would take the next invitation. */
async function standing(t: ExecutionContext) {
  const all = await proxyingPf(t);
  all.bob.onInvitation = refuse(480);
  const {conference, carols} = await all.group.begin();
  await all.pf.pf.log.first(({msg}) => msg === 'the PF stands in a group for its user');
  all.bob.onInvitation = accept;
  return {...all, conference, carols};
}

/** What is said in the conference comes to Bob, and he has heard this before. */
async function hears(t: ExecutionContext, {bob}: ProxyingPf, conference: Conference, texts: readonly string[]) {
  conference.say(carolAddress, 'live');
  await bob.messages.first(({text}) => text === 'live');
  t.deepEqual(
    bob.messages.items.map(({text}) => text),
    [...texts, 'live'],
  );
}

/** The last INVITE to Bob's phone is one of the PF's own. */
function isOwn(t: ExecutionContext, {bob, group}: ProxyingPf, conference: Conference): void {
  const last = invitesTo(bob).at(-1);
  t.not(last && headerOf(last, 'Call-ID'), headerOf(callingBob(conference).invite, 'Call-ID'));
  t.regex((last && headerOf(last, 'Contact')) ?? '', /ocid=.*isfocus/);
  t.is(invitesOfBob(group).length, 0);
}

const isKnownAs = async ({pf}: ProxyingPf, standing: GroupStanding): Promise<void> =>
  until(async () => (await knownGroup(pf, bobAddress, ids.contributionId))?.standing === standing);

test.serial(
  '8.3.2.3 B1: a group in which the PF stands for the user stays with it, be a client of his in it or not',
  async (t) => {
    const all = await standing(t);
    const {pf, bob} = all;
    const second = await beginAgain(all);
    await pf.pf.log.first(({msg}) => msg === joined);
    isOwn(t, all, second);
    const third = await beginAgain(all);
    await pf.pf.log.atLeast(2, ({msg}) => msg === joined);
    await hears(t, all, third, []);
    t.is(invitesTo(bob).length, 2);
    t.is(passedBy(pf), 1);
  },
);

test.serial('8.3.2.3 B1: a group in which the PF stands on another node stays with a PF', async (t) => {
  const all = await standing(t);
  const {pf} = all;
  await pf.kill();
  await pf.configure({node: {name: 'another'}});
  await pf.start();
  const second = await beginAgain(all);
  await pf.pf.log.first(({msg}) => msg === joined);
  isOwn(t, all, second);
  await hears(t, all, second, []);
  t.is(passedBy(pf), 0);
});

test.serial('8.3.2.3 B1: a group that was over for the user by a 410 begins again with the PF in it', async (t) => {
  const all = await standing(t);
  await all.conference.remove(bobAddress);
  await isKnownAs(all, 'removed');
  const second = await beginAgain(all);
  isOwn(t, all, second);
  await isKnownAs(all, 'active');
  t.is(passedBy(all.pf), 1);
});

test.serial(
  '8.3.2.3 B1 T42: what waits of the group goes first, so that session has both its legs at the PF',
  async (t) => {
    const all = await standing(t);
    const {pf, bob, conference, carols} = all;
    bob.onInvitation = refuse(480);
    await isMissed(pf, carols, ['one', 'two']);
    await pf.pf.log.first(({msg}) => msg === 'what waits for a user is tried again later');
    await conference.end(inactivity);
    await isKnownAs(all, 'inactive');
    bob.onInvitation = accept;
    const second = await beginAgain(all);
    await pf.pf.log.first(({msg}) => msg === joined);
    isOwn(t, all, second);
    await hears(t, all, second, ['one', 'two']);
    await second.end(inactivity);
    await isKnownAs(all, 'inactive');
    // From now on nothing waits, and nobody stands: the next one passes.
    const third = await beginAgain(all);
    const last = invitesTo(bob).at(-1);
    t.is(last && headerOf(last, 'Call-ID'), headerOf(callingBob(third).invite, 'Call-ID'));
    t.is(passedBy(pf), 2);
  },
);

test.serial(
  '8.3.2.3 B1: while something is handed over to the user an invitation to a group does not pass',
  async (t) => {
    const all = await proxyingPf(t, {config: {sip: {inviteSeconds: 20}}});
    const {pf, bob, group} = all;
    bob.onInvitation = refuse(480);
    const alice = await pf.alice();
    await pf.register(alice);
    await (await alice.startChat(bobAddress)).sendText('kept');
    await pf.pf.log.first(({msg}) => msg === 'what waits for a user is tried again later');
    const before = invitesTo(bob).length;
    bob.onInvitation = (invitation) => {
      if (headerOf(invitation.request, 'Contribution-ID') === ids.contributionId) accept(invitation);
      else invitation.ring();
    };
    await pf.register(bob);
    await until(() => Promise.resolve(invitesTo(bob).length > before));
    const {conference} = await group.begin();
    isOwn(t, all, conference);
    t.is(passedBy(pf), 1);
  },
);

test.serial('8.3.2.3 B1 T11: the group session of a user who is recorded passes the PF', async (t) => {
  const all = await proxyingPf(t, {cpm: {recording: ['tel:+15550102']}});
  const {conference} = await all.group.begin();
  await all.pf.pf.log.first(({msg}) => msg === joined);
  isOwn(t, all, conference);
  await hears(t, all, conference, []);
  await conference.settled();
  await conference.end();
  await until(async () => (await recordedSessions(all.pf, bobAddress)).some(({counts}) => counts.message === 1));
  t.is(passedBy(all.pf), 0);
});

test.serial('8.3.2.1 B1: where a plugin wants it kept, no device gets the invitation', async (t) => {
  const file = path.join(await temporaryFolder(t), 'keep.js');
  await writeFile(
    file,
    `import {definePlugin, z} from '${new URL('../../lib/index.js', import.meta.url).href}';
export default definePlugin({name: 'keep', options: z.strictObject({}), hooks: () => ({beforeAccept: () => 'keep'})});`,
  );
  const {pf, bob, group} = await proxyingPf(t, {config: {plugins: [{use: file}]}});
  await group.begin();
  await pf.pf.log.first(({msg}) => msg === 'the PF stands in a group for its user');
  t.is(passedBy(pf), 0);
  t.is(bob.requests.items.length, 0);
});

const forBoth: DeploymentOptions = {core: {cases: ['orig', 'term']}};

test.serial('8.2.2 B1: a re-join that does not ask for a group session passes, too', async (t) => {
  const all = await groupPastPf(t, forBoth);
  const {pf, bob, bobs, conference, group} = all;
  const again = await bob.startGroup(conference.identity, ids);
  t.deepEqual(await bobs.ended, {by: 'peer', reason: 'SIP;cause=200;text="Call completed elsewhere"'});
  await hears(t, all, conference, []);
  await again.sendText('from Bob');
  await group.carol.messages.first(({text}) => text === 'from Bob');
  t.is(again.group?.identity, conference.identity);
  t.like(await pf.status(), {load: {sessions: 0}});
  t.is(await knownGroup(pf, bobAddress, ids.contributionId), undefined);
});

test.serial(
  '8.2.2 B1: a re-join that asks for a group session: from then on the PF stands in between, and keeps',
  async (t) => {
    const all = await groupPastPf(t, forBoth);
    const {pf, bob, bobs, carols, conference, group} = all;
    const asking = ['Accept-Contact', formatAcceptContact({icsi: ICSI.sessionGroup})] as const;
    const again = await bob.startGroup(conference.identity, {...ids, headers: [asking]});
    t.deepEqual(await bobs.ended, {by: 'peer', reason: 'SIP;cause=200;text="Call completed elsewhere"'});
    await pf.pf.log.first(({msg}) => msg === joined);
    await hears(t, all, conference, []);
    await again.sendText('from Bob');
    await group.carol.messages.first(({text}) => text === 'from Bob');
    t.like(await knownGroup(pf, bobAddress, ids.contributionId), {standing: 'active', focus: conference.identity});
    await bob.close();
    await pf.pf.log.first(({msg}) => msg === 'the PF stays in a group for its user');
    await isMissed(pf, carols, ['missed']);
    const next = await pf.bob();
    await pf.register(next);
    await next.messages.first(({text}) => text === 'missed');
    t.is(passedBy(pf), 1);
  },
);

for (const [what, isThere] of [
  ['stands again past the PF is joined', true],
  ['is over is started again', false],
] as const)
  test.serial(
    `8.3.2.9.1.3 D3 B1: a group that the PF knows from before and that ${what} when a client comes by our URI`,
    async (t) => {
      const all = await standing(t);
      const {pf, bob, conference, group} = all;
      await conference.end(inactivity);
      await isKnownAs(all, 'inactive');
      if (isThere) await beginAgain(all);
      t.is(passedBy(pf), isThere ? 2 : 1);
      await bob.startGroup(groupUri(pf), ids);
      await pf.pf.log.first(({msg}) => msg === joined);
      await hears(t, all, group.focus.conferences.items.at(-1) ?? conference, []);
      // No list where nobody has to be invited.
      t.deepEqual(
        invitesOfBob(group).map((invite) => headerOf(invite, 'Require')),
        isThere ? [undefined] : [undefined, 'recipient-list-invite'],
      );
    },
  );
