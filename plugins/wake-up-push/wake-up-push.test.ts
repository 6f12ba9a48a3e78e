import {createServer, type IncomingHttpHeaders, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import test, {type ExecutionContext} from 'ava';
import {example, openForTest, type PluginUnderTest} from 'drachtio-cpm/test-kit';
import {Inbox} from '../../lib/phone/inbox.ts';
import wakeUpPush from './index.ts';

interface Asked {
  readonly body: unknown;
  readonly headers: IncomingHttpHeaders;
  readonly response: ServerResponse;
}

/** A real push gateway, which answers as it is told; without a word it lets the request wait. */
async function gateway(t: ExecutionContext, answer?: (attempt: number) => number) {
  const asked = new Inbox<Asked>('request of the push gateway');
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const status = answer?.(asked.items.length + 1);
      if (status !== undefined) response.writeHead(status).end('thank you');
      asked.push({body: JSON.parse(Buffer.concat(chunks).toString()), headers: request.headers, response});
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return {asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/push`};
}

/** Waits for a record of the plugin: what the gateway said has come to it. */
const logged = async ({log, clock}: PluginUnderTest, sentence: string): Promise<void> => {
  while (!log.some((line) => line.sentence === sentence)) await clock.advance(0);
};
const user = 'tel:+15550102';

test('wake-up-push: the gateway is asked once for a user, however much is kept for him, and is told his address alone', async (t) => {
  const {asked, url} = await gateway(t, () => 202);
  const opened = await openForTest(wakeUpPush, {url, headers: {Authorization: 'Bearer secret'}});
  for (const id of ['1', '2', '3']) opened.hooks.afterDefer?.(example.deferred({id}));
  opened.hooks.afterDefer?.(example.deferred({servedUser: 'tel:+15550103'}));
  const [first, second] = await asked.atLeast(2);
  t.deepEqual(
    [first?.body, second?.body],
    [user, 'tel:+15550103'].map((one) => ({user: one, attempt: 1})),
  );
  t.is(first?.headers.authorization, 'Bearer secret');
  t.is(first?.headers['content-type'], 'application/json');
  await opened.clock.advance(29_000);
  t.is(asked.items.length, 2);
  await opened.close();
});

test('wake-up-push: a user who does not come is asked for again after each pause, and in the end given up', async (t) => {
  const {asked, url} = await gateway(t, (attempt) => (attempt === 1 ? 503 : 200));
  const opened = await openForTest(wakeUpPush, {url, pausesSeconds: [10, 20]});
  opened.hooks.afterDefer?.(example.deferred());
  await asked.first();
  await logged(opened, 'the push gateway refuses');
  await opened.clock.advance(9999);
  t.is(asked.items.length, 1);
  await opened.clock.advance(1);
  await asked.atLeast(2);
  t.deepEqual(asked.items[1]?.body, {user, attempt: 2});
  await logged(opened, 'the push gateway was asked');
  await opened.clock.advance(20_000);
  t.like(opened.log.at(-1), {sentence: 'a user is no longer awaited', attempts: 2});
  opened.hooks.afterDefer?.(example.deferred());
  await asked.atLeast(3);
  t.deepEqual(asked.items[2]?.body, {user, attempt: 1});
  await opened.close();
});

test('wake-up-push: his registration ends it, and what is kept later begins anew', async (t) => {
  const {asked, url} = await gateway(t, () => 200);
  const opened = await openForTest(wakeUpPush, {url, pausesSeconds: [10, 10, 10]});
  opened.hooks.afterDefer?.(example.deferred());
  await asked.first();
  await logged(opened, 'the push gateway was asked');
  opened.hooks.afterRegistration?.(example.registration({registered: false, identities: [], devices: []}));
  opened.hooks.afterRegistration?.(example.registration());
  await opened.clock.advance(3_600_000);
  opened.hooks.afterDefer?.(example.deferred());
  await asked.atLeast(2);
  t.deepEqual(asked.items[1]?.body, {user, attempt: 1});
  await opened.close();
});

test('wake-up-push: a gateway that knows no phone of his is not asked again', async (t) => {
  const {asked, url} = await gateway(t, () => 410);
  const opened = await openForTest(wakeUpPush, {url, pausesSeconds: [1, 1]});
  opened.hooks.afterDefer?.(example.deferred());
  await asked.first();
  await logged(opened, 'a user is no longer awaited');
  await opened.clock.advance(3_600_000);
  opened.hooks.afterDefer?.(example.deferred());
  await asked.atLeast(2);
  t.deepEqual(asked.items[1]?.body, {user, attempt: 1});
  await opened.close();
});

test('wake-up-push: a gateway that does not answer is given up in time, and asked again after the pause', async (t) => {
  const {asked, url} = await gateway(t);
  const opened = await openForTest(wakeUpPush, {url, pausesSeconds: [10, 10], requestSeconds: 5});
  opened.hooks.afterDefer?.(example.deferred());
  await asked.first();
  await opened.clock.advance(5000);
  await logged(opened, 'the push gateway does not answer');
  await opened.clock.advance(10_000);
  await asked.atLeast(2);
  t.deepEqual(asked.items[1]?.body, {user, attempt: 2});
  await opened.close();
});

test('wake-up-push: of many users so many are asked for at a time as is configured', async (t) => {
  const {asked, url} = await gateway(t);
  const opened = await openForTest(wakeUpPush, {url, concurrentRequests: 2});
  for (const servedUser of ['tel:+1', 'tel:+2', 'tel:+3']) opened.hooks.afterDefer?.(example.deferred({servedUser}));
  const [first] = await asked.atLeast(2);
  t.is(asked.items.length, 2);
  first?.response.writeHead(200).end();
  await asked.atLeast(3);
  t.is((asked.items[2]?.body as {user: string}).user, 'tel:+3');
  await opened.close();
});

test('wake-up-push: notifications and repetitions wake nobody', async (t) => {
  const {asked, url} = await gateway(t, () => 200);
  const opened = await openForTest(wakeUpPush, {url});
  opened.hooks.afterDefer?.(example.deferred({kind: 'notification', servedUser: 'tel:+1'}));
  opened.hooks.afterDefer?.(example.deferred({outcome: 'duplicate', servedUser: 'tel:+2'}));
  opened.hooks.afterDefer?.(example.deferred({servedUser: 'tel:+3'}));
  t.deepEqual((await asked.first()).body, {user: 'tel:+3', attempt: 1});
  t.is(asked.items.length, 1);
  await opened.close();
});
