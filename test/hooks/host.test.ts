import test from 'ava';
import {z} from 'zod';
import {openPlugins} from '../../lib/hooks/host.ts';
import type {PluginHooks} from '../../lib/hooks/lifecycle.ts';
import {definePlugin} from '../../lib/hooks/plugin.ts';
import {example, manualClock, openForTest} from '../../lib/hooks/test-kit.ts';
import {silentLog} from '../../lib/ports/log.ts';

const needs = {clock: manualClock(), log: silentLog, deadlineMilliseconds: 1000};
const made = (name: string, hooks: () => PluginHooks | Promise<PluginHooks>) => ({
  plugin: definePlugin({name, options: z.strictObject({}), hooks}),
  options: {},
});

test('plugins: one that cannot be opened keeps the PF from starting, and those opened before are closed', async (t) => {
  const closed: string[] = [];
  const first = made('first', () => ({close: () => closed.push('first')}));
  const second = made('second', () => Promise.reject(new Error('no such journal')));
  await t.throwsAsync(openPlugins([first, second], needs), {
    code: 'CPM_PLUGIN',
    message: 'the plugin second cannot be started: no such journal',
  });
  t.deepEqual(closed, ['first']);
});

test('plugins: a hook of a name that nobody calls is an error, as it would let everything through', async (t) => {
  const plugin = made('typo', () => ({beforeAcept: () => ({refuse: 603})}) as PluginHooks);
  const error = await t.throwsAsync(openPlugins([plugin], needs), {code: 'CPM_PLUGIN'});
  t.regex(error.message, /^the plugin typo cannot be started: beforeAcept: no such hook; there are beforeAccept,/);
});

test('plugins: at the end each is closed, the last one first, after everybody was told', async (t) => {
  const order: string[] = [];
  const clock = manualClock();
  const plugin = (name: string) =>
    made(name, () => ({
      afterBye: async () =>
        new Promise<void>((resolve) => {
          clock.after(10, () => {
            order.push(`${name} told`);
            resolve();
          });
        }),
      close: () => order.push(`${name} closed`),
    }));
  const host = await openPlugins([plugin('a'), plugin('b')], {...needs, clock});
  const {servedUser, sender, conversationId, contributionId} = example.invitation();
  host.hooks.afterBye?.({servedUser, sender, conversationId, contributionId, by: 'client', reason: undefined});
  const closed = host.close();
  await clock.advance(10);
  await closed;
  await host.close();
  t.deepEqual(order, ['a told', 'b told', 'b closed', 'a closed']);
});

test('plugins: one that does not close in time is logged and left', async (t) => {
  const opened = await openForTest(
    made('stuck', () => ({close: async () => new Promise(() => undefined)})).plugin,
    {},
    {deadlineMilliseconds: 50},
  );
  const closed = opened.close();
  await opened.clock.advance(50);
  await closed;
  t.like(opened.log.at(-1), {level: 'warn', plugin: 'stuck', hook: 'close'});
});

test('test kit: options are checked as those of a configuration, and the log is there to be read', async (t) => {
  const plugin = definePlugin({
    name: 'greeter',
    options: z.strictObject({word: z.string().default('hello')}),
    hooks: ({word}, {log}) => ({
      afterAccept: () => {
        log.info({}, word);
      },
      retains: '/var/lib/words',
    }),
  });
  await t.throwsAsync(openForTest(plugin, {word: 1} as never));
  const opened = await openForTest(plugin, {});
  opened.hooks.afterAccept?.({...example.invitation(), by: 'device'});
  await opened.close();
  t.true(opened.log.some(({plugin: name, sentence}) => name === 'greeter' && sentence === 'hello'));
  t.deepEqual(opened.retained, ['/var/lib/words']);
});
