#!/usr/bin/env node
import {Command, CommanderError} from 'commander';
import {checkConfigCommand} from './cli/check-config.ts';
import {clauseCommand} from './cli/clause.ts';
import {demoCommand} from './cli/demo.ts';
import {eraseCommand} from './cli/erase.ts';
import {groupsCommand} from './cli/groups.ts';
import {queueCommand} from './cli/queue.ts';
import {recordedCommand} from './cli/recorded.ts';
import {relayCommand} from './cli/relay.ts';
import {startCommand} from './cli/start.ts';
import {statusCommand} from './cli/status.ts';
import {whereCommand} from './cli/where.ts';
import {ConfigError} from './config/mistakes.ts';
import {exitStatus} from './main.ts';
import {packageVersion} from './version.ts';

/** `cpm-pf`: each command is a file of lib/cli, and answers the exit status. */
const program = new Command('cpm-pf')
  .description('CPM Participating Function: keeps RCS chat while the phone is off, and hands it over when it is back.')
  .version(packageVersion())
  .exitOverride()
  .configureHelp({showGlobalOptions: true});

const commands = [
  ...[startCommand, relayCommand, checkConfigCommand, statusCommand, whereCommand, queueCommand, eraseCommand],
  ...[recordedCommand, groupsCommand, demoCommand, clauseCommand],
];
for (const command of commands) program.addCommand(command((status) => (process.exitCode = status)).exitOverride());

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = statusOf(error);
}

/** Commander has printed its own; a mistake in the configuration is printed as compilers do. */
function statusOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitStatus.ended : exitStatus.usage;
  if (error instanceof ConfigError) {
    process.stderr.write(`${error.message}\n`);
    return exitStatus.configuration;
  }
  throw error;
}
