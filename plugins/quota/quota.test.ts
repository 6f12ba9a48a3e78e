import test from 'ava';
import {example, openForTest, type PluginUnderTest} from 'drachtio-cpm/test-kit';
import quota from './index.ts';

type Given = NonNullable<Parameters<typeof example.deferred>[0]>;

/** Whether a message is let in; if so, it is kept. */
async function keeps({hooks}: PluginUnderTest, given: Given = {}): Promise<boolean> {
  const answer = await hooks.beforeDefer?.(example.message(given));
  if (answer !== undefined) return false;
  hooks.afterDefer?.(example.deferred(given));
  return true;
}

test('quota: beyond the messages of a user his senders are refused, whoever they are, and other users are not', async (t) => {
  const opened = await openForTest(quota, {user: {messages: 2}});
  t.true(await keeps(opened, {sender: 'tel:+1'}));
  t.true(await keeps(opened, {sender: 'tel:+2'}));
  t.false(await keeps(opened, {sender: 'tel:+3'}));
  t.true(await keeps(opened, {servedUser: 'tel:+15550199'}));
  t.deepEqual(await opened.hooks.beforeDefer?.(example.message()), {refuse: 403});
});

test('quota: a sender is counted over all users', async (t) => {
  const opened = await openForTest(quota, {sender: {messages: 1}, status: 413});
  t.true(await keeps(opened, {servedUser: 'tel:+1'}));
  t.false(await keeps(opened, {servedUser: 'tel:+2'}));
  t.deepEqual(await opened.hooks.beforeDefer?.(example.message()), {refuse: 413});
});

test('quota: octets count as they are, to the last one', async (t) => {
  const opened = await openForTest(quota, {user: {bytes: 10}});
  t.true(await keeps(opened, {text: '123456'}));
  t.false(await keeps(opened, {text: '12345'}));
  t.true(await keeps(opened, {text: '1234'}));
  t.false(await keeps(opened, {text: '1'}));
});

test('quota: a window begins with its first message, and what was in it is forgotten after it', async (t) => {
  const opened = await openForTest(quota, {windowSeconds: 60, user: {messages: 1}});
  await opened.clock.advance(50_000);
  t.true(await keeps(opened));
  await opened.clock.advance(59_999);
  t.false(await keeps(opened));
  await opened.clock.advance(1);
  t.true(await keeps(opened));
});

test('quota: notifications, repetitions and what was not stored never count', async (t) => {
  const opened = await openForTest(quota, {user: {messages: 1}});
  t.true(await keeps(opened, {kind: 'notification'}));
  t.true(await keeps(opened, {outcome: 'duplicate'}));
  t.is(await opened.hooks.beforeDefer?.(example.message()), undefined);
  t.true(await keeps(opened));
  t.false(await keeps(opened));
  t.true(await keeps(opened, {kind: 'notification'}));
});
