import type {TestFn} from 'ava';
import type {NewStoredObject} from '../../lib/cpm/stored-object.ts';
import type {OpenStore} from './store-under-test.ts';

const bob = 'tel:+4915150000002';
const bobsOther = 'sip:bob@ims.example';
const alice = 'tel:+4915150000001';
const carol = 'tel:+4915150000003';
const page = {limit: 100};

export const newObject = (more: Partial<NewStoredObject> = {}): NewStoredObject => ({
  servedUser: bob,
  conversationId: 'f81d4fae',
  contributionId: 'abcdef-1234',
  kind: 'message',
  imdnMessageId: 'Msg1',
  from: alice,
  to: bob,
  direction: 'received',
  date: 5000,
  headers: [],
  contentType: 'Message/CPIM',
  bytes: Buffer.from('From: <sip:anonymous@anonymous.invalid>\r\n\r\n\0\xff'),
  ...more,
});

const info = (more: Partial<NewStoredObject> = {}): NewStoredObject =>
  newObject({
    kind: 'session-info',
    imdnMessageId: 'Info',
    direction: undefined,
    headers: [{name: 'P-Asserted-Service', value: 'urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session'}],
    contentType: 'Application/X-CPM-Session',
    bytes: Buffer.from('<session/>'),
    ...more,
  });

