import {spawn} from 'node:child_process';
import {createHash} from 'node:crypto';
import {closeSync, existsSync, openSync, readFileSync} from 'node:fs';
import {mkdir, readFile, rename, rm, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {createInterface} from 'node:readline';
import {CpmError} from '../errors.ts';
import {pause, type Clock} from '../ports/clock.ts';
import type {Log} from '../ports/log.ts';

/** A process that the PF starts, that outlives a killed PF, and that the next PF finds again by its file in the runtime directory. */
export interface OwnProcess {
  /** What it said when it was ready: its first line on standard output, one JSON object. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** Whether it runs since an earlier life of the PF. */
  readonly taken: boolean;
  /** Ends it and forgets it; bounded, idempotent. */
  stop(): Promise<void>;
}

export interface OwnProcessOptions {
  /** `sip-server`: names its files and log lines. */
  readonly name: string;
  /** The script that Node runs. */
  readonly script: string;
  /** Its only argument, as JSON. A running one with another argument is replaced. */
  readonly argument: object;
  /** The argument for starting it again in the place of one that was ready so: the same ports, where they were free ones. */
  readonly again?: (ready: Readonly<Record<string, unknown>>) => object;
  readonly runtimeDirectory: string;
  readonly clock: Clock;
  readonly log: Log;
  /** It died and was started again. */
  readonly onRestart?: (ready: Readonly<Record<string, unknown>>) => void;
}

interface ProcessRecord {
  readonly pid: number;
  readonly fingerprint: string;
  readonly ready: Readonly<Record<string, unknown>>;
}

const readyMilliseconds = 10_000;
const endMilliseconds = 5000;
const watchMilliseconds = 500;
const longestPause = 10_000;

/**
 * Finds the process that an earlier life left, or starts it, and starts it again whenever it dies.
 * @throws CpmError `CPM_PROCESS` (500) when it does not become ready; its standard error is in `NAME.log` beside its file.
 */
export async function ensureOwnProcess(options: OwnProcessOptions): Promise<OwnProcess> {
  const {name, runtimeDirectory, argument, clock, log} = options;
  await mkdir(runtimeDirectory, {recursive: true, mode: 0o700});
  const file = path.join(runtimeDirectory, `${name}.json`);
  const fingerprint = createHash('sha256')
    .update(JSON.stringify([options.script, argument]))
    .digest('hex');
  let current = await readRecord(file);
  let taken = false;
  if (current !== undefined && isAlive(current.pid, options.script)) {
    if (current.fingerprint === fingerprint) {
      taken = true;
      log.info({process: name, pid: current.pid}, 'a process of an earlier life is taken over');
    } else {
      await end(current.pid, options.script, clock);
      current = undefined;
    }
  } else {
    current = undefined;
  }

  let stopped = false;
  let failures = 0;
  let running = current ?? (await start(argument));

  async function start(started: object): Promise<ProcessRecord> {
    const record = {...(await launch({...options, argument: started})), fingerprint};
    await writeFile(`${file}.new`, JSON.stringify(record), {mode: 0o600});
    await rename(`${file}.new`, file);
    log.info({process: name, pid: record.pid}, 'a process is started');
    return record;
  }

  function watch(): void {
    clock.after(failures === 0 ? watchMilliseconds : Math.min(longestPause, watchMilliseconds * 2 ** failures), () => {
      if (stopped) return;
      if (isAlive(running.pid, options.script)) {
        failures = 0;
        watch();
        return;
      }

      log.warn({process: name, pid: running.pid}, 'a process died; it is started again');
      start(options.again?.(running.ready) ?? argument)
        .then((record) => {
          running = record;
          failures = 0;
          options.onRestart?.(record.ready);
        })
        .catch((error: unknown) => {
          failures += 1;
          log.error({process: name, error}, 'a process could not be started');
        })
        .finally(watch);
    });
  }

  watch();
  return {
    get ready() {
      return running.ready;
    },
    taken,
    async stop() {
      if (stopped) return;
      stopped = true;
      await end(running.pid, options.script, clock);
      await rm(file, {force: true});
    },
  };
}

async function readRecord(file: string): Promise<ProcessRecord | undefined> {
  try {
    const record: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (typeof record !== 'object' || record === null || !('pid' in record) || !('fingerprint' in record))
      return undefined;
    const {pid} = record;
    return typeof pid === 'number' ? (record as ProcessRecord) : undefined;
  } catch {
    // Absent, or cut by a kill while it was written: then there is nothing to take over.
    return undefined;
  }
}

async function launch({
  name,
  script,
  argument,
  runtimeDirectory,
  clock,
}: OwnProcessOptions): Promise<Omit<ProcessRecord, 'fingerprint'>> {
  const errors = openSync(path.join(runtimeDirectory, `${name}.log`), 'a', 0o600);
  // Detached: a signal to the PF's group must not reach it, it has calls to finish.
  const child = spawn(process.execPath, [script, JSON.stringify(argument)], {
    detached: true,
    stdio: ['ignore', 'pipe', errors],
  });
  closeSync(errors);
  const {stdout} = child;
  if (stdout === null) throw new CpmError('CPM_PROCESS', 500, `${name} has no standard output`);
  const ready = await new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
    const fail = (why: string): void => {
      child.kill('SIGKILL');
      reject(new CpmError('CPM_PROCESS', 500, `${name} ${why}; see ${name}.log in the runtime directory`));
    };
    const timer = clock.after(readyMilliseconds, () => {
      fail('did not become ready');
    });
    child.once('error', (error) => {
      fail(`could not be started: ${error.message}`);
    });
    child.once('exit', (code) => {
      timer.cancel();
      fail(`ended with status ${code ?? 'none'} before it was ready`);
    });
    createInterface({input: stdout}).once('line', (line) => {
      timer.cancel();
      child.removeAllListeners('exit');
      try {
        resolve(JSON.parse(line) as Readonly<Record<string, unknown>>);
      } catch {
        fail('said something else than JSON');
      }
    });
  });
  stdout.destroy();
  child.unref();
  if (child.pid === undefined) throw new CpmError('CPM_PROCESS', 500, `${name} has no process id`);
  return {pid: child.pid, ready};
}

/** Alive, and still the same program: process ids come round again. */
function isAlive(pid: number, script: string): boolean {
  try {
    process.kill(pid, 0);
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(script) && !isZombie(pid);
  } catch (error) {
    // No /proc on this system: the signal's word has to do.
    return (error as NodeJS.ErrnoException).code === 'ENOENT' && !existsSync('/proc/self');
  }
}

const isZombie = (pid: number): boolean => readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');

async function end(pid: number, script: string, clock: Clock): Promise<void> {
  const deadline = clock.now() + endMilliseconds;
  for (let signal: NodeJS.Signals = 'SIGTERM'; isAlive(pid, script);) {
    try {
      process.kill(pid, signal);
    } catch {
      return;
    }

    await pause(clock, 50);
    if (clock.now() > deadline) signal = 'SIGKILL';
  }
}
