/**
 * The way from the PF's event loop to the thread that owns the file. Calls that arrive while a batch is being written wait and go into
 * the next one together, so that one write to the disk serves many (group commit). What waits is bounded in number, size and time.
 */
import type {Worker} from 'node:worker_threads';
import {CpmError} from '../../errors.ts';
import type {Clock, Timer} from '../../ports/clock.ts';
import type {CallMessage, CallResult, FromWorker, ToWorker} from './protocol.ts';

export interface ChannelOptions {
  readonly spawn: () => Worker;
  readonly clock: Clock;
  /** After so long a call is given up, ms; a write under way may still succeed, which is why every call can be repeated. */
  readonly callMilliseconds: number;
  /** Pause before a dead thread is replaced, and between probes of a disk that failed, ms. */
  readonly retryMilliseconds: number;
  /** Most octets of messages that wait for the disk; further calls are refused at once. */
  readonly maxWaitingBytes: number;
}

export interface Call extends CallMessage {
  /** Octets of messages in `args`, their buffers in `transfer`. */
  readonly bytes: number;
  readonly transfer: readonly ArrayBuffer[];
}

interface PendingCall extends Call {
  readonly since: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: CpmError) => void;
}

/** One transaction takes at most so much, so that the first call of a batch does not wait long for the last. */
const batchCalls = 256;
const batchBytes = 8 * 1024 * 1024;
const waitingCalls = 20_000;

export class Channel {
  readonly #options: ChannelOptions;
  readonly #listeners = new Set<(available: boolean) => void>();
  #worker: Worker | undefined;
  #waiting: PendingCall[] = [];
  #waitingBytes = 0;
  #underWay: readonly PendingCall[] = [];
  #busy = false;
  #deadline: Timer | undefined;
  #retry: Timer | undefined;
  #available = false;
  #closing: Promise<void> | undefined;
  #drained: (() => void) | undefined;

  constructor(options: ChannelOptions) {
    this.#options = options;
  }

  get available(): boolean {
    return this.#available;
  }

  onAvailability(listener: (available: boolean) => void): void {
    this.#listeners.add(listener);
  }

