/** Bounds what is kept, and standalone messages at all: messages and octets, for each user and from each sender, in a window of time. */
import {definePlugin, z, type MessageView} from 'drachtio-cpm';

const bounds = z
  .strictObject({
    messages: z.int().min(0).default(0).describe('Messages in a window; 0: no limit.'),
    bytes: z.int().min(0).default(0).describe('Octets in a window; 0: no limit.'),
  })
  .prefault({});

const options = z.strictObject({
  windowSeconds: z
    .int()
    .min(1)
    .max(31_536_000)
    .default(86_400)
    .describe('A window begins with the first message after the one before.'),
  user: bounds.describe('What is kept for one user, from all senders.'),
  sender: bounds.describe('What is kept from one sender, for all users.'),
  status: z.literal([403, 413]).default(403).describe('MSRP status of a refusal.'),
});

type Bounds = z.output<typeof bounds>;

/** Addresses that are counted at a time; beyond it, the one whose last message is longest ago is forgotten. */
const mostCounted = 100_000;

export default definePlugin({
  name: 'quota',
  options,
  hooks({windowSeconds, user, sender, status}, {clock}) {
    const users = counter(user);
    const senders = counter(sender);

    function counter(limits: Bounds) {
      const windows = new Map<string, {readonly since: number; readonly messages: number; readonly bytes: number}>();
      const used = (key: string) => {
        const window = windows.get(key);
        const isOver = window === undefined || clock.now() >= window.since + windowSeconds * 1000;
        return isOver ? {since: clock.now(), messages: 0, bytes: 0} : window;
      };
      return {
        hasRoom(key: string, size: number): boolean {
          const {messages, bytes} = used(key);
          return isWithin(messages + 1, limits.messages) && isWithin(bytes + size, limits.bytes);
        },
        count(key: string, size: number): void {
          const {since, messages, bytes} = used(key);
          windows.delete(key);
          windows.set(key, {since, messages: messages + 1, bytes: bytes + size});
          const [longest] = windows.keys();
          if (windows.size > mostCounted && longest !== undefined) windows.delete(longest);
        },
      };
    }

    function count({servedUser, sender: from, size}: MessageView): void {
      users.count(servedUser, size);
      senders.count(from, size);
    }

    const isBeyond = ({servedUser, sender: from, size}: MessageView): boolean =>
      !users.hasRoom(servedUser, size) || !senders.hasRoom(from, size);

    return {
      // A standalone message, whether it goes on to a phone or is kept.
      beforeAccept: ({message}) => (message !== undefined && isBeyond(message) ? {refuse: status} : undefined),
      afterAccept({by, message}) {
        if (by === 'device' && message !== undefined) count(message);
      },
      beforeDefer: (message) => (message.kind === 'chat' && isBeyond(message) ? {refuse: status} : undefined),
      // What was there already, a repetition, is not counted twice.
      afterDefer(message) {
        if (message.kind === 'chat' && message.outcome !== 'duplicate') count(message);
      },
    };
  },
});

const isWithin = (value: number, limit: number): boolean => limit === 0 || value <= limit;
