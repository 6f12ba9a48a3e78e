import {Command} from 'commander';
import type {StoredObject} from '../cpm/stored-object.ts';
import {exitStatus} from '../main.ts';
import type {Done} from './done.ts';
import {formatRecorded, formatSessions} from './messages.ts';
import {eachPage} from './pages.ts';
import {askRunning, operatorName} from './running.ts';

interface Options {
  readonly config: string;
  readonly object?: string;
  readonly json?: true;
}

/** `recorded USER [CONVERSATION]`: recorded sessions, what is recorded of one conversation, or one object as it is (8.5.2). */
export function recordedCommand(done: Done): Command {
  return new Command('recorded')
    .description('list the recorded sessions of a user, or what is recorded of one conversation')
    .argument('<user>', 'an address of his')
    .argument('[conversation]', 'a Conversation-ID')
    .requiredOption('--config <file>', 'the configuration the PF was started with')
    .option('--object <id>', 'print the object of this id, headers and octets')
    .option('--json', 'print one JSON object a line')
    .action(async (user: string, conversation: string | undefined, {config, object, json}: Options) => {
      if (object !== undefined) {
        done((await printObject(config, user, object)) ? exitStatus.ended : exitStatus.cannotStart);
        return;
      }

      let first = true;
      const print = <Item>(table: (items: readonly Item[]) => string) => {
        return (items: readonly Item[]): void => {
          const text = json === true ? items.map((item) => `${JSON.stringify(item)}\n`).join('') : table(items);
          process.stdout.write(first || json === true ? text : text.slice(text.indexOf('\n') + 1));
          first = false;
        };
      };
      const count =
        conversation === undefined
          ? await eachPage(config, 'sessions', {user}, print(formatSessions))
          : await eachPage(config, 'objects', {user, conversation}, print(formatRecorded));
      if (count === 0) process.stderr.write('nothing is recorded\n');
      done(count === undefined ? exitStatus.cannotStart : count === 0 ? exitStatus.notReady : exitStatus.ended);
    });
}

/** As a mail program would have it: what is known of it as headers, then its octets. */
async function printObject(config: string, user: string, id: string): Promise<boolean> {
  const question = new URLSearchParams({user, object: id, who: operatorName()});
  const object = await askRunning<Omit<StoredObject, 'bytes'> & {readonly bytes: string}>(
    config,
    `/recorded?${question.toString()}`,
  );
  if (object === undefined) return false;
  const headers = [
    ['From', object.from],
    ['To', object.to],
    ['Date', new Date(object.date).toUTCString()],
    ['Conversation-ID', object.conversationId],
    ['Contribution-ID', object.contributionId],
    ['IMDN-Message-ID', object.imdnMessageId],
    ...(object.direction === undefined ? [] : [['Message-Direction', object.direction]]),
    ...object.headers.map(({name, value}) => [name, value]),
    ['Content-Type', object.contentType],
  ];
  process.stdout.write(headers.map(([name = '', value = '']) => `${name}: ${value}\r\n`).join(''));
  process.stdout.write('\r\n');
  process.stdout.write(Buffer.from(object.bytes, 'base64'));
  return true;
}
