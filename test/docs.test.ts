import {existsSync, readFileSync, readdirSync} from 'node:fs';
import path from 'node:path';
import test from 'ava';
import {runNode} from './support/child.ts';

const pages = ['README.md', ...readdirSync('docs').map((file) => `docs/${file}`)].filter((file) =>
  file.endsWith('.md'),
);

const textOf = (page: string): string => readFileSync(page, 'utf8');

/** What stands between backticks or in code blocks: all that a reader may type or look for. */
function codeIn(page: string): string[] {
  const text = textOf(page);
  const blocks = [...text.matchAll(/^```\w*\n([^]*?)^```/gm)].map(([, block = '']) => block);
  const inline = [...text.replace(/^```[^]*?^```/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
  return [...blocks.flatMap((block) => block.split('\n')), ...inline];
}

/** As GitHub makes them of headings. */
function anchorsOf(page: string): string[] {
  return [...textOf(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

test('docs: what is written from the code is as the code states it', async (t) => {
  const child = runNode('scripts/docs.ts', ['--check']);
  t.is(await child.ended, 0, child.output());
});

test('docs: every npm script that is named exists', (t) => {
  const {scripts} = JSON.parse(textOf('package.json')) as {scripts: Record<string, string>};
  const builtIn = ['ci', 'install', 'pack'];
  for (const page of pages)
    for (const code of codeIn(page))
      for (const [, run, name = ''] of code.matchAll(/\bnpm (run )?(?:--?\w+ )*([a-z][\w:-]*)/g))
        t.true(name in scripts || (run === undefined && builtIn.includes(name)), `${page}: npm ${run ?? ''}${name}`);
});

test('docs: every command of cpm-pf that is named exists', async (t) => {
  const child = runNode('lib/cli.ts', ['--help']);
  await child.ended;
  const commands = [...child.output().matchAll(/^ {2}([a-z-]+) /gm)].map(([, name]) => name);
  for (const page of pages)
    for (const code of codeIn(page))
      for (const [, name] of code.matchAll(/\bcpm-pf ([a-z][a-z-]*)/g))
        t.true(commands.includes(name), `${page}: cpm-pf ${name ?? ''}`);
});

test('docs: links lead somewhere', (t) => {
  for (const page of pages)
    for (const [, to = ''] of textOf(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(to)) continue;
      const [file = '', anchor] = to.split('#');
      const target = file === '' ? page : path.join(path.dirname(page), file);
      t.true(existsSync(target), `${page} links to ${to}`);
      if (anchor !== undefined) t.true(anchorsOf(target).includes(anchor), `${page} links to ${to}`);
    }
});

test('docs: files that are named exist', (t) => {
  const ours = /^(?:lib|test|docs|scripts|plugins|\.ci)\/[\w./*-]+$/;
  for (const page of pages)
    for (const code of codeIn(page).filter((one) => ours.test(one) && !one.includes('*')))
      t.true(existsSync(code), `${page} names ${code}`);
});

test('docs: docs/errors.md has each code of lib, with the statuses that it comes with, and no other', (t) => {
  const inCode = new Map<string, Set<string>>();
  for (const file of readdirSync('lib', {recursive: true, encoding: 'utf8'}).filter((name) => name.endsWith('.ts')))
    for (const [, code = '', status] of textOf(path.join('lib', file)).matchAll(
      /'(CPM_[A-Z0-9_]+)'(?:,\s*(\d{3})\b)?/g,
    )) {
      const statuses = inCode.get(code) ?? new Set();
      inCode.set(code, status === undefined ? statuses : statuses.add(status));
    }
  const expected = [...inCode].map(([code, statuses]) => `${code} ${[...statuses].sort().join(', ')}`.trim()).sort();

  const rows = [...textOf('docs/errors.md').matchAll(/^\| `(CPM_\w+)` \| ([\d, ]*) ?\| \S/gm)];
  const documented = rows.map(([, code = '', statuses = '']) => `${code} ${statuses}`.trim());
  t.deepEqual(
    {
      missing: expected.filter((code) => !documented.includes(code)),
      gone: documented.filter((code) => !expected.includes(code)),
    },
    {missing: [], gone: []},
  );
});

test('docs: every key of the configuration is read somewhere in lib', (t) => {
  const sources = readdirSync('lib', {recursive: true, encoding: 'utf8'})
    .filter((file) => file.endsWith('.ts') && !file.startsWith('config/'))
    .map((file) => textOf(path.join('lib', file)))
    .join('\n');
  const keys = [...textOf('docs/config.example.yaml').matchAll(/^ {2,}(\w+):/gm)].map(([, key = '']) => key);
  const unread = keys.filter((key) => !/^\d+$/.test(key) && !new RegExp(`\\b${key}\\b`).test(sources));
  t.deepEqual(unread, []);
});
