import test from 'ava';
import {benches} from '../../bench/benches.ts';

/** Enough to see that every process starts, talks and is counted; nothing is said of how fast. */
const miniature = {rounds: 1, seconds: 0.3, scale: 0.02};

for (const bench of benches) {
  const runs = bench.missing?.() === undefined ? test.serial : test.serial.skip;
  runs(`bench ${bench.key}: a miniature of it gives figures`, async (t) => {
    t.timeout(120_000);
    const figure = await bench.run(miniature, (line) => {
      t.log(line);
    });
    const compared = [figure, ...Object.values(figure.parts ?? {})];
    for (const {ratio, ours, peer, goal, rounds} of compared) {
      for (const value of [ratio, ours, peer, goal]) t.true(Number.isFinite(value), JSON.stringify(figure));
      t.true(rounds.length > 0);
    }
    for (const text of [figure.unit, figure.conditions, figure.client]) t.not(text, '');
  });
}
