import {execFile} from 'node:child_process';
import {cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {promisify} from 'node:util';
import test from 'ava';
import {packageVersion} from '../lib/version.ts';

const run = promisify(execFile);

const root = path.resolve('.');

/** The package as a user has it: packed, and installed from the tarball in a folder that had nothing. */
const installed = (async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'package-'));
  const packed = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder]);
  const [{filename}] = JSON.parse(packed.stdout) as [{filename: string}];
  const tarball = path.join(folder, filename);
  const user = path.join(folder, 'user');
  mkdirSync(user);
  writeFileSync(path.join(user, 'package.json'), JSON.stringify({private: true, type: 'module'}));
  try {
    await run('npm', ['install', tarball, '--prefer-offline', '--no-audit', '--no-fund'], {
      cwd: user,
      timeout: 55_000,
    });
    return {user, how: 'by npm'};
  } catch (error) {
    if (!/E(?:NOTFOUND|AI_AGAIN|CONNREFUSED|CONNRESET|TIMEDOUT|NETUNREACH)/.test(String(error))) throw error;
    await unpackByHand(tarball, user);
    return {user, how: 'by hand, as no registry can be reached'};
  }
})();

/** What npm would have done, with the dependencies that are here already. */
async function unpackByHand(tarball: string, user: string): Promise<void> {
  const modules = path.join(user, 'node_modules');
  mkdirSync(modules, {recursive: true});
  for (const name of readdirSync('node_modules'))
    symlinkSync(path.join(root, 'node_modules', name), path.join(modules, name));
  await run('tar', ['-xzf', tarball, '-C', user]);
  cpSync(path.join(user, 'package'), path.join(modules, 'drachtio-cpm'), {recursive: true});
}

test.after.always(async () => {
  rmSync(path.dirname((await installed).user), {recursive: true, force: true});
});

const inPackage = async (...parts: string[]): Promise<string> =>
  path.join((await installed).user, 'node_modules', 'drachtio-cpm', ...parts);

test('package: holds code, types, contract, documentation and licence, and no tests', async (t) => {
  t.log((await installed).how);
  for (const file of [
    'dist/lib/index.js',
    'dist/lib/index.d.ts',
    'lib/sidecar/contract.proto',
    'docs/config.example.yaml',
    'README.md',
    'LICENSE',
    'drachtio.conf.xml',
    'dist/plugins/quota/index.js',
    'plugins/quota/README.md',
  ])
    t.true(existsSync(await inPackage(file)), file);
  for (const folder of ['dist/test', 'test', 'reports', 'node_modules'])
    t.false(existsSync(await inPackage(folder)), folder);
  const plugins = readdirSync(await inPackage('.'), {recursive: true, encoding: 'utf8'});
  t.deepEqual(
    plugins.filter((file) => !file.startsWith('node_modules') && file.includes('.test.')),
    [],
  );
});

test('package: an application imports it with its types', async (t) => {
  const {user} = await installed;
  writeFileSync(
    path.join(user, 'use.ts'),
    `import {CpmError, definePlugin, participatingFunction, z, type App, type ParticipatingFunctionOptions} from 'drachtio-cpm';
import quota from 'drachtio-cpm/plugins/quota';
import {example, openForTest} from 'drachtio-cpm/test-kit';
const own = definePlugin({
  name: 'own',
  options: z.strictObject({status: z.int()}),
  hooks: ({status}) => ({beforeAccept: ({sender}) => (sender === 'tel:+1' ? {refuse: status} : undefined)}),
});
export const plugins: ParticipatingFunctionOptions = {plugins: [{use: quota}, {use: own, options: {status: 480}}, {use: 'block-list'}]};
export const asked = openForTest(own, {status: 480}).then(({hooks}) => hooks.beforeAccept?.(example.invitation({sender: 'tel:+1'})));
// @ts-expect-error there is no such hook
definePlugin({name: 'wrong', options: z.strictObject({}), hooks: () => ({beforeAcept: () => undefined})});
const options: ParticipatingFunctionOptions = {sip: {homeDomain: 'home.example', inviteSeconds: 20}, served: {domains: ['home.example']}};
export const start = (srf: unknown): Promise<App> => participatingFunction(srf, options);
// @ts-expect-error a number is expected
export const wrong: ParticipatingFunctionOptions = {sip: {inviteSeconds: 'soon'}};
export const refusal: CpmError = new CpmError('CPM_MINE', 480, 'not today');
`,
  );
  const compiler = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const types = ['--typeRoots', path.join(root, 'node_modules', '@types'), '--types', 'node'];
  const settings = ['--strict', '--module', 'nodenext', '--target', 'es2023', '--skipLibCheck', ...types];
  await run(process.execPath, [compiler, ...settings, 'use.ts'], {cwd: user}).catch((error: unknown) => {
    t.fail((error as {stdout: string}).stdout);
  });
  const {stdout} = await run(
    process.execPath,
    ['-e', "import('./use.js').then(async (use) => console.log(use.refusal.code, await use.asked))"],
    {
      cwd: user,
    },
  );
  t.is(stdout, 'CPM_MINE { refuse: 480 }\n');
});

test('package: its command line is installed', async (t) => {
  const {user, how} = await installed;
  const command =
    how === 'by npm' ? path.join(user, 'node_modules', '.bin', 'cpm-pf') : await inPackage('dist/lib/cli.js');
  const {stdout} = await run(
    how === 'by npm' ? command : process.execPath,
    how === 'by npm' ? ['--version'] : [command, '--version'],
  );
  t.is(stdout, `${packageVersion()}\n`);
  writeFileSync(path.join(user, 'pf.yaml'), 'plugins: [{use: block-list}]\n');
  const cli = await inPackage('dist/lib/cli.js');
  const checked = await run(process.execPath, [cli, 'check-config', 'pf.yaml'], {cwd: user});
  t.regex(checked.stdout, /pf\.yaml: ok\n$/);
});

test('package: its demo delivers everything', async (t) => {
  const cli = await inPackage('dist/lib/cli.js');
  const {stdout} = await run(process.execPath, [cli, 'demo', '--json'], {cwd: (await installed).user, timeout: 55_000});
  const summary = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Readonly<Record<string, unknown>>;
  const {sent} = summary;
  t.true(typeof sent === 'number' && sent > 5);
  t.like(summary, {event: 'summary', accepted: sent, delivered: sent, notified: sent, identical: true, inOrder: true});
});