  /** Starts the thread; rejects with what it said when it cannot open the file. */
  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      const worker = this.#options.spawn();
      let opened = false;
      let refusal = new CpmError('CPM_STORE_AWAY', 503, 'the store thread ended before it was open');
      worker.on('message', (message: FromWorker) => {
        if (message.kind === 'refused') refusal = new CpmError(message.code, message.status, message.message);
        if (message.kind === 'done') this.#done(message.results);
        if (message.kind !== 'open') return;
        opened = true;
        if (this.#closing !== undefined) {
          worker.postMessage({kind: 'close'} satisfies ToWorker);
          return;
        }
        this.#worker = worker;
        this.#say(true);
        resolve();
      });
      worker.on('error', (error) => {
        refusal = new CpmError('CPM_STORE_AWAY', 503, `the store thread failed: ${String(error)}`, {cause: error});
      });
      worker.on('exit', () => {
        if (opened) this.#died();
        else reject(refusal);
      });
    });
  }

  /** Resolves with what the method answered, once it is on the disk. */
  call(call: Call): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#closing !== undefined) reject(away('the store is closed'));
      else if (this.#worker === undefined) reject(away('the store thread is being replaced'));
      else if (this.#stalled) reject(away('the disk does not answer'));
      else if (this.#waiting.length >= waitingCalls || this.#waitingBytes + call.bytes > this.#limitFor(call))
        reject(away('too much waits for the disk'));
      else {
        this.#waiting.push({...call, since: this.#options.clock.now(), resolve, reject});
        this.#waitingBytes += call.bytes;
        this.#pump();
      }
    });
  }

  /** Lets what was called finish, at most `callMilliseconds`, and ends the thread. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#retry?.cancel();
    const worker = this.#worker;
    if (worker === undefined) return;
    await this.#within(
      new Promise<void>((resolve) => {
        this.#drained = resolve;
        this.#pump();
      }),
    );
    this.#rejectAll('the store is closed');
    const exited = new Promise<void>((resolve) =>
      worker.once('exit', () => {
        resolve();
      }),
    );
    this.#post({kind: 'close'}, []);
    await this.#within(exited);
    // A thread inside a system call ends when that returns; it no longer matters to anybody.
    void worker.terminate();
    worker.unref();
    this.#say(false);
  }

  /** True from the moment at which a batch took too long until the thread answers it after all. */
  get #stalled(): boolean {
    return this.#busy && this.#deadline === undefined;
  }

  /** A single message larger than the bound may still pass when nothing else waits. */
  #limitFor(call: Call): number {
    return this.#waitingBytes === 0
      ? Math.max(call.bytes, this.#options.maxWaitingBytes)
      : this.#options.maxWaitingBytes;
  }

  #pump(): void {
    if (this.#busy) return;
    const batch = this.#takeBatch();
    if (batch.length === 0) {
      this.#drained?.();
      return;
    }
    this.#busy = true;
    this.#underWay = batch;
    this.#deadline = this.#options.clock.after(this.#options.callMilliseconds, () => {
      this.#deadline = undefined;
      this.#rejectAll('the disk does not answer');
      this.#say(false);
    });
    this.#post(
      {kind: 'batch', calls: batch.map(({room, method, args}) => ({room, method, args}))},
      batch.flatMap(({transfer}) => transfer),
    );
  }

  #takeBatch(): readonly PendingCall[] {
    const oldest = this.#options.clock.now() - this.#options.callMilliseconds;
    const batch: PendingCall[] = [];
    let bytes = 0;
    let taken = 0;
    for (const call of this.#waiting) {
      if (batch.length === batchCalls || (batch.length > 0 && bytes + call.bytes > batchBytes)) break;
      taken += 1;
      this.#waitingBytes -= call.bytes;
      if (call.since < oldest) call.reject(away('the disk is too slow'));
      else {
        batch.push(call);
        bytes += call.bytes;
      }
    }
    this.#waiting = this.#waiting.slice(taken);
    return batch;
  }

  #done(results: readonly CallResult[]): void {
    const calls = this.#underWay;
    const late = this.#stalled;
    this.#underWay = [];
    this.#busy = false;
    this.#deadline?.cancel();
    this.#deadline = undefined;
    calls.forEach((call, index) => {
      settle(call, results[index]);
    });

    const failed = results.find((result) => 'failed' in result && result.failed === 'away');
    if (failed !== undefined) this.#probeLater();
    else if (late) this.#say(true);
    this.#pump();
  }

  /** Says that the store is away until a write succeeds; where even a probe fails, the file is opened anew. */
  #probeLater(): void {
    this.#say(false);
    this.#retryOnce(() => {
      this.call({room: 'store', method: 'probe', args: [this.#options.clock.now()], bytes: 0, transfer: []}).then(
        () => {
          this.#say(true);
        },
        () => void this.#worker?.terminate(),
      );
    });
  }

  #died(): void {
    this.#worker = undefined;
    this.#busy = false;
    this.#deadline?.cancel();
    this.#deadline = undefined;
    this.#rejectAll('the store thread died');
    this.#say(false);
    this.#drained?.();
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#restartLater();
  }

  #restartLater(): void {
    if (this.#closing !== undefined) return;
    this.#retryOnce(() => {
      this.open().catch(() => {
        this.#restartLater();
      });
    });
  }

  /** Calls that go on failing do not put off what is already planned. */
  #retryOnce(retry: () => void): void {
    this.#retry ??= this.#options.clock.after(this.#options.retryMilliseconds, () => {
      this.#retry = undefined;
      retry();
    });
  }

  #rejectAll(why: string): void {
    const calls = [...this.#underWay, ...this.#waiting];
    this.#underWay = [];
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const call of calls) call.reject(away(why));
  }

  #say(available: boolean): void {
    if (available === this.#available) return;
    this.#available = available;
    for (const listener of this.#listeners) listener(available);
  }

  #post(message: ToWorker, transfer: readonly ArrayBuffer[]): void {
    this.#worker?.postMessage(message, transfer);
  }

  #within(promise: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(this.#options.callMilliseconds, resolve);
      void promise.then(() => {
        timer.cancel();
        resolve();
      });
    });
  }
}

function settle(call: PendingCall, result: CallResult | undefined): void {
  if (result !== undefined && 'value' in result) call.resolve(result.value);
  else if (result?.failed === 'fault')
    call.reject(new CpmError('CPM_STORE_FAULT', 500, `${call.room}.${call.method}: ${result.message}`));
  else call.reject(away(result?.message ?? 'the store thread did not answer'));
}

function away(why: string): CpmError {
  return new CpmError('CPM_STORE_AWAY', 503, `the store is away: ${why}`);
}
