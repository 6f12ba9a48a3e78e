import {Command} from 'commander';
import {openParts, serveNetwork} from '../app.ts';
import {loadConfig, readConfigFile} from '../config/load.ts';
import {warningsOf} from '../config/warnings.ts';
import {loadPlugins} from '../plugins.ts';
import {processLog, runProcess, startNode} from '../main.ts';

/** `start --config FILE`: the Participating Function in the foreground; SIGTERM drains it and ends with 0. */
export function startCommand(): Command {
  return new Command('start')
    .description('run the Participating Function in the foreground')
    .requiredOption('--config <file>', 'YAML configuration')
    .action(async ({config: file}: {config: string}) => {
      const read = readConfigFile(file, process.env);
      const {config} = read;
      const plugins = await loadPlugins(read);
      const log = processLog(config, 'pf');
      for (const warning of warningsOf(config)) log.warn({}, warning);
      const startApp = async () => serveNetwork(await openParts(config, log, plugins));
      const start = () => startNode({config, log, startApp, reread: () => loadConfig(file, process.env)});
      // Sessions have drainSeconds to end by themselves, and as long again to be closed.
      await runProcess({log, drainMilliseconds: 2000 * config.node.drainSeconds + 10_000, start});
    });
}
