import test from 'ava';
import {answerText} from '../support/msrp-peer.ts';
import {boundLeg, messagesIn, relayedPair, startFixture, takesAll, type Bound, type Fixture} from './relay-fixture.ts';

let fixture: Fixture;
let small: Fixture;
test.before(async () => {
  fixture = await startFixture();
  small = await startFixture({spool: {messageMemoryBytes: 1000, memoryBytes: 100_000, diskBytes: 500_000}});
});
test.after.always(async () => {
  await fixture.close();
  await small.close();
});

const texts = (bound: Bound) => bound.offered.map((each) => Buffer.from(each.bytes).toString('latin1'));

async function answered(bound: Bound, id: string): Promise<string> {
  await bound.peer.until(() => bound.peer.frames.some((each) => each.id === id), id);
  return bound.peer.frames.find((each) => each.id === id)?.what ?? '';
}

test('E3 RFC 4975 §7.3.1: chunks out of order, overlapping and interleaved make whole messages; the later octets are right', async (t) => {
  for (const {plane} of [fixture, small]) {
    const held = await boundLeg(plane);
    held.send({id: 'mix00001', message: 'a', range: '5-*/8', body: 'EFGH', flag: '$'});
    held.send({id: 'mix00002', message: 'b', range: '1-2/4', body: 'xy', flag: '+'});
    held.send({id: 'mix00003', message: 'a', range: '1-3/8', body: 'abc', flag: '+'});
    held.send({id: 'mix00004', message: 'b', range: '3-4/4', body: 'zz'});
    held.send({id: 'mix00005', message: 'a', range: '3-6/*', body: 'CDef', flag: '+'});
    t.is(await answered(held, 'mix00005'), '200');
    t.deepEqual(texts(held), ['xyzz', 'abCDefGH']);
  }
});

test('E3 RFC 4975 §7.3.1: one chunk without Byte-Range is a whole message; octets count, not the range that it states', async (t) => {
  const held = await boundLeg(fixture.plane);
  held.send({id: 'none0001', body: 'no range'});
  held.send({id: 'less0001', range: '1-3/3', body: 'more than three'});
  held.send({id: 'more0001', range: '1-3000/3000', body: 'fewer'});
  held.send({id: 'void0001', range: '1-0/0', body: ''});
  t.is(await answered(held, 'void0001'), '200');
  t.deepEqual(texts(held), ['no range', 'more than three', 'fewer', '']);
});

test('RFC 4975 §7.1.1: a message that ends with # is nobody’s, and its Message-ID is free again', async (t) => {
  const held = await boundLeg(fixture.plane);
  held.send({id: 'stop0001', message: 'a', range: '1-*/9', body: 'abc', flag: '+'});
  held.send({id: 'stop0002', message: 'a', range: '4-*/9', body: 'def', flag: '#'});
  t.is(await answered(held, 'stop0002'), '200');
  held.send({id: 'anew0001', message: 'a', range: '1-*/9', body: 'ABCDEFGHI'});
  t.is(await answered(held, 'anew0001'), '200');
  t.deepEqual(texts(held), ['ABCDEFGHI']);
});

test('RFC 4975 §7.1.1: # is relayed', async (t) => {
  const [one, two] = await relayedPair(fixture.plane);
  takesAll(two.peer);
  one.send({id: 'stop0001', message: 'a', range: '1-*/9', body: 'abc', flag: '+'});
  one.send({id: 'stop0002', message: 'a', range: '4-*/9', body: 'def', flag: '#'});
  one.send({id: 'next0001', message: 'b', range: '1-1/1', body: 'b'});
  t.is(await answered(one, 'next0001'), '200');
  t.deepEqual(
    two.peer.frames.filter((each) => each.what === 'SEND').map((each) => [each.headers['message-id'], each.flag]),
    [
      ['a', '+'],
      ['a', '#'],
      ['b', '$'],
    ],
  );
});

test('RFC 4975 §7.3.1: chunks out of order are relayed as they come; the message is answered when all of them are', async (t) => {
  const [one, two] = await relayedPair(fixture.plane);
  one.send({id: 'back0001', message: 'a', range: '5-8/8', body: 'EFGH', flag: '$'});
  one.send({id: 'back0002', message: 'a', range: '1-4/8', body: 'abcd', flag: '+'});
  const [last, first] = [await two.peer.next('SEND'), await two.peer.next('SEND')];
  t.deepEqual(
    [last.flag, last.headers['byte-range'], first.flag, first.headers['byte-range']],
    ['$', '5-8/8', '+', '1-4/8'],
  );
  two.peer.write(answerText(first, 200));
  two.peer.write(answerText(last, 200));
  t.is(await answered(one, 'back0001'), '200');
  t.is(await answered(one, 'back0002'), '200');
});

