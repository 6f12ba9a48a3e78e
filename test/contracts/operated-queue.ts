import type {ExecutionContext, TestFn} from 'ava';
import type {Note, TracedMessage} from '../../lib/cpm/history.ts';
import {addsUp} from '../../lib/ports/deferred-queue.ts';
import type {DeferredQueue, QueueWindow, Selection} from '../../lib/ports/deferred-queue.ts';
import {newMessage, newMessages} from '../support/deferred-messages.ts';
import type {OpenStore} from './store-under-test.ts';

const bob = 'tel:+4915150000002';
const alice = 'tel:+4915150000001';
const carol = 'tel:+4915150000003';
const all: QueueWindow = {afterSequence: undefined, limit: 1000, maxBytes: Number.MAX_SAFE_INTEGER};
const everything = {after: undefined, limit: 1000, pendingOnly: false};
const ofBob: Selection = {by: 'user', value: bob};

/** What every deferred queue tells an operator, and lets him do (lib/ports/deferred-queue.ts). */
export function operatedQueueContract(test: TestFn, name: string, open: OpenStore): void {
  const fact = (title: string, check: (t: ExecutionContext, queue: DeferredQueue) => Promise<void>): void => {
    test(`${title} (${name})`, async (t) => {
      const {store} = await open(t);
      await check(t, store.deferredQueue);
      const ledger = await store.deferredQueue.ledger();
      t.true(addsUp(ledger), JSON.stringify(ledger));
    });
  };

  fact('A21: a message has its history from its acceptance to its end, with what answered', async (t, queue) => {
    const [one] = await queue.enqueue([newMessage({receivedAt: 1000})]);
    const id = one?.id ?? '';
    await queue.noteRefused([id], 2000, {answer: 'SIP 480'});
    await queue.markSent([id], 3000, {answer: 'MSRP 200', session: 'leg-1'});
    await queue.requeueSent(bob, 4000, 4000);
    await queue.markSent([id], 5000);
    await queue.settle([id], 'delivered', 6000, {answer: 'IMDN delivered'});
    await queue.noteRefused([id], 7000, {answer: 'SIP 480'});
    await queue.settle([id], 'failed', 8000);

    const [traced] = await queue.trace({by: 'message', value: 'Msg1'}, everything);
    t.deepEqual(traced && {...traced, history: [], sequence: 0}, {
      ...{id, sequence: 0, servedUser: bob, sender: alice, kind: 'chat', imdnMessageId: 'Msg1', state: 'delivered'},
      ...{conversationId: newMessage().session.conversationId, receivedAt: 1000, expiresAt: newMessage().expiresAt},
      ...{history: [], omitted: 0},
    });
    t.deepEqual(told(traced), [
      `1000 accepted pf-1 session=${newMessage().session.conversationId}`,
      '2000 refused pf-1 answer=SIP 480',
      '3000 sent pf-1 answer=MSRP 200 session=leg-1',
      '4000 queued again pf-1',
      '5000 sent pf-1',
      '6000 delivered pf-1 answer=IMDN delivered',
    ]);
  });

  fact(
    'A21: a history keeps the acceptance and the latest twenty entries, and tells how many it lost',
    async (t, queue) => {
      const [one] = await queue.enqueue([newMessage({receivedAt: 1})]);
      const ids = [one?.id ?? ''];
      for (let at = 2; at <= 26; at += 1) await queue.noteRefused(ids, at, {answer: 'SIP 408'});
      await queue.settle(ids, 'expired', 27);
      const [traced] = await queue.trace({by: 'message', value: ids[0] ?? ''}, everything);
      t.is(traced?.omitted, 6);
      t.deepEqual(
        traced?.history.map(({at}) => at),
        [1, ...Array.from({length: 20}, (_, index) => index + 8)],
      );
    },
  );

  fact('A21: a message is found by its ids, its user, its sender and its conversation', async (t, queue) => {
    const {session} = newMessage();
    const inOther = {session: {...session, conversationId: 'other'}};
    const ids = (
      await queue.enqueue([
        newMessage({imdnMessageId: 'Msg1'}),
        newMessage({imdnMessageId: 'Msg1', servedUser: carol, ...inOther}),
        newMessage({imdnMessageId: undefined, sender: carol, ...inOther}),
      ])
    ).map(({id}) => id);
    await queue.settle(ids.slice(2), 'delivered', 1);
    const places = async (by: Selection['by'], value: string, pendingOnly = false): Promise<unknown> =>
      (await queue.trace({by, value}, {...everything, pendingOnly})).map(({id}) => ids.indexOf(id));
    t.deepEqual(await places('message', 'Msg1'), [0, 1]);
    t.deepEqual(await places('message', ids[2] ?? ''), [2]);
    t.deepEqual(await places('message', ids[2] ?? '', true), []);
    t.deepEqual(await places('user', bob), [0, 2]);
    t.deepEqual(await places('user', bob, true), [0]);
    t.deepEqual(await places('sender', alice), [0, 1]);
    t.deepEqual(await places('conversation', 'other'), [1, 2]);
    for (const by of ['message', 'user', 'sender', 'conversation'] as const)
      t.deepEqual(await places(by, 'nobody\0'), []);
  });

  fact('A21: a long answer is told in pages, each message once', async (t, queue) => {
    await queue.enqueue(newMessages(5).map((message, index) => ({...message, sender: `tel:+4930${index % 2}`})));
    const seen: (string | undefined)[] = [];
    for (let after: TracedMessage | undefined; ;) {
      const page = await queue.trace(ofBob, {after, limit: 2, pendingOnly: true});
      if (page.length === 0) break;
      t.true(page.length <= 2);
      seen.push(...page.map(({imdnMessageId}) => imdnMessageId));
      after = page.at(-1);
    }
    t.deepEqual([...seen].sort(), ['Msg1', 'Msg2', 'Msg3', 'Msg4', 'Msg5']);
    t.deepEqual(await queue.trace(ofBob, {...everything, limit: 0}), []);
  });

  fact(
    'A0: what is held is not offered, not expired and not pending, until it is released to its old place',
    async (t, queue) => {
      const ids = (await queue.enqueue(newMessages(3, {expiresAt: 50}))).map(({id}) => id);
      const second: Selection = {by: 'message', value: ids[1] ?? ''};
      const by: Note = {by: 'root'};
      t.deepEqual(
        (await queue.hold(second, 10, 10, by)).map(({id, servedUser}) => [id, servedUser]),
        [[ids[1], bob]],
      );
      t.deepEqual(await queue.hold(second, 10, 11, by), []);
      t.deepEqual(await names(queue), ['Msg1', 'Msg3']);
      t.deepEqual(
        (await queue.expired(100, 10)).map(({id}) => id),
        [ids[0], ids[2]],
      );
      const {accepted, pending, held} = await queue.ledger();
      t.deepEqual([accepted, pending, held], [3, 2, 1]);
      t.deepEqual(
        (await queue.find(bob, 'Msg2')).map(({state}) => state),
        ['held'],
      );

      t.is((await queue.release(ofBob, 10, 20, by)).length, 1);
      t.deepEqual(await queue.release(ofBob, 10, 21, by), []);
      t.deepEqual(await names(queue), ['Msg1', 'Msg2', 'Msg3']);
      const [traced] = await queue.trace(second, everything);
      t.deepEqual(told(traced).slice(1), ['10 held pf-1 by=root', '20 released pf-1 by=root']);
    },
  );

  fact('A0: a user of whom everything is held has nothing to be offered', async (t, queue) => {
    await queue.enqueue(newMessages(5));
    t.is((await queue.hold(ofBob, 3, 1)).length, 3);
    t.is((await queue.hold(ofBob, 3, 1)).length, 2);
    t.is((await queue.hold({by: 'user', value: carol}, 3, 1)).length, 0);
    t.deepEqual(await queue.senders(bob), []);
    t.deepEqual(await queue.usersPending(undefined, 10), []);
    t.is((await queue.release(ofBob, 4, 2)).length, 4);
    t.deepEqual(
      (await queue.senders(bob)).map(({chats}) => chats),
      [4],
    );
  });

  fact('A21: what a client took stays sent, whether it is held before the 200 or after it', async (t, queue) => {
    const ids = (await queue.enqueue(newMessages(3))).map(({id}) => id);
    await queue.markSent(ids.slice(0, 1), 10);
    t.is((await queue.hold(ofBob, 10, 20)).length, 3);
    await queue.markSent(ids.slice(0, 2), 30, {answer: 'MSRP 200'});
    t.is((await queue.ledger()).held, 3);
    t.is(await queue.requeueSent(bob, 1000, 40), 0);
    t.is((await queue.release(ofBob, 10, 50)).length, 3);
    t.deepEqual(await names(queue), ['Msg3']);
    t.deepEqual(
      (await queue.sentUnconfirmed(bob, alice, 10)).map(({id, sentAt}) => [id, sentAt]),
      [
        [ids[0], 10],
        [ids[1], 30],
      ],
    );
  });

  fact('A21: what is held is settled by a notification all the same, once', async (t, queue) => {
    const [one] = await queue.enqueue([newMessage()]);
    await queue.hold(ofBob, 10, 1);
    t.is((await queue.settle([one?.id ?? ''], 'delivered', 2)).length, 1);
    t.deepEqual(await queue.release(ofBob, 10, 3), []);
    const {held, delivered} = await queue.ledger();
    t.deepEqual([held, delivered], [0, 1]);
  });

  fact('A0: pending messages of a selection are handed out whole, held ones, too', async (t, queue) => {
    const messages = newMessages(3);
    const ids = (await queue.enqueue(messages)).map(({id}) => id);
    await queue.hold({by: 'message', value: 'Msg2'}, 1, 1);
    await queue.settle(ids.slice(0, 1), 'delivered', 1);
    const kept = await queue.pending(ofBob, 10);
    t.deepEqual(
      kept.map(({imdnMessageId, state, bytes}) => [imdnMessageId, state, Buffer.from(bytes).toString()]),
      [
        ['Msg2', 'held', 'Msg 2'],
        ['Msg3', 'queued', 'Msg 3'],
      ],
    );
    t.is((await queue.pending(ofBob, 1)).length, 1);
    t.deepEqual(await queue.pending({by: 'sender', value: carol}, 10), []);
    await queue.settle(
      kept.map(({id}) => id),
      'dropped',
      2,
      {by: 'root'},
    );
    t.is((await queue.ledger()).dropped, 2);
    t.deepEqual(told((await queue.trace({by: 'message', value: 'Msg2'}, everything))[0]).slice(-1), [
      '2 dropped pf-1 by=root',
    ]);
  });

  fact('E8: of two keys that are one user, histories and holds move along', async (t, queue) => {
    const sip = 'sip:bob@ims.example';
    await queue.enqueue([newMessage({servedUser: sip}), newMessage({servedUser: sip, imdnMessageId: 'Msg2'})]);
    await queue.hold({by: 'user', value: sip}, 1, 7);
    t.is(await queue.adopt(sip, bob), 2);
    t.deepEqual(
      (await queue.trace(ofBob, everything)).map(({state, history}) => [state, history.length]),
      [
        ['held', 2],
        ['queued', 1],
      ],
    );
  });
}

const names = async (queue: DeferredQueue): Promise<unknown> =>
  (await queue.next(bob, alice, all)).map(({imdnMessageId}) => imdnMessageId);

/** Each entry on a line: when, what, on which node, and what is said of it. */
const told = (message: TracedMessage | undefined): readonly string[] =>
  (message?.history ?? []).map(({at, what, node, ...note}) =>
    [at, what, node, ...Object.entries(note).map(([key, value]) => `${key}=${value}`)].join(' '),
  );
