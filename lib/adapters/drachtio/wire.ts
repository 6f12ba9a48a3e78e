import {isUtf8} from 'node:buffer';
import {randomUUID} from 'node:crypto';
import type {Socket} from 'node:net';
import {CpmError} from '../../errors.ts';
import type {Clock} from '../../ports/clock.ts';
import type {Log} from '../../ports/log.ts';
import {createLane, largestFrame, type Lane} from './lane.ts';
import type {SrfAgent} from './srf-types.ts';

/** Frames longer than this come from no drachtio server: a SIP message with a body has at most some 64 KB. */
const largestIncomingFrame = 1_048_576;
/** Bodies that wait for their frame, or came in a frame that is not UTF-8. Each lives for one message only. */
const keptBodies = 256;
/** Opens and closes the mark that stands for a binary body in the text of a message; a private-use character, in no SIP message. */
const mark = '\uF8F4';

/** The admin connection of one drachtio-srf instance, made safe. */
export interface Wire {
  /**
   * The text that carries this body through drachtio-srf, which knows only strings; octets that are not UTF-8 are put back in the frame.
   * @throws CpmError 415 for a body with a NUL: the server would cut it there.
   */
  readonly bodyText: (body: string | Uint8Array) => string;
  /** The octets of the body of a received message, where its text lost them. */
  readonly exactBody: (raw: string) => Buffer | undefined;
  /** Resolves true when the server has read all that was written so far, false when the connection went before. */
  readonly flushed: () => Promise<boolean>;
}

/**
 * Takes over the sending and framing of drachtio-srf's connection. drachtio-srf writes frames at once and whatever their size, and the server
 * silently loses what does not fit its receive buffer; it decodes all that comes as UTF-8; and it throws out of the socket's handler when a
 * frame is broken. Here frames go through a lane per socket that never overruns the server, bodies keep their octets, and an error ends
 * at most the connection.
 */
export function guardWire({wp, mapServer}: SrfAgent, {clock, log}: {clock: Clock; log: Log}): Wire {
  if (!(wp.mapIncomingMsg instanceof Map) || !(mapServer instanceof Map) || wp.listenerCount('msg') === 0) {
    throw new CpmError('CPM_SIP_LIBRARY', 500, 'this version of drachtio-srf is built differently from 5.0');
  }

  const outgoingBodies = new Map<string, Buffer>();
  const incomingBodies = new Map<string, Buffer>();
  const lanes = new Map<Socket, Lane>();

  function laneOf(socket: Socket): Lane {
    let lane = lanes.get(socket);
    if (lane === undefined) {
      lane = createLane(socket, {clock, log});
      lanes.set(socket, lane);
      socket.once('close', () => {
        lanes.get(socket)?.close();
        lanes.delete(socket);
      });
    }

    return lane;
  }

  wp.send = (socket, message) => {
    const id = randomUUID();
    const payload = encode(`${id}|${message}`);
    if (payload.length > largestFrame) {
      const why = `frame of ${payload.length} bytes, the SIP server takes ${largestFrame}`;
      log.error({bytes: payload.length}, 'a SIP message is too large for the SIP server and was not sent');
      setImmediate(() => wp.emit('msg', socket, `local|response|${id}|NOK|${why}`));
    } else if (!socket.destroyed) {
      laneOf(socket).send(payload);
    }

    return id;
  };

  function encode(text: string): Buffer {
    if (!text.endsWith(mark)) return Buffer.from(text);
    const start = text.lastIndexOf(mark, text.length - 2);
    const token = text.slice(start);
    const body = outgoingBodies.get(token) ?? Buffer.alloc(0);
    outgoingBodies.delete(token);
    return Buffer.concat([Buffer.from(text.slice(0, start)), body]);
  }

  const handlers = wp.listeners('msg') as ((socket: Socket, text: string) => void)[];
  wp.removeAllListeners('msg');
  wp.on('msg', (socket: Socket, text: string) => {
    if (lanes.get(socket)?.reply(text) === true) return;
    try {
      for (const handler of handlers) handler(socket, text);
    } catch (error) {
      log.error({error}, 'a message of the SIP server could not be handled');
    }
  });

  function receive(socket: Socket, payload: Buffer): void {
    const text = payload.toString('utf8');
    if (!isUtf8(payload)) {
      const end = payload.indexOf('\r\n\r\n');
      const raw = text.slice(text.indexOf('\r\n') + 2);
      if (end !== -1) keep(incomingBodies, raw, Buffer.from(payload.subarray(end + 4)));
    }

    wp.emit('msg', socket, text);
  }

  function takeOver(socket: Socket): void {
    let rest: Buffer = wp.mapIncomingMsg.get(socket)?.incomingMsg ?? Buffer.alloc(0);
    wp.mapIncomingMsg.delete(socket);
    socket.removeAllListeners('data');
    socket.on('data', (chunk: Buffer) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      for (let frame = readFrame(rest); frame !== undefined; frame = readFrame(rest)) {
        if (frame === 'broken') {
          socket.destroy(new Error('the SIP server sent what is no frame'));
          return;
        }

        rest = rest.subarray(frame.end);
        receive(socket, frame.payload);
      }
    });
  }

  for (const event of ['connect', 'connection']) wp.prependListener(event, takeOver);
  for (const socket of mapServer.keys()) takeOver(socket);

  let bodies = 0;
  return {
    bodyText(body) {
      if (typeof body === 'string' ? body.includes('\0') : body.includes(0)) {
        throw new CpmError('CPM_SIP_BODY_NUL', 415, 'the SIP server cuts bodies at a NUL octet');
      }

      if (typeof body === 'string') return body;
      const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
      if (isUtf8(bytes)) return bytes.toString('utf8');
      bodies += 1;
      const token = `${mark}${bodies}${mark}`;
      keep(outgoingBodies, token, Buffer.from(bytes));
      return token;
    },
    exactBody: (raw) => (raw.includes('\uFFFD') ? incomingBodies.get(raw) : undefined),
    async flushed() {
      const all = await Promise.all([...lanes.values()].map((lane) => lane.flushed()));
      return all.length > 0 && all.every(Boolean);
    },
  };
}

function keep(bodies: Map<string, Buffer>, key: string, body: Buffer): void {
  bodies.set(key, body);
  const [oldest] = bodies.keys();
  if (bodies.size > keptBodies && oldest !== undefined) bodies.delete(oldest);
}

/** frame = length "#" payload, the length in octets. */
function readFrame(bytes: Buffer): {readonly payload: Buffer; readonly end: number} | 'broken' | undefined {
  const hash = bytes.indexOf('#');
  if (hash === -1) return bytes.length > 8 ? 'broken' : undefined;
  const digits = bytes.toString('latin1', 0, hash);
  const length = Number(digits);
  if (!/^\d{1,7}$/.test(digits) || length > largestIncomingFrame) return 'broken';
  const end = hash + 1 + length;
  return bytes.length < end ? undefined : {payload: bytes.subarray(hash + 1, end), end};
}
