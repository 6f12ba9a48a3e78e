import {spawn} from 'node:child_process';
import type {ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import path from 'node:path';

/** A Node process that a test started, with all that it printed. */
export interface Child {
  readonly process: ChildProcess;
  readonly output: () => string;
  /** Resolves when the pattern has been printed, rejects when the process ended without. */
  readonly said: (pattern: RegExp) => Promise<void>;
  /** As `said`, with the first whole line that fits. */
  readonly line: (pattern: RegExp) => Promise<string>;
  /** Resolves with the exit status; that of a signal is its name. */
  readonly ended: Promise<number | string>;
}

/** Runs a compiled file of the project (`test/support/x.ts` is found under dist). */
export function runNode(file: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Child {
  const compiled = path.join('dist', file.replace(/\.ts$/, '.js'));
  const child = spawn(process.execPath, [compiled, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {...process.env, ...env},
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      child.emit('said');
    });
  let gone = false;
  const ended = once(child, 'close').then(([code, signal]: unknown[]) => {
    gone = true;
    return (code ?? signal) as number | string;
  });
  const whole = () => output.split('\n').slice(0, -1);
  async function until<T>(found: () => T | undefined, pattern: RegExp): Promise<T> {
    for (;;) {
      const last = gone;
      const it = found();
      if (it !== undefined) return it;
      if (last) throw new Error(`the process ended without saying ${pattern.source}:\n${output}`);
      await Promise.race([once(child, 'said'), ended]);
    }
  }
  return {
    process: child,
    output: () => output,
    ended,
    async said(pattern) {
      await until(() => pattern.exec(output) ?? undefined, pattern);
    },
    line: (pattern) => until(() => whole().find((line) => pattern.test(line)), pattern),
  };
}
