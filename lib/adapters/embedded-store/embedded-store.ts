/** The embedded store: one libsql file, owned by one process, written by one thread. */
import {Worker} from 'node:worker_threads';
import {CpmError} from '../../errors.ts';
import {systemClock} from '../../ports/clock.ts';
import type {Clock} from '../../ports/clock.ts';
import type {DeferredQueue} from '../../ports/deferred-queue.ts';
import type {DialogRecords} from '../../ports/dialog-records.ts';
import type {GroupSessions} from '../../ports/group-sessions.ts';
import {randomIds} from '../../ports/ids.ts';
import type {Ids} from '../../ports/ids.ts';
import type {Leases} from '../../ports/leases.ts';
import type {MessageStore} from '../../ports/message-store.ts';
import type {Registrations} from '../../ports/registrations.ts';
import type {Store} from '../../ports/store.ts';
import {Channel} from './channel.ts';
import type {TimedLeases} from './leases.ts';
import type {WorkerOptions} from './protocol.ts';
import {remembered} from './remembered.ts';

export interface EmbeddedStoreOptions {
  /** The file; `-wal` beside it belongs to it. On a local disk: network file systems do not lock reliably. */
  readonly path: string;
  /** Name of the PF node, as the histories of messages tell it. Default: none. */
  readonly node?: string;
  readonly clock?: Clock;
  readonly ids?: Ids;
  /** A call that takes longer rejects with `CPM_STORE_AWAY`. Default 5000: well inside the 30 s of an MSRP transaction. */
  readonly callMilliseconds?: number;
  /** Pause before a dead thread is replaced and between probes of a failing disk. Default 500. */
  readonly retryMilliseconds?: number;
  /** How long to wait for a predecessor that is just closing the file. Default 2000. */
  readonly busyMilliseconds?: number;
  /** Most octets of messages that wait for the disk at one time. Default 64 MiB. */
  readonly maxWaitingBytes?: number;
  /** Largest size of the file. Beyond it new messages are refused as by a full disk. Default: none. */
  readonly maxFileBytes?: number;
  /** Starts the thread; tests keep hold of it so that they can end it. */
  readonly spawn?: (options: WorkerOptions) => Worker;
}

/**
 * Opens the store, creating the file and its folder where needed.
 * Rejects with `CPM_STORE_IN_USE` (another process has it), `CPM_STORE_SCHEMA` (a newer or a foreign file) or `CPM_STORE_AWAY`.
 */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<Store> {
  const {path, node = '', clock = systemClock, ids = randomIds, spawn = spawnWorker} = options;
  const workerOptions = {
    path,
    node,
    busyMilliseconds: options.busyMilliseconds ?? 2000,
    maxFileBytes: options.maxFileBytes,
  };
  const channel = new Channel({
    spawn: () => spawn(workerOptions),
    clock,
    callMilliseconds: options.callMilliseconds ?? 5000,
    retryMilliseconds: options.retryMilliseconds ?? 500,
    maxWaitingBytes: options.maxWaitingBytes ?? 64 * 1024 * 1024,
  });
  await channel.open();
  const known = remembered(registrations(channel), () => channel.available);
  return {
    deferredQueue: deferredQueue(channel),
    messageStore: messageStore(channel),
    groupSessions: groupSessions(channel),
    registrations: known,
    leases: leases(channel, clock, ids),
    dialogRecords: dialogRecords(channel),
    async erase(servedUser) {
      try {
        return await remote<Pick<Store, 'erase'>>(channel, 'store', ['erase']).erase(servedUser);
      } finally {
        known.clear();
      }
    },
    get available() {
      return channel.available;
    },
    onAvailability: (listener) => {
      channel.onAvailability(listener);
    },
    close: () => channel.close(),
  };
}

function spawnWorker(workerData: WorkerOptions): Worker {
  return new Worker(new URL('./worker.js', import.meta.url), {workerData});
}

/** Methods of a room of the thread, as its port promises them. */
function remote<Port>(channel: Channel, room: string, methods: readonly (keyof Port & string)[]): Port {
  const call = (method: string) => [
    method,
    (...args: unknown[]) => channel.call({room, method, args, bytes: 0, transfer: []}),
  ];
  return Object.fromEntries(methods.map(call)) as Port;
}

function deferredQueue(channel: Channel): DeferredQueue {
  const room = 'deferredQueue';
  return {
    ...remote<Omit<DeferredQueue, 'enqueue'>>(channel, room, [
      ...(['senders', 'next', 'markSent', 'settle', 'find', 'sentUnconfirmed', 'requeueSent'] as const),
      ...(['expired', 'usersPending', 'adopt', 'ledger', 'forgetSettled', 'noteRefused', 'trace'] as const),
      ...(['pending', 'hold', 'release'] as const),
    ]),
    enqueue: (messages) => callWithBytes(channel, room, 'enqueue', messages) as ReturnType<DeferredQueue['enqueue']>,
  };
}

function messageStore(channel: Channel): MessageStore {
  const room = 'messageStore';
  return {
    ...remote<Omit<MessageStore, 'put'>>(channel, room, ['folders', 'list', 'read', 'adopt', 'forget']),
    put: (objects, at) => callWithBytes(channel, room, 'put', objects, at) as ReturnType<MessageStore['put']>,
  };
}

/** Gives the thread copies of the octets: the caller keeps his, which may be small views of a large buffer. */
function callWithBytes(
  channel: Channel,
  room: string,
  method: string,
  items: readonly {readonly bytes: Uint8Array}[],
  ...more: readonly unknown[]
): Promise<unknown> {
  const copies = items.map((item) => ({...item, bytes: new Uint8Array(item.bytes)}));
  return channel.call({
    room,
    method,
    args: [copies, ...more],
    bytes: copies.reduce((sum, {bytes}) => sum + bytes.byteLength, 0),
    transfer: copies.map(({bytes}) => bytes.buffer),
  });
}

function groupSessions(channel: Channel): GroupSessions {
  return remote(channel, 'groupSessions', ['put', 'get', 'ofUser', 'standingOf', 'adopt', 'forget']);
}

function registrations(channel: Channel): Registrations {
  return remote(channel, 'registrations', ['put', 'get', 'remove', 'servedUserOf', 'identitiesOf']);
}

function leases(channel: Channel, clock: Clock, ids: Ids): Leases {
  const room = 'leases';
  const timed = remote<TimedLeases>(channel, room, ['claim', 'renew', 'holder']);
  return {
    ...remote<Pick<Leases, 'release' | 'releaseNode'>>(channel, room, ['release', 'releaseNode']),
    claim: (key, owner, milliseconds) => timed.claim(key, owner, milliseconds, ids.token(), clock.now()),
    renew: (lease, milliseconds) => timed.renew(lease, milliseconds, clock.now()),
    holder: (key) => timed.holder(key, clock.now()),
  };
}

function dialogRecords(channel: Channel): DialogRecords {
  const records = remote<DialogRecords>(channel, 'dialogRecords', ['record', 'forget', 'ofNode']);
  return {
    record: (dialog) => records.record(dialog).catch(ignoreAway),
    forget: (id) => records.forget(id).catch(ignoreAway),
    ofNode: (node) => records.ofNode(node),
  };
}

/** The records are best effort: the store says by its availability that it is away. */
function ignoreAway(error: unknown): void {
  if (!(error instanceof CpmError && error.code === 'CPM_STORE_AWAY')) throw error;
}
