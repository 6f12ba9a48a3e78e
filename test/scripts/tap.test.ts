import test from 'ava';
import {tapReader} from '../../scripts/tap.ts';

function read(files: readonly string[], tap: string): ReturnType<typeof tapReader> {
  const reader = tapReader(files);
  for (const line of tap.split('\n')) reader.line(line);
  return reader;
}

test('test report: results carry title, file and status', (t) => {
  const files = ['test/codecs/cpim.test.ts', 'test/log.test.ts', 'test/codecs/cpim/log.test.ts'];
  const {results, complete} = read(
    files,
    `TAP version 13
ok 1 - log › it › passes
ok 2 - codecs › cpim › RFC 3862 §2: read # SKIP
not ok 3 - codecs › cpim › log › known gap # TODO
not ok 4 - codecs › cpim › broken
  ---
    name: AssertionError
  ...

1..4
# tests 4
`,
  );
  t.true(complete);
  t.deepEqual(results, [
    {title: 'it › passes', file: 'test/log.test.ts', status: 'ran-and-passed'},
    {title: 'RFC 3862 §2: read', file: 'test/codecs/cpim.test.ts', status: 'skipped'},
    {title: 'known gap', file: 'test/codecs/cpim/log.test.ts', status: 'todo'},
    {title: 'broken', file: 'test/codecs/cpim.test.ts', status: 'failed'},
  ]);
});

test('test report: in a run of one file titles have no prefix', (t) => {
  t.deepEqual(read(['test/a/b.test.ts'], 'ok 1 - a › b\n1..1').results, [
    {title: 'a › b', file: 'test/a/b.test.ts', status: 'ran-and-passed'},
  ]);
});

test('test report: paths are told apart below what all have in common', (t) => {
  const {results} = read(['test/flows/a.test.ts', 'test/flows/b.test.ts'], 'ok 1 - b › one\nok 2 - a › two\n1..2');
  t.deepEqual(
    results.map(({file}) => file),
    ['test/flows/b.test.ts', 'test/flows/a.test.ts'],
  );
});

test('test report: a run that was cut off is not complete', (t) => {
  t.false(read(['test/a.test.ts'], 'ok 1 - one\n').complete);
  t.false(read(['test/a.test.ts'], 'ok 1 - one\n1..2\n').complete);
});
