/** `npm run bench [-- [P1 P4 …] [--json FILE] [--list]]`: measures, prints, and writes what it measured. */
import {mkdirSync, writeFileSync} from 'node:fs';
import {cpus, loadavg, release} from 'node:os';
import path from 'node:path';
import {Command} from 'commander';
import {endUnfinished, type Bench} from './bench.ts';
import {benches} from './benches.ts';
import {lines, type Measured} from './report.ts';

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Where and when, and how busy the machine was before. */
function circumstances(): string {
  const [cpu] = cpus();
  const [load = 0] = loadavg();
  const machine = `${cpus().length} × ${cpu?.model ?? 'unknown'}, Linux ${release()}, Node ${process.version}`;
  return `${new Date().toISOString().slice(0, 16)} UTC, ${machine}, load ${load.toFixed(1)} before`;
}

async function measure(bench: Bench): Promise<Measured> {
  const measured = circumstances();
  const figure = await bench.run(bench.effort, (line) => {
    say(`  … ${bench.key} ${line}`);
  });
  return {title: bench.title, ...figure, measured};
}

async function measureAll(keys: readonly string[], {json}: {readonly json?: string}): Promise<void> {
  const figures: Record<string, Measured> = {};
  for (const bench of benches.filter(({key}) => keys.length === 0 || keys.includes(key))) {
    const missing = bench.missing?.();
    if (missing === undefined) {
      const measured = await measure(bench);
      for (const line of lines(bench.key, measured)) say(line);
      figures[bench.key] = measured;
    } else say(`${bench.key} not measured: ${missing}`);
  }
  if (json === undefined) return;
  mkdirSync(path.dirname(json), {recursive: true});
  writeFileSync(json, `${JSON.stringify(figures, sixDigits, 1)}\n`);
}

/** More digits say nothing. */
const sixDigits = (_: string, value: unknown): unknown =>
  typeof value === 'number' ? Number(value.toPrecision(6)) : value;

for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    void endUnfinished().finally(() => process.exit(130));
  });

const command = new Command('npm run bench --');
await command
  .description('Measures this package beside others, each figure a ratio of two that were taken in turns.')
  .argument('[keys...]', 'which ones: P1 P4; all of them without')
  .option('--json <file>', 'write the figures there')
  .option('--list', 'say what is measured')
  .action(async (keys: readonly string[], options: {readonly json?: string; readonly list?: boolean}) => {
    const unknown = keys.find((key) => !benches.some((bench) => bench.key === key));
    if (unknown !== undefined) command.error(`there is no ${unknown}; --list names what there is`);
    if (options.list === true) for (const {key, title} of benches) say(`${key} ${title}`);
    else await measureAll(keys, options);
  })
  .parseAsync();
