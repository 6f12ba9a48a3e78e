/** For tests of plugins: a plugin as the PF calls it, on a clock of the test's own, and examples of what hooks are shown. */
import type {z} from 'zod';
import type {Clock, Timer} from '../ports/clock.ts';
import type {Log, LogFields} from '../ports/log.ts';
import {openPlugins} from './host.ts';
import type {Hooks} from './lifecycle.ts';
import type {Plugin} from './plugin.ts';
import type {
  ConversationView,
  DeferredView,
  InvitationView,
  MessageView,
  QueuedView,
  RegistrationView,
} from './views.ts';

export interface LogLine extends LogFields {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly sentence: string;
}

/** A clock that stands still between two calls of `advance`. */
export interface ManualClock extends Clock {
  /** Lets time pass: timers that are due fire, in order, and what they begin is let run on. */
  advance(milliseconds: number): Promise<void>;
}

export interface PluginUnderTest {
  /** The hooks that it has, each with the PF's deadline and reading of its answer. */
  readonly hooks: Hooks;
  readonly clock: ManualClock;
  /** What was logged, its own records and those about its hooks. */
  readonly log: readonly LogLine[];
  /** What it says it keeps of users. */
  readonly retained: readonly string[];
  /** Waits for its after-hooks to end, and closes it. */
  readonly close: () => Promise<void>;
}

/**
 * Opens a plugin with options as a configuration would give them. Rejects as the PF's start does: with the schema's error, or `CPM_PLUGIN`.
 */
export async function openForTest<Schema extends z.ZodType>(
  plugin: Plugin<Schema>,
  options: z.input<Schema>,
  {deadlineMilliseconds = 2000}: {readonly deadlineMilliseconds?: number} = {},
): Promise<PluginUnderTest> {
  const clock = manualClock();
  const log: LogLine[] = [];
  const needs = {clock, log: recordingLog(log), deadlineMilliseconds};
  const host = await openPlugins([{plugin, options: plugin.options.parse(options)}], needs);
  return {
    hooks: host.hooks,
    clock,
    log,
    retained: host.retained.map(({what}) => what),
    close: () => host.close(),
  };
}

/** A clock that begins at `now`, milliseconds since 1970. */
export function manualClock(now = Date.UTC(2026, 0, 1)): ManualClock {
  const due = new Set<{readonly at: number; readonly fire: () => void}>();
  return {
    now: () => now,
    after(milliseconds, fire): Timer {
      const timer = {at: now + milliseconds, fire};
      due.add(timer);
      return {cancel: () => due.delete(timer)};
    },
    async advance(milliseconds) {
      const until = now + milliseconds;
      for (;;) {
        await settled();
        const [next] = [...due].filter(({at}) => at <= until).sort((a, b) => a.at - b.at);
        if (next === undefined) break;
        due.delete(next);
        now = Math.max(now, next.at);
        next.fire();
      }

      now = until;
    },
  };
}

/** Promises that are due have gone on. */
const settled = async (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

function recordingLog(lines: LogLine[], own: LogFields = {}): Log {
  const at = (level: LogLine['level']) => (fields: LogFields, sentence: string) => {
    lines.push({...own, ...fields, level, sentence});
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => recordingLog(lines, {...own, ...fields}),
  };
}

const conversation: ConversationView = {
  servedUser: 'tel:+15550102',
  sender: 'tel:+15550101',
  conversationId: 'Conversation-1',
  contributionId: 'Contribution-1',
};

const isoNow = Date.UTC(2026, 0, 1);

/** Views with usual values; those given win. */
export const example = {
  registration: (given: Partial<RegistrationView> = {}): RegistrationView => ({
    servedUser: conversation.servedUser,
    registered: true,
    identities: [conversation.servedUser],
    devices: [{instance: undefined, userAgent: undefined, cpm: 'yes', expiresAt: isoNow + 3_600_000}],
    ...given,
  }),
  invitation: (given: Partial<InvitationView> = {}): InvitationView => ({
    ...conversation,
    recipientAddress: 'sip:+15550102@home.example;user=phone',
    senderAddress: 'sip:+15550101@home.example;user=phone',
    subject: undefined,
    hasFirstMessage: false,
    message: undefined,
    ...given,
  }),
  message,
  deferred: (given: Partial<DeferredView> & {readonly text?: string} = {}): DeferredView => ({
    ...message(given),
    id: '1',
    outcome: 'stored',
    ...given,
  }),
  queued: (given: Partial<QueuedView> & {readonly text?: string} = {}): QueuedView => ({
    ...message(given),
    id: '1',
    ...given,
  }),
};

/** `text` is what the message says, 7-bit or UTF-8. */
function message({text = 'hello', ...given}: Partial<MessageView> & {readonly text?: string} = {}): MessageView {
  const bytes = new TextEncoder().encode(text);
  return {
    ...conversation,
    kind: 'chat',
    imdnMessageId: 'Message-1',
    dispositions: ['positive-delivery'],
    contentType: 'text/plain',
    size: bytes.length,
    bytes: () => new Uint8Array(bytes),
    dateTime: isoNow,
    receivedAt: isoNow,
    expiresAt: isoNow + 86_400_000,
    ...given,
  };
}
