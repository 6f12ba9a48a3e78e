import test from 'ava';
import type {GroupSession} from '../../../lib/cpm/group-session.ts';
import {silentLog} from '../../../lib/ports/log.ts';
import type {Context} from '../../../lib/procedures/context.ts';
import {KnownGroup} from '../../../lib/procedures/group/known-group.ts';
import {newGroup} from '../../support/group-sessions.ts';

/** A group that a store knows as it was at 1000, and what is written over it. */
function known() {
  const written: GroupSession[] = [];
  let stored = newGroup({changedAt: 1000});
  let now = 2000;
  const groupSessions = {
    get: async () => Promise.resolve(stored),
    async put(group: GroupSession) {
      stored = group;
      written.push(group);
      return Promise.resolve();
    },
  };
  const context = {
    store: {groupSessions},
    clock: {now: () => (now += 1)},
    policy: {node: 'pf-1'},
    log: silentLog,
  } as unknown as Context;
  return {group: new KnownGroup(context, stored), written, groupSessions};
}

test('8.3.2.3 B4: that a group is over is known at once, and written down when its state is stored: a PF that dies in between claims nothing', async (t) => {
  const {group, written} = known();
  let store: () => void = () => undefined;
  const noted = group.noteAfter(new Promise<void>((resolve) => (store = resolve)), {standing: 'removed'});
  t.is(group.record.standing, 'removed');
  await new Promise(setImmediate);
  t.deepEqual(written, []);
  store();
  await noted;
  t.deepEqual(
    written.map(({standing}) => standing),
    ['removed'],
  );
});

test('8.3.2.3 B4: what was written of a group meanwhile, by whomever, is not overwritten by its end before', async (t) => {
  const {group, written, groupSessions} = known();
  let store: () => void = () => undefined;
  const noted = group.noteAfter(new Promise<void>((resolve) => (store = resolve)), {standing: 'inactive'});
  await groupSessions.put(newGroup({standing: 'active', changedAt: 3000}));
  store();
  await noted;
  t.deepEqual(
    written.map(({standing}) => standing),
    ['active'],
  );
});
