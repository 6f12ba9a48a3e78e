import {readFileSync} from 'node:fs';
import test from 'ava';
import {answerText, MsrpPeer, sendText} from '../support/msrp-peer.ts';
import {relayedPair, startFixture, takesAll, type Bound, type Fixture} from './relay-fixture.ts';

let fixture: Fixture;
const limits = {queueBytes: 256 * 1024, backlogBytes: 512 * 1024, sharedBacklogBytes: 4 * 1024 * 1024};
test.before(async () => {
  fixture = await startFixture({limits});
});
test.after.always(async () => {
  await fixture.close();
});

const kilobytes64 = 'x'.repeat(65_536);

/** Sends one message in so many chunks of 64 KB, without waiting for any answer. */
function sendMany(from: Bound, name: string, count: number, explicit = false): void {
  for (let at = 0; at < count; at += 1) {
    const start = at * 65_536 + 1;
    const range = `${start}-${explicit ? start + 65_535 : '*'}/*`;
    from.send({
      id: `${name}${String(at).padStart(4, '0')}`,
      message: name,
      range,
      body: kilobytes64,
      flag: at === count - 1 ? '$' : '+',
    });
  }
}

const count = (counters: Readonly<Record<string, number>>, name: string): number => counters[name] ?? Number.NaN;

async function whenPaused(plane: Fixture['plane'], connections: number): Promise<void> {
  for (;;) {
    const paused = count(await plane.status(), 'pausedConnections');
    if (paused === connections) return;
  }
}

test.serial(
  'RFC 4975 §7.3: a reader that is stuck holds up its own sender and nobody else; memory stays bounded; it goes on when it reads',
  async (t) => {
    const {plane} = fixture;
    const [one, two] = await relayedPair(plane, {maxMessageBytes: 100_000_000});
    const [three, four] = await relayedPair(plane, {maxMessageBytes: 100_000_000});
    takesAll(two.peer);
    takesAll(four.peer);
    two.peer.socket.pause();
    // Far more than the kernel's buffers on the way take.
    sendMany(one, 'stuck', 600);
    await whenPaused(plane, 1);
    const kept = (counters: Awaited<ReturnType<typeof plane.status>>) =>
      count(counters, 'spoolBytes') + count(counters, 'spoolDiskBytes');

    // Others are served as if nothing was; the stuck one's octets fill the kernel's buffers meanwhile, and then not an octet more is read.
    let before = await plane.status();
    let after = before;
    for (let turn = 0; turn === 0 || (kept(before) !== kept(after) && turn < 20); turn += 1) {
      before = after;
      sendMany(three, `other${turn}x`, 100, true);
      await three.peer.until(
        () => three.peer.frames.some((each) => each.id === `other${turn}x0099`),
        'the other sender’s answers',
      );
      after = await plane.status();
    }
    t.is(kept(after), kept(before));
    t.is(count(after, 'pausedConnections'), 1);
    t.true(kept(after) < 30_000_000);
    t.true(count(after, 'queuedBytes') > limits.queueBytes);
    t.true(count(after, 'queuedBytesMost') < 4_000_000, String(count(after, 'queuedBytesMost')));
    t.is(one.peer.frames.filter((each) => each.what === '413').length, 0);

    two.peer.socket.resume();
    await one.peer.until(() => one.peer.frames.some((each) => each.id === 'stuck0599'), 'the stuck sender’s answers');
    t.is(
      two.peer.frames.filter((each) => each.what === 'SEND').reduce((sum, each) => sum + (each.body?.length ?? 0), 0),
      600 * 65_536,
    );
    t.is(one.peer.frames.filter((each) => each.what === '200').length, 601);
    const end = await plane.status();
    t.is(count(end, 'spoolBytes'), 0);
    t.is(count(end, 'queuedBytes'), 0);
    t.is(count(end, 'pausedConnections'), 0);
  },
);

