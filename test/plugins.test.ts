/** How plugins are found, and what is said of those that cannot be used. */
import {mkdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {readConfig, readConfigFile} from '../lib/config/load.ts';
import {ConfigError} from '../lib/config/mistakes.ts';
import {loadPlugins} from '../lib/plugins.ts';
import quota from '../plugins/quota/index.ts';
import {runNode} from './support/child.ts';
import {temporaryFolder} from './support/temporary-folder.ts';

const api = new URL('../lib/index.js', import.meta.url).href;
const source = (name: string, options = 'z.strictObject({})') =>
  `import {definePlugin, z} from '${api}';
export default definePlugin({name: '${name}', options: ${options}, hooks: () => ({})});`;

async function load(folder: string, yaml: string) {
  const file = path.join(folder, 'pf.yaml');
  await writeFile(file, yaml);
  return loadPlugins(readConfigFile(file, process.env));
}

/** Mistakes, without the folder. */
async function mistakes(folder: string, yaml: string): Promise<readonly string[]> {
  try {
    await load(folder, yaml);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split('\n').map((line) => line.replaceAll(`${folder}/`, ''));
  }
}

test('plugins: each that comes with the package is found by its name', async (t) => {
  const yaml = `plugins:
  - use: block-list
  - use: sender-order
  - {use: wake-up-push, options: {url: 'http://127.0.0.1:1/'}}
  - {use: lawful-retention, options: {file: journal.jsonl}}
  - use: quota
`;
  const folder = await temporaryFolder(t);
  const loaded = await load(folder, yaml);
  t.deepEqual(
    loaded.map(({plugin}) => plugin.name),
    ['block-list', 'sender-order', 'wake-up-push', 'lawful-retention', 'quota'],
  );
  t.like(loaded[3]?.options, {file: path.join(folder, 'journal.jsonl'), content: true});
});

test('plugins: a module beside the configuration and a package installed there are found', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(path.join(folder, 'own.js'), source('own'));
  const installed = path.join(folder, 'node_modules', '@operator', 'charging');
  await mkdir(installed, {recursive: true});
  await writeFile(path.join(installed, 'package.json'), '{"type": "module", "exports": "./index.js"}');
  await writeFile(path.join(installed, 'index.js'), source('charging'));
  await writeFile(path.join(folder, 'package.json'), '{"type": "module"}');
  const loaded = await load(folder, `plugins: [{use: ./own.js}, {use: '@operator/charging'}]`);
  t.deepEqual(
    loaded.map(({plugin}) => plugin.name),
    ['own', 'charging'],
  );
});

test('plugins: what an application hands over is taken as it is, its options are checked', async (t) => {
  const read = readConfig('plugins: [{use: quota, options: {user: {messages: 3}}}]', 'options', {});
  const [loaded] = await loadPlugins(read, [quota]);
  t.is(loaded?.plugin, quota as never);
  t.like(loaded?.options, {user: {messages: 3, bytes: 0}, windowSeconds: 86_400});
});

test('plugins: every mistake is told with file, line, key and what was expected', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(path.join(folder, 'package.json'), '{"type": "module"}');
  await writeFile(path.join(folder, 'empty.js'), 'export default {};');
  await writeFile(path.join(folder, 'broken.js'), 'export default (;');
  const found = await mistakes(
    folder,
    `plugins:
  - use: ./empty.js
  - use: ./broken.js
  - use: no-such-plugin
  - use: quota
    options:
      windowSeconds: soon
      usr: {messages: 3}
  - use: wake-up-push
    options: {}
  - use: block-list
    options:
      senders: [nobody]
`,
  );
  t.is(
    found[0],
    'pf.yaml:2: plugins.0.use: expected a plugin, found "./empty.js": its default export was not made by definePlugin',
  );
  t.regex(found[1] ?? '', /^pf\.yaml:3: plugins\.1\.use: expected a plugin, found "\.\/broken\.js": \S/);
  t.regex(
    found[2] ?? '',
    /^pf\.yaml:4: plugins\.2\.use: expected a plugin, found "no-such-plugin": Cannot find package/,
  );
  t.deepEqual(found.slice(3), [
    'pf.yaml:7: plugins.3.options.windowSeconds: expected a whole number from 1 to 31536000, found "soon"',
    'pf.yaml:8: plugins.3.options.usr: is not known; did you mean user?',
    'pf.yaml:10: plugins.4.options.url: expected an http: or https: URL, found nothing',
    'pf.yaml:13: plugins.5.options.senders.0: expected a sip: or tel: address, in which * stands for anything, found "nobody"',
  ]);
});

test('plugins: check-config tells them, with status 78', async (t) => {
  const file = path.join(await temporaryFolder(t), 'pf.yaml');
  await writeFile(file, 'plugins: [{use: quota, options: {user: many}}]\n');
  const child = runNode('lib/cli.ts', ['check-config', file]);
  t.is(await child.ended, 78);
  t.regex(
    child.output(),
    /pf\.yaml:1: plugins\.0\.options\.user: expected a section with messages, bytes, found "many"/,
  );
});
