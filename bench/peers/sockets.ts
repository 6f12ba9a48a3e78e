/** The least that a process in Node can keep of a connection: its socket. */
import {createServer, type AddressInfo} from 'node:net';
import {serve} from '../worker.ts';

/** Accepts connections and keeps them; gives the port. */
async function accept(): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen({port: 0, host: '127.0.0.1', backlog: 1024}, resolve));
  return (server.address() as AddressInfo).port;
}

const services = {accept};
export type SocketServices = typeof services;
serve(services);