/** What every message store does (lib/ports/message-store.ts). */
export function messageStoreContract(test: TestFn, name: string, open: OpenStore): void {
  test(`8.5.2 E1: a session's folder gives back each object, in the order of storing, octet for octet (${name})`, async (t) => {
    const {messageStore} = (await open(t)).store;
    const objects = [
      info(),
      newObject({date: 9000}),
      newObject({kind: 'notification', imdnMessageId: 'Ntf1', from: bob, to: alice, direction: 'sent', date: 7000}),
      newObject({
        kind: 'group-state',
        imdnMessageId: 'Gso1',
        direction: undefined,
        bytes: Buffer.from('<groupstate/>'),
      }),
      newObject({imdnMessageId: 'Large', bytes: Buffer.alloc(9_000_000, 'grüße')}),
    ];
    t.deepEqual(await messageStore.put(objects, 4000), Array(5).fill('stored'));
    const {servedUser, conversationId, contributionId} = info();
    const listed = await messageStore.list({servedUser, conversationId, contributionId}, page);
    t.is(listed.length, objects.length);
    for (const [index, {id, sequence, ...summary}] of listed.entries()) {
      const {bytes, ...rest} = objects[index] ?? newObject();
      t.deepEqual(summary, {...rest, storedAt: 4000, size: bytes.length});
      const whole = await messageStore.read(id);
      t.is(whole?.sequence, sequence);
      t.true(Buffer.from(whole?.bytes ?? []).equals(bytes));
    }
    t.deepEqual(
      (await messageStore.list({servedUser, conversationId, kind: 'group-state'}, page)).map(
        ({imdnMessageId}) => imdnMessageId,
      ),
      ['Gso1'],
    );
    const [first, second] = listed;
    const next = await messageStore.list({servedUser, conversationId}, {after: first?.sequence, limit: 1});
    t.deepEqual(next, second === undefined ? [] : [second]);
    t.is(await messageStore.read('nothing'), undefined);
  });

  test(`8.5.2 T13 T62: an object that is stored again stays once, other bytes or another author under its id are kept beside it, in another folder it is another (${name})`, async (t) => {
    const {messageStore} = (await open(t)).store;
    const other = newObject({bytes: Buffer.from('other')});
    t.deepEqual(await messageStore.put([newObject(), newObject()], 1), ['stored', 'duplicate']);
    t.deepEqual(await messageStore.put([newObject(), other, other], 2), ['duplicate', 'conflict', 'duplicate']);
    t.deepEqual(await messageStore.put([newObject({from: bob}), newObject({imdnMessageId: 'msg1'})], 3), [
      'conflict',
      'stored',
    ]);
    t.deepEqual(await messageStore.put([newObject({contributionId: 'next'})], 4), ['stored']);
    // What the PF makes itself it may make in other words when it makes it again.
    t.deepEqual(await messageStore.put([info(), info({from: bob, bytes: Buffer.from('<session />')})], 5), [
      'stored',
      'duplicate',
    ]);
    const {servedUser, conversationId} = info();
    t.is((await messageStore.list({servedUser, conversationId}, page)).length, 6);
  });

  test(`8.5.2: the folders of a user are told page by page with what is in them, those with group states alone where asked for (${name})`, async (t) => {
    const {messageStore} = (await open(t)).store;
    await messageStore.put(
      [
        info({conversationId: 'b', contributionId: '1', date: 10}),
        newObject({conversationId: 'b', contributionId: '1', date: 30}),
        newObject({conversationId: 'b', contributionId: '2', kind: 'group-state', date: 40}),
        newObject({conversationId: 'a', contributionId: '3', kind: 'notification', date: 50}),
        newObject({conversationId: 'a', contributionId: '3', servedUser: carol}),
      ],
      1,
    );
    const folders = await messageStore.folders(bob, page);
    t.deepEqual(
      folders.map(({servedUser, conversationId, contributionId}) => [servedUser, conversationId, contributionId]),
      [
        [bob, 'a', '3'],
        [bob, 'b', '1'],
        [bob, 'b', '2'],
      ],
    );
    t.deepEqual(folders[1], {
      servedUser: bob,
      conversationId: 'b',
      contributionId: '1',
      counts: {'session-info': 1, message: 1, notification: 0, 'group-state': 0},
      firstDate: 10,
      lastDate: 30,
    });
    t.deepEqual(await messageStore.folders(bob, {after: folders[0], limit: 1}), folders.slice(1, 2));
    t.deepEqual(await messageStore.folders(bob, {kind: 'group-state', limit: 9}), folders.slice(2));
    t.deepEqual(await messageStore.folders('tel:+49', page), []);
  });

  test(`8.5.2: what is older than its retention goes, a session's info last (${name})`, async (t) => {
    const {messageStore} = (await open(t)).store;
    await messageStore.put([info(), newObject({imdnMessageId: 'Old'})], 100);
    await messageStore.put([info({contributionId: 'over'})], 101);
    await messageStore.put([newObject({imdnMessageId: 'New', bytes: Buffer.alloc(2_000_000)})], 200);
    t.is(await messageStore.forget(100, 10), 0);
    t.is(await messageStore.forget(200, 1), 1);
    t.is(await messageStore.forget(200, 10), 1);
    t.is(await messageStore.forget(200, 10), 0);
    const {servedUser, conversationId} = info();
    const left = await messageStore.list({servedUser, conversationId}, page);
    t.deepEqual(
      left.map(({imdnMessageId}) => imdnMessageId),
      ['Info', 'New'],
    );
    t.is((await messageStore.forget(300, 10)) + (await messageStore.forget(300, 10)), 2);
    t.deepEqual(await messageStore.folders(bob, page), []);
  });

  test(`8.5.2: when two keys turn out to be one user what is recorded joins, and what both have stays once (${name})`, async (t) => {
    const {messageStore} = (await open(t)).store;
    await messageStore.put([info(), newObject()], 1);
    const others = [info(), newObject(), newObject({imdnMessageId: 'Msg2', bytes: Buffer.alloc(2_000_000, 'x')})];
    await messageStore.put(
      others.map((object) => ({...object, servedUser: bobsOther})),
      2,
    );
    t.is(await messageStore.adopt(bobsOther, bob), 1);
    t.is(await messageStore.adopt(bobsOther, bob), 0);
    t.is(await messageStore.adopt(bob, bob), 0);
    t.deepEqual(await messageStore.folders(bobsOther, page), []);
    const {servedUser, conversationId} = info();
    const joined = await messageStore.list({servedUser, conversationId}, page);
    t.deepEqual(joined.map(({imdnMessageId}) => imdnMessageId).sort(), ['Info', 'Msg1', 'Msg2']);
    const large = joined.find(({imdnMessageId}) => imdnMessageId === 'Msg2');
    t.is((await messageStore.read(large?.id ?? ''))?.bytes.length, 2_000_000);
    t.deepEqual(await messageStore.put([newObject()], 3), ['duplicate']);
  });

  test(`8.3.2.9 A21: of an erased user nothing recorded is left, in his folders or in others' (${name})`, async (t) => {
    const {store} = await open(t);
    const rest = {contacts: [], servingNode: undefined, expiresAt: 9000};
    await store.registrations.put({servedUser: bob, identities: [bob, bobsOther], ...rest});
    await store.messageStore.put(
      [
        info(),
        newObject({bytes: Buffer.alloc(2_000_000)}),
        newObject({servedUser: bobsOther}),
        newObject({servedUser: carol, from: bobsOther, imdnMessageId: 'From'}),
        newObject({servedUser: carol, imdnMessageId: 'Others'}),
      ],
      1,
    );
    t.like(await store.erase(bob), {recorded: 4});
    t.like(await store.erase(bob), {recorded: 0});
    t.deepEqual(await store.messageStore.folders(bob, page), []);
    t.deepEqual(await store.messageStore.folders(bobsOther, page), []);
    const left = await store.messageStore.list({servedUser: carol, conversationId: info().conversationId}, page);
    t.deepEqual(
      left.map(({imdnMessageId}) => imdnMessageId),
      ['Others'],
    );
  });
}
