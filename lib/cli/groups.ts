import {Command} from 'commander';
import type {GroupSession} from '../cpm/group-session.ts';
import {exitStatus} from '../main.ts';
import type {KeptGroupState} from '../ports/operator.ts';
import type {Done} from './done.ts';
import {formatGroup, formatGroups, formatGroupStates} from './group-lines.ts';
import {eachPage} from './pages.ts';
import {askRunning, operatorName} from './running.ts';

interface Options {
  readonly config: string;
  readonly json?: true;
  readonly xml?: true;
}

/** `groups list|show`: the groups of a user, or one of them with its history. Status 1 when there is none, 69 when nobody can be asked. */
export function groupsCommand(done: Done): Command {
  const groups = new Command('groups').description('list the groups of a user, or show one of them').exitOverride();
  groups.addCommand(
    asking('list', 'list the groups that are known of a user').action(async (user: string, {config, json}: Options) => {
      let first = true;
      const count = await eachPage(config, 'groups', {user, limit: '1000'}, (items) => {
        if (items.length === 0) return;
        const text = formatGroups(items);
        if (json === true) process.stdout.write(items.map((item) => `${JSON.stringify(item)}\n`).join(''));
        else process.stdout.write(first ? text : text.slice(text.indexOf('\n') + 1));
        first = false;
      });
      if (count === 0) process.stderr.write('no group is known\n');
      done(count === undefined ? exitStatus.cannotStart : count === 0 ? exitStatus.notReady : exitStatus.ended);
    }),
  );
  groups.addCommand(
    asking('show', 'show who takes part in a group, and what is kept of its states')
      .argument('<group>', 'its Contribution-ID')
      .option('--xml', 'with the Group State Objects themselves')
      .action(async (user: string, group: string, options: Options) => {
        done(await show(user, group, options));
      }),
  );
  return groups;
}

const asking = (name: string, description: string): Command =>
  new Command(name)
    .description(description)
    .exitOverride()
    .argument('<user>', 'an address of his')
    .requiredOption('--config <file>', 'the configuration the PF was started with')
    .option('--json', 'print JSON, one object a group');

async function show(user: string, contributionId: string, {config, json, xml}: Options): Promise<number> {
  const where = {user, group: contributionId};
  const known = await askRunning<{readonly group?: GroupSession}>(
    config,
    `/groups?${new URLSearchParams(where).toString()}`,
  );
  if (known === undefined) return exitStatus.cannotStart;
  const {group} = known;
  if (group === undefined) {
    process.stderr.write('no such group is known\n');
    return exitStatus.notReady;
  }

  const states: (KeptGroupState & {readonly xml?: string})[] = [];
  const count = await eachPage(config, 'states', {...where, states: 'true'}, (items) => states.push(...items));
  if (count === undefined) return exitStatus.cannotStart;
  if (xml === true)
    for (const [index, state] of states.entries()) {
      const question = new URLSearchParams({user, object: state.id, who: operatorName()});
      const object = await askRunning<{readonly bytes: string}>(config, `/recorded?${question.toString()}`);
      if (object === undefined) return exitStatus.cannotStart;
      states[index] = {...state, xml: Buffer.from(object.bytes, 'base64').toString()};
    }

  if (json === true) process.stdout.write(`${JSON.stringify({...group, states})}\n`);
  else {
    process.stdout.write(formatGroup(group) + formatGroupStates(states));
    for (const state of states) if (state.xml !== undefined) process.stdout.write(`\n${state.xml}`);
  }
  return exitStatus.ended;
}
