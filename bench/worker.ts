/** Processes of the benchmarks: one end starts them and calls, the other serves the calls. */
import {fork, type ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {fileURLToPath} from 'node:url';

/** What a worker does, by name; each takes one argument and resolves with its result. */
export type Services = Readonly<Record<string, (argument: never) => unknown>>;

export interface Worker<S extends Services> {
  readonly pid: number;
  call<N extends keyof S & string>(name: N, ...argument: Parameters<S[N]>): Promise<Awaited<ReturnType<S[N]>>>;
  /** Ends it; resolves when it is gone. */
  stop(): Promise<void>;
}

interface Call {
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** Starts a file below `bench` (`msrp/load.js`) as a process of its own. */
export function startWorker<S extends Services>(
  file: string,
  {execArgv = [], args = []}: {readonly execArgv?: readonly string[]; readonly args?: readonly string[]} = {},
): Worker<S> {
  const script = fileURLToPath(new URL(file, import.meta.url));
  const child = fork(script, args, {execArgv: [...execArgv], serialization: 'advanced'});
  const waiting = new Map<number, {resolve: (value: unknown) => void; reject: (error: Error) => void}>();
  let calls = 0;
  child.on('message', ({id, result, error}: Answer) => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Error(`${file}: ${error}`));
  });
  child.on('exit', (code, signal) => {
    for (const {reject} of waiting.values()) reject(new Error(`${file} ended with ${code ?? signal ?? 'nothing'}`));
    waiting.clear();
  });
  return {
    pid: pidOf(child),
    call(name, ...[argument]) {
      calls += 1;
      const id = calls;
      return new Promise((resolve, reject) => {
        waiting.set(id, {resolve: resolve as (value: unknown) => void, reject});
        child.send({id, name, argument} satisfies Call);
      });
    },
    stop: () => endOf(child),
  };
}

/** The process id of a child that was started. Throws where it was not. */
export function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error('a process could not be started');
  return child.pid;
}

/** SIGTERM, and SIGKILL to what does not end by itself; resolves when it is gone. */
export async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 3000);
  await once(child, 'exit');
  clearTimeout(late);
}

/** Serves the calls of whoever started this process; it ends with the starter. */
export function serve(services: Services): void {
  process.on('disconnect', () => process.exit(0));
  process.on('message', ({id, name, argument}: Call) => {
    const service = services[name] as ((argument: unknown) => unknown) | undefined;
    Promise.resolve()
      .then(() => service?.(argument))
      .then(
        (result) => process.send?.({id, result} satisfies Answer),
        (error: unknown) =>
          process.send?.({id, error: error instanceof Error ? (error.stack ?? error.message) : String(error)}),
      );
  });
}