test.serial(
  'RFC 4975 §7.3: a gate that stays closed holds its sender up, and what waited follows when it opens',
  async (t) => {
    const {plane} = fixture;
    const [one, two] = await relayedPair(plane, {maxMessageBytes: 100_000_000});
    takesAll(two.peer);
    const pairing = await one.leg.pair(two.leg);
    sendMany(one, 'gate', 300);
    await whenPaused(plane, 1);
    t.true(count(await plane.status(), 'spoolBytes') < 20_000_000);
    t.is(two.peer.frames.filter((each) => each.what === 'SEND').length, 0);
    pairing.open();
    await one.peer.until(() => one.peer.frames.some((each) => each.id === 'gate0299'), 'all answers');
    t.is(
      two.peer.frames.filter((each) => each.what === 'SEND').reduce((sum, each) => sum + (each.body?.length ?? 0), 0),
      300 * 65_536,
    );
    t.is(count(await plane.status(), 'pausedConnections'), 0);
  },
);

test.serial(
  'RFC 4975 §7.3: on a connection of several sessions a stuck reader holds up none of them: beyond the bound its messages get 413',
  async (t) => {
    const {plane} = fixture;
    const [one, two] = await relayedPair(plane, {maxMessageBytes: 1_000_000});
    // A second session of the same connection, with a partner that reads.
    const [third, fourth] = await relayedPair(plane);
    const shared = await plane.openLeg({side: 'access', mode: 'hold', label: {}, maxMessageBytes: 1_000_000});
    const from = 'msrp://127.0.0.1:9/shared;tcp';
    shared.connect({path: [from], connection: 'passive', acceptTypes: ['*'], maxSize: undefined});
    one.peer.write(sendText({id: 'shar0001', to: shared.uri, from, range: '1-0/0'}));
    await shared.bound(5000);
    await third.leg.release();
    const pairing = await shared.pair(fourth.leg);
    pairing.open();
    takesAll(fourth.peer);

    two.peer.socket.pause();
    for (let n = 0; n < 200; n += 1)
      one.send({id: `stk${String(n).padStart(5, '0')}`, range: '1-*/65536', body: kilobytes64});
    await one.peer.until(() => one.peer.frames.some((each) => each.what === '413'), '413');
    for (let n = 0; n < 50; n += 1) {
      one.peer.write(
        sendText({
          id: `oth${String(n).padStart(5, '0')}`,
          to: shared.uri,
          from,
          range: '1-*/65536',
          body: kilobytes64,
        }),
      );
    }
    await one.peer.until(
      () => one.peer.frames.filter((each) => each.id.startsWith('oth') && each.what === '200').length === 50,
      'the other session',
    );
    t.is(count(await plane.status(), 'pausedConnections'), 0);

    two.peer.onSend = (frame) => answerText(frame, 200);
    two.peer.socket.resume();
    await one.peer.until(
      () => one.peer.frames.filter((each) => each.id.startsWith('stk')).length === 200,
      'all answers',
    );
    const answers = one.peer.frames.filter((each) => each.id.startsWith('stk'));
    const taken = answers.filter((each) => each.what === '200').length;
    t.is(taken + answers.filter((each) => each.what === '413').length, 200);
    t.is(two.peer.frames.filter((each) => each.what === 'SEND' && each.flag === '$').length, taken);
  },
);

test.serial('RFC 4975 §7.3: 300 sessions at once, each message to its own partner', async (t) => {
  const {plane} = fixture;
  const pairs = await Promise.all(Array.from({length: 150}, () => relayedPair(plane)));
  for (const [, two] of pairs) takesAll(two.peer);
  for (let n = 0; n < 10; n += 1) {
    for (const [index, [one]] of pairs.entries()) {
      const body = `${index}/${n}`;
      one.send({id: `mes${String(n).padStart(5, '0')}`, range: `1-${body.length}/${body.length}`, body});
    }
  }
  await Promise.all(pairs.map(([one]) => one.peer.until(() => one.peer.frames.length === 11, 'all answers')));
  for (const [index, [, two]] of pairs.entries()) {
    const bodies = two.peer.frames.filter((each) => each.what === 'SEND').map((each) => each.body);
    t.deepEqual(
      bodies,
      Array.from({length: 10}, (_, n) => `${index}/${n}`),
    );
  }
  await Promise.all(pairs.flatMap(([one, two]) => [one.leg.release(), two.leg.release()]));
  t.is(count(await plane.status(), 'spoolBytes'), 0);
});

