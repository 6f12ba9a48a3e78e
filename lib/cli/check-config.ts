import {Command} from 'commander';
import {loadConfig} from '../config/load.ts';
import {warningsOf} from '../config/warnings.ts';
import type {Done} from './done.ts';

/** `check-config FILE`: the mistakes of a configuration (status 78), or its warnings. */
export function checkConfigCommand(done: Done): Command {
  return new Command('check-config')
    .description('check a configuration file')
    .argument('<file>', 'YAML configuration')
    .action((file: string) => {
      for (const warning of warningsOf(loadConfig(file, process.env)))
        process.stdout.write(`${file}: warning: ${warning}\n`);
      process.stdout.write(`${file}: ok\n`);
      done(0);
    });
}
