/**
 * What the relay refuses, and what it says of it: each refusal is counted, the first one of a minute from an address is told to the log.
 * None is fatal, and none costs more than the one before.
 */
import type {Clock} from '../ports/clock.ts';
import type {Log, LogFields} from '../ports/log.ts';

/** What was exceeded or wrong, by the name of its counter, and what came of it. */
export const refusals = {
  unknownSession: 'a request for a session that is not here got 481',
  wrongPeer: 'a SEND whose From-Path is not the negotiated one got 403',
  notAuthentic: 'a peer without the certificate that its description announced ended the session',
  handshakeFailed: 'a connection without a TLS handshake that succeeds was closed',
  wrongConnection: 'a request for a session that is bound to another connection got 506',
  tooLarge: 'a message beyond the size that its session takes got 413',
  tooManyMessages: 'a message beyond those that may be unsettled in a session got 413',
  spoolFull: 'a message for which the spool has no room got 413',
  memoryFull: 'a message got 413: the octets kept in memory are at their bound',
  headerTooLong: 'a start line or headers beyond their size ended the connection',
  protocolErrors: 'what is no MSRP ended the connection',
  endlessFrame: 'a frame that had been refused and went on and on ended the connection',
  unfinished: 'a frame that was begun and not finished in time ended the connection',
  unfinishedMessage: 'a message whose chunks stopped coming was forgotten',
  unread: 'a peer who asks and does not read the answers had his connection closed',
  idleConnection: 'a connection without any octet for too long was closed',
  unboundConnection: 'a connection that serves no session was closed',
  idleSession: 'a session without any request for too long was ended',
  connectionsPerAddress: 'a connection beyond those that one address may have was closed',
  tooManyConnections: 'a connection beyond all that there may be was closed',
  relayAway: 'the relay that a side goes through did not answer: no session was opened, or its path was not renewed',
  relayRefused: 'the relay that a side goes through refused a path, or to renew one',
  relayExpired: 'a session was ended with the time of its path through a relay',
  tooManySessions: 'a session beyond all that there may be was not opened',
} as const;

export type Refusal = keyof typeof refusals;

/** Where it came from: an IP address, our session, the leg as the PF's log calls it. */
export interface Whence {
  readonly address?: string | undefined;
  readonly session?: string | undefined;
  readonly leg?: string | undefined;
}

const minute = 60_000;
/** Lines of a minute, whoever is refused whatever: a log is a target, too. */
const linesPerMinute = 1000;

export class Refusals {
  readonly #counters: Record<Refusal, number>;
  readonly #clock: Clock;
  readonly #log: Log;
  /** What has been said in the minute that began then. */
  readonly #said = new Set<string>();
  #since: number;

  constructor(counters: Record<Refusal, number>, {clock, log}: {readonly clock: Clock; readonly log: Log}) {
    this.#counters = counters;
    this.#clock = clock;
    this.#log = log;
    this.#since = clock.now();
  }

  /** Something was refused, for the reason `what`; `more` goes into the log's record. */
  add(what: Refusal, {address, session, leg}: Whence, more: LogFields = {}): void {
    this.#counters[what] += 1;
    const now = this.#clock.now();
    if (now - this.#since >= minute) {
      this.#since = now;
      this.#said.clear();
    }
    const key = `${what} ${address ?? ''}`;
    if (this.#said.has(key) || this.#said.size >= linesPerMinute) return;
    this.#said.add(key);
    this.#log.warn({limit: what, count: this.#counters[what], address, session, leg, ...more}, refusals[what]);
  }
}

/** How many connections each address has; an IPv6 network of 64 bits counts as one address, since one host may have all of it. */
export class Addresses {
  readonly #connections = new Map<string, number>();

  /** Takes a place for one more; false where `most` are taken. */
  take(address: string, most: number): boolean {
    const holder = holderOf(address);
    const held = this.#connections.get(holder) ?? 0;
    if (held >= most) return false;
    this.#connections.set(holder, held + 1);
    return true;
  }

  give(address: string): void {
    const holder = holderOf(address);
    const held = (this.#connections.get(holder) ?? 0) - 1;
    if (held > 0) this.#connections.set(holder, held);
    else this.#connections.delete(holder);
  }
}

/** The address that a limit is for: IPv4 also where it comes as IPv6, the first half of any other IPv6. */
export function holderOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!address.includes(':')) return address;
  const [left = '', right] = (address.split('%', 1)[0] ?? '').split('::');
  const before = left === '' ? [] : left.split(':');
  const after = right === undefined || right === '' ? [] : right.split(':');
  const zeros = Array.from(
    {length: right === undefined ? 0 : Math.max(0, 8 - before.length - after.length)},
    () => '0',
  );
  const network = [...before, ...zeros, ...after].slice(0, 4);
  return `${network.map((group) => group.toLowerCase().replace(/^0+(?=.)/, '')).join(':')}::/64`;
}
