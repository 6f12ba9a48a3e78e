import {Command} from 'commander';
import {isReady} from '../adapters/http/admin.ts';
import type {AdminStatus} from '../adapters/http/admin.ts';
import {exitStatus} from '../main.ts';
import {askRunning} from './running.ts';
import type {Done} from './done.ts';

/** `status`: what the running PF says of itself; status 0 when it is ready, 1 when it is not, 69 when there is none. */
export function statusCommand(done: Done): Command {
  return new Command('status')
    .description('ask the running Participating Function how it is')
    .requiredOption('--config <file>', 'the configuration it was started with')
    .option('--json', 'print one JSON object')
    .action(async ({config: file, json}: {config: string; json?: true}) => {
      const status = await askRunning<AdminStatus>(file, '/status');
      if (status === undefined) {
        done(exitStatus.cannotStart);
        return;
      }
      process.stdout.write(json === true ? `${JSON.stringify(status)}\n` : table(status));
      done(isReady(status) ? exitStatus.ended : exitStatus.notReady);
    });
}

function table({node, version, pid, state, parts, load, deliveries, ledger}: AdminStatus): string {
  const {sessions = 0, over = []} = load ?? {};
  const refused = Object.values(load?.refused ?? {}).reduce((sum, count) => sum + count, 0);
  const limits = over.length === 0 ? {} : {over: over.join(' ')};
  const rows = Object.entries({
    node,
    version,
    pid,
    state,
    ...parts,
    sessions,
    refused,
    ...limits,
    parked: deliveries?.parked ?? 0,
    ...ledger,
  });
  return rows.map(([key, value]) => `${key.padEnd(10)} ${value}\n`).join('');
}
