/** A bounded run of `npm run fuzz`: the same inputs each time, counted and not timed. */
import test from 'ava';
import {examplesOf, fuzz, shrink} from './fuzzing.ts';
import {targets} from './targets.ts';

const inputs = 1000;

for (const target of targets) {
  test.serial(`${target.clause}: what reads it (${target.name}) keeps its promises, whatever octets come`, (t) => {
    t.timeout(300_000);
    t.true(examplesOf(target.name).length > 0);
    const run = fuzz(target, 4975, (count) => count < inputs);
    if (run.failure !== undefined) {
      const {input, error} = shrink(target, run.failure, 500);
      t.fail(`${error instanceof Error ? error.message : String(error)}\ninput (base64): ${input.toString('base64')}`);
    }
    t.true(run.shapes > 4, `${run.shapes} shapes`);
  });
}
