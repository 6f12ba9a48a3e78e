import {Command} from 'commander';
import {findClause, findRows, readClauseIndex} from '../clause/clause-index.ts';
import {packageRoot} from '../version.ts';
import type {Done} from './done.ts';

/** `clause [CLAUSE]`: code and tests at or below a clause, or of a row; without one, or with `--json`, by row. */
export function clauseCommand(done: Done): Command {
  return new Command('clause')
    .description('print the code of a clause, and its tests that ran and passed in the latest npm test')
    .argument('[clause]', '8.3.2.9, A4, "RFC 4975 §7"')
    .option('--json', 'print every row as {row, clause, files, tests}')
    .action((clause: string | undefined, {json}: {json?: true}) => {
      const index = readClauseIndex(packageRoot());
      if (json === true) process.stdout.write(`${JSON.stringify(findRows(index, clause))}\n`);
      else if (clause === undefined) process.stdout.write(overview(index));
      else process.stdout.write(listing(index, clause));
      done(0);
    });
}

type Index = ReturnType<typeof readClauseIndex>;

function overview(index: Index): string {
  return findRows(index)
    .map(
      ({row, clause, files, tests}) =>
        `${row.padEnd(4)} ${clause.padEnd(16)} ${files.length} files, ${tests.length} tests\n`,
    )
    .join('');
}

function listing(index: Index, clause: string): string {
  const {files, tests} = findClause(index, clause);
  const part = (name: string, lines: readonly string[]): string =>
    `${name}\n${(lines.length === 0 ? ['none'] : lines).map((line) => `  ${line}\n`).join('')}`;
  return part('code', files) + part('tests that ran and passed', tests);
}
