import {existsSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {fileURLToPath, pathToFileURL} from 'node:url';
import {absolute, findingsOf, type ReadConfig} from './config/load.ts';
import {ConfigError, type Mistake} from './config/mistakes.ts';
import {outlineOfSchema} from './config/outline.ts';
import type {LoadedPlugin} from './hooks/host.ts';
import {isPlugin, type Plugin} from './hooks/plugin.ts';

/**
 * Finds the plugins that a configuration names, and checks their options. `given` are those that an application has handed over as they are, by
 * their place in the list. Rejects with `ConfigError` (`CPM_CONFIG`), every mistake with file, line and what was expected.
 */
export async function loadPlugins(
  {config, folder, mistake}: ReadConfig,
  given: readonly (Plugin | undefined)[] = [],
): Promise<readonly LoadedPlugin[]> {
  const loaded: LoadedPlugin[] = [];
  const mistakes: Mistake[] = [];
  for (const [index, {use, options}] of config.plugins.entries()) {
    const at = ['plugins', String(index)];
    let plugin: Plugin;
    try {
      plugin = given[index] ?? (await find(use, folder));
    } catch (error) {
      const [why = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
      mistakes.push(mistake([...at, 'use'], `expected a plugin, found ${JSON.stringify(use)}: ${why}`));
      continue;
    }

    const outline = outlineOfSchema(plugin.options);
    const result = plugin.options.safeParse(outline === undefined ? options : absolute(options, outline, folder));
    if (result.success) loaded.push({plugin, options: result.data});
    else
      for (const found of findingsOf(result.error, options, outline))
        mistakes.push(mistake([...at, 'options', ...found.path], found.sentence));
  }

  if (mistakes.length > 0) throw new ConfigError(mistakes);
  return loaded;
}

async function find(use: string, folder: string): Promise<Plugin> {
  const module = (await import(placeOf(use, folder))) as {readonly default?: unknown};
  if (isPlugin(module.default)) return module.default;
  throw new Error('its default export was not made by definePlugin');
}

/** What to import: a module beside the configuration, one of ours, or a package that is installed there, or beside us. */
function placeOf(use: string, folder: string): string {
  if (/^\.{0,2}[/\\]/.test(use) || path.isAbsolute(use)) return pathToFileURL(path.resolve(folder, use)).href;
  const own = fileURLToPath(new URL(`../plugins/${use}/index.js`, import.meta.url));
  if (/^[a-z][a-z-]*$/.test(use) && existsSync(own)) return pathToFileURL(own).href;
  try {
    return pathToFileURL(createRequire(path.join(folder, 'configuration')).resolve(use)).href;
  } catch {
    // Not there, or only for `import`, which looks from here.
    return use;
  }
}
