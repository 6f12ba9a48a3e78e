/** P4: messages that senders leave for somebody who is off, durably, beside what the store alone takes. */
import {Cleanup, scaled, type Bench, type Effort} from './bench.ts';
import type {Figure} from './figure.ts';
import type {StoreServices} from './peers/store.ts';
import {startBenchPf, comparedByClock} from './pf.ts';
import {startWorker} from './worker.ts';

/** How much is said, and how much at a time. */
export const deferred = {authors: 64, messages: 150, window: 4};

async function run(effort: Effort): Promise<Figure> {
  const cleanup = new Cleanup();
  try {
    const {phones} = cleanup.add(await startBenchPf());
    const store = cleanup.add(startWorker<StoreServices>('peers/store.js'));
    const {authors, window} = deferred;
    const messages = scaled(deferred.messages, effort);
    const ours = () => phones.call('defer', {authors, messages, window});
    const peer = () => store.call('insert', {senders: authors, messages});
    return {
      ...(await comparedByClock(phones, 0.6, {warm: 1, rounds: effort.rounds}, ours, peer)),
      wanted: 'at least',
      unit: 'messages per second',
      conditions: `${authors} senders, ${window} messages in flight in each session, 1 KB; the store alone: batches of ${authors}, one after the other`,
    };
  } finally {
    await cleanup.run();
  }
}

export const deferral: Bench = {
  key: 'P4',
  title: "messages deferred over MSRP ÷ the embedded store's own inserts in batches of 64",
  effort: {rounds: 5, seconds: 1, scale: 1},
  run,
};
