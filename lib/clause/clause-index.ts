import {existsSync, readFileSync, readdirSync} from 'node:fs';
import path from 'node:path';
import {z} from 'zod';
import {clauseRows} from '../cpm/clauses.ts';
import {liesBelow, mentionInTitle, mentionsInSource} from './mentions.ts';
import type {Mention} from './mentions.ts';

/** Code and tests of the project by clause. Tests are those that ran and passed in the latest `npm test`. */
export interface ClauseIndex {
  readonly files: readonly {readonly file: string; readonly mentions: readonly Mention[]}[];
  readonly tests: readonly {readonly title: string; readonly mention: Mention}[];
}

/** A row with what shows it. */
export interface RowFindings {
  readonly row: string;
  readonly clause: string;
  readonly files: readonly string[];
  readonly tests: readonly string[];
}

/** What `npm test` writes. */
export const testReport = z.object({
  tests: z.array(
    z.object({title: z.string(), file: z.string(), status: z.enum(['ran-and-passed', 'failed', 'skipped', 'todo'])}),
  ),
});

/** Where `npm test` writes its report, under the project's folder. */
export const testReportPath = path.join('reports', 'tests.json');

/** Reads the sources under `lib`, and the latest test report where there is one. `root` is the project's folder. */
export function readClauseIndex(root: string): ClauseIndex {
  const files = readdirSync(path.join(root, 'lib'), {recursive: true, encoding: 'utf8'})
    .filter((file) => file.endsWith('.ts'))
    .sort()
    .map((file) => ({
      file: path.posix.join('lib', ...file.split(path.sep)),
      mentions: mentionsInSource(readFileSync(path.join(root, 'lib', file), 'utf8')),
    }))
    .filter(({mentions}) => mentions.length > 0);
  return {files, tests: passedTests(path.join(root, testReportPath))};
}

/** Files and titles at or below a clause, or of a row. */
export function findClause(index: ClauseIndex, asked: string): {files: readonly string[]; tests: readonly string[]} {
  return {
    files: index.files.filter(({mentions}) => mentions.some((one) => liesBelow(one, asked))).map(({file}) => file),
    tests: index.tests.filter(({mention}) => liesBelow(mention, asked)).map(({title}) => title),
  };
}

/** Every row, or those at or below a clause, with the files and tests that name it. */
export function findRows(index: ClauseIndex, asked?: string): readonly RowFindings[] {
  return clauseRows
    .filter(({row, clause}) => asked === undefined || liesBelow({clause, rows: [row]}, asked))
    .map(({row, clause}) => ({row, clause, ...findClause(index, row)}));
}

function passedTests(file: string): ClauseIndex['tests'] {
  if (!existsSync(file)) return [];
  const {tests} = testReport.parse(JSON.parse(readFileSync(file, 'utf8')));
  return tests
    .filter(({status}) => status === 'ran-and-passed')
    .map(({title}) => ({title, mention: mentionInTitle(title)}));
}
