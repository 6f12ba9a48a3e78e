import type {ExecutionContext, TestFn} from 'ava';
import type {DeferredMessage} from '../../lib/cpm/deferred-message.ts';
import {addsUp} from '../../lib/ports/deferred-queue.ts';
import type {DeferredQueue, QueueWindow} from '../../lib/ports/deferred-queue.ts';
import {newMessage, newMessages} from '../support/deferred-messages.ts';
import type {OpenStore} from './store-under-test.ts';

const bob = 'tel:+4915150000002';
const alice = 'tel:+4915150000001';
const carol = 'tel:+4915150000003';
const all: QueueWindow = {afterSequence: undefined, limit: 1000, maxBytes: Number.MAX_SAFE_INTEGER};

/** What every deferred queue does (lib/ports/deferred-queue.ts). */
export function deferredQueueContract(test: TestFn, name: string, open: OpenStore): void {
  const fact = (title: string, check: (t: ExecutionContext, queue: DeferredQueue) => Promise<void>): void => {
    test(`${title} (${name})`, async (t) => {
      const {store} = await open(t);
      await check(t, store.deferredQueue);
      const ledger = await store.deferredQueue.ledger();
      t.true(addsUp(ledger), JSON.stringify(ledger));
    });
  };

  fact('8.3.2.9.1.1 E1: a message comes out with the octets and the fields with which it went in', async (t, queue) => {
    const octets = Uint8Array.from({length: 512}, (_, index) => index % 256);
    const full = newMessage({bytes: octets, imdnMessageId: 'Ünï\u0001\\0\0"\'', contentType: 'message/cpim; x="\0"'});
    const bare = newMessage({
      kind: 'notification',
      imdnMessageId: undefined,
      dispositions: [],
      bytes: new Uint8Array(0),
      dateTime: undefined,
      session: {...full.session, senderInstance: undefined, subject: 'Grüße', offer: undefined},
    });
    const results = await queue.enqueue([full, bare]);
    t.deepEqual(
      results.map(({outcome}) => outcome),
      ['stored', 'stored'],
    );

    const kept = await queue.next(bob, alice, all);
    t.deepEqual(kept.map(asEnqueued), [full, bare].map(asEnqueued));
    t.deepEqual(
      kept.map(({id}) => id),
      results.map(({id}) => id),
    );
    t.deepEqual(
      kept.map(({state, sentAt}) => [state, sentAt]),
      [
        ['queued', undefined],
        ['queued', undefined],
      ],
    );
  });

  fact('8.3.2.9.1.1 E1: a message of 12 MB comes out octet for octet, and shorter ones around it', async (t, queue) => {
    const large = Buffer.alloc(12 * 1024 * 1024, 'CPIM\0\r\n\xff', 'latin1');
    await queue.enqueue([
      newMessage(),
      newMessage({imdnMessageId: 'Large', bytes: large}),
      newMessage({imdnMessageId: 'Msg3'}),
    ]);
    const kept = await queue.next(bob, alice, all);
    t.deepEqual(
      kept.map(({imdnMessageId}) => imdnMessageId),
      ['Msg1', 'Large', 'Msg3'],
    );
    t.true(large.equals(kept[1]?.bytes ?? new Uint8Array(0)));
    t.is(
      (
        await queue.settle(
          kept.map(({id}) => id),
          'delivered',
          1,
        )
      ).length,
      3,
    );
    t.deepEqual(await queue.next(bob, alice, all), []);
  });

  fact('8.3.2.9.1.1 A0: an empty queue has no senders, no messages, no users', async (t, queue) => {
    t.deepEqual(await queue.enqueue([]), []);
    t.deepEqual(await queue.senders(bob), []);
    t.deepEqual(await queue.next(bob, alice, all), []);
    t.deepEqual(await queue.find(bob, 'Msg1'), []);
    t.deepEqual(await queue.expired(Number.MAX_SAFE_INTEGER, 10), []);
    t.deepEqual(await queue.usersPending(undefined, 10), []);
    t.is(await queue.requeueSent(bob, Number.MAX_SAFE_INTEGER, 9000), 0);
    t.is(await queue.adopt(bob, carol), 0);
    t.is(await queue.forgetSettled(Number.MAX_SAFE_INTEGER), 0);
    t.deepEqual(await queue.settle(['1', 'nobody\0', ''], 'delivered', 1), []);
    await queue.markSent(['1', 'nobody'], 1);
    t.deepEqual(await queue.ledger(), {
      accepted: 0,
      pending: 0,
      held: 0,
      delivered: 0,
      expired: 0,
      dropped: 0,
      failed: 0,
    });
  });

  fact(
    '8.3.2.9.1.1 A0: inside a sender messages keep the order of arrival, whatever their DateTime says',
    async (t, queue) => {
      const dates = [300, 100, undefined, 200];
      for (const [index, dateTime] of dates.entries())
        await queue.enqueue([newMessage({imdnMessageId: `Msg${index}`, dateTime})]);
      const kept = await queue.next(bob, alice, all);
      t.deepEqual(
        kept.map(({dateTime}) => dateTime),
        dates,
      );
      t.true(growsStrictly(kept));
    },
  );

  fact('8.3.2.9.1.1 A0: calls made together keep their order, and every sequence is its own', async (t, queue) => {
    await Promise.all(newMessages(40).map((message) => queue.enqueue([message, {...message, sender: carol}])));
    for (const sender of [alice, carol]) {
      const kept = await queue.next(bob, sender, all);
      t.is(kept.length, 40);
      t.true(growsStrictly(kept));
    }
  });

  fact('8.3.2.9.1.1 A0: senders are told with their counts and their oldest DateTime', async (t, queue) => {
    await queue.enqueue([
      newMessage({dateTime: 500}),
      newMessage({imdnMessageId: 'Msg2', dateTime: undefined, receivedAt: 400}),
      newMessage({imdnMessageId: 'Msg3', kind: 'notification', dateTime: 900}),
      newMessage({sender: carol, kind: 'notification', dateTime: 70}),
      newMessage({servedUser: carol}),
    ]);
    const senders = [...(await queue.senders(bob))].sort((a, b) => a.oldestDateTime - b.oldestDateTime);
    t.deepEqual(senders, [
      {sender: carol, chats: 0, notifications: 1, oldestDateTime: 70},
      {sender: alice, chats: 2, notifications: 1, oldestDateTime: 400},
    ]);
  });

  fact(
    '8.3.2.9.1.1 A0: a window closes at its limit and at its bytes, and goes on after a sequence',
    async (t, queue) => {
      await queue.enqueue(newMessages(5, {bytes: Buffer.alloc(100)}));
      const names = async (window: Partial<QueueWindow>) =>
        (await queue.next(bob, alice, {...all, ...window})).map(({imdnMessageId}) => imdnMessageId);
      t.deepEqual(await names({limit: 2}), ['Msg1', 'Msg2']);
      t.deepEqual(await names({maxBytes: 300}), ['Msg1', 'Msg2', 'Msg3']);
      t.deepEqual(await names({maxBytes: 299}), ['Msg1', 'Msg2']);
      t.deepEqual(await names({maxBytes: 1}), ['Msg1']);
      t.deepEqual(await names({limit: 0}), []);
      const second = (await queue.next(bob, alice, all))[1];
      t.deepEqual(await names({afterSequence: second?.sequence, limit: 2}), ['Msg3', 'Msg4']);
    },
  );

  fact(
    'E8 T62: the same identity with the same octets is kept once, while pending and after it settled',
    async (t, queue) => {
      const [first] = await queue.enqueue([newMessage()]);
      const [again] = await queue.enqueue([newMessage({receivedAt: 7})]);
      t.deepEqual(again, {id: first?.id ?? '', outcome: 'duplicate'});
      await queue.settle([first?.id ?? ''], 'delivered', 1000);
      t.is((await queue.enqueue([newMessage()]))[0]?.outcome, 'duplicate');
      t.deepEqual(await queue.next(bob, alice, all), []);
      t.deepEqual(await queue.ledger(), {
        accepted: 1,
        pending: 0,
        held: 0,
        delivered: 1,
        expired: 0,
        dropped: 0,
        failed: 0,
      });
    },
  );

  fact('E8 T62: a message twice in one call is kept once', async (t, queue) => {
    const results = await queue.enqueue([newMessage(), newMessage()]);
    t.deepEqual(
      results.map(({outcome}) => outcome),
      ['stored', 'duplicate'],
    );
    t.is(results[0]?.id, results[1]?.id);
    t.is((await queue.next(bob, alice, all)).length, 1);
  });

  fact('E8 T62: the same identity with other octets is kept under a key of its own, once', async (t, queue) => {
    const [first] = await queue.enqueue([newMessage()]);
    const other = newMessage({bytes: Buffer.from('other octets')});
    const [conflict] = await queue.enqueue([other]);
    t.is(conflict?.outcome, 'conflict');
    t.not(conflict?.id, first?.id);
    t.deepEqual((await queue.enqueue([other]))[0], {id: conflict?.id ?? '', outcome: 'duplicate'});
    t.is((await queue.next(bob, alice, all)).length, 2);
    t.deepEqual(
      (await queue.find(bob, 'Msg1')).map(({id}) => id),
      [first?.id, conflict?.id],
    );
  });

  fact(
    'E8 T32: one of a kind is kept where its sameness is its id, whatever its octets, also after it settled',
    async (t, queue) => {
      const one = newMessage({kind: 'notification', imdnMessageId: 'delivery Msg1', sameness: 'id'});
      const other = {...one, bytes: Buffer.from('other octets')};
      const [first, again] = await queue.enqueue([one, other]);
      t.deepEqual(again, {id: first?.id ?? '', outcome: 'duplicate'});
      await queue.settle([first?.id ?? ''], 'delivered', 1000);
      t.is((await queue.enqueue([other]))[0]?.outcome, 'duplicate');
      t.is((await queue.ledger()).accepted, 1);
    },
  );

  fact('8.3.2.9.1.1 A21: what was taken and not confirmed can be read, by sender and in order', async (t, queue) => {
    const [one, two, three] = await queue.enqueue([
      newMessage({imdnMessageId: 'Msg1'}),
      newMessage({imdnMessageId: 'Msg2'}),
      newMessage({imdnMessageId: 'Msg3', sender: carol}),
    ]);
    await queue.enqueue([newMessage({imdnMessageId: 'Msg4'})]);
    await queue.markSent([two?.id ?? '', one?.id ?? '', three?.id ?? ''], 1000);
    const names = async (limit: number): Promise<unknown> =>
      (await queue.sentUnconfirmed(bob, alice, limit)).map(({imdnMessageId}) => imdnMessageId);
    t.deepEqual(await names(10), ['Msg1', 'Msg2']);
    t.deepEqual(await names(1), ['Msg1']);
    await queue.settle([one?.id ?? ''], 'delivered', 2000);
    t.deepEqual(await names(10), ['Msg2']);
  });

  fact('E8 T62: recipient, sender, kind and letter case each make another message', async (t, queue) => {
    const results = await queue.enqueue([
      newMessage(),
      newMessage({servedUser: carol}),
      newMessage({sender: carol}),
      newMessage({kind: 'notification'}),
      newMessage({imdnMessageId: 'msg1'}),
    ]);
    t.deepEqual(
      results.map(({outcome}) => outcome),
      ['stored', 'stored', 'stored', 'stored', 'stored'],
    );
  });

  fact('E8: without an imdn.Message-ID every message is its own, even with the same octets', async (t, queue) => {
    const nameless = newMessage({imdnMessageId: undefined});
    const results = await queue.enqueue([nameless, nameless]);
    t.deepEqual(
      results.map(({outcome}) => outcome),
      ['stored', 'stored'],
    );
    t.is(
      (
        await queue.settle(
          results.map(({id}) => id),
          'delivered',
          1,
        )
      ).length,
      2,
    );
  });

  fact(
    '8.3.2.9.1.1 A21: what was sent is not offered again, is found by its id, and leaves when it settles',
    async (t, queue) => {
      const [first, second] = await queue.enqueue(newMessages(2));
      const id = first?.id ?? '';
      await queue.markSent([id], 5000);
      await queue.markSent([id], 6000);
      t.deepEqual(
        (await queue.next(bob, alice, all)).map((message) => message.id),
        [second?.id],
      );
      t.deepEqual(await queue.find(bob, 'Msg1', alice), [
        {id, servedUser: bob, sender: alice, kind: 'chat', state: 'sent', imdnMessageId: 'Msg1'},
      ]);
      t.deepEqual(await queue.find(bob, 'Msg1', carol), []);
      t.deepEqual(await queue.settle([id], 'delivered', 7000), [
        {id, servedUser: bob, sender: alice, kind: 'chat', imdnMessageId: 'Msg1'},
      ]);
      t.deepEqual(await queue.settle([id], 'failed', 8000), []);
      t.deepEqual(await queue.find(bob, 'Msg1'), []);
      await queue.markSent([id], 9000);
      t.deepEqual(
        (await queue.senders(bob)).map(({chats}) => chats),
        [1],
      );
    },
  );

  fact(
    '8.3.2.9.1.1 A21 T26: what was sent long ago is offered again at its old place, with its id',
    async (t, queue) => {
      const ids = (await queue.enqueue(newMessages(3))).map(({id}) => id);
      await queue.markSent(ids.slice(0, 1), 1000);
      await queue.markSent(ids.slice(1, 2), 2000);
      t.is(await queue.requeueSent(carol, 2000, 9000), 0);
      t.is(await queue.requeueSent(bob, 2000, 9000), 1);
      await queue.enqueue([newMessage({imdnMessageId: 'Msg4'})]);
      t.deepEqual(
        (await queue.next(bob, alice, all)).map(({imdnMessageId}) => imdnMessageId),
        ['Msg1', 'Msg3', 'Msg4'],
      );
      t.is(await queue.requeueSent(bob, 2001, 9000), 1);
      const kept = await queue.next(bob, alice, all);
      t.deepEqual(
        kept.map(({imdnMessageId}) => imdnMessageId),
        ['Msg1', 'Msg2', 'Msg3', 'Msg4'],
      );
      t.deepEqual(
        kept.slice(0, 3).map(({id}) => id),
        ids,
      );
      t.true(kept.every(({sentAt}) => sentAt === undefined));
    },
  );

  fact(
    '8.3.2.9.1.1 A0: what has expired is told oldest first, whole, queued or sent, until it settles',
    async (t, queue) => {
      const ends = [3000, 1000, 2000, 9000];
      const ids = (
        await queue.enqueue(ends.map((expiresAt, index) => newMessage({imdnMessageId: `Msg${index}`, expiresAt})))
      ).map(({id}) => id);
      await queue.markSent(ids.slice(2, 3), 500);
      const ripe = await queue.expired(3000, 10);
      t.deepEqual(
        ripe.map(({expiresAt, state}) => [expiresAt, state]),
        [
          [1000, 'queued'],
          [2000, 'sent'],
          [3000, 'queued'],
        ],
      );
      t.deepEqual(asEnqueued(ripe[0]), asEnqueued(newMessage({imdnMessageId: 'Msg1', expiresAt: 1000})));
      t.deepEqual(
        (await queue.expired(3000, 2)).map(({expiresAt}) => expiresAt),
        [1000, 2000],
      );
      t.deepEqual(await queue.expired(999, 10), []);
      await queue.settle(
        ripe.map(({id}) => id),
        'expired',
        3000,
      );
      t.deepEqual(await queue.expired(3000, 10), []);
      t.is((await queue.ledger()).expired, 3);
    },
  );

  fact('8.3.2.9.1.1 A0: users with anything queued are walked in key order, each once', async (t, queue) => {
    await queue.enqueue(
      ['d', 'b', 'a', 'c', 'b'].map((servedUser, index) => newMessage({servedUser, imdnMessageId: `Msg${index}`})),
    );
    t.deepEqual(await queue.usersPending(undefined, 3), ['a', 'b', 'c']);
    t.deepEqual(await queue.usersPending('c', 3), ['d']);
    t.deepEqual(await queue.usersPending('d', 3), []);
    const [message] = await queue.next('a', alice, all);
    await queue.markSent([message?.id ?? ''], 1);
    t.deepEqual(await queue.usersPending(undefined, 1), ['b']);
  });

  fact('E8: what was moved to another key keeps the order of arrival across both', async (t, queue) => {
    const sip = 'sip:bob@ims.example';
    for (const [index, servedUser] of [bob, sip, bob, sip, sip].entries())
      await queue.enqueue([newMessage({servedUser, imdnMessageId: `Msg${index}`})]);
    const [sent] = await queue.next(sip, alice, all);
    await queue.markSent([sent?.id ?? ''], 1000);
    t.is(await queue.adopt(sip, bob), 3);
    t.is(await queue.adopt(sip, bob), 0);
    t.is(await queue.adopt(bob, bob), 0);
    t.is(await queue.requeueSent(bob, 2000, 9000), 1);
    await queue.enqueue([newMessage({imdnMessageId: 'Msg5'})]);
    const kept = await queue.next(bob, alice, all);
    t.deepEqual(
      kept.map(({imdnMessageId}) => imdnMessageId),
      ['Msg0', 'Msg1', 'Msg2', 'Msg3', 'Msg4', 'Msg5'],
    );
    t.true(growsStrictly(kept));
    t.true(kept.every(({servedUser}) => servedUser === bob));
    t.deepEqual(await queue.senders(sip), []);
    t.deepEqual(await queue.usersPending(undefined, 10), [bob]);
  });

  fact('E8: one message under two keys is one message when the keys turn out to be one user', async (t, queue) => {
    const sip = 'sip:bob@ims.example';
    const settled = (await queue.enqueue([newMessage({imdnMessageId: 'Settled', servedUser: sip})]))[0]?.id ?? '';
    await queue.settle([settled], 'delivered', 1);
    await queue.enqueue([newMessage({imdnMessageId: 'Settled'}), newMessage({imdnMessageId: 'Both'})]);
    await queue.enqueue([newMessage({imdnMessageId: 'Both', servedUser: sip})]);
    await queue.enqueue([newMessage({imdnMessageId: 'Both', servedUser: sip, bytes: Buffer.from('other octets')})]);
    t.is(await queue.adopt(sip, bob), 1);
    const kept = await queue.next(bob, alice, all);
    t.deepEqual(
      kept.map(({imdnMessageId}) => imdnMessageId),
      ['Both', 'Both'],
    );
    t.is((await queue.enqueue([newMessage({imdnMessageId: 'Settled'})]))[0]?.outcome, 'duplicate');
    t.deepEqual(await queue.ledger(), {
      accepted: 3,
      pending: 2,
      held: 0,
      delivered: 1,
      expired: 0,
      dropped: 0,
      failed: 0,
    });
  });

  fact('E8: the identity of a settled message is forgotten after its time, the ledger is not', async (t, queue) => {
    const ids = (await queue.enqueue(newMessages(4))).map(({id}) => id);
    await queue.settle(ids.slice(0, 1), 'delivered', 1000);
    await queue.settle(ids.slice(1, 2), 'failed', 2000);
    await queue.settle(ids.slice(2, 3), 'dropped', 3000);
    t.is(await queue.forgetSettled(2001), 2);
    t.is(await queue.forgetSettled(2001), 0);
    t.deepEqual(await queue.ledger(), {
      accepted: 4,
      pending: 1,
      held: 0,
      delivered: 1,
      expired: 0,
      dropped: 1,
      failed: 1,
    });
    const outcomes = (await queue.enqueue(newMessages(4))).map(({outcome}) => outcome);
    t.deepEqual(outcomes, ['stored', 'stored', 'duplicate', 'duplicate']);
    t.is((await queue.ledger()).accepted, 6);
  });

  fact('8.3.2.9.1.1 A21: racing settlements release a message once', async (t, queue) => {
    const ids = (await queue.enqueue(newMessages(5))).map(({id}) => id);
    const released = await Promise.all(Array.from({length: 8}, () => queue.settle(ids, 'delivered', 1)));
    t.deepEqual(
      released
        .flat()
        .map(({id}) => id)
        .sort(),
      [...ids].sort(),
    );
    t.is((await queue.ledger()).delivered, 5);
  });

  fact('E8: racing repetitions of one message are kept once', async (t, queue) => {
    const outcomes = (await Promise.all(Array.from({length: 20}, () => queue.enqueue([newMessage()])))).flat();
    t.is(outcomes.filter(({outcome}) => outcome === 'stored').length, 1);
    t.is(outcomes.filter(({outcome}) => outcome === 'duplicate').length, 19);
    t.is(new Set(outcomes.map(({id}) => id)).size, 1);
    t.is((await queue.next(bob, alice, all)).length, 1);
  });
}

/** A message without what the store added to it, its bytes comparable. */
function asEnqueued(message: Partial<DeferredMessage> | undefined): unknown {
  const stored = {id: undefined, sequence: undefined, state: undefined, sentAt: undefined};
  return {...message, ...stored, bytes: Buffer.from(message?.bytes ?? []).toString('latin1')};
}

function growsStrictly(messages: readonly DeferredMessage[]): boolean {
  return messages.every(({sequence}, index) => index === 0 || sequence > (messages[index - 1]?.sequence ?? Infinity));
}
