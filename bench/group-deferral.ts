/** P9: what is said in a group, kept for each of its members who is off, beside what 1-1 senders leave. */
import {Cleanup, scaled, type Bench, type Effort} from './bench.ts';
import {deferred} from './deferral.ts';
import type {Figure} from './figure.ts';
import {comparedByClock, startBenchPf} from './pf.ts';

const off = 50;
const there = 50;
const messageCount = 60;

async function run(effort: Effort): Promise<Figure> {
  const cleanup = new Cleanup();
  try {
    const {phones} = cleanup.add(await startBenchPf());
    const members = {off: scaled(off, effort), there: scaled(there, effort)};
    const messages = scaled(messageCount, effort);
    const options = {
      ...deferred,
      authors: scaled(deferred.authors, effort),
      messages: scaled(deferred.messages, effort),
    };
    await phones.call('beginGroup', members);
    const ours = () => phones.call('sayInGroup', messages);
    const peer = () => phones.call('defer', options);
    return {
      ...(await comparedByClock(phones, 0.8, {warm: 1, rounds: effort.rounds}, ours, peer)),
      wanted: 'at least',
      unit: 'messages stored per second',
      conditions: `a group of ${members.off + members.there} members, ${members.off} of them off line, ${messages} messages of 1 KB, at most 16 in flight to each member; 1-1 as in P4`,
    };
  } finally {
    await cleanup.run();
  }
}

export const groupDeferral: Bench = {
  key: 'P9',
  title: 'messages of a group × members who are off line, stored ÷ messages deferred 1-1 (P4)',
  effort: {rounds: 5, seconds: 1, scale: 1},
  run,
};
