/** P5: what waits for somebody is handed to him, beside the same messages said to him while he is there. */
import {Cleanup, scaled, type Bench, type Effort} from './bench.ts';
import type {Figure} from './figure.ts';
import {startBenchPf, comparedByClock} from './pf.ts';

const messageCount = 1000;
/** As many as the relay has in flight when it sends for the PF. */
const window = 16;

async function run(effort: Effort): Promise<Figure> {
  const cleanup = new Cleanup();
  try {
    const {phones} = cleanup.add(await startBenchPf());
    const count = scaled(messageCount, effort);
    const ours = () => phones.call('deliver', count);
    const peer = () => phones.call('relay', {count, window});
    return {
      ...(await comparedByClock(phones, 0.8, {warm: 3, rounds: effort.rounds}, ours, peer)),
      wanted: 'at least',
      unit: 'messages per second',
      conditions: `${count} messages of 1 KB, ${window} in flight; the delivery is timed from its INVITE, the live session from its first SEND`,
    };
  } finally {
    await cleanup.run();
  }
}

export const delivery: Bench = {
  key: 'P5',
  title: 'deferred delivery to one user ÷ the same messages relayed in one session',
  effort: {rounds: 7, seconds: 1, scale: 1},
  run,
};
