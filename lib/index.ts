/** Public API of the package: the Participating Function as a module of a drachtio-srf application. */
import {stringify} from 'yaml';
import type {z} from 'zod';
import {serveApplication} from './app.ts';
import {readConfig} from './config/load.ts';
import type {schema} from './config/schema.ts';
import type {Plugin} from './hooks/plugin.ts';
import {createLog} from './log.ts';
import type {App} from './ports/app.ts';
import {loadPlugins} from './plugins.ts';
import type {Log} from './ports/log.ts';

export {CpmError} from './errors.ts';
export type {App, PartState, ReadyReport} from './ports/app.ts';
export type {Log, LogFields} from './ports/log.ts';
export type {Clock, Timer} from './ports/clock.ts';
export {addressMatcher, addressPattern} from './hooks/address-pattern.ts';
export type * from './hooks/views.ts';
export type {InvitationRefusal, MessageRefusal, PluginHooks} from './hooks/lifecycle.ts';
export {definePlugin, type Plugin, type PluginTools} from './hooks/plugin.ts';
/** The schema library of the configuration, and so of plugins' options. */
export {z} from 'zod';

/** The sections of a configuration file (docs/config.example.yaml), as an object; every key has a default. A plugin may stand for its name. */
export type ParticipatingFunctionOptions = Omit<z.input<typeof schema>, 'plugins'> & {
  readonly plugins?: readonly PluginUse[];
};

/** A plugin, or its name or path, with its options. */
export interface PluginUse {
  readonly use: string | Plugin;
  readonly options?: Readonly<Record<string, unknown>>;
}

/**
 * Serves the CPM requests of the configured users in an application that has its own `srf`, and leaves every other request to the
 * application's handlers, registered before and after this call. Resolves when the PF works; `drain` ends it.
 * @throws ConfigError `CPM_CONFIG` at once for options that cannot be used; rejects with it for those of plugins, with `CPM_PLUGIN` for a plugin
 * that cannot be started, and as store and sidecar do when they cannot be opened.
 */
export function participatingFunction(srf: unknown, options: ParticipatingFunctionOptions, log?: Log): Promise<App> {
  const {plugins = [], ...sections} = options;
  const named = plugins.map(({use, ...rest}) => ({use: typeof use === 'string' ? use : use.name, ...rest}));
  const given = plugins.map(({use}) => (typeof use === 'string' ? undefined : use));
  const read = readConfig(stringify({...sections, plugins: named}), 'options', process.env);
  const {config} = read;
  return serveApplication(
    srf,
    config,
    log ?? createLog({level: config.log.level, base: {node: config.node.name, part: 'pf'}}),
    () => loadPlugins(read, given),
  );
}
