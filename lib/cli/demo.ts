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
    .action(async ({scenario: asked, list, json}: {scenario?: string; list?: true; json?: true}) => {
      const {scenarios} = await import('../demo/scenarios.ts');
      if (list === true) {
        // At once: who reads the first lines alone may be gone before the next ones.
        process.stdout.write(scenarios.map(({name, title}) => `${name.padEnd(12)} ${title}\n`).join(''));
        done(exitStatus.ended);
        return;
      }
      const name = asked ?? scenarios[0].name;
      const scenario = scenarios.find((each) => each.name === name);
      if (scenario === undefined) {
        process.stderr.write(`there is no scenario ${name}; --list names what there is\n`);
        done(exitStatus.usage);
        return;
      }
      const {runDemo} = await import('../demo/demo.ts');
      done(await runDemo({scenario, json: json === true, out: process.stdout}));
    });
}
