import type {Clock} from '../ports/clock.ts';
import type {Log} from '../ports/log.ts';
import {
  decisionNames,
  eventNames,
  rules,
  type Decisions,
  type Events,
  type HookFailure,
  type Hooks,
  type PluginHooks,
} from './lifecycle.ts';
import type {SendersView} from './views.ts';

/** A plugin with its hooks, ready to be asked. */
export interface OpenPlugin {
  readonly name: string;
  readonly hooks: PluginHooks;
}

export interface RunnerNeeds {
  readonly clock: Clock;
  readonly log: Log;
  /** How long a decision may take, all plugins together, and each plugin for what it is told. */
  readonly deadlineMilliseconds: number;
}

export interface Runner {
  readonly hooks: Hooks;
  /** Resolves when nobody is being told anything any more. */
  idle(): Promise<void>;
}

type Called = (view: unknown) => unknown;

interface Asked {
  readonly plugin: string;
  readonly hook: Called;
}

/** A hook that failed, and how. */
class HookError extends Error {
  override readonly name = 'HookError';
  readonly code: HookFailure;

  constructor(code: HookFailure, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Asks and tells plugins, in the order in which they are configured. A before-hook that throws, is late or answers nonsense fails closed, an
 * after-hook is only logged, and none keeps the next plugin from being told.
 */
export function createRunner(plugins: readonly OpenPlugin[], {clock, log, deadlineMilliseconds}: RunnerNeeds): Runner {
  const telling = new Set<Promise<void>>();

  const those = (name: keyof Hooks): readonly Asked[] =>
    plugins.flatMap(({name: plugin, hooks}) => {
      const hook = hooks[name] as Called | undefined;
      return hook === undefined ? [] : [{plugin, hook}];
    });

  /** One deadline for whoever is asked before it: `within` rejects once it is over. */
  function deadline(): {readonly within: (asked: Asked, view: unknown) => Promise<unknown>; readonly end: () => void} {
    let timer = {cancel: (): void => undefined};
    const late = new Promise<never>((_, reject) => {
      timer = clock.after(deadlineMilliseconds, () => {
        reject(new HookError('CPM_HOOK_LATE', `no answer within ${deadlineMilliseconds} ms`));
      });
    });
    late.catch(() => undefined);
    return {
      within: async ({hook}, view) => {
        const answer = new Promise((resolve) => {
          resolve(hook(view));
        });
        return Promise.race([answer, late]);
      },
      end: () => {
        timer.cancel();
      },
    };
  }

  function failed(plugin: string, hook: string, view: unknown, error: unknown): HookFailure {
    const code = error instanceof HookError ? error.code : 'CPM_HOOK_FAILED';
    log.warn({...conversationIn(view), plugin, hook, code, error}, 'a hook of a plugin failed');
    return code;
  }

  async function decide<Name extends keyof Decisions>(
    name: Name,
    asked: readonly Asked[],
    view: Decisions[Name]['view'],
  ): Promise<Decisions[Name]['answer'] | undefined> {
    const rule = rules[name];
    const {within, end} = deadline();
    let mild: Decisions[Name]['answer'] | undefined;
    try {
      for (const one of asked) {
        let answer: unknown;
        try {
          answer = await within(one, view);
          if (answer === undefined) continue;
          if (!rule.understands(answer)) throw new HookError('CPM_HOOK_ANSWER', 'that is no answer to this hook');
        } catch (error) {
          return rule.onFailure(failed(one.plugin, name, view, error));
        }

        log.info(
          {...conversationIn(view), plugin: one.plugin, hook: name, answer: inWords(answer)},
          'a plugin decides',
        );
        // Who keeps lets in: the others are asked still.
        if (answer !== 'keep') return answer as Decisions[Name]['answer'];
        mild = answer;
      }

      return mild;
    } finally {
      end();
    }
  }

  async function tell(name: keyof Events, one: Asked, view: unknown): Promise<void> {
    const {within, end} = deadline();
    try {
      await within(one, view);
    } catch (error) {
      failed(one.plugin, name, view, error);
    } finally {
      end();
    }
  }

  async function order(asked: readonly Asked[], {servedUser, senders}: SendersView): Promise<readonly string[]> {
    const {within, end} = deadline();
    const known = new Map(senders.map((one) => [one.sender, one]));
    let standing = [...known.keys()];
    for (const one of asked) {
      const view = frozen({servedUser, senders: standing.flatMap((sender) => known.get(sender) ?? [])});
      try {
        const answer: unknown = (await within(one, view)) ?? [];
        if (!Array.isArray(answer)) throw new HookError('CPM_HOOK_ANSWER', 'expected a list of senders');
        const wanted = (answer as unknown[]).filter((sender): sender is string => known.has(sender as string));
        standing = [...new Set([...wanted, ...standing])];
      } catch (error) {
        failed(one.plugin, 'order', view, error);
      }
    }

    end();
    return standing;
  }

  const hooks: Record<string, unknown> = {};
  for (const name of decisionNames) {
    const asked = those(name);
    if (asked.length > 0) hooks[name] = async (view: never) => decide(name, asked, frozen(view));
  }

  for (const name of eventNames) {
    const asked = those(name);
    if (asked.length === 0) continue;
    hooks[name] = (view: object) => {
      const shown = frozen(view);
      for (const one of asked) {
        const told = tell(name, one, shown);
        telling.add(told);
        void told.then(() => telling.delete(told));
      }
    };
  }

  const ordering = those('order');
  if (ordering.length > 0) hooks['order'] = async (view: SendersView) => order(ordering, view);
  return {
    hooks,
    async idle() {
      while (telling.size > 0) await Promise.all(telling);
    },
  };
}

/** Views are data: what is inside them is frozen, too. */
function frozen<View>(view: View): View {
  if (typeof view !== 'object' || view === null || Object.isFrozen(view)) return view;
  for (const value of Object.values(view)) frozen(value);
  return Object.freeze(view);
}

function conversationIn(view: unknown): {readonly conversationId?: string; readonly contributionId?: string} {
  const {conversationId, contributionId} = view as {conversationId?: string; contributionId?: string};
  return conversationId === undefined || contributionId === undefined ? {} : {conversationId, contributionId};
}

const inWords = (answer: unknown): string =>
  typeof answer === 'string' ? answer : `refuse ${(answer as {readonly refuse: number}).refuse}`;
