/** The thread that owns the file: libsql blocks while it writes, so nothing else happens here. */
import {parentPort, workerData} from 'node:worker_threads';
import {CpmError} from '../../errors.ts';
import {openDatabase, sqliteCode} from './database.ts';
import type {Database} from './database.ts';
import {deferredQueue} from './deferred-queue.ts';
import {dialogRecords} from './dialog-records.ts';
import {erase, scrub} from './erase.ts';
import {groupSessions} from './group-sessions.ts';
import {leases} from './leases.ts';
import {messageStore} from './message-store.ts';
import type {CallMessage, CallResult, FromWorker, ToWorker, WorkerOptions} from './protocol.ts';
import {registrations} from './registrations.ts';

type Room = Readonly<Record<string, ((...args: readonly unknown[]) => unknown) | undefined>>;

const port = parentPort;
if (port !== null) serve(workerData as WorkerOptions);

function serve(options: WorkerOptions): void {
  let database: Database;
  try {
    database = openDatabase(options);
  } catch (error) {
    const {message} = error as Error;
    if (error instanceof CpmError) say({kind: 'refused', code: error.code, status: error.status, message});
    else
      say({
        kind: 'refused',
        code: 'CPM_STORE_AWAY',
        status: 503,
        message: `${options.path} cannot be opened: ${message}`,
      });
    port?.close();
    return;
  }

  const rooms = {
    deferredQueue: deferredQueue(database, options.node),
    registrations: registrations(database),
    leases: leases(database),
    dialogRecords: dialogRecords(database),
    messageStore: messageStore(database),
    groupSessions: groupSessions(database),
    store: {
      /** A real write, so that it says whether writing is possible. */
      probe: (now: number) => {
        database.run('UPDATE schema SET probed_at = ?', now);
      },
      erase: (servedUser: string) => erase(database, servedUser),
    },
  } as unknown as Readonly<Record<string, Room>>;

  port?.on('message', (message: ToWorker) => {
    if (message.kind === 'batch') {
      const results = runBatch(database, rooms, message.calls);
      if (message.calls.some(({method}) => method === 'erase')) scrub(database);
      say({kind: 'done', results}, buffersOf(results));
      return;
    }
    database.close();
    port.close();
  });
  say({kind: 'open'});
}

/** One transaction for all. Where a call fails, each gets a transaction of its own, so that nobody suffers for another's call. */
function runBatch(
  database: Database,
  rooms: Readonly<Record<string, Room>>,
  calls: readonly CallMessage[],
): readonly CallResult[] {
  const run = ({room, method, args}: CallMessage): CallResult => ({value: rooms[room]?.[method]?.(...args)});
  try {
    return database.transaction(() => calls.map(run));
  } catch (error) {
    if (calls.length === 1) return [failure(error)];
    return calls.flatMap((call) => runBatch(database, rooms, [call]));
  }
}

/** Codes of SQLite that blame the statement or its values; all others blame the file, the disk or the memory. */
const faults = [
  'SQLITE_ERROR',
  'SQLITE_CONSTRAINT',
  'SQLITE_MISMATCH',
  'SQLITE_RANGE',
  'SQLITE_MISUSE',
  'SQLITE_TOOBIG',
];

function failure(error: unknown): CallResult {
  const code = sqliteCode(error);
  const away = code !== undefined && !faults.some((fault) => code.startsWith(fault));
  return {failed: away ? 'away' : 'fault', message: error instanceof Error ? error.message : String(error)};
}

/** Message bytes are handed over, not copied. */
function buffersOf(results: readonly CallResult[]): ArrayBuffer[] {
  return results
    .flatMap((result) => ('value' in result && Array.isArray(result.value) ? (result.value as unknown[]) : []))
    .map((item) => (item as {bytes?: unknown} | undefined)?.bytes)
    .filter((bytes) => bytes instanceof Uint8Array)
    .map((bytes) => bytes.buffer as ArrayBuffer);
}

function say(message: FromWorker, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}
