import {existsSync, mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {setTimeout} from 'node:timers/promises';
import test, {type ExecutionContext} from 'ava';
import {runNode} from '../support/child.ts';
import {killRounds, killSeed} from '../support/kill-rounds.ts';
import {peerUri, type HolderNote, type HolderTask} from '../support/media-holder.ts';
import {answerText, MsrpPeer, sendText} from '../support/msrp-peer.ts';
import {seededRandom, type Random} from '../support/random.ts';
import {startRelay} from './relay-fixture.ts';

const legs = [['a1', 'b1'], ['a2', 'b2'], ['a3', 'b3'], ['h1'], ['h2']] as const;
const senders = ['a1', 'a2', 'a3', 'h1', 'h2'];

/** Octets of a sender's message: of any length, so that it has one to four chunks. */
const textOf = (name: string, number: number): string =>
  `${name}/${number}/`.padEnd(10 + ((number * 2711) % 6000), String(number));
const chunkLength = 1800;

/** Everybody outside: senders with what they saw a 200 for, receivers with what they have. */
interface Outside {
  readonly acknowledged: Set<string>;
  readonly received: Map<string, string[]>;
  readonly peers: MsrpPeer[];
}

async function connect(paths: Readonly<Record<string, string>>, random: Random): Promise<Outside> {
  const outside: Outside = {acknowledged: new Set(), received: new Map(), peers: []};
  for (const [name, path] of Object.entries(paths)) {
    const peer = await MsrpPeer.to(path);
    outside.peers.push(peer);
    peer.write(sendText({id: 'bind0001', to: path, from: peerUri(name), range: '1-0/0'}));
    if (name.startsWith('b')) receive(outside, name, peer, random);
  }
  return outside;
}

/** Notes a message when it is whole, and only then answers its last chunk; some answers come a little later. */
function receive({received}: Outside, name: string, peer: MsrpPeer, random: Random): void {
  const parts = new Map<string, string>();
  peer.onSend = (frame) => {
    const id = frame.headers['message-id'] ?? '';
    const text = (parts.get(id) ?? '') + (frame.body ?? '');
    parts.set(id, text);
    if (frame.flag === '$') received.set(name, [...(received.get(name) ?? []), text]);
    if (random.below(3) > 0) return answerText(frame, 200);
    void setTimeout(random.below(5)).then(() => {
      peer.write(answerText(frame, 200));
    });
    return undefined;
  };
}

/** Sends messages one behind the other, up to eight unanswered, until the connection ends. */
async function send({acknowledged}: Outside, name: string, path: string, peer: MsrpPeer): Promise<void> {
  const last = new Map<string, number>();
  let unanswered = 0;
  peer.socket.on('data', () => undefined);
  let read = 0;
  const look = (): void => {
    for (; read < peer.frames.length; read += 1) {
      const frame = peer.frames[read];
      const number = last.get(frame?.id ?? '');
      if (number === undefined) continue;
      unanswered -= 1;
      if (frame?.what === '200') acknowledged.add(`${name}/${number}`);
    }
  };
  for (let number = 1; !peer.closed; number += 1) {
    const text = textOf(name, number);
    for (let at = 0; at < text.length; at += chunkLength) {
      const body = text.slice(at, at + chunkLength);
      const isLast = at + body.length === text.length;
      const id = `t${String(number).padStart(6, '0')}${at}`;
      const range = `${at + 1}-${number % 2 === 0 ? '*' : at + body.length}/${text.length}`;
      if (isLast) last.set(id, number);
      peer.write(
        sendText({
          id,
          to: path,
          from: peerUri(name),
          message: `${name}/${number}`,
          range,
          body,
          flag: isLast ? '$' : '+',
        }),
      );
    }
    unanswered += 1;
    await peer
      .until(() => {
        look();
        return unanswered < 8 || peer.closed;
      })
      .catch(() => undefined);
  }
  look();
}

async function round(t: ExecutionContext, victim: 'relay' | 'holder', random: Random): Promise<number> {
  const directory = mkdtempSync(path.join(tmpdir(), 'cpm-kill-'));
  const control = `unix:${path.join(directory, 'c.sock')}`;
  const log = path.join(directory, 'log');
  const relay = await startRelay(control, {graceSeconds: 1, nextHopSeconds: 5, spool: {messageMemoryBytes: 3000}});
  const task: HolderTask = {control, log, legs};
  const holder = runNode('test/support/media-holder.ts', [JSON.stringify(task)]);
  const {paths} = JSON.parse(await holder.line(/"paths"/)) as {paths: Record<string, string>};
  const outside = await connect(paths, random);
  await holder.said(/"ready"/);

  const names = Object.keys(paths);
  const peerOf = (name: string) => outside.peers[names.indexOf(name)];
  const sending = senders.map(async (name) => {
    const peer = peerOf(name);
    if (peer) await send(outside, name, paths[name] ?? '', peer);
  });
  // A receiver that dies first, in most rounds: its messages are the PF's then.
  const acknowledged = 20 + random.below(200);
  const dies = random.below(acknowledged * 2);
  const enough = (count: number) =>
    outside.peers[0]?.until(() => outside.acknowledged.size >= count || outside.peers.every((each) => each.closed));
  if (dies < acknowledged) {
    await enough(dies);
    peerOf(['b1', 'b2', 'b3'][random.below(3)] ?? 'b1')?.destroy();
  }
  await enough(acknowledged);
  await setTimeout(random.below(4));
  (victim === 'relay' ? relay : holder).process.kill('SIGKILL');
  await Promise.all([(victim === 'relay' ? relay : holder).ended, ...sending.slice(victim === 'relay' ? 0 : 3)]);
  if (victim === 'holder') relay.process.kill('SIGTERM');
  await Promise.all([relay.ended, holder.ended, ...sending]);
  for (const peer of outside.peers) peer.destroy();

  const notes = existsSync(log) ? readFileSync(log, 'utf8').split('\n').slice(0, -1) : [];
  compare(
    t,
    outside,
    notes.map((line) => JSON.parse(line) as HolderNote),
  );
  rmSync(directory, {recursive: true, force: true});
  return outside.acknowledged.size;
}

/** What a sender saw a 200 for was received by the far peer, or accepted by the PF: octet for octet, in order. */
function compare(t: ExecutionContext, {acknowledged, received}: Outside, notes: readonly HolderNote[]): void {
  const have = new Set([...notes.map((note) => note.text), ...[...received.values()].flat()]);
  const lost = [...acknowledged].filter((id) => {
    const [name = '', number = ''] = id.split('/');
    return !have.has(textOf(name, Number(number)));
  });
  t.deepEqual(lost, [], 'nothing acknowledged is lost');
  for (const name of senders) {
    const numbers = (texts: readonly string[]) => texts.map((text) => Number(text.split('/')[1]));
    const kept = numbers(notes.filter((note) => note.leg === name).map((note) => note.text));
    const passed = numbers(received.get(name.replace('a', 'b')) ?? []);
    const ascending = (list: readonly number[]) => [...new Set(list)].sort((one, other) => one - other);
    t.deepEqual(kept, ascending(kept), `${name}: kept in order`);
    t.deepEqual(passed, ascending(passed), `${name}: relayed in order`);
  }
}

for (const victim of ['relay', 'holder'] as const) {
  test.serial(
    `E3 ${victim === 'relay' ? 'a relay process' : 'a PF'} killed at any moment loses nothing that a sender saw a 200 for`,
    async (t) => {
      const rounds = killRounds(20);
      t.timeout(60_000 + rounds * 20_000);
      t.log(`KILL_SEED=${killSeed} KILL_ROUNDS=${rounds}`);
      const random = seededRandom(killSeed);
      let acknowledged = 0;
      for (let done = 0; done < rounds; done += 1) acknowledged += await round(t, victim, random);
      t.log(`${rounds} kills, ${acknowledged} acknowledged`);
      t.true(acknowledged > rounds * 20);
    },
  );
}
