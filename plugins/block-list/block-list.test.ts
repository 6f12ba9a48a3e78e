import test from 'ava';
import {example, openForTest} from 'drachtio-cpm/test-kit';
import blockList from './index.ts';

test('block-list: who is on the list is refused by every way, others are let be', async (t) => {
  const {hooks} = await openForTest(blockList, {senders: ['sip:*@spam.example', 'tel:+1900*'], status: 480});
  for (const sender of ['sip:eve@spam.example', 'tel:+19005550101']) {
    t.deepEqual(await hooks.beforeAccept?.(example.invitation({sender})), {refuse: 480});
    t.deepEqual(await hooks.beforeDefer?.(example.message({sender})), {refuse: 403});
  }

  for (const sender of ['sip:eve@spam.example.org', 'sip:eve@xspam.example', 'tel:+1555190055'])
    t.is(await hooks.beforeAccept?.(example.invitation({sender})), undefined);
});

test('block-list: an address without * means the person, in whichever scheme it is written', async (t) => {
  const {hooks} = await openForTest(blockList, {senders: ['sip:+1-555-0101@home.example;user=phone']});
  t.deepEqual(await hooks.beforeAccept?.(example.invitation({sender: 'tel:+15550101'})), {refuse: 603});
  t.is(await hooks.beforeAccept?.(example.invitation({sender: 'tel:+155501010'})), undefined);
});

test('block-list: what one user does not want others may', async (t) => {
  const users = [{user: 'tel:+15550102', senders: ['tel:+15550101']}];
  const {hooks} = await openForTest(blockList, {users});
  t.deepEqual(await hooks.beforeAccept?.(example.invitation({servedUser: 'tel:+15550102'})), {refuse: 603});
  t.is(await hooks.beforeAccept?.(example.invitation({servedUser: 'tel:+15550103'})), undefined);
});

test('block-list: who is swallowed is accepted, no device rings, and what he writes is discarded', async (t) => {
  const {hooks} = await openForTest(blockList, {senders: ['tel:+15550101'], action: 'swallow'});
  t.is(await hooks.beforeAccept?.(example.invitation()), 'keep');
  t.is(await hooks.beforeDefer?.(example.message()), 'discard');
});

test('block-list: a pattern that is no address is a mistake', async (t) => {
  await t.throwsAsync(openForTest(blockList, {senders: ['spam.example']}), {message: /senders/});
  await t.throwsAsync(openForTest(blockList, {status: 200}), {message: /status/});
});
