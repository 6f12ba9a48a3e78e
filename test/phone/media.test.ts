import {randomBytes} from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import {Assembly} from '../../lib/phone/assembly.ts';
import {bobAddress, people} from './people.ts';

for (const writeBytes of [1, 7, 1000]) {
  test(`RFC 4975 §7.3: written ${writeBytes} octets at a time, chunks still make the same message`, async (t) => {
    const {alice, bob} = await people(t, {alice: {faults: {writeBytes}, behaviour: {byteRangeEnd: 'open'}}});
    const chat = await alice.startChat(bobAddress);
    const text = randomBytes(writeBytes === 1 ? 1500 : 15_000).toString('base64');
    const sent = await chat.sendText(text);
    t.true(sent.accepted);
    const received = await bob.messages.first();
    t.deepEqual(received.bytes, sent.bytes);
    t.is(received.chunks, Math.ceil(sent.bytes.length / 2048));
  });
}

test('RFC 4975 §7.3.1: a message of 200 KB comes whole, whoever connects', async (t) => {
  const {alice, bob} = await people(t, {bob: {media: {answerSetup: 'passive'}}});
  const chat = await alice.startChat(bobAddress);
  const sent = await chat.sendText('é'.repeat(100_000));
  t.deepEqual((await bob.messages.first()).bytes, sent.bytes);
});

test('RFC 6135 §4.2: with a=setup of every kind, and without it, the phones find each other', async (t) => {
  for (const offerSetup of ['actpass', 'active', 'passive', undefined] as const) {
    const {alice, bob} = await people(t, {alice: {media: {offerSetup}}});
    const chat = await alice.startChat(bobAddress);
    t.true((await chat.sendText('hello')).accepted);
    t.is((await bob.messages.first()).text, 'hello');
  }
});

test('RFC 4975 §7.2: a bad answer ends the message, silence lasts as long as it was told to', async (t) => {
  const {alice, bob} = await people(t);
  const chat = await alice.startChat(bobAddress);
  const {msrp} = await bob.sessions.first();
  msrp.behaviour.answer = () => 413;
  t.deepEqual((await chat.sendText('x'.repeat(100_000))).outcomes, [413]);
  msrp.behaviour.answer = () => 'silent';
  chat.msrp.behaviour.answerMilliseconds = 50;
  t.deepEqual((await chat.sendText('y')).outcomes, ['silent']);
  t.is(bob.messages.items.length, 0);
});

test('RFC 4975 §7.1.1: Failure-Report: no is never answered, Success-Report: yes brings a report of the whole message', async (t) => {
  const {alice, bob} = await people(t);
  const chat = await alice.startChat(bobAddress);
  const quiet = await chat.sendText('quiet', {failureReport: 'no', successReport: true});
  t.deepEqual(quiet.outcomes, ['unasked']);
  const report = await chat.msrp.reports.first();
  t.is(report.status, 200);
  t.deepEqual(report.byteRange, {start: 1, end: quiet.bytes.length, total: quiet.bytes.length});
  t.is((await bob.messages.first()).text, 'quiet');
});

test('RFC 4975 §5.4: a connection that breaks in mid-message loses the message, and the sender knows', async (t) => {
  const {alice, bob} = await people(t, {bob: {faults: {dropAfterBytes: 30_000}}});
  const chat = await alice.startChat(bobAddress);
  const sent = await chat.sendText('z'.repeat(100_000));
  t.deepEqual(sent.outcomes, ['lost']);
  t.false(sent.accepted);
  t.is(bob.messages.items.length, 0);
});

test('RFC 4975 §7.3.1: chunks in any order and overlap make the message', (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({minLength: 1, maxLength: 300}),
      fc.array(fc.nat(300)),
      fc.boolean(),
      (octets, cuts, back) => {
        const message = Buffer.from(octets);
        const ends = [...new Set([...cuts.map((cut) => 1 + (cut % message.length)), message.length])].sort(
          (a, b) => a - b,
        );
        const chunks = ends.map((end, index) => ({from: Math.max(0, (ends[index - 1] ?? 0) - 3), end}));
        if (back) chunks.reverse();
        const assembly = new Assembly();
        const wholes = chunks.map(({from, end}) =>
          assembly.add(
            {start: from + 1, end, total: undefined},
            message.subarray(from, end),
            end === message.length ? '$' : '+',
          ),
        );
        const whole = wholes.find((each) => each !== undefined);
        return whole?.equals(message) === true;
      },
    ),
  );
  t.pass();
});
