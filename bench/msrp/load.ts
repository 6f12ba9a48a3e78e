/** A process that is the phones of a benchmark: senders with so many SENDs under way each, and receivers that answer. */
import {createServer, type AddressInfo, type Server} from 'node:net';
import {setTimeout as wait} from 'node:timers/promises';
import {cpuSeconds} from '../cpu.ts';
import {percentile} from '../figure.ts';
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

export interface PaceOptions extends FrameShape {
  /** SENDs a second, of all sessions in turn. */
  readonly rate: number;
  readonly seconds: number;
}

const servers: Server[] = [];
const receivers = new Set<Receiver>();
/** When the SENDs of each session that are under way were due, and how long those took that came, ms. */
const written: number[][] = [];
const taken: number[] = [];
const senders: {readonly sender: Sender; readonly session: Session}[] = [];
let window = 0;

/** Listens on so many ports, one for each receiver; gives their numbers. */
async function listen(count: number): Promise<readonly number[]> {
  const ports: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const underWay: number[] = [];
    written.push(underWay);
    const server = createServer((socket) => {
      let before = 0;
      const receiver = new Receiver(socket, () => {
        const now = underWay.length === 0 ? 0 : performance.now();
        for (const begin of underWay.splice(0, receiver.received - before)) taken.push(now - begin);
        before = receiver.received;
      });
      receivers.add(receiver);
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

/** Sends one SEND after the other at an even rate; the 99th percentile of the time from when each was due to its receiver, ms. */
async function pace({rate, seconds, ...shape}: PaceOptions): Promise<number> {
  const mostUnderWay = 64;
  for (const {sender, session} of senders) sender.shape(ringOf(session, shape, mostUnderWay));
  window = 0;
  taken.length = 0;
  const begin = performance.now();
  const end = begin + seconds * 1000;
  for (let sent = 0, now = begin; now < end; now = performance.now()) {
    // Never ahead of time, and one at a time: a timer would send them in bursts.
    const index = sent % senders.length;
    const sender = senders[index]?.sender;
    if (sent <= ((now - begin) / 1000) * rate && sender !== undefined && sender.pending < mostUnderWay) {
      written[index]?.push(begin + (sent / rate) * 1000);
      sender.send(1);
      sent += 1;
    }
    await nextTurn();
  }
  await drained();
  return percentile(taken, 0.99);
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

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

const services = {listen, connect, run, pace};
export type LoadServices = typeof services;
serve(services);
