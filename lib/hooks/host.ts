import {CpmError} from '../errors.ts';
import {decisionNames, eventNames, type Hooks, type PluginHooks} from './lifecycle.ts';
import type {Plugin} from './plugin.ts';
import {createRunner, type OpenPlugin, type RunnerNeeds} from './runner.ts';

/** A plugin that was found, with its options checked. */
export interface LoadedPlugin {
  readonly plugin: Plugin;
  readonly options: unknown;
}

/** The plugins of a PF, open. */
export interface PluginHost {
  readonly hooks: Hooks;
  /** What plugins keep of users beyond the PF's store. */
  readonly retained: readonly {readonly plugin: string; readonly what: string}[];
  /** Waits for who is being told, then closes each plugin, bounded. Never rejects; may be called twice. */
  close(): Promise<void>;
}

/** A PF without plugins. */
export const noPlugins: PluginHost = {hooks: {}, retained: [], close: () => Promise.resolve()};

const known: ReadonlySet<string> = new Set([...decisionNames, ...eventNames, 'order', 'close', 'retains']);

/** Opens plugins one after the other. Rejects with `CPM_PLUGIN` (500) where one cannot be; those opened before are closed then. */
export async function openPlugins(loaded: readonly LoadedPlugin[], needs: RunnerNeeds): Promise<PluginHost> {
  if (loaded.length === 0) return noPlugins;
  const {clock, log, deadlineMilliseconds} = needs;
  const open: OpenPlugin[] = [];

  async function closeAll(): Promise<void> {
    for (const {name, hooks} of open.splice(0).reverse()) {
      const late = new Promise<never>((_, reject) => {
        clock.after(deadlineMilliseconds, () => {
          reject(new Error(`not closed within ${deadlineMilliseconds} ms`));
        });
      });
      const closed = new Promise((resolve) => {
        resolve(hooks.close?.());
      });
      await Promise.race([closed, late]).catch((error: unknown) => {
        log.warn({plugin: name, hook: 'close', code: 'CPM_HOOK_FAILED', error}, 'a hook of a plugin failed');
      });
    }
  }

  for (const {plugin, options} of loaded) {
    const {name} = plugin;
    try {
      const hooks = await plugin.hooks(options, {clock, log: log.child({plugin: name})});
      open.push({name, hooks});
      rejectUnknown(hooks);
    } catch (error) {
      await closeAll();
      const why = error instanceof Error ? error.message : String(error);
      throw new CpmError('CPM_PLUGIN', 500, `the plugin ${name} cannot be started: ${why}`, {cause: error});
    }
  }

  const retained = open.flatMap(({name, hooks}) =>
    hooks.retains === undefined ? [] : [{plugin: name, what: hooks.retains}],
  );
  log.info({plugins: open.map(({name}) => name).join(' ')}, 'plugins are loaded');
  const runner = createRunner([...open], needs);
  return {
    hooks: runner.hooks,
    retained,
    async close() {
      await runner.idle();
      await closeAll();
    },
  };
}

/** A hook whose name nobody calls would let everything through. */
function rejectUnknown(hooks: PluginHooks): void {
  const strange = Object.keys(hooks).filter((name) => !known.has(name));
  if (strange.length > 0) throw new Error(`${strange.join(', ')}: no such hook; there are ${[...known].join(', ')}`);
}
