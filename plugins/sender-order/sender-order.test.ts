import test from 'ava';
import {openForTest} from 'drachtio-cpm/test-kit';
import senderOrder from './index.ts';

const senders = ['tel:+15550101', 'sip:ward@hospital.example', 'tel:+15550103', 'sip:desk@hospital.example'].map(
  (sender, index) => ({sender, chats: 1, notifications: 0, oldestDateTime: index}),
);
const waiting = {servedUser: 'tel:+15550102', senders};

test('8.3.2.9.1.1 A0: sender-order puts those of the list first, in its order, and the others behind by age', async (t) => {
  const {hooks} = await openForTest(senderOrder, {first: ['tel:+15550103', 'sip:*@hospital.example']});
  t.deepEqual(await hooks.order?.(waiting), [
    'tel:+15550103',
    'sip:ward@hospital.example',
    'sip:desk@hospital.example',
    'tel:+15550101',
  ]);
});

test('8.3.2.9.1.1 A0: sender-order turns the age round where the newest is to come first', async (t) => {
  const {hooks} = await openForTest(senderOrder, {first: ['sip:*@hospital.example'], others: 'newest'});
  t.deepEqual(await hooks.order?.(waiting), [
    'sip:desk@hospital.example',
    'sip:ward@hospital.example',
    'tel:+15550103',
    'tel:+15550101',
  ]);
});
