/** Public API of the package: the Participating Function as a module of a drachtio-srf application. */
import {stringify} from 'yaml';
import type {z} from 'zod';
import {serveApplication} from './app.ts';
import {parseConfig} from './config/load.ts';
import type {schema} from './config/schema.ts';
import {createLog} from './log.ts';
import type {App} from './ports/app.ts';
import type {Log} from './ports/log.ts';

export {CpmError} from './errors.ts';
export type {App, PartState, ReadyReport} from './ports/app.ts';
export type {Log, LogFields} from './ports/log.ts';

/** The sections of a configuration file (docs/config.example.yaml), as an object; every key has a default. */
export type ParticipatingFunctionOptions = z.input<typeof schema>;

/**
 * Serves the CPM requests of the configured users in an application that has its own `srf`, and leaves every other request to the
 * application's handlers, registered before and after this call. Resolves when the PF works; `drain` ends it.
 * @throws ConfigError `CPM_CONFIG` at once for options that cannot be used; rejects as store and sidecar do when they cannot be opened.
 */
export function participatingFunction(srf: unknown, options: ParticipatingFunctionOptions, log?: Log): Promise<App> {
  const config = parseConfig(stringify(options), 'options', process.env);
  return serveApplication(
    srf,
    config,
    log ?? createLog({level: config.log.level, base: {node: config.node.name, part: 'pf'}}),
  );
}
