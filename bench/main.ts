/** `npm run bench [-- [P1 P4 …] [--json FILE] [--list]]`: measures, prints, and writes what it measured. */
import {mkdirSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {Command} from 'commander';
import type {Bench} from './bench.ts';
import {benches} from './benches.ts';
import type {Figure} from './figure.ts';

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function show({key, title}: Bench, figure: Figure): void {
  const round = (value: number) => Number(value.toPrecision(3)).toLocaleString('en');
  const less = figure.wanted === 'at most';
  const reached = less ? figure.ratio <= figure.goal : figure.ratio >= figure.goal;
  say(`${key} ${title}`);
  say(
    `  ratio ${round(figure.ratio)} (${figure.wanted} ${figure.goal}: ${figure.void ?? (reached ? 'reached' : 'not reached')})`,
  );
  say(`  ours ${round(figure.ours)}, peer ${round(figure.peer)} ${figure.unit}`);
  for (const [name, {ratio, ours, peer, goal}] of Object.entries(figure.parts ?? {}))
    say(`  ${name}: ${round(ratio)} (goal ${goal}): ${round(ours)} ÷ ${round(peer)}`);
  say(`  ${figure.conditions}`);
  say(`  client: ${figure.client}`);
}

async function measure(keys: readonly string[], {json}: {readonly json?: string}): Promise<void> {
  const unknown = keys.find((key) => !benches.some((bench) => bench.key === key));
  if (unknown !== undefined) throw new Error(`there is no ${unknown}; --list names what there is`);
  const figures: Record<string, Figure> = {};
  for (const bench of benches) {
    if (keys.length > 0 && !keys.includes(bench.key)) continue;
    const missing = bench.missing?.();
    if (missing === undefined) {
      const figure = await bench.run(bench.effort, (line) => {
        say(`  … ${bench.key} ${line}`);
      });
      show(bench, figure);
      figures[bench.key] = figure;
    } else say(`${bench.key} not measured: ${missing}`);
  }
  if (json === undefined) return;
  mkdirSync(path.dirname(json), {recursive: true});
  writeFileSync(json, `${JSON.stringify(figures, undefined, 1)}\n`);
}

await new Command('npm run bench --')
  .description('Measures this package beside others, each figure a ratio of two that were taken in turns.')
  .argument('[keys...]', 'which ones: P1 P4; all of them without')
  .option('--json <file>', 'write the figures there')
  .option('--list', 'say what is measured')
  .action(async (keys: readonly string[], options: {readonly json?: string; readonly list?: boolean}) => {
    if (options.list === true) for (const {key, title} of benches) say(`${key} ${title}`);
    else await measure(keys, options);
  })
  .parseAsync();
