import {readFile, mkdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {CpmError} from '../../errors.ts';
import type {Clock} from '../../ports/clock.ts';
import type {Ids} from '../../ports/ids.ts';
import type {Log} from '../../ports/log.ts';
import {ensureOwnProcess, type OwnProcess} from '../own-process.ts';
import type {DrachtioAddress} from './keep-connecting.ts';

export interface EmbeddedServerOptions {
  readonly host: string;
  readonly port: number;
  readonly adminPort: number;
  readonly t1Milliseconds: number;
  readonly runtimeDirectory: string;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
}

export interface EmbeddedServerProcess {
  readonly address: DrachtioAddress;
  stop(): Promise<void>;
}

const script = fileURLToPath(new URL('../../embedded-drachtio/main.js', import.meta.url));
/** How long the server keeps the dialogs of a killed PF before it ends, too. */
const idleSeconds = 300;

/**
 * Starts the stand-in SIP server, or finds the one that an earlier life of this node left, dialogs and all.
 * @throws CpmError `CPM_PROCESS` (500) when it does not start.
 */
export async function ensureEmbeddedServer(options: EmbeddedServerOptions): Promise<EmbeddedServerProcess> {
  const {host, port, adminPort, runtimeDirectory} = options;
  const secret = await ownSecret(runtimeDirectory, options.ids);
  const process: OwnProcess = await ensureOwnProcess({
    ...options,
    name: 'sip-server',
    script,
    argument: {
      adminPort,
      secret,
      contacts: [`udp:${host}:${port}`, `tcp:${host}:${port}`],
      exitWhenIdleSeconds: idleSeconds,
      timers: {t1Ms: options.t1Milliseconds},
    },
    again: (ready) => ({
      adminPort: ready['adminPort'],
      secret,
      contacts: ready['contacts'],
      exitWhenIdleSeconds: idleSeconds,
      timers: {t1Ms: options.t1Milliseconds},
    }),
  });
  const {adminPort: admin} = process.ready;
  if (typeof admin !== 'number') throw new CpmError('CPM_PROCESS', 500, 'the embedded SIP server names no admin port');
  return {address: {host: '127.0.0.1', port: admin, secret}, stop: async () => process.stop()};
}

/** Known to this node's lives only: whoever has it can place calls. */
async function ownSecret(runtimeDirectory: string, ids: Ids): Promise<string> {
  const file = path.join(runtimeDirectory, 'sip-server.secret');
  await mkdir(runtimeDirectory, {recursive: true, mode: 0o700});
  try {
    await writeFile(file, ids.token(), {mode: 0o600, flag: 'wx'});
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }

  return readFile(file, 'utf8');
}
