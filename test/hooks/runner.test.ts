import test from 'ava';
import type {PluginHooks} from '../../lib/hooks/lifecycle.ts';
import {createRunner} from '../../lib/hooks/runner.ts';
import {example, manualClock} from '../../lib/hooks/test-kit.ts';
import type {DeliveryView, SendersView} from '../../lib/hooks/views.ts';
import {silentLog, type LogFields} from '../../lib/ports/log.ts';

/** A runner of plugins, each with these hooks, named by their place. */
function running(...plugins: readonly PluginHooks[]) {
  const warned: LogFields[] = [];
  const clock = manualClock();
  const log = {
    ...silentLog,
    warn: (fields: LogFields) => {
      warned.push(fields);
    },
  };
  const open = plugins.map((hooks, index) => ({name: `plugin-${index}`, hooks}));
  return {...createRunner(open, {clock, log, deadlineMilliseconds: 2000}), clock, warned};
}

const never = async (): Promise<never> => new Promise(() => undefined);
const fail = (): never => {
  throw new Error('broken');
};
const delivery: DeliveryView = {
  servedUser: 'tel:+15550102',
  sender: 'tel:+15550101',
  conversationId: 'Conversation-1',
  contributionId: 'Contribution-1',
  devices: 1,
};
const waiting: SendersView = {
  servedUser: 'tel:+15550102',
  senders: ['tel:+1', 'tel:+2', 'tel:+3'].map((sender, index) => ({
    sender,
    chats: 1,
    notifications: 0,
    oldestDateTime: index,
  })),
};

test('hooks: without plugins there is nothing to call', (t) => {
  t.deepEqual(running().hooks, {});
  t.deepEqual(Object.keys(running({beforeSend: () => undefined}).hooks), ['beforeSend']);
});

test('hooks: a hook that throws fails closed, each decision in its way', async (t) => {
  const {hooks, warned} = running({
    beforeAccept: fail,
    beforeDefer: fail,
    beforeNotification: fail,
    beforeInvite: fail,
    beforeSend: fail,
  });
  t.deepEqual(await hooks.beforeAccept?.(example.invitation()), {refuse: 500});
  t.deepEqual(await hooks.beforeDefer?.(example.message()), {refuse: 408});
  t.is(await hooks.beforeInvite?.(delivery), 'later');
  t.is(await hooks.beforeSend?.(example.queued()), 'later');
  const {conversationId, contributionId} = delivery;
  const notification = {author: 'tel:+15550102', recipientAddress: 'tel:+15550101', conversationId, contributionId};
  t.is(await hooks.beforeNotification?.({...notification, reports: []}), 'refuse');
  t.deepEqual(
    warned.map(({plugin, hook, code}) => [plugin, hook, code]),
    ['beforeAccept', 'beforeDefer', 'beforeInvite', 'beforeSend', 'beforeNotification'].map((hook) => [
      'plugin-0',
      hook,
      'CPM_HOOK_FAILED',
    ]),
  );
});

test('hooks: a late hook fails closed, the deadline is one for all plugins of a decision', async (t) => {
  const slow = (clock: () => ReturnType<typeof manualClock>) => async (): Promise<undefined> =>
    new Promise((resolve) => {
      clock().after(1500, () => {
        resolve(undefined);
      });
    });
  const {hooks, clock, warned} = running({beforeAccept: slow(() => clock)}, {beforeAccept: slow(() => clock)});
  const answer = hooks.beforeAccept?.(example.invitation());
  await clock.advance(2000);
  t.deepEqual(await answer, {refuse: 503});
  t.like(warned, [{plugin: 'plugin-1', hook: 'beforeAccept', code: 'CPM_HOOK_LATE', conversationId: 'Conversation-1'}]);
});

test('hooks: what a late hook says afterwards, or throws, changes nothing', async (t) => {
  let end: (error: Error) => void = () => undefined;
  const {hooks, clock, warned} = running({
    beforeDefer: async () =>
      new Promise((_, reject) => {
        end = reject;
      }),
  });
  const answer = hooks.beforeDefer?.(example.message());
  await clock.advance(2000);
  t.deepEqual(await answer, {refuse: 408});
  end(new Error('too late'));
  await clock.advance(0);
  t.is(warned.length, 1);
});

