import {Command, Option} from 'commander';
import {exitStatus} from '../main.ts';
import type {Changed, QueueChange} from '../ports/operator.ts';
import type {Done} from './done.ts';
import {formatQueue} from './messages.ts';
import {eachPage} from './pages.ts';
import {askRunning, operatorName} from './running.ts';

interface Options {
  readonly config: string;
  readonly json?: true;
  readonly user?: string;
  readonly sender?: string;
  readonly conversation?: string;
  readonly message?: string;
}

const ways = ['user', 'sender', 'conversation', 'message'] as const;

const changes: Readonly<Record<QueueChange, string>> = {
  hold: 'keep messages back: not offered and not expired until they are released',
  release: 'let held messages go on, and try to deliver them now',
  retry: 'try to deliver now',
  drop: 'give messages up; senders who asked for it are told',
};

/** `queue list|hold|release|retry|drop`: what waits, and what an operator does with it. */
export function queueCommand(done: Done): Command {
  const queue = new Command('queue')
    .description('list, hold, release, retry or drop messages that wait')
    .exitOverride();
  queue.addCommand(
    selecting('list', 'list what waits').action(async (options: Options, command: Command) => {
      const {by, value} = selectionOf(options, command);
      let first = true;
      const count = await eachPage(
        options.config,
        'messages',
        {by, value, pending: 'true', limit: '1000'},
        (messages) => {
          const text = formatQueue(messages);
          if (options.json === true)
            process.stdout.write(messages.map((message) => `${JSON.stringify(message)}\n`).join(''));
          else process.stdout.write(first ? text : text.slice(text.indexOf('\n') + 1));
          first = false;
        },
      );
      done(count === undefined ? exitStatus.cannotStart : exitStatus.ended);
    }),
  );
  for (const [what, description] of Object.entries(changes))
    queue.addCommand(
      selecting(what, description).action(async (options: Options, command: Command) => {
        const body = {...selectionOf(options, command), who: operatorName()};
        const changed = await askRunning<Changed>(options.config, `/queue/${what}`, body);
        if (changed !== undefined)
          process.stdout.write(
            options.json === true
              ? `${JSON.stringify({what, ...changed})}\n`
              : `${what}: ${changed.messages} messages, ${changed.users} users\n`,
          );
        done(changed === undefined ? exitStatus.cannotStart : exitStatus.ended);
      }),
    );
  return queue;
}

function selecting(name: string, description: string): Command {
  const command = new Command(name)
    .description(description)
    .exitOverride()
    .requiredOption('--config <file>', 'the configuration the PF was started with')
    .option('--json', 'print JSON, one object a line');
  const meanings = {
    user: 'messages for this user, by an address of his',
    sender: 'messages from this address',
    conversation: 'messages with this Conversation-ID',
    message: 'the message with this imdn.Message-ID or id',
  };
  for (const way of ways)
    command.addOption(new Option(`--${way} <value>`, meanings[way]).conflicts(ways.filter((other) => other !== way)));
  return command;
}

function selectionOf(options: Options, command: Command): {readonly by: string; readonly value: string} {
  for (const by of ways) {
    const value = options[by];
    if (value !== undefined) return {by, value};
  }
  return command.error('error: one of --user, --sender, --conversation and --message is needed');
}
