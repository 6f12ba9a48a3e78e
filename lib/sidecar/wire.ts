/**
 * The octets under a connection: any duplex stream, or a plain TCP socket, which is read into one buffer that all of them share: nothing
 * is allocated for what comes, and nothing that came stays where it was read.
 */
import {connect, Socket} from 'node:net';
import type {Duplex} from 'node:stream';

/** Takes what came. The octets are overwritten when it returns: it copies what it keeps. */
export type InputListener = (input: Buffer) => void;

export interface Wire {
  readonly stream: Duplex;
  /** Who reads; set in the turn in which the wire was made. */
  onInput: InputListener;
}

/** A stream that is no plain TCP socket, or does not want to be read as one. */
export function streamWire<Stream extends Duplex>(stream: Stream): Wire & {readonly stream: Stream} {
  const wire = {stream, onInput: ignore};
  stream.on('data', (input: Buffer) => {
    wire.onInput(input);
  });
  return wire;
}

/** Connects by TCP; what comes is read into `buffer`. */
export function connectingWire(
  address: {readonly host: string; readonly port: number},
  buffer: Buffer,
): Wire & {stream: Socket} {
  const wire = {stream: new Socket(), onInput: ignore};
  wire.stream = connect({...address, noDelay: true, onread: reading(wire, buffer)});
  return wire;
}

/**
 * A socket that a server accepted with `pauseOnConnect`, read into `buffer`. Node offers that for sockets that connect only: an accepted
 * one's handle is moved into a socket that was made for it. Where that is not possible, the socket is read as any stream.
 */
export function acceptedWire(accepted: Socket, buffer: Buffer): Wire {
  const handle = (accepted as Partial<Handled>)._handle;
  if (handle === null || handle === undefined || accepted.readableFlowing !== false) return streamWire(accepted);
  const wire = {stream: accepted, onInput: ignore};
  const options = {handle, allowHalfOpen: false, onread: reading(wire, buffer)};
  (accepted as unknown as Handled)._handle = null;
  wire.stream = new Socket(options);
  return wire;
}

/** What a socket has beside its documented members. */
interface Handled {
  _handle: object | null;
}

const ignore: InputListener = () => undefined;

function reading(wire: Wire, buffer: Buffer) {
  return {
    buffer,
    callback: (length: number): boolean => {
      wire.onInput(buffer.subarray(0, length));
      return true;
    },
  };
}
