/** Independent programs of the machine, as peers in tests: found when a test file is loaded, started, watched, ended by their id. */
import {spawn, spawnSync, type ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import test, {type ExecutionContext, type TestFn} from 'ava';

/** `test`, or `test.skip` where a program is missing; the title then says which. */
export function testWith(
  programs: readonly string[],
): (title: string, run: (t: ExecutionContext) => Promise<void>) => void {
  const missing = programs.filter((program) => spawnSync('which', [program]).status !== 0);
  const declare: TestFn | TestFn['skip'] = missing.length === 0 ? test : test.skip;
  const why = missing.length === 0 ? '' : ` (skipped: ${missing.join(', ')} not installed)`;
  return (title, run) => {
    declare(`${title}${why}`, run);
  };
}

export interface Program {
  readonly process: ChildProcess;
  /** All that it printed so far, both streams. */
  output(): string;
  /** Resolves with its exit status once it ended. */
  readonly status: Promise<number | null>;
  /** Resolves once it printed something that fits; rejects when it ends before. */
  printed(fits: RegExp): Promise<void>;
  /** SIGTERM, and its end. */
  stop(): Promise<void>;
}

/** Starts a program; it ends with the test at the latest. */
export function startProgram(t: ExecutionContext, command: string, args: readonly string[], cwd?: string): Program {
  const child = spawn(command, args, {stdio: ['ignore', 'pipe', 'pipe'], ...(cwd === undefined ? {} : {cwd})});
  let output = '';
  const watchers = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      for (const watch of [...watchers]) watch();
    });
  }
  const status = once(child, 'close').then(([code]) => code as number | null);
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill();
    await status;
  };
  t.teardown(stop);
  return {
    process: child,
    output: () => output,
    status,
    stop,
    printed: (fits) =>
      Promise.race([
        new Promise<void>((resolve) => {
          const watch = (): void => {
            if (!fits.test(output)) return;
            watchers.delete(watch);
            resolve();
          };
          watchers.add(watch);
          watch();
        }),
        status.then((code) => {
          if (!fits.test(output)) throw new Error(`${command} ended with ${code ?? 'a signal'}:\n${output}`);
        }),
      ]),
  };
}
