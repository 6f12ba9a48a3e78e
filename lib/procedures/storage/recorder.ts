import type {NewStoredObject} from '../../cpm/stored-object.ts';
import {CpmError} from '../../errors.ts';
import {pause} from '../../ports/clock.ts';
import type {Context} from '../context.ts';

/** The way of what is recorded into the message store: in order, in batches, and patient while the store is away. */
export interface Recorder {
  put(object: NewStoredObject): Recording;
  /** Resolves when nothing waits, or after a while; what waits then is lost. */
  close(): Promise<void>;
}

export interface Recording {
  /** Resolves when the next one may be put: there is room, or the store is away. Never rejects. */
  readonly room: Promise<void>;
  /** Whether it is in the store; false where there was no room while the store was away, or the store cannot take it. Never rejects. */
  readonly stored: Promise<boolean>;
}

interface Waiting {
  readonly object: NewStoredObject;
  readonly bytes: number;
  readonly done: (stored: boolean) => void;
}

/** What one write of the store takes. */
const batchObjects = 100;
const batchBytes = 1024 * 1024;
/** From where on those who put wait, and, as nobody waits for a store that is away, from where on objects are given up. */
const roomBytes = 4 * 1024 * 1024;
const mostBytes = 64 * 1024 * 1024;
/** What an object costs beside its octets. */
const overhead = 1024;
const retryMilliseconds = 1000;
/** So often the store may refuse one object that it is not away for: what a dying server says is not always clear. */
const mostRefusals = 3;
const closeMilliseconds = 2000;

export function createRecorder({store, clock, log}: Pick<Context, 'store' | 'clock' | 'log'>): Recorder {
  const waiting: Waiting[] = [];
  let waitingBytes = 0;
  let writing: Promise<void> | undefined;
  let closed = false;
  let onceRoom: (() => void)[] = [];

  const hasRoom = (): boolean => waitingBytes < roomBytes || !store.available;

  function makeRoom(): void {
    const before = onceRoom;
    onceRoom = [];
    for (const go of before) go();
  }

  function settle(batch: readonly Waiting[], stored: boolean): void {
    waiting.splice(0, batch.length);
    for (const {bytes, done} of batch) {
      waitingBytes -= bytes;
      done(stored);
    }
  }

  /** The oldest ones, one at least. */
  function nextBatch(most: number): readonly Waiting[] {
    let count = 0;
    for (let bytes = 0; count < Math.min(most, waiting.length) && bytes < batchBytes; count += 1)
      bytes += waiting[count]?.bytes ?? 0;
    return waiting.slice(0, count);
  }

  async function write(): Promise<void> {
    // One that the store cannot take must not take others with it.
    let most = batchObjects;
    let refusals = 0;
    while (waiting.length > 0 && !closed) {
      const batch = nextBatch(most);
      try {
        await store.messageStore.put(
          batch.map(({object}) => object),
          clock.now(),
        );
        settle(batch, true);
        most = batchObjects;
        refusals = 0;
      } catch (error) {
        const isAway = error instanceof CpmError && error.code === 'CPM_STORE_AWAY';
        if (!isAway) refusals += 1;
        if (!isAway && batch.length > 1) most = 1;
        else if (isAway || refusals < mostRefusals) await pause(clock, retryMilliseconds);
        else {
          refusals = 0;
          log.error({clause: 'CPM-CF 8.5.2', error}, 'an object of a recorded session cannot be stored');
          settle(batch, false);
        }
      }

      if (hasRoom()) makeRoom();
    }
  }

  store.onAvailability(() => {
    if (hasRoom()) makeRoom();
  });

  return {
    put(object) {
      const bytes = object.bytes.byteLength + overhead;
      if (closed || waitingBytes + bytes > mostBytes) return {room: Promise.resolve(), stored: Promise.resolve(false)};
      waitingBytes += bytes;
      const stored = new Promise<boolean>((done) => waiting.push({object, bytes, done}));
      writing ??= write().finally(() => (writing = undefined));
      const room = hasRoom() ? Promise.resolve() : new Promise<void>((go) => onceRoom.push(go));
      return {room, stored};
    },
    async close() {
      await Promise.race([writing, pause(clock, closeMilliseconds)]);
      closed = true;
      settle([...waiting], false);
      makeRoom();
    },
  };
}
