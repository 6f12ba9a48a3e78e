import test from 'ava';
import {createGroups} from '../../../lib/procedures/group/groups.ts';
import type {Membership} from '../../../lib/procedures/group/membership.ts';

const bob = 'tel:+15550102';
const robert = 'sip:robert@home.example';

/** As much of a membership as the table of them sees. */
function member(servedUser: string, contributionId: string, hasFocus: boolean) {
  const ended: string[] = [];
  const record = {servedUser, contributionId};
  const membership = {
    record,
    focus: hasFocus ? {} : undefined,
    follow(key: string) {
      record.servedUser = key;
    },
    written: () => Promise.resolve(),
    end(reason: string) {
      ended.push(reason);
      return Promise.resolve();
    },
  };
  return {membership: membership as unknown as Membership, ended};
}

test('8.3.2.9.1.2 T36: the groups of a key that turned out to be another one’s are found by that one alone', async (t) => {
  const groups = createGroups(() => 1);
  const [one, other] = [member(robert, 'one', true), member(robert, 'other', true)];
  groups.add(one.membership);
  groups.add(other.membership);
  await groups.follow(robert, bob);
  t.is(groups.of(bob, 'one'), one.membership);
  t.is(groups.of(bob, 'other'), other.membership);
  t.is(groups.of(robert, 'one'), undefined);
  t.is(groups.all().length, 2);
  groups.remove(one.membership);
  t.deepEqual(groups.all(), [other.membership]);
  t.deepEqual([...one.ended, ...other.ended], []);
});

for (const [hasFocus, stays] of [
  [true, 'his own'],
  [false, 'the other one'],
] as const)
  test(`8.3.2.9.1.2 T36: of a group in which both keys were, ${stays} stays where the user ${hasFocus ? 'stands' : 'does not stand'} in it himself`, async (t) => {
    const groups = createGroups(() => 1);
    const own = member(bob, 'one', hasFocus);
    const former = member(robert, 'one', true);
    groups.add(own.membership);
    groups.add(former.membership);
    await groups.follow(robert, bob);
    const [kept, over] = hasFocus ? [own, former] : [former, own];
    t.deepEqual(groups.all(), [kept.membership]);
    t.is(groups.of(bob, 'one'), kept.membership);
    t.deepEqual(kept.ended, []);
    t.deepEqual(over.ended, ['SIP;cause=503;text="Service Unavailable"']);
  });
