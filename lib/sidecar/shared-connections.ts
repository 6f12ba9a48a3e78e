/**
 * Connections of ours that carry more than one session to the same place (RFC 4975 §5.4), where the configuration lets them: a reader who is
 * stuck holds up all sessions of his connection, and some peers serve one session on each. A peer that refuses a second one is not asked again.
 * @clause RFC 4975 §5.4
 */
import {createBoundedMap} from '../cpm/bounded-map.ts';
import type {Connection} from './connection.ts';
import type {Destination} from './network.ts';

/** Gets a connection, and whether other sessions have it, too; undefined where none can be had. */
export type Reached = (connection: Connection | undefined, isShared: boolean) => void;

type Dial = (to: Destination, done: (connection: Connection | undefined) => void) => void;

/** Places of which is known that they serve one session on a connection. */
const remembered = 10_000;

export class SharedConnections {
  readonly #most: number;
  readonly #dial: Dial;
  readonly #open = new Map<string, Set<Connection>>();
  readonly #places = new Map<Connection, string>();
  /** Those who wait for a connection that is being made. */
  readonly #waiting = new Map<string, {readonly to: Destination; readonly done: Reached}[]>();
  readonly #unwilling = createBoundedMap<string, true>(remembered);

  /** `most`: sessions of one connection. */
  constructor(most: number, dial: Dial) {
    this.#most = most;
    this.#dial = dial;
  }

  /** Finds a connection that leads there and has room for one more session, or makes one. */
  reach(to: Destination, done: Reached): void {
    const place = placeOf(to);
    if (this.#most === 1 || this.#unwilling.get(place)) {
      this.alone(to, done);
      return;
    }
    const hasRoom = (each: Connection) => !each.leaving && each.sessions.size < this.#most;
    const found = [...(this.#open.get(place) ?? [])].find(hasRoom);
    if (found !== undefined) {
      done(found, true);
      return;
    }
    const waiting = this.#waiting.get(place);
    if (waiting === undefined) this.#make(place, to, done);
    else waiting.push({to, done});
  }

  /** Makes a connection for one session, whatever there is. */
  alone(to: Destination, done: Reached): void {
    this.#dial(to, (connection) => {
      done(connection, false);
    });
  }

  /** A peer there did not take a further session on a connection. */
  refused(to: Destination): void {
    this.#unwilling.set(placeOf(to), true);
  }

  forget(connection: Connection): void {
    const place = this.#places.get(connection) ?? '';
    const open = this.#open.get(place);
    this.#places.delete(connection);
    open?.delete(connection);
    if (open?.size === 0) this.#open.delete(place);
  }

  #make(place: string, to: Destination, done: Reached): void {
    this.#waiting.set(place, []);
    this.#dial(to, (connection) => {
      const waiting = this.#waiting.get(place) ?? [];
      this.#waiting.delete(place);
      if (connection !== undefined) {
        this.#places.set(connection, place);
        this.#open.set(place, (this.#open.get(place) ?? new Set()).add(connection));
      }
      done(connection, false);
      for (const each of waiting) {
        if (connection === undefined) each.done(undefined, false);
        else this.reach(each.to, each.done);
      }
    });
  }
}

/** Scheme, host and port, as RFC 4975 §5.4 compares them, the address that stands for them where there is one, and who we are there. */
function placeOf({uri, address, tls}: Destination): string {
  const authority = /^(\w+:\/\/)(?:[^@/;]*@)?([^/;]*)/.exec(uri);
  return `${authority?.[1] ?? ''}${authority?.[2] ?? uri} ${address?.host ?? ''} ${address?.port ?? ''} ${tls?.fingerprint ?? ''}`.toLowerCase();
}
