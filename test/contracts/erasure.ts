import type {TestFn} from 'ava';
import {addsUp} from '../../lib/ports/deferred-queue.ts';
import {newMessage, newMessages} from '../support/deferred-messages.ts';
import type {OpenStore} from './store-under-test.ts';

const bob = 'tel:+4915150000002';
const alice = 'tel:+4915150000001';
const carol = 'tel:+4915150000003';
const bobsOther = 'sip:bob@ims.example';
const everything = {after: undefined, limit: 1000, pendingOnly: false};

/** What erasing a user leaves in every store (lib/ports/store.ts). */
export function erasureContract(test: TestFn, name: string, open: OpenStore): void {
  test(`8.3.2.9 A21: of an erased user no message, history, identity or registration is left, and of others all (${name})`, async (t) => {
    const {store} = await open(t);
    const {deferredQueue: queue, registrations} = store;
    const rest = {contacts: [], servingNode: undefined, expiresAt: 9000};
    await registrations.put({servedUser: bob, identities: [bob, bobsOther], ...rest});
    await registrations.put({servedUser: carol, identities: [carol], ...rest});
    const [settled, sent, large] = await queue.enqueue([
      newMessage({imdnMessageId: 'Settled'}),
      newMessage({imdnMessageId: 'Sent'}),
      newMessage({imdnMessageId: 'Large', bytes: Buffer.alloc(2_000_000)}),
      newMessage({imdnMessageId: undefined, servedUser: bobsOther}),
    ]);
    await queue.enqueue([
      newMessage({servedUser: alice, sender: bob, kind: 'notification', imdnMessageId: 'delivery Settled'}),
      newMessage({servedUser: carol, sender: bobsOther, imdnMessageId: 'From'}),
      newMessage({servedUser: carol, imdnMessageId: 'Others'}),
    ]);
    await queue.settle([settled?.id ?? ''], 'delivered', 1);
    await queue.markSent([sent?.id ?? ''], 1);
    await queue.hold({by: 'message', value: large?.id ?? ''}, 1, 1);

    t.deepEqual(await store.erase(bob), {
      messagesTo: 4,
      messagesFrom: 2,
      recorded: 0,
      groups: 0,
      identities: 2,
      registrations: 1,
    });
    for (const key of [bob, bobsOther]) {
      t.deepEqual(await queue.trace({by: 'user', value: key}, everything), []);
      t.deepEqual(await queue.trace({by: 'sender', value: key}, everything), []);
      t.is(await registrations.servedUserOf(key), undefined);
      t.is(await registrations.get(key), undefined);
    }
    t.deepEqual(
      (await queue.trace({by: 'user', value: carol}, everything)).map(({imdnMessageId}) => imdnMessageId),
      ['Others'],
    );
    t.is(await registrations.servedUserOf(carol), carol);
    const ledger = await queue.ledger();
    t.deepEqual(ledger, {accepted: 7, pending: 1, held: 0, delivered: 1, expired: 0, dropped: 5, failed: 0});
    t.true(addsUp(ledger));

    t.deepEqual(await store.erase(bob), {
      messagesTo: 0,
      messagesFrom: 0,
      recorded: 0,
      groups: 0,
      identities: 0,
      registrations: 0,
    });
    t.is((await queue.enqueue([newMessage({imdnMessageId: 'Settled'})]))[0]?.outcome, 'stored');
  });

  test(`8.3.2.9 A21: a user whom nobody knows is erased without a trace (${name})`, async (t) => {
    const {store} = await open(t);
    await store.deferredQueue.enqueue(newMessages(2));
    t.deepEqual(await store.erase('tel:+.*["\\'), {
      messagesTo: 0,
      messagesFrom: 0,
      recorded: 0,
      groups: 0,
      identities: 0,
      registrations: 0,
    });
    t.is((await store.deferredQueue.ledger()).pending, 2);
  });
}
