/** A bounded run of `npm run fuzz` against processes: the same inputs each time, counted and not timed. */
import test from 'ava';
import {attack} from './live.ts';
import {liveTargets} from './targets.ts';

const inputs = 150;

for (const target of liveTargets) {
  test.serial(
    `${target.clause}: whatever octets come, ${target.name} stays alive and serves the next one`,
    async (t) => {
      t.timeout(300_000);
      const {failure} = await attack(target, 4975, (count) => count < inputs);
      if (failure !== undefined)
        t.fail(`${String(failure.error)}\ninput (base64): ${failure.input.toString('base64')}`);
      else t.pass();
    },
  );
}
