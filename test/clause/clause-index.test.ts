import {mkdirSync, mkdtempSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'ava';
import {findClause, findRows, readClauseIndex} from '../../lib/clause/clause-index.ts';
import {liesBelow, mentionInTitle, mentionsInSource} from '../../lib/clause/mentions.ts';

const at = '@clause';

function project(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(path.join(tmpdir(), 'clause-'));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, file)), {recursive: true});
    writeFileSync(path.join(root, file), text);
  }
  return root;
}

test('clause: a title names its clause and rows before the first colon', (t) => {
  t.deepEqual(mentionInTitle('8.3.2.9.1.1 A6: Contact has it'), {clause: '8.3.2.9.1.1', rows: ['A6']});
  t.deepEqual(mentionInTitle('8.3.2.9.1.1 A1–A3 A8: all of it'), {
    clause: '8.3.2.9.1.1',
    rows: ['A1', 'A2', 'A3', 'A8'],
  });
  t.deepEqual(mentionInTitle('E3 RFC 4975 §7.1.1: B2 is text'), {clause: 'RFC 4975 §7.1.1', rows: ['E3']});
  t.deepEqual(mentionInTitle('RFC 4975 §9: msrp://a:1/s;tcp is read'), {clause: 'RFC 4975 §9', rows: []});
});

test('clause: a docstring names clauses and rows after its tag', (t) => {
  const source = `/**\n * Text.\n * ${at} CPM-CF 8.3.2.9.1.1 A4, A7\n */\n/** ${at} RFC 4028 §7.4 E6 */\nconst no = "${at} B1";\n`;
  t.deepEqual(mentionsInSource(source), [
    {clause: '8.3.2.9.1.1', rows: ['A4', 'A7']},
    {clause: 'RFC 4028 §7.4', rows: ['E6']},
  ]);
});

test('clause: below a clause is what continues it by a number, not by a digit', (t) => {
  const mention = {clause: '8.3.2.9.1.1', rows: ['A4']};
  for (const asked of ['8.3', '8.3.2.9', '8.3.2.9.1.1', 'CPM-CF 8.3.2', 'A4']) t.true(liesBelow(mention, asked), asked);
  for (const asked of ['8.3.2.9.1.1.1', '8', '8.3.2.9.1.2', 'A40', 'A1', 'B4'])
    t.is(liesBelow(mention, asked), asked === '8', asked);
  t.true(liesBelow({clause: 'RFC 4975 §7.1.1', rows: []}, 'RFC 4975 §7'));
  t.false(liesBelow({clause: 'RFC 4975 §7.1.1', rows: []}, 'RFC 497'));
});

test('clause: a row has the files that name it, and only tests that ran and passed', (t) => {
  const result = (title: string, status: string) => ({title, file: 'test/x.test.ts', status});
  const root = project({
    'lib/a/one.ts': `/** ${at} CPM-CF 8.3.2.9.1.1 A4 */`,
    'lib/two.ts': `/** ${at} CPM-CF 8.3.2.3 B1 */`,
    'lib/three.ts': '/** nothing */',
    'reports/tests.json': JSON.stringify({
      tests: [
        result('8.3.2.9.1.1 A4: passed', 'ran-and-passed'),
        result('8.3.2.9.1.1 A4: skipped', 'skipped'),
        result('8.3.2.9.1.1 A4: failed', 'failed'),
        result('8.3.2.9.1.1 A4: todo', 'todo'),
        result('8.3.2.9.1.1 A41: other', 'ran-and-passed'),
      ],
    }),
  });
  const index = readClauseIndex(root);
  t.deepEqual(
    findRows(index).find(({row}) => row === 'A4'),
    {row: 'A4', clause: '8.3.2.9.1.1', files: ['lib/a/one.ts'], tests: ['8.3.2.9.1.1 A4: passed']},
  );
  t.deepEqual(findClause(index, '8.3.2').files, ['lib/a/one.ts', 'lib/two.ts']);
  t.is(findRows(index, '8.3.2.3').length, 11);
});

test('clause: without a report no test counts', (t) => {
  const root = project({'lib/one.ts': ''});
  t.true(findRows(readClauseIndex(root)).every(({tests}) => tests.length === 0));
});