test.serial('RFC 4975 §14: a peer that connects and says nothing costs a connection, not a session', async (t) => {
  const {plane} = fixture;
  const leg = await plane.openLeg({side: 'access', mode: 'hold', label: {}, maxMessageBytes: 1});
  const before = await plane.status();
  const peers = await Promise.all(Array.from({length: 20}, () => MsrpPeer.to(leg.uri)));
  while (count(await plane.status(), 'connections') < count(before, 'connections') + 20);
  t.is(count(await plane.status(), 'sessions'), count(before, 'sessions'));
  for (const peer of peers) peer.destroy();
  while (count(await plane.status(), 'connections') !== count(before, 'connections'));
  await leg.release();
});

test.serial(
  'RFC 4975 §7.3: one stuck reader of twenty: its sender stands still, the others pass 200 MB in full, and not an octet more is kept after each round',
  async (t) => {
    const own = await startFixture({limits, nextHopSeconds: 600, transactionSeconds: 600});
    t.teardown(() => own.close());
    const {plane, child} = own;
    const pairs = await Promise.all(Array.from({length: 20}, () => relayedPair(plane, {maxMessageBytes: 100_000_000})));
    const [stuck, ...others] = pairs;
    if (stuck === undefined) return;
    const [from, to] = stuck;
    to.peer.socket.pause();
    sendMany(from, 'stuck', 600);
    await whenPaused(plane, 1);

    const rounds = 16;
    const [seen, resident]: [string[], number[]] = [[], []];
    let taken = 0;
    for (const [, other] of others) {
      other.peer.onSend = (frame) => {
        taken += frame.body?.length ?? 0;
        return answerText(frame, 200);
      };
    }
    for (let round = 0; round < rounds; round += 1) {
      for (const [sender] of others) sendMany(sender, `r${round}x`, 10, true);
      await Promise.all(
        others.map(([sender]) => sender.peer.until(() => answeredOf(sender, `r${round}x0009`), 'the round’s answers')),
      );
      // What was said is not needed any more: the test's own memory stays flat, too.
      for (const bound of others.flat()) bound.peer.frames.length = 0;
      const counters = await plane.status();
      const held = ['spoolBytes', 'spoolDiskBytes', 'queuedBytes', 'pausedConnections'];
      seen.push(held.map((name) => count(counters, name)).join(' '));
      resident.push(residentBytes(child.process.pid ?? 0));
    }
    // The kernel's buffers take some of it in the first rounds.
    t.deepEqual(new Set(seen.slice(-4)), new Set(seen.slice(-1)), seen.join('\n'));
    t.is(taken, rounds * 19 * 10 * 65_536);
    t.is(from.peer.frames.filter((each) => each.id.startsWith('stuck') && each.what !== '200').length, 0);
    t.false(answeredOf(from, 'stuck0599'));
    const [first = 0, last = 0] = [resident[8], resident.at(-1)];
    t.true(last - first < 50_000_000, `resident octets: ${resident.join(' ')}`);

    to.peer.onSend = (frame) => answerText(frame, 200);
    to.peer.socket.resume();
    await from.peer.until(() => answeredOf(from, 'stuck0599'), 'the stuck sender’s answers');
    // The room of a file is free when the file is closed, which nobody waits for.
    while (count(await plane.status(), 'spoolDiskBytes') > 0);
    t.like(await plane.status(), {spoolBytes: 0, spoolDiskBytes: 0, queuedBytes: 0, pausedConnections: 0});
  },
);

const answeredOf = ({peer}: Bound, id: string): boolean => peer.frames.some((each) => each.id === id);

/** Resident memory of a process; 0 where the system does not say. */
function residentBytes(pid: number): number {
  try {
    return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
