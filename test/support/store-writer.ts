/**
 * Program that writes to a store until it is killed. Before each call it notes what it is going to do, after the answer what was
 * acknowledged, in a file that outlives it; a dot on standard output says that there is another note. Argument: a `WriterTask` as JSON.
 */
import {appendFileSync} from 'node:fs';
import {openStore} from '../../lib/adapters/open-store.ts';
import type {StoreConfig} from '../../lib/adapters/open-store.ts';
import type {NewDeferredMessage} from '../../lib/cpm/deferred-message.ts';
import type {Store} from '../../lib/ports/store.ts';
import {newMessage} from './deferred-messages.ts';
import {seededRandom} from './random.ts';
import type {Random} from './random.ts';

export interface WriterTask {
  readonly store: StoreConfig;
  readonly log: string;
  readonly seed: number;
  /** For each writer the number of its next message. */
  readonly from: readonly number[];
}

/** `try` and `ack`: messages `first` to below `end` are stored; `take` and `took`: message `first` is settled. */
export interface WriterNote {
  readonly what: 'try' | 'ack' | 'take' | 'took';
  readonly writer: number;
  readonly first: number;
  readonly end: number;
}

export const userOf = (writer: number): string => `tel:+49${writer}`;

/** The message that writer and number name: the same in every life, so that a repetition is one. Some are large. */
export function messageOf(writer: number, number: number): NewDeferredMessage {
  const size = number % 50 === 7 ? 1_500_000 : number % 10 === 3 ? 40_000 : 100;
  const bytes = Buffer.alloc(size, `${writer}/${number}\0`);
  return newMessage({servedUser: userOf(writer), imdnMessageId: `Msg${number}`, bytes});
}

async function write(task: WriterTask): Promise<void> {
  const store = await openStore(task.store);
  await Promise.all(
    task.from.map((from, writer) => writeAs(store, task, writer, from, seededRandom(task.seed + writer))),
  );
}

async function writeAs(store: Store, task: WriterTask, writer: number, from: number, random: Random): Promise<void> {
  const note = (what: WriterNote['what'], first: number, end: number): void => {
    appendFileSync(task.log, `${JSON.stringify({what, writer, first, end} satisfies WriterNote)}\n`);
    process.stdout.write('.');
  };
  const mine: {readonly id: string; readonly number: number}[] = [];
  for (let first = from; ;) {
    const end = first + 1 + random.below(3);
    note('try', first, end);
    const numbers = Array.from({length: end - first}, (_, index) => first + index);
    const results = await store.deferredQueue.enqueue(numbers.map((number) => messageOf(writer, number)));
    note('ack', first, end);
    results.forEach(({id, outcome}, index) => {
      if (outcome === 'stored') mine.push({id, number: first + index});
    });
    first = end;

    const taken = random.below(3) === 0 ? mine.splice(random.below(mine.length), 1)[0] : undefined;
    if (taken === undefined) continue;
    note('take', taken.number, taken.number + 1);
    await store.deferredQueue.markSent([taken.id], 1);
    await store.deferredQueue.settle([taken.id], 'delivered', 2);
    note('took', taken.number, taken.number + 1);
  }
}

const task = process.argv[2];
if (task !== undefined && import.meta.url.endsWith(process.argv[1]?.split('/').at(-1) ?? ' '))
  await write(JSON.parse(task) as WriterTask);
