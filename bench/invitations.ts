/** P7: calls set up and ended through the PF, beside a bare back-to-back user agent on the same SIP server. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';
import {freePort} from '../lib/demo/pf-process.ts';
import {Cleanup, scaled, type Bench, type Effort} from './bench.ts';
import type {Figure} from './figure.ts';
import type {B2buaServices} from './peers/b2bua.ts';
import {benchT1, startBenchPf, comparedByClock} from './pf.ts';
import {endOf, startWorker} from './worker.ts';

const inFlight = 16;

/** The embedded SIP server, as the PF starts it; gives its SIP URI and its admin side. */
async function startSipServer() {
  const port = await freePort();
  const secret = 'bench';
  const main = fileURLToPath(new URL('../lib/embedded-drachtio/main.js', import.meta.url));
  const contacts = [`udp:127.0.0.1:${port}`, `tcp:127.0.0.1:${port}`];
  const child = spawn(
    process.execPath,
    [main, JSON.stringify({adminPort: 0, secret, contacts, timers: {t1Ms: benchT1}})],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const {adminPort} = JSON.parse(line) as {readonly adminPort: number};
  return {
    uri: `sip:127.0.0.1:${port};transport=tcp`,
    admin: {host: '127.0.0.1', port: adminPort, secret},
    stop: () => endOf(child),
  };
}

async function run(effort: Effort): Promise<Figure> {
  const cleanup = new Cleanup();
  try {
    const pf = cleanup.add(await startBenchPf());
    const server = cleanup.add(await startSipServer());
    const bare = cleanup.add(startWorker<B2buaServices>('peers/b2bua.js'));
    await bare.call('connect', server.admin);
    const {phones} = pf;
    const count = scaled(inFlight, effort);
    await phones.call('attend', count);
    const through = (uri: string) => async () => {
      await phones.call('aim', uri);
      return phones.call('calls', effort.seconds);
    };
    const [ours, peer] = [through(pf.uri), through(server.uri)];
    return {
      ...(await comparedByClock(phones, 0.8, {warm: 2, rounds: effort.rounds}, ours, peer)),
      wanted: 'at least',
      unit: 'calls per second',
      conditions: `${count} calls under way at a time, each ended as soon as it stands, no MSRP connections`,
    };
  } finally {
    await cleanup.run();
  }
}

export const invitations: Bench = {
  key: 'P7',
  title: 'INVITE set-up and BYE through the PF ÷ a bare createB2BUA on the same server',
  effort: {rounds: 7, seconds: 2, scale: 1},
  run,
};
