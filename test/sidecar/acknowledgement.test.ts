import test from 'ava';
import {answerText, type RawFrame} from '../support/msrp-peer.ts';
import {
  boundLeg,
  carriedOut,
  relayedPair,
  startFixture,
  takesAll,
  undecided,
  type Bound,
  type Fixture,
} from './relay-fixture.ts';

let fixture: Fixture;
test.before(async () => {
  fixture = await startFixture();
});
test.after.always(async () => {
  await fixture.close();
});

const firstLine = (frame: RawFrame) => frame.raw.split('\r\n')[0];

/** A keep-alive is answered after all that was sent before: what came until then is all there is. */
async function answersOf(bound: Bound): Promise<readonly string[]> {
  const from = bound.peer.frames.length;
  bound.send({id: 'ping0001', range: '1-0/0'});
  await bound.peer.until(() => bound.peer.frames.some((each, index) => index >= from && each.id === 'ping0001'));
  return bound.peer.frames
    .filter((each) => !each.id.startsWith('ping') && !each.id.startsWith('bind'))
    .map((each) => `${each.id} ${each.what}`);
}

test('RFC 4975 §7.2: a chunk that does not complete a held message is answered at once, the completing one when the PF has decided', async (t) => {
  const held = await boundLeg(fixture.plane);
  const {offered, decide} = undecided(held);
  held.send({id: 'part0001', message: 'm', range: '1-3/6', body: 'abc', flag: '+'});
  t.is(firstLine(await held.peer.next()), 'MSRP part0001 200 OK');
  held.send({id: 'part0002', message: 'm', range: '4-6/6', body: 'def'});
  await offered;
  t.deepEqual(await answersOf(held), ['part0001 200']);
  decide('accepted');
  t.is(firstLine(await held.peer.next('200')), 'MSRP ping0001 200 OK');
  t.is(firstLine(await held.peer.next('200')), 'MSRP part0002 200 OK');
  t.is(Buffer.from(held.offered[0]?.bytes ?? []).toString(), 'abcdef');
});

for (const status of [400, 403, 408, 413, 415, 481] as const) {
  test(`RFC 4975 §7.2: a held message that the PF does not take is answered ${status}`, async (t) => {
    const held = await boundLeg(fixture.plane);
    held.verdict = () => status;
    held.send({id: 'none0001', range: '1-2/2', body: 'hi'});
    t.is((await held.peer.next()).what, String(status));
  });
}

test('E4 RFC 4975 §7.2: Failure-Report no gets neither 200 nor an error, partial gets errors alone', async (t) => {
  const held = await boundLeg(fixture.plane);
  const refuses: Record<string, boolean> = {no: false, partial: false, noBad: true, partialBad: true};
  held.verdict = (message) => (refuses[message.messageId] ? 415 : 'accepted');
  held.send({id: 'fail0001', message: 'no', range: '1-2/2', headers: ['Failure-Report: no'], body: 'hi'});
  held.send({id: 'fail0002', message: 'partial', range: '1-2/2', headers: ['Failure-Report: partial'], body: 'hi'});
  held.send({id: 'fail0003', message: 'noBad', range: '1-2/2', headers: ['Failure-Report: no'], body: 'hi'});
  held.send({id: 'fail0004', message: 'partialBad', range: '1-2/2', headers: ['Failure-Report: partial'], body: 'hi'});
  held.send({id: 'fail0005', message: 'no', range: '1-0/0', headers: ['Failure-Report: no']});
  held.send({id: 'fail0006', to: 'msrp://127.0.0.1:1/unknown;tcp', range: '1-0/0', headers: ['Failure-Report: no']});
  t.is(firstLine(await held.peer.next('415')), 'MSRP fail0004 415 Unsupported Media Type');
  t.deepEqual(await answersOf(held), ['fail0004 415']);
  t.is(held.offered.length, 4);
});

test('RFC 4975 §7.1.2: the success report of a message that the PF took comes from the PF, to the whole path of the sender', async (t) => {
  const held = await boundLeg(fixture.plane);
  const from = `msrp://relay.example:1/r;tcp ${held.uri}`;
  held.send({id: 'succ0001', message: 'abc', from, range: '1-5/5', headers: ['Success-Report: yes'], body: 'hello'});
  const report = await held.peer.next('REPORT');
  t.is(report.headers['to-path'], from);
  t.is(report.headers['from-path'], held.leg.uri);
  t.is(report.headers['message-id'], 'abc');
  t.is(report.headers['byte-range'], '1-5/5');
  t.is(report.headers['status'], '000 200 OK');
  const answer = held.peer.frames.find((each) => each.id === 'succ0001');
  t.is(answer?.headers['to-path'], 'msrp://relay.example:1/r;tcp');
});

