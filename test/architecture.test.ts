import {readFileSync, readdirSync} from 'node:fs';
import path from 'node:path';
import test from 'ava';

/**
 * Which rooms of lib each room may import, the arrows of the README as data. A room is a folder, or a file of its own; the longest name that
 * fits a file is its room, and a room may always import itself. `*`: the rooms that put everything together.
 */
const mayImport: Readonly<Record<string, readonly string[] | '*'>> = {
  'errors.ts': [],
  cpm: ['errors.ts'],
  codecs: ['cpm', 'errors.ts'],
  machines: ['cpm', 'errors.ts'],
  ports: ['cpm', 'machines'],
  hooks: ['cpm', 'ports', 'errors.ts'],
  procedures: ['cpm', 'codecs', 'machines', 'ports', 'hooks', 'errors.ts'],
  'adapters/drachtio': ['cpm', 'codecs', 'ports', 'errors.ts', 'adapters/own-process.ts'],
  'adapters/embedded-store': ['cpm', 'ports', 'errors.ts'],
  'adapters/mongodb': ['cpm', 'ports', 'errors.ts'],
  'adapters/http': ['ports', 'errors.ts'],
  'adapters/event-loop.ts': [],
  'adapters/own-process.ts': ['ports', 'errors.ts'],
  'adapters/sidecar': [
    'cpm',
    'codecs',
    'ports',
    'errors.ts',
    'adapters/own-process.ts',
    'config/load.ts',
    'sidecar/contract',
    'version.ts',
  ],
  'adapters/open-store.ts': ['ports', 'adapters'],
  sidecar: [
    'cpm',
    'codecs',
    'machines',
    'errors.ts',
    'certificate-files.ts',
    'ports/clock.ts',
    'ports/ids.ts',
    'ports/log.ts',
    'log.ts',
  ],
  'sidecar/contract': ['cpm'],
  'embedded-drachtio': ['cpm', 'codecs', 'errors.ts', 'ports/clock.ts', 'ports/ids.ts', 'ports/log.ts'],
  'certificate-files.ts': ['errors.ts'],
  config: ['cpm', 'errors.ts', 'certificate-files.ts', 'hooks/address-pattern.ts'],
  clause: ['cpm'],
  'log.ts': ['ports/log.ts'],
  'plugins.ts': '*',
  'version.ts': [],
  phone: ['cpm', 'codecs', 'errors.ts', 'embedded-drachtio', 'ports/clock.ts', 'ports/ids.ts'],
  'controlling-function': ['cpm', 'codecs', 'errors.ts', 'embedded-drachtio', 'phone'],
  demo: '*',
  'policy.ts': '*',
  'app.ts': '*',
  'main.ts': '*',
  'index.ts': '*',
  'cli.ts': '*',
  cli: '*',
};

/** What reaches the world outside the process. */
const inputOutput = [
  'fs',
  'fs/promises',
  'net',
  'tls',
  'dgram',
  'http',
  'https',
  'child_process',
  'worker_threads',
  'timers',
];

/** Rooms without input and output, and the packages that they may import. */
const pure: Readonly<Record<string, readonly string[]>> = {
  cpm: [],
  codecs: ['fast-xml-parser'],
  machines: [],
  procedures: [],
};

interface Import {
  readonly file: string;
  readonly target: string;
}

const files = readdirSync('lib', {recursive: true, encoding: 'utf8'}).filter((file) => file.endsWith('.ts'));

const imports = files.flatMap((file) => importsOf(file));

const sentence = ({file, target}: Import): string =>
  `lib/${file} imports ${target.endsWith('.ts') ? 'lib/' : ''}${target}`;

function importsOf(file: string): Import[] {
  const source = readFileSync(path.join('lib', file), 'utf8');
  return [...source.matchAll(/(?:\bfrom|\bimport|\bimport\()\s*'([\w@./:-]+)'/g)].map(([, target = '']) => ({
    file,
    target: target.startsWith('.') ? path.posix.join(path.posix.dirname(file), target) : target,
  }));
}

const isLocal = ({target}: Import): boolean => target.endsWith('.ts');

const lies = (file: string, room: string): boolean => file === room || file.startsWith(`${room}/`);

function roomOf(file: string): string | undefined {
  return Object.keys(mayImport)
    .filter((room) => lies(file, room))
    .sort((a, b) => b.length - a.length)[0];
}

test('imports between the rooms of lib follow the arrows', (t) => {
  const against = imports.filter(isLocal).filter(({file, target}) => {
    const room = roomOf(file) ?? file;
    const allowed = mayImport[room] ?? [];
    return allowed !== '*' && ![room, ...allowed].some((into) => lies(target, into));
  });
  t.deepEqual(against.map(sentence), []);
});

test('every file of lib lies in a room', (t) => {
  t.deepEqual(
    files.filter((file) => roomOf(file) === undefined),
    [],
  );
});

test('cpm, codecs, machines and procedures do no input or output, and stand on no framework', (t) => {
  const against = imports
    .filter((one) => !isLocal(one))
    .filter(({file, target}) => {
      const packages = pure[roomOf(file) ?? ''];
      if (packages === undefined) return false;
      return target.startsWith('node:')
        ? inputOutput.includes(target.slice('node:'.length))
        : !packages.includes(target);
    });
  t.deepEqual(against.map(sentence), []);
});

test('lib imports the dependencies of the package, all of them and no other', (t) => {
  const {dependencies} = JSON.parse(readFileSync('package.json', 'utf8')) as {dependencies: Record<string, string>};
  const used = imports
    .filter((one) => !isLocal(one) && !one.target.startsWith('node:'))
    .map(({target}) => target.split('/', target.startsWith('@') ? 2 : 1).join('/'));
  t.deepEqual([...new Set(used)].sort(), Object.keys(dependencies).sort());
});
