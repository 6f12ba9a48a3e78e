import test from 'ava';
import {judge} from '../../scripts/judge.ts';
import type {TestResult} from '../../scripts/tap.ts';

const result = (title: string, status: TestResult['status']): TestResult => ({title, file: 'test/x.test.ts', status});

const whole = ['MongoDB: kept', 'sipp: called', 'tshark: read', 'Kamailio: relayed'].map((title) =>
  result(title, 'ran-and-passed'),
);

test('closing line: counts stand alone, skipped ones only where there are any', (t) => {
  t.deepEqual(judge(whole), {complaints: [], counts: '4 passed, 0 failed'});
  const more = [result('real drachtio', 'skipped'), result('broken', 'failed'), result('gap', 'todo')];
  t.deepEqual(judge([...whole, ...more]), {complaints: [], counts: '4 passed, 1 failed, 1 skipped'});
});

test('closing line: a skipped test of an independent peer is a complaint', (t) => {
  t.deepEqual(judge([...whole, result('sipp: cancelled', 'skipped')]).complaints, [
    'skipped, with sipp installed: test/x.test.ts: sipp: cancelled',
  ]);
});

test('closing line: a peer of whose tests none ran and passed is a complaint', (t) => {
  t.deepEqual(judge(whole.slice(1)).complaints, ['no test with mongodb ran and passed']);
});

test('closing line: a run without tests is a complaint', (t) => {
  t.deepEqual(judge([]), {complaints: ['no test ran'], counts: '0 passed, 0 failed'});
});
