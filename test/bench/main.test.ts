import {readFileSync} from 'node:fs';
import test from 'ava';
import {benches} from '../../bench/benches.ts';
import type {Measured} from '../../bench/report.ts';
import {table} from '../../bench/report.ts';
import {runNode} from '../support/child.ts';

test('bench: --list names every one of them, one a line', async (t) => {
  const child = runNode('bench/main.ts', ['--list']);
  t.is(await child.ended, 0);
  t.deepEqual(
    child.output().trimEnd().split('\n'),
    benches.map(({key, title}) => `${key} ${title}`),
  );
});

test('bench: one that is not there is an error, and nothing is measured', async (t) => {
  const child = runNode('bench/main.ts', ['P1', 'P99']);
  t.is(await child.ended, 1);
  t.is(child.output(), 'there is no P99; --list names what there is\n');
});

test('bench: bench/figures.json has every figure, in the form of --json', (t) => {
  const figures = JSON.parse(readFileSync('bench/figures.json', 'utf8')) as Record<string, Measured>;
  t.deepEqual(Object.keys(figures).sort(), benches.map(({key}) => key).sort());
  for (const {ratio, ours, peer, unit, rounds} of Object.values(figures)) {
    for (const value of [ratio, ours, peer]) t.true(Number.isFinite(value));
    t.not(unit, '');
    t.true(rounds.length > 0);
    for (const round of rounds)
      for (const value of [round.ratio, round.ours, round.peer]) t.true(Number.isFinite(value));
  }
});

test('bench: a figure that misses its goal, or is void, is told as it is', (t) => {
  const figure: Measured = {
    title: 'what',
    ratio: 0.5,
    ours: 1,
    peer: 2,
    goal: 1,
    wanted: 'at least',
    unit: 'a second',
    conditions: 'one at a time',
    client: 'idle',
    rounds: [],
    measured: 'here',
  };
  const row = (more: Partial<Measured>) => table({P1: {...figure, ...more}}).split('\n')[2];
  t.is(row({}), '| **P1** | what, a second | ≥ 1 not reached | 0.5 | 1 | 2 |');
  t.is(row({ratio: 1}), '| **P1** | what, a second | ≥ 1 reached | 1 | 1 | 2 |');
  t.is(row({wanted: 'at most'}), '| **P1** | what, a second | ≤ 1 reached | 0.5 | 1 | 2 |');
  t.is(row({void: 'void: noise'}), '| **P1** | what, a second | ≥ 1 void: noise | 0.5 | 1 | 2 |');
});
