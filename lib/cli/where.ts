import {Command} from 'commander';
import type {TracedMessage} from '../cpm/history.ts';
import {exitStatus} from '../main.ts';
import type {Done} from './done.ts';
import {formatTrace} from './messages.ts';
import {eachPage} from './pages.ts';

/** `where ID|USER|CONVERSATION`: messages with what became of them; status 1 when there is none, 69 when nobody can be asked. */
export function whereCommand(done: Done): Command {
  return new Command('where')
    .description('tell where messages are, and what became of them')
    .argument('<value>', 'an imdn.Message-ID, an id, the address of the user they are for, or a Conversation-ID')
    .requiredOption('--config <file>', 'the configuration the PF was started with')
    .option('--sender', 'the value is the address of their sender')
    .option('--json', 'print one JSON object a line')
    .action(async (value: string, {config, sender, json}: {config: string; sender?: true; json?: true}) => {
      const print = (messages: readonly TracedMessage[]): void => {
        for (const message of messages)
          process.stdout.write(json === true ? `${JSON.stringify(message)}\n` : formatTrace(message));
      };
      const count = await eachPage(
        config,
        'messages',
        {by: sender === true ? 'sender' : 'any', value, pending: 'false'},
        print,
      );
      if (count === 0) process.stderr.write('no such message is kept\n');
      done(count === undefined ? exitStatus.cannotStart : count === 0 ? exitStatus.notReady : exitStatus.ended);
    });
}
