/** `npm run docs`: writes what documentation states of the code. `-- --check` only compares, and fails where a file is not as it would be written. */
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {renderClauses} from './render-clauses.ts';
import {renderExample, renderTable} from './render-config.ts';

const marks = /(<!-- configuration -->\n)[^]*?(<!-- end of configuration -->)/;

const written: Readonly<Record<string, (now: string) => string>> = {
  'docs/config.example.yaml': renderExample,
  'docs/clauses.md': renderClauses,
  'README.md': (now) => now.replace(marks, (_, start: string, end: string) => `${start}\n${renderTable()}\n\n${end}`),
};

const check = process.argv.includes('--check');
for (const [file, render] of Object.entries(written)) {
  const now = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const due = render(now);
  if (due === now) continue;
  if (!check) writeFileSync(file, due);
  else {
    process.stderr.write(`${file} is not as the code states it: npm run docs\n`);
    process.exitCode = 1;
  }
}
