import test from 'ava';
import {comparison, inTurns, median, percentile, worstOf} from '../../bench/figure.ts';

test('bench: the median of a comparison is that of the ratios of its pairs, not the ratio of the medians', (t) => {
  const pairs = [
    [10, 1],
    [20, 20],
    [30, 2],
  ] as const;
  const rounds = pairs.map(([ours, peer]) => ({ours, peer, ratio: ours / peer}));
  t.like(comparison(1, rounds), {ratio: 10, ours: 20, peer: 2});
});

test('bench: a round that is void does not count', (t) => {
  const round = {ours: 1, peer: 1, ratio: 1};
  t.is(comparison(1, [round, {...round, ratio: 9, void: 'noise'}, round]).ratio, 1);
});

test('bench: of several comparisons the one that misses its goal by most counts', (t) => {
  const part = (ratio: number, goal: number) => comparison(goal, [{ours: ratio, peer: 1, ratio}]);
  t.like(worstOf({one: part(0.9, 1), two: part(1.5, 2), three: part(4, 3.5)}), {ratio: 0.75, ours: 1.5, goal: 1});
});

test('bench: who is measured first changes from round to round', async (t) => {
  const order: string[] = [];
  const measure = (name: string) => () => {
    order.push(name);
    return Promise.resolve(1);
  };
  t.is((await inTurns(3, measure('ours'), measure('peer'))).length, 3);
  t.deepEqual(order, ['ours', 'peer', 'peer', 'ours', 'ours', 'peer']);
});

test('bench: median and percentile', (t) => {
  t.is(median([3, 1, 2]), 2);
  t.is(median([4, 1, 2, 3]), 2.5);
  t.is(percentile([5, 1, 4, 2, 3], 0.8), 4);
  t.is(
    percentile(
      Array.from({length: 1000}, (_, index) => index + 1),
      0.99,
    ),
    990,
  );
});
