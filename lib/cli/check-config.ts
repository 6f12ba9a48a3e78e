import {Command} from 'commander';
import {readConfigFile} from '../config/load.ts';
import {warningsOf} from '../config/warnings.ts';
import {loadPlugins} from '../plugins.ts';
import type {Done} from './done.ts';

/** `check-config FILE`: the mistakes of a configuration (status 78), or its warnings. */
export function checkConfigCommand(done: Done): Command {
  return new Command('check-config')
    .description('check a configuration file')
    .argument('<file>', 'YAML configuration')
    .action(async (file: string) => {
      const read = readConfigFile(file, process.env);
      await loadPlugins(read);
      for (const warning of warningsOf(read.config)) process.stdout.write(`${file}: warning: ${warning}\n`);
      process.stdout.write(`${file}: ok\n`);
      done(0);
    });
}
