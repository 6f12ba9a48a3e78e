import {Command} from 'commander';
import type {Done} from './done.ts';

/** `demo`: two phones, one of them off, on this machine alone; status 1 if any message is missing at the end. */
export function demoCommand(done: Done): Command {
  return new Command('demo')
    .description('play a chat with a phone that is off, on this machine alone')
    .option('--json', 'print one JSON object a line, the last one a summary')
    .action(async ({json}: {json?: true}) => {
      const {runDemo} = await import('../demo/demo.ts');
      done(await runDemo({json: json === true, out: process.stdout}));
    });
}