for (const [answer, why] of [
  [{refuse: 200}, 'a status that is no refusal'],
  [{refuse: 302}, 'a redirection'],
  [{refuse: '603'}, 'a text for a number'],
  [{refuse: 603, reason: 'Decline\r\nX-Injected: yes'}, 'a reason of two lines'],
  ['refuse', 'another word'],
  [false, 'a truth value'],
  [null, 'null'],
] as const)
  test(`hooks: ${why} is no answer to beforeAccept, and refuses with 500`, async (t) => {
    const {hooks, warned} = running({beforeAccept: () => answer as never});
    t.deepEqual(await hooks.beforeAccept?.(example.invitation()), {refuse: 500});
    t.like(warned, [{code: 'CPM_HOOK_ANSWER'}]);
  });

test('hooks: an MSRP status that has no place before storage is no answer to beforeDefer', async (t) => {
  const {hooks} = running({beforeDefer: () => ({refuse: 603}) as never});
  t.deepEqual(await hooks.beforeDefer?.(example.message()), {refuse: 408});
});

test('hooks: the first refusal counts, and plugins behind it are not asked', async (t) => {
  const asked: number[] = [];
  const {hooks} = running(
    {beforeAccept: () => void asked.push(0)},
    {beforeAccept: () => ({refuse: 480, reason: 'Not now'})},
    {beforeAccept: () => void asked.push(2)},
  );
  t.deepEqual(await hooks.beforeAccept?.(example.invitation()), {refuse: 480, reason: 'Not now'});
  t.deepEqual(asked, [0]);
});

test('hooks: who keeps an invitation from the devices lets it in, and plugins behind may refuse it still', async (t) => {
  const keeping: PluginHooks = {beforeAccept: () => 'keep'};
  t.is(await running(keeping, {beforeAccept: () => undefined}).hooks.beforeAccept?.(example.invitation()), 'keep');
  const refused = running(keeping, {beforeAccept: () => ({refuse: 603})}).hooks.beforeAccept?.(example.invitation());
  t.deepEqual(await refused, {refuse: 603});
});

test('hooks: an after-hook that throws, rejects or never ends is logged, and the others are told, in order', async (t) => {
  const told: string[] = [];
  const {clock, ...runner} = running(
    {afterDefer: fail},
    {afterDefer: never},
    {afterDefer: async () => Promise.reject(new Error('broken'))},
    {afterDefer: ({id}) => told.push(`3 ${id}`)},
    {afterDefer: ({id}) => told.push(`4 ${id}`)},
  );
  const {hooks, warned} = runner;
  hooks.afterDefer?.(example.deferred({id: 'a'}));
  hooks.afterDefer?.(example.deferred({id: 'b'}));
  t.deepEqual(told, ['3 a', '4 a', '3 b', '4 b']);
  await clock.advance(2000);
  await runner.idle();
  t.deepEqual(
    warned.map(({plugin, code}) => [plugin, code]),
    ['plugin-0', 'plugin-0', 'plugin-2', 'plugin-2', 'plugin-1', 'plugin-1'].map((plugin) => [
      plugin,
      plugin === 'plugin-1' ? 'CPM_HOOK_LATE' : 'CPM_HOOK_FAILED',
    ]),
  );
});

test('hooks: a plugin changes neither what it is shown nor the octets of a message', async (t) => {
  const octets = Buffer.from('hello');
  const seen: string[] = [];
  const {hooks} = running(
    {
      beforeDefer(message) {
        t.throws(() => Object.assign(message, {sender: 'tel:+1'}), {instanceOf: TypeError});
        t.throws(() => (message.dispositions as string[]).push('display'), {instanceOf: TypeError});
        message.bytes().fill(0);
        return undefined;
      },
    },
    {beforeDefer: (message) => void seen.push(Buffer.from(message.bytes()).toString())},
  );
  await hooks.beforeDefer?.(example.message({bytes: () => new Uint8Array(octets)}));
  t.deepEqual(seen, ['hello']);
});

test('8.3.2.9.1.1 A0: plugins order the senders one after the other; whom they leave out comes last, whom they make up does not count', async (t) => {
  const {hooks} = running(
    {order: () => ['tel:+3', 'tel:+9', 'tel:+3']},
    {order: ({senders}) => [senders.map(({sender}) => sender)[2] ?? '']},
  );
  t.deepEqual(await hooks.order?.(waiting), ['tel:+2', 'tel:+3', 'tel:+1']);
});

test('8.3.2.9.1.1 A0: a failing order leaves the senders as they stood', async (t) => {
  const {hooks, warned} = running({order: fail}, {order: () => 'tel:+3' as never}, {order: () => ['tel:+2']});
  t.deepEqual(await hooks.order?.(waiting), ['tel:+2', 'tel:+1', 'tel:+3']);
  t.deepEqual(
    warned.map(({code}) => code),
    ['CPM_HOOK_FAILED', 'CPM_HOOK_ANSWER'],
  );
});
