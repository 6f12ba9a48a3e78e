/** The store on MongoDB: any number of PF nodes on one database. Needs no transactions, sessions or change streams. */
import {systemClock} from '../../ports/clock.ts';
import type {Clock} from '../../ports/clock.ts';
import {randomIds} from '../../ports/ids.ts';
import type {Ids} from '../../ports/ids.ts';
import type {Store} from '../../ports/store.ts';
import {Connection} from './connection.ts';
import {deferredQueue} from './deferred-queue.ts';
import {dialogRecords} from './dialog-records.ts';
import {erase} from './erase.ts';
import {groupSessions} from './group-sessions.ts';
import {prepare} from './indexes.ts';
import {leases} from './leases.ts';
import {messageStore} from './message-store.ts';
import {registrations} from './registrations.ts';
import {openSequences} from './sequences.ts';

export interface MongoStoreOptions {
  /** `mongodb://` or `mongodb+srv://`, with its credentials and options. */
  readonly uri: string;
  readonly database: string;
  /** Name of the PF node, as the histories of messages tell it. Default: none. */
  readonly node?: string;
  readonly clock?: Clock;
  readonly ids?: Ids;
  /** A call that takes longer rejects with `CPM_STORE_AWAY`. Default 5000: well inside the 30 s of an MSRP transaction. */
  readonly callMilliseconds?: number;
  /** How long a primary is looked for before a call rejects. Default 2000: an absent store is noticed in seconds. */
  readonly serverSelectionMilliseconds?: number;
  /** Pause between two probes of the server. Default 1000. */
  readonly probeMilliseconds?: number;
  /** Larger messages go into documents of their own. Default 1 MiB; at most 15 MiB, as a document ends at 16 MB. */
  readonly inlineBytes?: number;
}

/**
 * A store that connects in the background: `available` becomes true when the server has answered and its indexes are there.
 * Throws the driver's error when the URI cannot be read.
 */
export function openMongoStore(options: MongoStoreOptions): Store {
  const {uri, database, node = '', clock = systemClock, ids = randomIds} = options;
  const callMilliseconds = options.callMilliseconds ?? 5000;
  const longMilliseconds = 12 * callMilliseconds;
  const connection = new Connection({
    uri,
    database,
    clock,
    callMilliseconds,
    serverSelectionMilliseconds: options.serverSelectionMilliseconds ?? 2000,
    probeMilliseconds: options.probeMilliseconds ?? 1000,
    prepareMilliseconds: longMilliseconds,
    prepare,
  });
  const inlineBytes = Math.min(options.inlineBytes ?? 1024 * 1024, 15 * 1024 * 1024);
  const room = {connection, node, clock, ids, sequences: openSequences(clock), inlineBytes, longMilliseconds};
  return {
    deferredQueue: deferredQueue(room),
    messageStore: messageStore(room),
    groupSessions: groupSessions(connection, longMilliseconds),
    registrations: registrations(connection),
    leases: leases(connection, ids),
    dialogRecords: dialogRecords(connection),
    erase: (servedUser) =>
      connection.run((database) => erase(database, servedUser, clock.now(), () => ids.token()), longMilliseconds),
    get available() {
      return connection.available;
    },
    onAvailability: (listener) => {
      connection.onAvailability(listener);
    },
    close: () => connection.close(),
  };
}