test('RFC 4975 §7.1.1: a long chunk is relayed before it has ended, and gives way to another session on the connection', async (t) => {
  const [one, two] = await relayedPair(fixture.plane);
  const uri = two.uri.replace('peer', 'second');
  const third = await fixture.plane.openLeg({side: 'core', mode: 'send', label: {}, maxMessageBytes: 1000});
  third.connect({path: [uri], connection: 'passive', acceptTypes: ['*'], maxSize: undefined});
  two.peer.write(
    `MSRP bind0002 SEND\r\nTo-Path: ${third.uri}\r\nFrom-Path: ${uri}\r\nMessage-ID: 0\r\n-------bind0002$\r\n`,
  );
  await third.bound(5000);
  takesAll(two.peer);

  const body = 'l'.repeat(150_000);
  one.peer.write(
    `MSRP long0001 SEND\r\nTo-Path: ${one.leg.uri}\r\nFrom-Path: ${one.uri}\r\nMessage-ID: long\r\nByte-Range: 1-*/150000\r\nContent-Type: text/plain\r\n\r\n${body.slice(0, 100_000)}`,
  );
  await two.peer.until(() => two.peer.bytes > 99_000, 'the first part');
  t.deepEqual(await third.send({contentType: 'text/plain', bytes: Buffer.from('in between')}), {
    kind: 'answered',
    status: 200,
  });
  one.peer.write(`${body.slice(100_000)}\r\n-------long0001$\r\n`);
  t.is(await answered(one, 'long0001'), '200');
  const sends = two.peer.frames.filter((each) => each.what === 'SEND');
  t.deepEqual(
    sends.map((each) => each.flag),
    ['+', '$', '$'],
  );
  t.is(sends[2]?.headers['byte-range'], '100001-*/150000');
  t.true(messagesIn(sends)[0] === body);
  t.is(messagesIn(sends)[1], 'in between');
});

test('RFC 4975 §7.1.1: a next hop that takes no open ranges is relayed chunks of 2048 octets, each range exact', async (t) => {
  const one = await boundLeg(fixture.plane);
  const two = await boundLeg(fixture.plane, {}, {chunks: 'explicit'});
  takesAll(two.peer);
  (await one.leg.pair(two.leg)).open();
  const body = 'e'.repeat(5000);
  one.send({id: 'expl0001', message: 'a', range: '1-*/5000', body});
  one.send({id: 'expl0002', message: 'b', range: '1-2/2', body: 'hi'});
  t.is(await answered(one, 'expl0002'), '200');
  t.is(await answered(one, 'expl0001'), '200');
  const sends = two.peer.frames.filter((each) => each.what === 'SEND');
  const ranges = ['1-2048/5000', '2049-4096/5000', '4097-5000/5000', '1-2/2'];
  t.deepEqual(
    sends.map((each) => each.headers['byte-range']),
    ranges,
  );
  t.deepEqual(messagesIn(sends), [body, 'hi']);
});

test('RFC 4975 §7.1: an end-line of another transaction in a body passes unharmed, and none is written apart from its body', async (t) => {
  const [one, two] = await relayedPair(fixture.plane);
  takesAll(two.peer);
  const body = `MSRP x SEND\r\n-------other001$\r\n${'\r\n-------'.repeat(3000)}\0\xff`;
  let alone = 0;
  two.peer.socket.on('data', (data: Buffer) => {
    if (/^(\r\n)?-------/.test(data.toString('latin1'))) alone += 1;
  });
  const text = `MSRP same0001 SEND\r\nTo-Path: ${one.leg.uri}\r\nFrom-Path: ${one.uri}\r\nMessage-ID: a\r\nByte-Range: 1-*/*\r\nContent-Type: text/plain\r\n\r\n${body}`;
  one.peer.write(text);
  await two.peer.until(() => two.peer.bytes > body.length, 'nearly all of it');
  one.peer.write('\r\n-------same0001$\r\n');
  t.is(await answered(one, 'same0001'), '200');
  t.deepEqual(messagesIn(two.peer.frames), [body]);
  t.is(alone, 0);
});

test('RFC 4975 §7.1.1: a message beyond the memory for one is kept on disk, octet for octet; beyond all bounds the sender gets 413', async (t) => {
  const held = await boundLeg(small.plane);
  const body = Array.from({length: 40_000}, (_, index) => String(index)).join(',');
  for (let at = 0; at < body.length; at += 20_000) {
    const part = body.slice(at, at + 20_000);
    const last = at + part.length === body.length;
    held.send({
      id: `disk${String(at).padStart(6, '0')}`,
      message: 'd',
      range: `${at + 1}-*/*`,
      body: part,
      flag: last ? '$' : '+',
    });
  }
  t.is(await answered(held, `disk${String(body.length - (body.length % 20_000)).padStart(6, '0')}`), '200');
  t.true(texts(held)[0] === body);

  held.send({id: 'over0001', message: 'o', range: '1-*/*', body: 'o'.repeat(600_000), flag: '+'});
  t.is(await answered(held, 'over0001'), '413');
  while ((await small.plane.status())['spoolDiskBytes'] !== 0);
  held.send({id: 'over0002', message: 'p', range: '1-*/*', body: 'p'.repeat(300_000)});
  t.is(await answered(held, 'over0002'), '200');
  await held.leg.release();
  // Other tests use this relay, too, for a moment each.
  for (const octets of ['spoolDiskBytes', 'spoolBytes']) while ((await small.plane.status())[octets] !== 0);
});
