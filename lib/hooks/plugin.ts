import type {z} from 'zod';
import type {Clock} from '../ports/clock.ts';
import type {Log} from '../ports/log.ts';
import type {PluginHooks} from './lifecycle.ts';

/** What a plugin is given besides its options. */
export interface PluginTools {
  /** Its records carry the plugin's name. */
  readonly log: Log;
  readonly clock: Clock;
}

/** A plugin: a name, the schema of its options, and what makes its hooks from them, once for each time it is named in a configuration. */
export interface Plugin<Schema extends z.ZodType = z.ZodType> {
  readonly name: string;
  readonly options: Schema;
  /** Opens what the hooks need. What it throws keeps the PF from starting. */
  hooks(options: z.output<Schema>, tools: PluginTools): PluginHooks | Promise<PluginHooks>;
}

/** States a plugin, so that its options and hooks are typed (docs/plugins.md). */
export function definePlugin<Schema extends z.ZodType>(plugin: Plugin<Schema>): Plugin<Schema> {
  return plugin;
}

/** Whether a module gave us a plugin. */
export function isPlugin(value: unknown): value is Plugin {
  if (typeof value !== 'object' || value === null) return false;
  const {name, options, hooks} = value as Partial<Record<keyof Plugin, unknown>>;
  const hasSchema = typeof options === 'object' && options !== null && 'safeParse' in options;
  return typeof name === 'string' && name !== '' && hasSchema && typeof hooks === 'function';
}
