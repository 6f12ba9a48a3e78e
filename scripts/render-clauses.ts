import {readFileSync, readdirSync} from 'node:fs';
import path from 'node:path';
import {findClause, readClauseIndex} from '../lib/clause/clause-index.ts';
import {mentionInTitle} from '../lib/clause/mentions.ts';
import {clauseRows} from '../lib/cpm/clauses.ts';

/** docs/clauses.md: each row with the code that names it, and the test files with titles that do. */
export function renderClauses(): string {
  const index = readClauseIndex('.');
  const tests = testTitles();
  const rows = clauseRows.map(({row, clause, holds}) => {
    const files = findClause(index, row).files.map((file) => `\`${file}\``);
    const shownBy = tests.filter(({rows}) => rows.includes(row)).map(({file}) => `\`${file}\``);
    return `| ${row} | ${clause} | ${holds} | ${files.join('<br>')} | ${[...new Set(shownBy)].join('<br>')} |`;
  });
  return `# Clauses, their code and their tests

Written by \`npm run docs\`. Rows A to D are the requirements of the OMA CPM Conversation Functions that this project is about, E is what
they stand on, all in our own words. A row without code is not built yet. Which tests ran and passed, \`npm run clause -- --json\` tells.

| row | clause | what holds | code | tests |
|---|---|---|---|---|
${rows.join('\n')}
`;
}

/** The document without its last column: tests come and go more often than it is written anew. */
export function codePart(document: string): string {
  return document.replace(/[^|\n]*\|$/gm, '');
}

/** Rows that the titles of each test file name. Titles with a placeholder count by what stands before it. */
function testTitles(): {file: string; rows: readonly string[]}[] {
  return readdirSync('test', {recursive: true, encoding: 'utf8'})
    .filter((file) => file.endsWith('.test.ts'))
    .sort()
    .map((file) => {
      const source = readFileSync(path.join('test', file), 'utf8');
      const titles = [...source.matchAll(/\btest\w*(?:\.(?:serial|failing))*\(\s*(['"`])(.+?)\1/g)].map(
        ([, , title = '']) => title,
      );
      return {file: `test/${file}`, rows: titles.flatMap((title) => mentionInTitle(title).rows)};
    });
}
