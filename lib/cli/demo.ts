import {Command} from 'commander';
import {exitStatus} from '../main.ts';
import type {Done} from './done.ts';

/** `demo`: two phones, one of them off, on this machine alone; status 1 if any message is missing at the end. */
export function demoCommand(done: Done): Command {
  return new Command('demo')
    .description('play a chat with a phone that is off, on this machine alone')
    .option('--scenario <name>', 'which story; the first of the list if none is named')
    .option('--list', 'say which there are')
    .option('--json', 'print one JSON object a line, the last one a summary')
    .action(async ({scenario: name, list, json}: {scenario?: string; list?: true; json?: true}) => {
      const {scenarios} = await import('../demo/scenarios.ts');
      if (list === true) {
        for (const {name: each, title} of scenarios) process.stdout.write(`${each.padEnd(12)} ${title}\n`);
        done(exitStatus.ended);
        return;
      }
      const scenario = name === undefined ? scenarios[0] : scenarios.find((each) => each.name === name);
      if (scenario === undefined) {
        process.stderr.write(`there is no scenario ${String(name)}; --list names what there is\n`);
        done(exitStatus.usage);
        return;
      }
      const {runDemo} = await import('../demo/demo.ts');
      done(await runDemo({scenario, json: json === true, out: process.stdout}));
    });
}
