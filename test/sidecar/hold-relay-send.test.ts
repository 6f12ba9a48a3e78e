import test from 'ava';
import {answerText} from '../support/msrp-peer.ts';
import {boundLeg, messagesIn, relayedPair, startFixture, takesAll, type Fixture} from './relay-fixture.ts';

let fixture: Fixture;
test.before(async () => {
  fixture = await startFixture();
});
test.after.always(async () => {
  await fixture.close();
});

test('RFC 4975 §7.2: a held message is answered 200 when the PF has accepted it, octet for octet', async (t) => {
  const {leg, peer, offered, send} = await boundLeg(fixture.plane);
  send({id: 'held0001', message: 'abc', range: '1-7/7', type: 'message/cpim', body: 'gr\xc3\xbc\xc3\x9fe'.slice(0, 7)});
  const answer = await peer.next();
  t.is(answer.raw.split('\r\n')[0], 'MSRP held0001 200 OK');
  t.is(answer.headers['from-path'], leg.uri);
  t.is(offered[0]?.contentType, 'message/cpim');
  t.is(offered[0]?.messageId, 'abc');
  t.is(Buffer.from(offered[0]?.bytes ?? []).toString(), 'grüße');
  t.is(offered[0]?.why, 'held');
  await leg.release();
  await peer.end();
});

test('RFC 4975 §7.3.1: a chunk is relayed as it comes, and answered when the next hop has answered it', async (t) => {
  const [one, two] = await relayedPair(fixture.plane);
  one.send({id: 'chunk001', message: 'mm', range: '1-*/8', body: 'abcd', flag: '+'});
  const first = await two.peer.next('SEND');
  t.is(first.body, 'abcd');
  t.is(first.flag, '+');
  t.is(first.headers['to-path'], two.uri);
  t.is(first.headers['from-path'], two.leg.uri);
  t.is(first.headers['message-id'], 'mm');
  t.is(one.peer.frames.length, 1);
  two.peer.write(answerText(first, '200 OK'));
  t.is((await one.peer.next()).id, 'chunk001');

  one.send({id: 'chunk002', message: 'mm', range: '5-8/8', body: 'EFGH'});
  const second = await two.peer.next('SEND');
  t.deepEqual([second.body, second.flag, second.headers['byte-range']], ['EFGH', '$', '5-8/8']);
  t.not(second.id, first.id);
  two.peer.write(answerText(second, 200));
  t.is((await one.peer.next()).raw.split('\r\n')[0], 'MSRP chunk002 200 OK');
  t.deepEqual([one.offered, two.offered], [[], []]);

  two.send({id: 'back0001', range: '1-2/2', body: 'no'});
  one.peer.write(answerText(await one.peer.next('SEND'), 200));
  t.is((await two.peer.next()).id, 'back0001');
});

test('T25 RFC 4975 §7.1.1: what the PF sends goes out in chunks, in order, and is answered when its last chunk is', async (t) => {
  const {leg, peer} = await boundLeg(fixture.plane, {mode: 'send'});
  takesAll(peer);
  const texts = ['short', 'x'.repeat(2048), 'y'.repeat(200_000), 'z'.repeat(1_500_000)];
  const outcomes = await Promise.all(
    texts.map((text) => leg.send({contentType: 'message/cpim', bytes: Buffer.from(text)})),
  );
  t.deepEqual(
    outcomes,
    texts.map(() => ({kind: 'answered' as const, status: 200})),
  );
  t.deepEqual(messagesIn(peer.frames), texts);
  const ranges = peer.frames.filter((each) => each.what === 'SEND').map((each) => each.headers['byte-range']);
  t.deepEqual(ranges.slice(0, 4), ['1-5/5', '1-2048/2048', '1-*/200000', '65537-*/200000']);
});
