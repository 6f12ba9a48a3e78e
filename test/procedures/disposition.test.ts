import {join} from 'node:path';
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {openEmbeddedStore} from '../../lib/adapters/embedded-store/embedded-store.ts';
import {formatImdn} from '../../lib/codecs/imdn.ts';
import {groupSender} from '../../lib/cpm/group-session.ts';
import {systemClock} from '../../lib/ports/clock.ts';
import {silentLog} from '../../lib/ports/log.ts';
import type {Context} from '../../lib/procedures/context.ts';
import {noteNotifications, type NotificationSource} from '../../lib/procedures/disposition.ts';
import {newMessage} from '../support/deferred-messages.ts';
import {temporaryFolder} from '../support/temporary-folder.ts';

const {servedUser} = newMessage();
const carol = 'sip:+14440003@elsewhere.example;user=phone';
const dave = 'sip:+14440004@elsewhere.example;user=phone';

/** Messages under one imdn.Message-ID in the queue of one user: of whom those are left on which a notification did not report. */
async function leftAfter(t: ExecutionContext, source: Pick<NotificationSource, 'about' | 'contributionId'>) {
  const store = await openEmbeddedStore({path: join(await temporaryFolder(t), 'store.db')});
  t.teardown(() => store.close());
  const from = (address: string): Buffer =>
    Buffer.from(`From: "Somebody" <${address}>\r\n\r\nContent-Type: text/plain\r\n\r\nHello`);
  await store.deferredQueue.enqueue([
    newMessage({sender: groupSender('Lunch'), bytes: from(carol)}),
    newMessage({sender: groupSender('Dinner'), bytes: from(dave)}),
    newMessage({sender: groupSender('Bare'), contentType: 'text/plain', bytes: Buffer.from('Hello')}),
    newMessage({sender: 'tel:+14440003', bytes: from(dave)}),
  ]);
  const context = {
    store,
    clock: systemClock,
    log: silentLog,
    users: {resolve: () => Promise.resolve(undefined)},
  } as unknown as Context;
  const imdn = {messageId: 'Msg1', dateTime: undefined, kind: 'delivery', status: 'delivered'} as const;
  const content = {contentType: 'message/imdn+xml', bytes: Buffer.from(formatImdn(imdn))};
  t.is(await noteNotifications(context, {author: servedUser, content, ...source}), 'noted');
  return (await store.deferredQueue.find(servedUser, 'Msg1')).map(({sender}) => sender).sort();
}

for (const [what, source, left] of [
  [
    'the Contribution-ID beside it names is released alone, whoever it goes to',
    {about: dave, contributionId: 'Lunch'},
    ['group:Bare', 'group:Dinner', 'tel:+14440003'],
  ],
  [
    'its session carried is released alone',
    {about: groupSender('Dinner')},
    ['group:Bare', 'group:Lunch', 'tel:+14440003'],
  ],
  [
    'the one to whom it goes wrote is released, as is his own message',
    {about: carol, contributionId: 'of the notification itself'},
    ['group:Bare', 'group:Dinner'],
  ],
  [
    'neither names stays',
    {about: 'sip:eve@elsewhere.example'},
    ['group:Bare', 'group:Dinner', 'group:Lunch', 'tel:+14440003'],
  ],
] as const)
  test(`8.3.4 A21 T62: of messages with one imdn.Message-ID, what a notification is about: a group’s that ${what}`, async (t) => {
    t.deepEqual(await leftAfter(t, source), [...left]);
  });
