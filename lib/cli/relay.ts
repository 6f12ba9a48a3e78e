import {Command} from 'commander';
import {relayArgument} from '../adapters/sidecar/relay-argument.ts';
import {loadConfig} from '../config/load.ts';
import {exitStatus, processLog} from '../main.ts';
import type {Done} from './done.ts';

/** `relay --config FILE`: an MSRP relay sidecar in the foreground, until a signal; PF nodes name it in `relay.sidecars`. */
export function relayCommand(done: Done): Command {
  return new Command('relay')
    .description('run an MSRP relay sidecar alone, in the foreground')
    .requiredOption('--config <file>', 'YAML configuration: its section relay')
    .action(async ({config: file}: {config: string}) => {
      const config = loadConfig(file, process.env);
      const {runRelay} = await import('../sidecar/main.ts');
      try {
        // Nobody started it, so that nobody's absence ends it.
        const options = {...relayArgument(config, config.relay.control), exitWhenOrphanedSeconds: undefined};
        await runRelay(options, processLog(config, 'relay'));
      } catch (error) {
        processLog(config, 'relay').error({error}, 'the start failed');
        done(exitStatus.cannotStart);
      }
    });
}
