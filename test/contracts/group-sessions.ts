import type {TestFn} from 'ava';
import type {GroupSession} from '../../lib/cpm/group-session.ts';
import {unknownConference} from '../../lib/cpm/conference-state.ts';
import {conference, newGroup} from '../support/group-sessions.ts';
import type {OpenStore} from './store-under-test.ts';

const {servedUser: bob} = newGroup();
const bobsOther = 'sip:bob@ims.example';
const carol = 'tel:+4915150000003';
const page = {limit: 100};

const names = (groups: readonly GroupSession[]): readonly string[] =>
  groups.map(({servedUser, contributionId}) => `${servedUser} ${contributionId}`);

/** What every store of group sessions does (lib/ports/group-sessions.ts). */
export function groupSessionsContract(test: TestFn, name: string, open: OpenStore): void {
  test(`8.3.2.9.1.2 C5: a group comes out as it went in, absence too, in the store's next life as well (${name})`, async (t) => {
    const opened = await open(t);
    const {store} = opened;
    const whole = newGroup({
      conference,
      subject: 'Fußball \u{26bd} \u0000',
      offer: 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n',
    });
    const bare = newGroup({contributionId: 'bare', conference: unknownConference});
    t.is(await store.groupSessions.get(bob, whole.contributionId), undefined);
    await store.groupSessions.put(whole);
    await store.groupSessions.put(bare);
    for (const life of [() => Promise.resolve(store), () => opened.restart()]) {
      const {groupSessions} = await life();
      t.deepEqual(await groupSessions.get(bob, whole.contributionId), whole);
      t.deepEqual(await groupSessions.get(bob, 'bare'), bare);
      t.deepEqual(await groupSessions.ofUser(bob, page), [whole, bare]);
      t.deepEqual(await groupSessions.standingOf('pf-1', page), [whole, bare]);
    }
  });

  test(`8.3.2.9.1.2 T46: what is written of a group stands in place of what was known, of no other (${name})`, async (t) => {
    const {groupSessions} = (await open(t)).store;
    const others = [newGroup({contributionId: 'GROUP1'}), newGroup({servedUser: carol})];
    for (const group of [newGroup({subject: 'Old', offer: 'v=0', conference}), ...others])
      await groupSessions.put(group);
    const next = newGroup({standing: 'removed', focus: 'sip:other@cf.ims.example', node: 'pf-2', changedAt: 500});
    await groupSessions.put(next);
    await groupSessions.put(next);
    t.deepEqual(await groupSessions.get(bob, 'Group1'), next);
    t.deepEqual(await groupSessions.ofUser(bob, page), [others[0], next]);
    t.deepEqual(await groupSessions.ofUser(carol, page), [others[1]]);
  });

  test(`8.3.2.9.1.2: the groups of a user are told page by page, by Contribution-ID (${name})`, async (t) => {
    const {groupSessions} = (await open(t)).store;
    for (const contributionId of ['c', 'B', 'ä', 'a'])
      await groupSessions.put(newGroup({contributionId, standing: contributionId === 'a' ? 'left' : 'active'}));
    await groupSessions.put(newGroup({servedUser: carol}));
    t.deepEqual(names(await groupSessions.ofUser(bob, {limit: 2})), [`${bob} B`, `${bob} a`]);
    t.deepEqual(names(await groupSessions.ofUser(bob, {after: 'a', limit: 2})), [`${bob} c`, `${bob} ä`]);
    t.deepEqual(await groupSessions.ofUser(bob, {after: 'ä', limit: 2}), []);
    t.deepEqual(await groupSessions.ofUser(bob, {limit: 0}), []);
    t.deepEqual(await groupSessions.ofUser('tel:+49', page), []);
  });

  test(`8.2.2.7: a node is told page by page in which groups it stands, whoever they are for (${name})`, async (t) => {
    const {groupSessions} = (await open(t)).store;
    for (const servedUser of [carol, bob])
      for (const contributionId of ['2', '1']) await groupSessions.put(newGroup({servedUser, contributionId}));
    for (const standing of ['inactive', 'removed', 'left'] as const)
      await groupSessions.put(newGroup({contributionId: standing, standing}));
    await groupSessions.put(newGroup({contributionId: 'elsewhere', node: 'pf-2'}));
    const told: GroupSession[] = [];
    for (;;) {
      const next = await groupSessions.standingOf('pf-1', {after: told.at(-1), limit: 3});
      told.push(...next);
      if (next.length < 3) break;
    }
    t.deepEqual(names(told), [`${bob} 1`, `${bob} 2`, `${carol} 1`, `${carol} 2`]);

    await groupSessions.put(newGroup({contributionId: '1', node: 'pf-2'}));
    await groupSessions.put(newGroup({contributionId: '2', standing: 'inactive'}));
    t.deepEqual(names(await groupSessions.standingOf('pf-1', page)), [`${carol} 1`, `${carol} 2`]);
    t.deepEqual(names(await groupSessions.standingOf('pf-2', page)), [`${bob} 1`, `${bob} elsewhere`]);
    t.deepEqual(await groupSessions.standingOf('pf-1', {limit: 0}), []);
  });

  test(`8.3.2.9.1.2 T36: when two keys turn out to be one user their groups join, of one that both know the latest (${name})`, async (t) => {
    const {groupSessions} = (await open(t)).store;
    const known = (servedUser: string, contributionId: string, changedAt: number): GroupSession =>
      newGroup({servedUser, contributionId, changedAt, subject: `of ${servedUser}`});
    for (const group of [
      known(bob, 'older', 1),
      known(bob, 'newer', 9),
      known(bob, 'same', 5),
      known(bobsOther, 'older', 5),
      known(bobsOther, 'newer', 5),
      known(bobsOther, 'same', 5),
      known(bobsOther, 'alone', 5),
      known(carol, 'alone', 5),
    ])
      await groupSessions.put(group);
    t.is(await groupSessions.adopt(bobsOther, bob), 2);
    t.is(await groupSessions.adopt(bobsOther, bob), 0);
    t.is(await groupSessions.adopt(bob, bob), 0);
    t.deepEqual(await groupSessions.ofUser(bobsOther, page), []);
    t.deepEqual(await groupSessions.ofUser(bob, page), [
      {...known(bobsOther, 'alone', 5), servedUser: bob},
      known(bob, 'newer', 9),
      {...known(bobsOther, 'older', 5), servedUser: bob},
      known(bob, 'same', 5),
    ]);
    t.is((await groupSessions.ofUser(carol, page)).length, 1);
  });

  test(`8.3.2.9.1.2: a group that is over is forgotten when its time has come, an active one never (${name})`, async (t) => {
    const {groupSessions} = (await open(t)).store;
    for (const [contributionId, standing, changedAt] of [
      ['a', 'active', 1],
      ['b', 'inactive', 1],
      ['c', 'removed', 2],
      ['d', 'left', 3],
      ['e', 'left', 10],
    ] as const)
      await groupSessions.put(newGroup({contributionId, standing, changedAt}));
    t.is(await groupSessions.forget(1, 9), 0);
    t.is(await groupSessions.forget(10, 0), 0);
    t.is(await groupSessions.forget(10, 2), 2);
    t.is(await groupSessions.forget(10, 2), 1);
    t.is(await groupSessions.forget(10, 2), 0);
    t.deepEqual(names(await groupSessions.ofUser(bob, page)), [`${bob} a`, `${bob} e`]);
  });

  test(`8.3.2.9 A21: of an erased user no group is left, under whichever address, and of others all (${name})`, async (t) => {
    const {store} = await open(t);
    const rest = {contacts: [], servingNode: undefined, expiresAt: 9000};
    await store.registrations.put({servedUser: bob, identities: [bob, bobsOther], ...rest});
    for (const servedUser of [bob, bobsOther, carol]) await store.groupSessions.put(newGroup({servedUser}));
    t.like(await store.erase(bob), {groups: 2});
    t.like(await store.erase(bob), {groups: 0});
    for (const key of [bob, bobsOther]) t.deepEqual(await store.groupSessions.ofUser(key, page), []);
    t.deepEqual(names(await store.groupSessions.standingOf('pf-1', page)), [`${carol} Group1`]);
  });
}
