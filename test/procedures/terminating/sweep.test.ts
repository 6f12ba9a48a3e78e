import {join} from 'node:path';
import test from 'ava';
import {openEmbeddedStore} from '../../../lib/adapters/embedded-store/embedded-store.ts';
import {silentLog} from '../../../lib/ports/log.ts';
import type {Context, Policy} from '../../../lib/procedures/context.ts';
import {startSweep} from '../../../lib/procedures/terminating/sweep.ts';
import {newGroup} from '../../support/group-sessions.ts';
import {temporaryFolder} from '../../support/temporary-folder.ts';

const now = 1_000_000;

const cases = [
  {what: 'the retention of records', recordedRetention: 300, deferredRetention: 100, left: ['active', 'young']},
  {
    what: 'that of messages, where it is longer',
    recordedRetention: 100,
    deferredRetention: 300,
    left: ['active', 'young'],
  },
  {
    what: 'never, where records stay',
    recordedRetention: undefined,
    deferredRetention: 100,
    left: ['active', 'old', 'young'],
  },
] as const;

for (const {what, left, ...retentions} of cases)
  test(`8.3.2.9.1.2: a group that is over is forgotten after ${what}; an active one stays`, async (t) => {
    const store = await openEmbeddedStore({path: join(await temporaryFolder(t), 'store.db')});
    t.teardown(() => store.close());
    for (const [contributionId, standing, age] of [
      ['active', 'active', 900],
      ['old', 'inactive', 301],
      ['young', 'left', 200],
    ] as const)
      await store.groupSessions.put(newGroup({contributionId, standing, changedAt: now - age}));

    // A sweep is over when the next one is due.
    const due: (() => void)[] = [];
    const swept = new Promise<void>((resolve) => {
      const clock: Context['clock'] = {
        now: () => now,
        after(_, fire) {
          due.push(fire);
          if (due.length === 2) resolve();
          return {cancel: () => undefined};
        },
      };
      const policy = {expirySweep: 1, settledRetention: 1, ...retentions} as Policy;
      startSweep({store, clock, log: silentLog, policy} as Context);
    });
    due[0]?.();
    await swept;
    const groups = await store.groupSessions.ofUser(newGroup().servedUser, {limit: 9});
    t.deepEqual(
      groups.map(({contributionId}) => contributionId),
      left,
    );
  });
