/** Writes down what is kept for whom, and what became of it, into a journal that only grows and shows whether it was changed. */
import path from 'node:path';
import {definePlugin, z, type MessageView} from 'drachtio-cpm';
import {openJournal} from './journal.ts';

export {verifyJournal, type Verified} from './journal.ts';

const options = z.strictObject({
  file: z
    .string()
    .min(1)
    .meta({expected: 'a path', path: true})
    .describe('The journal, of this node alone; relative to the folder of the configuration.'),
  content: z
    .boolean()
    .default(true)
    .describe('Whether messages are written whole (base64), or only that there was one.'),
  sync: z
    .enum(['each', 'none'])
    .default('each')
    .describe(
      '`each`: nothing is acknowledged before the disk has its record. `none`: the operating system decides when.',
    ),
});

export default definePlugin({
  name: 'lawful-retention',
  options,
  async hooks({file, content, sync}, {clock, log}) {
    const journal = await openJournal({file, sync: sync === 'each'});
    const write = async (event: string, record: object): Promise<undefined> => {
      await journal.append({at: new Date(clock.now()).toISOString(), event, ...record});
      return undefined;
    };
    log.info({file: path.basename(file)}, 'a journal is kept, which erasing a user does not touch');
    return {
      retains: file,
      afterAccept: ({message, ...invitation}) =>
        write('accepted', {...invitation, ...(message === undefined ? {} : {message: headOf(message)})}),
      // Before it is acknowledged: what cannot be written down is not taken.
      beforeDefer: (message) =>
        write('offered', {...headOf(message), ...(content ? {content: base64(message.bytes())} : {})}),
      afterDefer: ({id, outcome, ...message}) => write('kept', {id, outcome, ...headOf(message)}),
      afterNotification: (notification) => write('notified', notification),
      afterDelivered: (message) => write('released', message),
      afterExpired: (message) => write('released', message),
      afterFailed: (message) => write('released', message),
      close: () => journal.close(),
    };
  },
});

/** All but its octets. */
function headOf({bytes: _, dispositions: __, ...head}: MessageView): object {
  return head;
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
