/** `npm run docs`: writes what documentation states of the code. `-- --check` only compares, and fails where a file is not as it would be written. */
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {codePart, renderClauses} from './render-clauses.ts';
import {renderExample, renderTable} from './render-config.ts';

interface Written {
  readonly file: string;
  readonly render: (now: string) => string;
  /** What a check compares; the whole file where it is not said. */
  readonly part?: (text: string) => string;
}

const marks = /(<!-- configuration -->\n)[^]*?(<!-- end of configuration -->)/;

const written: readonly Written[] = [
  {file: 'docs/config.example.yaml', render: renderExample},
  {file: 'docs/clauses.md', render: renderClauses, part: codePart},
  {
    file: 'README.md',
    render: (now) => now.replace(marks, (_, start: string, end: string) => `${start}\n${renderTable()}\n\n${end}`),
  },
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
