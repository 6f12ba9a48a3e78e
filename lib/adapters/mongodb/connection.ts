/**
 * One client of a MongoDB server or replica set, connected in the background. Every call has a deadline and goes through `run`, which
 * turns what the driver says into our errors; a probe tells when the server is back.
 */
import {MongoBulkWriteError, MongoClient, MongoError, MongoServerError} from 'mongodb';
import type {Db} from 'mongodb';
import {CpmError} from '../../errors.ts';
import type {Clock, Timer} from '../../ports/clock.ts';

export interface ConnectionOptions {
  readonly uri: string;
  readonly database: string;
  readonly clock: Clock;
  /** A call that takes longer rejects, ms. */
  readonly callMilliseconds: number;
  /** How long a server is looked for before a call rejects, ms. */
  readonly serverSelectionMilliseconds: number;
  /** Pause between two probes, ms. */
  readonly probeMilliseconds: number;
  /** Deadline of `prepare`, ms: an index over many documents takes its time. */
  readonly prepareMilliseconds: number;
  /** What the database must have before anything is written: schema, indexes. Repeatable. */
  readonly prepare: (database: Db) => Promise<void>;
}

/** Codes by which a server says that the command itself is impossible; with any other it may be possible later. */
const faults = new Set<number | string | undefined>([2, 9, 14, 40, 52, 54, 56, 66, 10334, 17280]);
export const duplicateKey = 11000;

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #client: MongoClient;
  readonly #listeners = new Set<(available: boolean) => void>();
  readonly #underWay = new Set<Promise<boolean>>();
  #available = false;
  #prepared = false;
  /** Why it is away; undefined until the first look is over. */
  #away: CpmError | undefined;
  #probing: Promise<void> | undefined;
  #nextProbe: Timer | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: ConnectionOptions) {
    const {uri, callMilliseconds, serverSelectionMilliseconds} = options;
    this.#options = options;
    this.#client = new MongoClient(uri, {
      serverSelectionTimeoutMS: serverSelectionMilliseconds,
      connectTimeoutMS: serverSelectionMilliseconds,
      waitQueueTimeoutMS: callMilliseconds,
      // Frees a connection on which nothing comes any more; the caller was told long before.
      socketTimeoutMS: 2 * callMilliseconds,
      writeConcern: {w: 'majority', journal: true, wtimeoutMS: callMilliseconds},
      readPreference: 'primary',
      // What is only on one member may still be taken back: nobody is told of it.
      readConcern: {level: 'majority'},
      ignoreUndefined: true,
      promoteBuffers: true,
    });
    this.#probe();
  }

  get available(): boolean {
    return this.#available;
  }

  onAvailability(listener: (available: boolean) => void): void {
    this.#listeners.add(listener);
  }

  /**
   * Runs `work` on the database within the deadline. Waits for the first contact, later an absent server is refused at once.
   * Rejects with `CPM_STORE_AWAY` where the same call may succeed later, `CPM_STORE_FAULT` where it cannot.
   */
  async run<Result>(
    work: (database: Db) => Promise<Result>,
    milliseconds = this.#options.callMilliseconds,
  ): Promise<Result> {
    if (!this.#available && this.#away === undefined) await this.#within(this.#probing ?? Promise.resolve());
    if (this.#closing !== undefined) throw away('it is closed');
    if (!this.#available) throw this.#away ?? away('it does not answer');
    try {
      return await this.#within(this.#noted(work(this.#database)), milliseconds);
    } catch (error) {
      const failure = failureOf(error);
      if (failure.code === 'CPM_STORE_AWAY') this.#lost(failure);
      throw failure;
    }
  }

  /** Lets what is under way finish, within a call's deadline, and disconnects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#nextProbe?.cancel();
    // The driver's own close breaks off what is under way.
    await this.#within(Promise.all(this.#underWay)).catch(() => undefined);
    await this.#within(this.#client.close()).catch(() => undefined);
    this.#say(false);
  }

  #noted<Result>(work: Promise<Result>): Promise<Result> {
    const over: Promise<boolean> = work.then(
      () => this.#underWay.delete(over),
      () => this.#underWay.delete(over),
    );
    this.#underWay.add(over);
    return work;
  }

  get #database(): Db {
    return this.#client.db(this.#options.database);
  }

  #lost(failure: CpmError): void {
    this.#away = failure;
    this.#say(false);
    this.#probe();
  }

  /** Asks the server now, and again after each pause for as long as the store is open. */
  #probe(): void {
    if (this.#probing !== undefined || this.#closing !== undefined) return;
    this.#nextProbe?.cancel();
    this.#probing = this.#ask().then(() => {
      this.#probing = undefined;
      if (this.#closing !== undefined) return;
      this.#nextProbe = this.#options.clock.after(this.#options.probeMilliseconds, () => {
        this.#probe();
      });
    });
  }

  async #ask(): Promise<void> {
    try {
      await this.#within(this.#database.command({ping: 1}));
      if (!this.#prepared) await this.#within(this.#options.prepare(this.#database), this.#options.prepareMilliseconds);
      this.#prepared = true;
      this.#say(true);
    } catch (error) {
      const failure = failureOf(error);
      this.#away = failure.code === 'CPM_STORE_AWAY' ? failure : away(failure.message, failure);
      this.#say(false);
    }
  }

  #say(available: boolean): void {
    if (available === this.#available) return;
    this.#available = available;
    for (const listener of this.#listeners) listener(available);
  }

  #within<Result>(promise: Promise<Result>, milliseconds = this.#options.callMilliseconds): Promise<Result> {
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.after(milliseconds, () => {
        reject(away('it does not answer in time'));
      });
      void promise.then(resolve, reject).finally(() => {
        timer.cancel();
      });
    });
  }
}

/** Whether a write was refused because its key is taken. */
export function isDuplicateKey(error: unknown): boolean {
  return error instanceof MongoServerError && error.code === duplicateKey;
}

function failureOf(error: unknown): CpmError {
  if (error instanceof CpmError) return error;
  if (!(error instanceof MongoError))
    return new CpmError('CPM_STORE_FAULT', 500, `the store: ${String(error)}`, {cause: error});
  const server = error instanceof MongoServerError || error instanceof MongoBulkWriteError;
  if (server && faults.has(error.code))
    return new CpmError('CPM_STORE_FAULT', 500, `the store refuses: ${error.message}`, {cause: error});
  return away(error.message, error);
}

function away(why: string, cause?: Error): CpmError {
  return new CpmError('CPM_STORE_AWAY', 503, `the store is away: ${why}`, {cause});
}
