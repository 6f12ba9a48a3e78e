import {createHash} from 'node:crypto';
import {open, type FileHandle} from 'node:fs/promises';
import {createReadStream} from 'node:fs';
import {createInterface} from 'node:readline';

/** What stands in place of a hash before the first record. */
const beginning = '0'.repeat(64);
const chunkBytes = 1 << 20;

export interface JournalOptions {
  readonly file: string;
  /** Whether a record counts as written only when the disk has it. */
  readonly sync: boolean;
}

/** A file that only grows: a JSON object a line, each with the hash of the one before. */
export interface Journal {
  /** Resolves when the record is written, and on the disk where the journal syncs. Rejects with the file's error; it is not in the chain then. */
  append(record: Readonly<Record<string, unknown>>): Promise<void>;
  /** Waits for what is under way, syncs and closes. */
  close(): Promise<void>;
}

interface Waiting {
  readonly record: Readonly<Record<string, unknown>>;
  readonly done: (error?: Error) => void;
}

/** Opens, or begins, a journal. One process writes it. What an interrupted write left at its end stays, on a line that belongs to no chain. */
export async function openJournal({file, sync}: JournalOptions): Promise<Journal> {
  const handle = await open(file, 'a+', 0o600);
  let {hash: last, torn} = await endOf(handle);
  let waiting: Waiting[] = [];
  let writing: Promise<void> | undefined;

  /** One write, and one wait for the disk, for all that came meanwhile. */
  async function write(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      let hash = last;
      const lines = batch.map(({record}) => {
        const line = chained(record, hash);
        hash = line.hash;
        return line.text;
      });
      try {
        await handle.appendFile((torn ? '\n' : '') + lines.join(''));
        last = hash;
        torn = false;
        if (sync) await handle.sync();
        for (const {done} of batch) done();
      } catch (error) {
        // Part of it may be there.
        ({hash: last, torn} = await endOf(handle).catch(() => ({hash: last, torn: true})));
        for (const {done} of batch) done(error instanceof Error ? error : new Error(String(error)));
      }
    }

    writing = undefined;
  }

  return {
    append: (record) =>
      new Promise((resolve, reject) => {
        const done = (error?: Error): void => {
          if (error === undefined) resolve();
          else reject(error);
        };
        waiting.push({record, done});
        writing ??= write();
      }),
    async close() {
      await writing;
      await handle.sync().catch(() => undefined);
      await handle.close();
    },
  };
}

/** What a look at a journal found. */
export interface Verified {
  readonly records: number;
  /** Lines that are no records: remains of interrupted writes. */
  readonly broken: number;
  /** Line of the first record that does not follow the one before it, or was changed; undefined where all do. */
  readonly firstWrong: number | undefined;
  /** Hash of the last record: kept elsewhere, it shows later that nothing was cut off the end. */
  readonly last: string;
}

/** Reads a journal from its beginning, and checks each record against the one before. */
export async function verifyJournal(file: string): Promise<Verified> {
  let [records, broken, line] = [0, 0, 0];
  let last = beginning;
  for await (const text of createInterface({input: createReadStream(file), crlfDelay: Infinity})) {
    line += 1;
    const read = parsed(text);
    if (read === undefined) {
      broken += 1;
      continue;
    }

    if (!read.isWhole || read.previous !== last) return {records, broken, firstWrong: line, last};
    records += 1;
    last = read.hash;
  }

  return {records, broken, firstWrong: undefined, last};
}

function chained(record: Readonly<Record<string, unknown>>, previous: string): {text: string; hash: string} {
  const body = JSON.stringify({...record, previous});
  const hash = hashOf(body);
  return {text: `${body.slice(0, -1)},"hash":"${hash}"}\n`, hash};
}

const hashOf = (body: string): string => createHash('sha256').update(body).digest('hex');

function parsed(line: string): {previous: string; hash: string; isWhole: boolean} | undefined {
  const match = /,"previous":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"\}$/.exec(line);
  if (match === null) return undefined;
  const [, previous = '', hash = ''] = match;
  const body = `${line.slice(0, -`,"hash":"${hash}"}`.length)}}`;
  return {previous, hash, isWhole: hashOf(body) === hash};
}

/** The hash of the last record, and whether the file ends in the middle of a line. */
async function endOf(handle: FileHandle): Promise<{hash: string; torn: boolean}> {
  const {size} = await handle.stat();
  let tail = Buffer.alloc(0);
  let torn = false;
  for (let start = size; start > 0;) {
    const length = Math.min(chunkBytes, start);
    start -= length;
    const chunk = Buffer.alloc(length);
    await handle.read(chunk, 0, length, start);
    if (tail.length === 0) torn = chunk.at(-1) !== 10;
    tail = Buffer.concat([chunk, tail]);
    const lines = tail.toString('utf8').split('\n');
    // The first one may begin further in front, the last one is what an interrupted write left.
    const whole = lines.slice(start > 0 ? 1 : 0, -1).reverse();
    const record = whole.map(parsed).find((one) => one?.isWhole === true);
    if (record !== undefined) return {hash: record.hash, torn};
  }

  return {hash: beginning, torn};
}
