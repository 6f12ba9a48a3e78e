/** Kills a writing process again and again, and each time compares what is in the store with what had been acknowledged. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, readFileSync, rmSync} from 'node:fs';
import {setTimeout} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import {openStore} from '../../lib/adapters/open-store.ts';
import type {StoreConfig} from '../../lib/adapters/open-store.ts';
import type {DeferredMessage} from '../../lib/cpm/deferred-message.ts';
import type {Store} from '../../lib/ports/store.ts';
import {newMessage} from './deferred-messages.ts';
import {seededRandom} from './random.ts';
import {messageOf, userOf} from './store-writer.ts';
import type {WriterNote, WriterTask} from './store-writer.ts';

const program = fileURLToPath(new URL('./store-writer.js', import.meta.url));
const {sender} = newMessage();
const writers = 8;

/** From the environment: `KILL_SEED` repeats a run, `KILL_ROUNDS` makes a long one. */
export const killSeed = Number(process.env['KILL_SEED'] ?? Date.now() % 1_000_000);
export const killRounds = (byDefault: number): number => Number(process.env['KILL_ROUNDS'] ?? byDefault);

/** What the notes of one life say of one writer. */
export interface Account {
  readonly tried: Set<number>;
  readonly stored: Set<number>;
  readonly taking: Set<number>;
  readonly taken: Set<number>;
}

export const newAccount = (): Account => ({tried: new Set(), stored: new Set(), taking: new Set(), taken: new Set()});

export async function killWriters(t: ExecutionContext, store: StoreConfig, log: string): Promise<void> {
  const rounds = killRounds(20);
  const random = seededRandom(killSeed);
  const accounts = Array.from({length: writers}, newAccount);
  t.log(`KILL_SEED=${killSeed} KILL_ROUNDS=${rounds}`);
  t.timeout(60_000 + rounds * 30_000);

  for (let round = 0; round < rounds; round += 1) {
    const from = accounts.map(({stored}) => Math.max(-1, ...stored) + 1);
    const task: WriterTask = {store, log, seed: killSeed + round, from};
    // Every fifth dies while it starts, the others while they write, after so many notes and a little more.
    const notes = round % 5 === 0 ? 0 : 1 + random.below(120);
    await oneLife(task, notes, random.below(notes === 0 ? 300 : 10));
    readNotes(log, accounts);
    const reader = await openStore(store);
    for (const [writer, account] of accounts.entries()) await checkPending(t, reader, userOf(writer), account, writer);
    await reader.close();
  }

  const reader = await openStore(store);
  const ledger = await reader.deferredQueue.ledger();
  await reader.close();
  const sum = (count: (account: Account) => number): number =>
    accounts.reduce((total, account) => total + count(account), 0);
  t.is(ledger.accepted, ledger.pending + ledger.delivered, 'accepted = pending + delivered');
  t.true(sum(({stored}) => stored.size) > rounds, 'the writers had their say');
  t.true(ledger.accepted >= sum(({stored}) => stored.size), 'nothing acknowledged is missing from the ledger');
  t.true(ledger.accepted <= sum(({tried}) => tried.size), 'nothing is counted twice');
  t.log(`${rounds} kills, ${sum(({stored}) => stored.size)} acknowledged, ${ledger.accepted} accepted`);
}

async function oneLife(task: WriterTask, notes: number, milliseconds: number): Promise<void> {
  const child = spawn(process.execPath, [program, JSON.stringify(task)], {stdio: ['ignore', 'pipe', 'inherit']});
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const written = new Promise<void>((resolve) => {
    let seen = 0;
    child.stdout.on('data', (dots: Buffer) => {
      seen += dots.length;
      if (seen >= notes) resolve();
    });
  });
  if (notes > 0) await Promise.race([written, exited]);
  await setTimeout(milliseconds);
  child.kill('SIGKILL');
  const [code, signal] = await exited;
  if (signal !== 'SIGKILL') throw new Error(`the writer ended by itself with ${String(code)}`);
}

function readNotes(log: string, accounts: readonly Account[]): void {
  if (!existsSync(log)) return;
  const lines = readFileSync(log, 'utf8').split('\n').slice(0, -1);
  rmSync(log);
  for (const {what, writer, first, end} of lines.map((line) => JSON.parse(line) as WriterNote)) {
    const account = accounts[writer];
    const set = {try: account?.tried, ack: account?.stored, take: account?.taking, took: account?.taken}[what];
    for (let number = first; number < end; number += 1) set?.add(number);
  }
}

/** Compares what waits for one user with the account, then settles it, so that the next round begins with an empty queue. */
export async function checkPending(
  t: ExecutionContext,
  {deferredQueue}: Store,
  user: string,
  account: Account,
  writer: number,
): Promise<void> {
  await deferredQueue.requeueSent(user, Number.MAX_SAFE_INTEGER, 1);
  const window = {afterSequence: undefined, limit: 100_000, maxBytes: Number.MAX_SAFE_INTEGER};
  const pending = await deferredQueue.next(user, sender, window);
  const numbers = pending.map(({imdnMessageId}) => Number(imdnMessageId?.slice(3)));
  const missing = [...account.stored].filter((number) => !account.taking.has(number) && !numbers.includes(number));
  t.deepEqual(missing, [], `${user}: nothing acknowledged is lost`);
  t.deepEqual(
    numbers.filter((number) => !account.tried.has(number)),
    [],
    `${user}: nothing came from nowhere`,
  );
  t.deepEqual(
    numbers.filter((number) => account.taken.has(number)),
    [],
    `${user}: nothing settled is back`,
  );
  t.deepEqual(
    numbers,
    [...new Set(numbers)].sort((a, b) => a - b),
    `${user}: in order, nothing doubled`,
  );
  t.true(pending.every(sequenceGrows), `${user}: sequences grow`);
  const wrong = pending.filter(({bytes}, index) => !messageBytes(writer, numbers[index]).equals(bytes));
  t.deepEqual(
    wrong.map(({imdnMessageId}) => imdnMessageId),
    [],
    `${user}: octet for octet`,
  );

  await deferredQueue.settle(
    pending.map(({id}) => id),
    'delivered',
    3,
  );
  for (const number of numbers) {
    account.taking.add(number);
    account.taken.add(number);
  }
}

function messageBytes(writer: number, number = -1): Buffer {
  return Buffer.from(messageOf(writer, number).bytes);
}

function sequenceGrows({sequence}: DeferredMessage, index: number, all: readonly DeferredMessage[]): boolean {
  return index === 0 || sequence > (all[index - 1]?.sequence ?? Infinity);
}
