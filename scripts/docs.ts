/** `npm run docs`: writes what documentation states of the code. `-- --check` only compares, and fails where a file is not as it would be written. */
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {table, type Measured} from '../bench/report.ts';
import {codePart, renderClauses} from './render-clauses.ts';
import {renderExample, renderTable} from './render-config.ts';

interface Written {
  readonly file: string;
  readonly render: (now: string) => string;
  /** What a check compares; the whole file where it is not said. */
  readonly part?: (text: string) => string;
}

/** The text with what stands between `<!-- NAME -->` and `<!-- end of NAME -->` replaced. */
const between = (name: string, text: string, inside: string): string =>
  text.replace(
    new RegExp(`(<!-- ${name} -->\\n)[^]*?(<!-- end of ${name} -->)`),
    (_, start: string, end: string) => `${start}\n${inside}\n\n${end}`,
  );

const figures = (): Readonly<Record<string, Measured>> =>
  JSON.parse(readFileSync('bench/figures.json', 'utf8')) as Readonly<Record<string, Measured>>;

const written: readonly Written[] = [
  {file: 'docs/config.example.yaml', render: renderExample},
  {file: 'docs/clauses.md', render: renderClauses, part: codePart},
  {file: 'README.md', render: (now) => between('configuration', now, renderTable())},
  {file: 'docs/performance.md', render: (now) => between('figures', now, table(figures()))},
];

const check = process.argv.includes('--check');
for (const {file, render, part = (text: string) => text} of written) {
  const now = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const due = render(now);
  if (!check) writeFileSync(file, due);
  else if (part(due) !== part(now)) {
    process.stderr.write(`${file} is not as the code states it: npm run docs\n`);
    process.exitCode = 1;
  }
}
