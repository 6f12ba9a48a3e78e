/** The least that a relay in Node can do: each connection is piped to one of its own, and back. */
import {connect, createServer, type AddressInfo} from 'node:net';
import {serve} from '../worker.ts';

/** Listens once for each of these ports on loopback, and pipes what comes to it; gives its own ports in the same order. */
async function pipeTo(ports: readonly number[]): Promise<readonly number[]> {
  return Promise.all(
    ports.map(async (to) => {
      const server = createServer((a) => {
        const b = connect(to, '127.0.0.1');
        for (const socket of [a, b]) {
          socket.setNoDelay(true);
          socket.on('error', () => undefined);
        }
        a.pipe(b);
        b.pipe(a);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return (server.address() as AddressInfo).port;
    }),
  );
}

const services = {pipeTo};
export type PipeServices = typeof services;
serve(services);
