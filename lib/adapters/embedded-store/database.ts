/** The libsql file as the rooms of the store use it: prepared statements by their text, values checked before they reach native code. */
import {closeSync, fsyncSync, mkdirSync, openSync} from 'node:fs';
import {dirname} from 'node:path';
import Libsql from 'libsql';
import {CpmError} from '../../errors.ts';
import {migrate} from './schema.ts';

/** What can be bound. Absence is `undefined` here and NULL in the file. */
export type Value = string | number | Uint8Array | undefined;

/** The text of a statement, and what its rows are. */
export type Query<Row> = string & {readonly row: Row};

export interface Database {
  /** Sets or asks a PRAGMA, `name = value` or `name`; answers its value. */
  pragma(text: string): unknown;
  all<Row>(query: Query<Row>, ...values: readonly Value[]): readonly Row[];
  get<Row>(query: Query<Row>, ...values: readonly Value[]): Row | undefined;
  /** `rowid` is of the row last inserted. */
  run(sql: string, ...values: readonly Value[]): {readonly changes: number; readonly rowid: number};
  /** Runs `work` in one transaction: all of it is on the disk when this returns, or nothing of it. */
  transaction<Result>(work: () => Result): Result;
  close(): void;
}

export interface DatabaseOptions {
  readonly path: string;
  /** How long to wait for a predecessor that is just closing, ms. */
  readonly busyMilliseconds: number;
  /** Largest size of the file, octets; what goes beyond fails as a full disk does. Undefined: the disk's own limit. */
  readonly maxFileBytes: number | undefined;
}

/**
 * Opens the file, or creates it readable by its owner alone, and brings its schema up to date.
 * It is locked for this process: the kernel drops the lock when the process ends, however it ends.
 * Throws `CPM_STORE_IN_USE` when another process has it open, `CPM_STORE_SCHEMA` when it is not a store or a newer one.
 */
export function openDatabase(options: DatabaseOptions): Database {
  createFile(options.path);
  const connection = new Libsql(options.path);
  const database = wrap(connection);
  try {
    database.pragma(`busy_timeout = ${options.busyMilliseconds}`);
    database.pragma('locking_mode = EXCLUSIVE');
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    database.pragma('journal_size_limit = 67108864');
    // What is deleted is gone: nobody reads the words of a delivered message from a copy of the file.
    database.pragma('secure_delete = ON');
    database.transaction(() => {
      migrate(database, options.path);
    });
    if (options.maxFileBytes !== undefined) {
      const pageSize = Number(database.pragma('page_size'));
      database.pragma(`max_page_count = ${Math.max(1, Math.floor(options.maxFileBytes / pageSize))}`);
    }
  } catch (error) {
    connection.close();
    const code = sqliteCode(error);
    if (code?.startsWith('SQLITE_BUSY') === true)
      throw new CpmError('CPM_STORE_IN_USE', 503, `the store ${options.path} is open in another process`, {
        cause: error,
      });
    if (code === 'SQLITE_NOTADB')
      throw new CpmError('CPM_STORE_SCHEMA', 500, `${options.path} is not a store file`, {cause: error});
    throw error;
  }
  syncDirectory(options.path);
  return database;
}

/** `SQLITE_…` of an error that came from the file, undefined for any other error. */
export function sqliteCode(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && code.startsWith('SQLITE_') ? code : undefined;
}

function wrap(connection: Libsql.Database): Database {
  const statements = new Map<string, Libsql.Statement>();
  const prepare = (sql: string): Libsql.Statement => {
    const statement = statements.get(sql) ?? connection.prepare(sql);
    statements.set(sql, statement);
    return statement;
  };
  // Several rows are fetched with `all` alone: `get` adds a column of its own. Parameters go as one array, as a lone Buffer would be taken for names.
  const all = <Row>(query: Query<Row>, ...values: readonly Value[]): readonly Row[] =>
    prepare(query)
      .all(values.map(toColumn))
      .map((row) => fromColumns(row as Record<string, unknown>) as Row);
  return {
    all,
    pragma: (text) =>
      Object.values((connection.prepare(`PRAGMA ${text}`).all()[0] ?? {}) as Record<string, unknown>)[0],
    get: (query, ...values) => all(query, ...values)[0],
    run(sql, ...values) {
      const {changes, lastInsertRowid} = prepare(sql).run(values.map(toColumn));
      return {changes, rowid: Number(lastInsertRowid)};
    },
    transaction(work) {
      connection.exec('BEGIN IMMEDIATE');
      try {
        const result = work();
        connection.exec('COMMIT');
        return result;
      } catch (error) {
        // A full disk has rolled back by itself.
        if (connection.inTransaction) connection.exec('ROLLBACK');
        throw error;
      }
    },
    close: () => {
      connection.close();
    },
  };
}

/** The native binding ends the whole process for a value that it does not know, and cuts text at NUL: neither may happen to what comes from outside. */
function toColumn(value: unknown): string | number | Uint8Array | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string')
    return /[\0\x01]/.test(value) ? value.replaceAll('\x01', '\x01\x01').replaceAll('\0', '\x010') : value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (value instanceof Uint8Array) return value;
  throw new TypeError(`a ${typeof value} cannot be stored`);
}

function fromColumns(row: Record<string, unknown>): Record<string, unknown> {
  for (const [name, value] of Object.entries(row)) {
    if (value === null) row[name] = undefined;
    else if (value instanceof ArrayBuffer) row[name] = new Uint8Array(value);
    else if (typeof value === 'string' && value.includes('\x01'))
      row[name] = value.replaceAll(/\x01(.)/gs, (_, escaped) => (escaped === '0' ? '\0' : '\x01'));
  }
  return row;
}

function createFile(path: string): void {
  mkdirSync(dirname(path), {recursive: true, mode: 0o700});
  closeSync(openSync(path, 'a', 0o600));
}

/** A new file is there after a power failure only when its folder was written too. */
function syncDirectory(path: string): void {
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