test('RFC 4975 §7.1.2: the success report of a relayed message is its receiver’s, passed back across the pair, and never answered', async (t) => {
  const [one, two] = await relayedPair(fixture.plane);
  one.send({
    id: 'succ0001',
    message: 'abc',
    range: '1-5/5',
    headers: ['Success-Report: yes', 'Failure-Report: no'],
    body: 'hello',
  });
  const send = await two.peer.next('SEND');
  t.is(send.headers['success-report'], 'yes');
  t.is(send.headers['failure-report'] ?? 'yes', 'yes');
  two.peer.write(answerText(send, 200));
  const report = (status: string, message: string) =>
    `MSRP rep00001 REPORT\r\nTo-Path: ${two.leg.uri}\r\nFrom-Path: ${two.uri}\r\nMessage-ID: ${message}\r\nByte-Range: 1-5/5\r\nStatus: 000 ${status}\r\n-------rep00001$\r\n`;
  two.peer.write(report('200 OK', 'unknown') + report('200 OK', 'abc') + report('413 Too Large', 'abc'));
  const passed = await one.peer.next();
  t.is(passed.what, 'REPORT');
  t.is(passed.headers['to-path'], one.uri);
  t.is(passed.headers['from-path'], one.leg.uri);
  t.is(passed.headers['message-id'], 'abc');
  t.is(passed.headers['status'], '000 200 OK');
  t.deepEqual(await answersOf(one), [`${passed.id} REPORT`]);
  t.deepEqual(await answersOf(two), [`${send.id} SEND`]);
});

test('RFC 4975 §7.1.2: a failure report after the 200 goes back to a sender who wants failure reports', async (t) => {
  const [one, two] = await relayedPair(fixture.plane);
  takesAll(two.peer);
  one.send({id: 'late0001', message: 'abc', range: '1-5/5', body: 'hello'});
  t.is((await one.peer.next()).what, '200');
  two.peer.write(
    `MSRP rep00001 REPORT\r\nTo-Path: ${two.leg.uri}\r\nFrom-Path: ${two.uri}\r\nMessage-ID: abc\r\nByte-Range: 1-5/5\r\nStatus: 000 408\r\n-------rep00001$\r\n`,
  );
  const report = await one.peer.next('REPORT');
  t.is(report.headers['status'], '000 408 Request Timeout');
});

test('E4 RFC 4975 §7.2: a relayed message with Failure-Report no or partial gets no 200, and its next hop is asked for one', async (t) => {
  const [one, two] = await relayedPair(fixture.plane);
  takesAll(two.peer);
  one.send({id: 'fail0001', range: '1-2/2', headers: ['Failure-Report: no'], body: 'hi'});
  one.send({id: 'fail0002', range: '1-2/2', headers: ['Failure-Report: partial'], body: 'hi'});
  one.send({id: 'fail0003', range: '1-2/2', body: 'hi'});
  t.is((await one.peer.next('200')).id, 'fail0003');
  t.deepEqual(await answersOf(one), ['fail0003 200']);
  t.is(
    two.peer.frames.filter((each) => each.what === 'SEND' && each.headers['failure-report'] === undefined).length,
    3,
  );
});

for (const status of [400, 403, 413, 415, 423, 501]) {
  test(`RFC 4975 §7.2: ${status} of the next hop is the sender's answer, and the session goes on`, async (t) => {
    const [one, two] = await relayedPair(fixture.plane);
    two.peer.onSend = (frame) => answerText(frame, frame.body === 'bad' ? status : 200);
    one.send({id: 'mess0001', range: '1-3/3', body: 'bad'});
    one.send({id: 'mess0002', range: '1-4/4', body: 'good'});
    t.deepEqual([(await one.peer.next()).what, (await one.peer.next()).what], [String(status), '200']);
    t.deepEqual(one.offered, []);
  });
}

test('E2 RFC 4975 §7.1: an empty SEND is answered, held or relayed, and nobody gets it', async (t) => {
  const [one, two] = await relayedPair(fixture.plane);
  t.deepEqual(await answersOf(one), []);
  t.deepEqual(
    two.peer.frames.map((each) => each.what),
    ['200'],
  );
  t.deepEqual([one.offered, two.offered], [[], []]);
});

test('8.3.2.9.1.1 A16: what a leg sends after refuse gets 481, what was offered before still settles (T9)', async (t) => {
  const held = await boundLeg(fixture.plane);
  const {offered, decide} = undecided(held);
  held.send({id: 'befo0001', range: '1-2/2', body: 'hi'});
  await offered;
  held.leg.refuse();
  await carriedOut(fixture.plane);
  held.send({id: 'late0001', range: '1-2/2', body: 'hi'});
  held.send({id: 'late0002', range: '1-2/2', headers: ['Failure-Report: no'], body: 'hi'});
  t.is(firstLine(await held.peer.next()), 'MSRP late0001 481 Session Does Not Exist');
  decide('accepted');
  t.is(firstLine(await held.peer.next()), 'MSRP befo0001 200 OK');
  t.is(held.offered.length, 1);
});
