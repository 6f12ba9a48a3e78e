/** A process that is the phones of a benchmark: senders with so many SENDs under way each, and receivers that answer. */
import {createServer, type AddressInfo, type Server} from 'node:net';
import {setTimeout as wait} from 'node:timers/promises';
import {cpuSeconds} from '../cpu.ts';
import {serve} from '../worker.ts';
import {ringOf, type FrameShape, type Session} from './frames.ts';
import {Receiver} from './receiver.ts';
import {Sender} from './sender.ts';

export interface RunOptions extends FrameShape {
  /** SENDs under way in each session. */
  readonly window: number;
  /** Before it counts, and while. */
  readonly warmSeconds: number;
  readonly seconds: number;
  /** Processes whose processor time is looked at, with all their children. */
  readonly pids: readonly number[];
}

export interface RunResult {
  /** SENDs that reached their receivers while it counted. */
  readonly messages: number;
  readonly seconds: number;
  /** Of the processes that were named. */
  readonly cpuSeconds: number;
  /** Of this process. */
  readonly clientCpuSeconds: number;
}

/** How long answers may be missing when all is sent. */
const drainMilliseconds = 10_000;

const servers: Server[] = [];
const receivers = new Set<Receiver>();
const senders: {readonly sender: Sender; readonly session: Session}[] = [];
let window = 0;

/** Listens on so many ports, one for each receiver; gives their numbers. */
async function listen(count: number): Promise<readonly number[]> {
  const ports: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const server = createServer((socket) => {
      receivers.add(new Receiver(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    servers.push(server);
    ports.push((server.address() as AddressInfo).port);
  }
  return ports;
}

async function connect(sessions: readonly Session[]): Promise<void> {
  for (const session of sessions) {
    const sender = new Sender(session);
    sender.onAnswered = (count) => {
      sender.send(Math.min(count, Math.max(0, window - sender.pending)));
    };
    await sender.connect();
    senders.push({sender, session});
  }
}

const received = (): number => [...receivers].reduce((sum, receiver) => sum + receiver.received, 0);

async function run(options: RunOptions): Promise<RunResult> {
  for (const {sender, session} of senders) sender.shape(ringOf(session, options, options.window));
  window = options.window;
  for (const {sender} of senders) sender.send(window);
  await wait(options.warmSeconds * 1000);
  const before = sample(options.pids);
  await wait(options.seconds * 1000);
  const after = sample(options.pids);
  window = 0;
  await drained();
  return {
    messages: after.received - before.received,
    seconds: after.time - before.time,
    cpuSeconds: after.cpu - before.cpu,
    clientCpuSeconds: after.client - before.client,
  };
}

function sample(pids: readonly number[]) {
  const {user, system} = process.cpuUsage();
  return {
    received: received(),
    cpu: cpuSeconds(pids),
    client: (user + system) / 1e6,
    time: performance.now() / 1000,
  };
}

/** Waits until every SEND is answered, and nothing comes to the receivers any more. */
async function drained(): Promise<void> {
  const deadline = performance.now() + drainMilliseconds;
  for (let before = -1; before !== received() || senders.some(({sender}) => sender.pending > 0);) {
    if (performance.now() > deadline) {
      const pending = senders.reduce((sum, {sender}) => sum + sender.pending, 0);
      throw new Error(`${pending} SENDs have no answer`);
    }
    before = received();
    await wait(20);
  }
}

const services = {listen, connect, run};
export type LoadServices = typeof services;
serve(services);
