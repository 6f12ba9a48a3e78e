import {randomUUID} from 'node:crypto';
import type {Socket} from 'node:net';
import type {Clock, Timer} from '../../ports/clock.ts';
import type {Log} from '../../ports/log.ts';

/*
 * The server (0.9.10) reads at most 8192 octets at a time into a ring of 12,228 that it overruns without a word. What is left of a frame of
 * 4000 octets plus one read always fits; a longer frame fits only into an empty ring, together with the ping behind it.
 */
const burstFrame = 4000;
/** Octets of payload that one frame may have at most. */
export const largestFrame = 12_000;
/** A server that does not answer a ping for so long is taken for dead; it answers in its reading thread, in microseconds. */
const pongMilliseconds = 10_000;
/** A server is asked so often whether it is there: one whose machine has gone says nothing when it goes. */
const askMilliseconds = 15_000;

/** What is written to one socket, in order, at the server's pace. */
export interface Lane {
  /** Writes the payload as a frame, as soon as the server surely has room for it. */
  send(payload: Buffer): void;
  /** Looks at a message of the server; true when it was the answer to a ping of this lane. */
  reply(text: string): boolean;
  /** Resolves true when the server has read all that was sent before, false when the connection is gone. */
  flushed(): Promise<boolean>;
  close(): void;
}

/** A server answers pings in order while it reads: its pong says that all that was written before is out of its buffer. */
export function createLane(socket: Socket, {clock, log}: {clock: Clock; log: Log}): Lane {
  const queue: (Buffer | (() => void))[] = [];
  const waiting = new Set<(flushed: boolean) => void>();
  /** Whether something was written since the last pong. */
  let dirty = true;
  let ping: {readonly id: string; readonly deadline: Timer} | undefined;

  function write(payload: Buffer): void {
    socket.write(Buffer.concat([Buffer.from(`${payload.length}#`), payload]));
    dirty = true;
  }

  function sendPing(): void {
    const id = randomUUID();
    write(Buffer.from(`${id}|ping`));
    const deadline = clock.after(pongMilliseconds, () => {
      log.error({milliseconds: pongMilliseconds}, 'the SIP server does not answer; the connection is closed');
      socket.destroy();
    });
    ping = {id, deadline};
  }

  let asking: Timer;
  function askAgain(): void {
    asking = clock.after(askMilliseconds, () => {
      if (ping === undefined && !socket.destroyed) sendPing();
      askAgain();
    });
  }

  askAgain();

  function pump(): void {
    while (ping === undefined) {
      const next = queue[0];
      if (next === undefined) return;
      if ((typeof next === 'function' || next.length > burstFrame) && dirty) {
        sendPing();
        return;
      }
      queue.shift();
      if (typeof next === 'function') {
        next();
      } else {
        write(next);
        if (next.length > burstFrame) sendPing();
      }
    }
  }

  return {
    send(payload) {
      queue.push(payload);
      pump();
    },
    reply(text) {
      if (ping === undefined || text.split('|', 3)[2] !== ping.id) return false;
      ping.deadline.cancel();
      ping = undefined;
      dirty = false;
      pump();
      return true;
    },
    flushed: () =>
      new Promise((resolve) => {
        waiting.add(resolve);
        queue.push(() => {
          waiting.delete(resolve);
          resolve(true);
        });
        pump();
      }),
    close() {
      asking.cancel();
      ping?.deadline.cancel();
      queue.length = 0;
      for (const resolve of waiting) resolve(false);
      waiting.clear();
    },
  };
}
