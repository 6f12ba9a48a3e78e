/** A process that keeps many MSRP sessions open and says nothing in them. */
import {once} from 'node:events';
import {connect, type Socket} from 'node:net';
import {serve} from '../worker.ts';
import {endFlag} from './frames.ts';

export interface IdleConnection {
  readonly host: string;
  readonly port: number;
  /** To-Path and From-Path of each session that runs on it; none: it is only opened. */
  readonly sessions: readonly (readonly [to: string, from: string])[];
}

const sockets: Socket[] = [];
/** Connections that are opened at a time: what the listener's backlog bears. */
const together = 100;

/** Opens connections and binds their sessions by an empty SEND each (RFC 4975 §5.4); resolves when all are answered. */
async function open(connections: readonly IdleConnection[]): Promise<void> {
  for (let at = 0; at < connections.length; at += together)
    await Promise.all(connections.slice(at, at + together).map(openOne));
}

async function openOne({host, port, sessions}: IdleConnection): Promise<void> {
  const socket = connect(port, host);
  sockets.push(socket);
  await once(socket, 'connect');
  if (sessions.length === 0) return;
  const answered = answers(socket, sessions.length);
  const sends = sessions.map(
    ([to, from], index) =>
      `MSRP idle${index}bind SEND\r\nTo-Path: ${to}\r\nFrom-Path: ${from}\r\nMessage-ID: idle${index}\r\n` +
      `Byte-Range: 1-0/0\r\n-------idle${index}bind$\r\n`,
  );
  socket.write(sends.join(''));
  await answered;
}

/** Resolves when so many answers have come, all of them 200. */
function answers(socket: Socket, count: number): Promise<void> {
  let text = '';
  return new Promise((resolve, reject) => {
    const take = (chunk: Buffer): void => {
      text += chunk.toString('latin1');
      if (text.split(String.fromCharCode(endFlag)).length <= count) return;
      socket.off('data', take);
      socket.resume();
      if (text.match(/ 200 OK\r\n/g)?.length === count) resolve();
      else reject(new Error(`not every session was bound: ${text.slice(0, 200)}`));
    };
    socket.on('data', take);
  });
}

/** Closes all of them. */
async function close(): Promise<void> {
  const open = sockets.splice(0);
  for (const socket of open) socket.destroy();
  await Promise.all(open.filter(({closed}) => !closed).map((socket) => once(socket, 'close')));
}

const services = {open, close};
export type IdleServices = typeof services;
serve(services);
