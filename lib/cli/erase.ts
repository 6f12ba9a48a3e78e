import {Command} from 'commander';
import {exitStatus} from '../main.ts';
import type {EraseReport} from '../ports/operator.ts';
import type {Done} from './done.ts';
import {askRunning, operatorName} from './running.ts';

/** `erase USER`: removes everything kept of a user, and says what it was. */
export function eraseCommand(done: Done): Command {
  return new Command('erase')
    .description('remove everything kept of a user, messages that wait included')
    .argument('<user>', 'an address of his')
    .requiredOption('--config <file>', 'the configuration the PF was started with')
    .option('--json', 'print one JSON object')
    .action(async (user: string, {config, json}: {config: string; json?: true}) => {
      const report = await askRunning<EraseReport>(config, '/erase', {user, who: operatorName()});
      if (report !== undefined) process.stdout.write(json === true ? `${JSON.stringify(report)}\n` : table(report));
      done(report === undefined ? exitStatus.cannotStart : exitStatus.ended);
    });
}

function table({messagesTo, messagesFrom, recorded, groups, registrations, identities, kept}: EraseReport): string {
  const counts = {
    'messages to': messagesTo,
    'messages from': messagesFrom,
    recorded,
    groups,
    registrations,
    identities,
  };
  const rows = Object.entries({...counts, ...(kept.length === 0 ? {} : {'kept by': kept.join(', ')})});
  return rows.map(([what, value]) => `${what.padEnd(14)} ${value}\n`).join('');
}
