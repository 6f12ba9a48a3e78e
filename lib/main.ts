import {isReady, startAdmin} from './adapters/http/admin.ts';
import type {AdminStatus} from './adapters/http/admin.ts';
import type {ReloadableApp} from './app.ts';
import {changedKeys, isReloadable, withReloaded} from './config/changes.ts';
import type {Config} from './config/load.ts';
import {ConfigError} from './config/mistakes.ts';
import {createLog, type ProcessLog} from './log.ts';
import type {Log} from './ports/log.ts';
import {packageVersion} from './version.ts';

/** With what a process of ours ends (docs/operations.md). */
export const exitStatus = {ended: 0, notReady: 1, usage: 64, cannotStart: 69, bug: 70, configuration: 78} as const;

/** Something that runs until it is told to end. */
export interface Running {
  drain(): Promise<void>;
  /** Reads its configuration anew, where it can. Never throws. */
  reload?(): void;
}

export interface ProcessOptions {
  readonly log: Log;
  /** After a signal, draining may take so long; then the process ends as it is. */
  readonly drainMilliseconds: number;
  readonly start: () => Promise<Running>;
}

/**
 * The life of a process of ours: starts, waits for SIGTERM or SIGINT, drains, and ends, whatever a part of it may still hold open; SIGHUP reads
 * its configuration anew. A second signal to end, a drain that takes too long, and an error that nobody caught end it at once: what it leaves
 * behind is taken over by the next.
 */
export async function runProcess({log, drainMilliseconds, start}: ProcessOptions): Promise<never> {
  const die = (error: unknown): void => {
    log.error({error, code: 'CPM_UNCAUGHT'}, 'an error that nobody caught ends the process');
    process.exit(exitStatus.bug);
  };
  process.on('uncaughtException', die).on('unhandledRejection', die);
  const signalled = firstSignal(() => {
    log.warn({}, 'a second signal: ending without waiting for the drain');
    process.exit(exitStatus.notReady);
  });

  let running: Running | undefined;
  process.on('SIGHUP', () => {
    if (running?.reload === undefined) log.info({}, 'SIGHUP changes nothing here, or not yet');
    else running.reload();
  });
  try {
    running = await start();
  } catch (error) {
    log.error({error}, 'the start failed');
    process.exit(exitStatus.cannotStart);
  }

  log.info({signal: await signalled}, 'draining');
  const overdue = setTimeout(() => {
    log.error({code: 'CPM_DRAIN_OVERDUE'}, 'the drain took too long');
    process.exit(exitStatus.bug);
  }, drainMilliseconds);
  await running.drain();
  clearTimeout(overdue);
  log.info({}, 'ended');
  process.exit(exitStatus.ended);
}

export interface NodeOptions {
  readonly config: Config;
  readonly log: ProcessLog;
  readonly startApp: () => Promise<ReloadableApp>;
  /** Reads the configuration anew; throws `ConfigError`. */
  readonly reread: () => Config;
}

/** The Participating Function with its admin endpoint, which answers from before the start until after the drain. */
export async function startNode({config, log, startApp, reread}: NodeOptions): Promise<Running> {
  let state: AdminStatus['state'] = 'starting';
  let app: ReloadableApp | undefined;
  let inForce = config;
  const startedAt = Date.now();
  const status = () => ({
    node: config.node.name,
    version: packageVersion(),
    pid: process.pid,
    startedAt,
    state,
    parts: app?.ready(),
    load: app?.load(),
    deliveries: app?.deliveries(),
  });

  const admin = await startAdmin({
    ...config.admin,
    runtimeDirectory: config.node.runtimeDirectory,
    status,
    ledger: () => app?.ledger() ?? Promise.resolve(undefined),
    operator: () => app?.operator,
    relays: () => app?.relays() ?? Promise.resolve([]),
  });
  try {
    app = await startApp();
  } catch (error) {
    await admin.close();
    throw error;
  }
  state = 'running';
  log.info({admin: admin.url, ready: isReady(status()), ...app.ready()}, 'the Participating Function runs');

  const runningApp = app;
  return {
    reload() {
      const next = readAnew(reread, log);
      if (next === undefined) return;
      const changed = changedKeys(inForce, next);
      inForce = withReloaded(inForce, next);
      log.setLevel(inForce.log.level);
      runningApp.reload(inForce);
      for (const key of changed.filter((one) => !isReloadable(one)))
        log.warn({key}, 'a key has changed that counts from the next start on');
      log.info({changed: changed.filter(isReloadable).join(' ')}, 'the configuration was read anew');
    },
    async drain() {
      state = 'draining';
      await runningApp.drain();
      await admin.close();
    },
  };
}

/** Undefined where it has mistakes: each is logged with its place, and what is in force stays so. */
function readAnew(reread: () => Config, log: Log): Config | undefined {
  try {
    return reread();
  } catch (error) {
    const mistakes = error instanceof ConfigError ? error.mistakes : [];
    for (const {file, line, key, sentence} of mistakes) log.error({code: 'CPM_CONFIG', file, line, key}, sentence);
    log.error(mistakes.length === 0 ? {error} : {}, 'the new configuration cannot be used; the one in force stays');
    return undefined;
  }
}

/** The log of a process of this configuration. */
export function processLog(config: Config, part: 'pf' | 'relay'): ProcessLog {
  return createLog({level: config.log.level, base: {node: config.node.name, part}});
}

/** Resolves with the first SIGTERM or SIGINT; any later one calls `again`. */
function firstSignal(again: () => void): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let taken = false;
    const take = (signal: NodeJS.Signals): void => {
      if (taken) again();
      taken = true;
      resolve(signal);
    };
    process.on('SIGTERM', take).on('SIGINT', take);
  });
}
