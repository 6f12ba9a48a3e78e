/**
 * Load with everything that goes wrong in a long life: phones that come and go, connections that break, a reader that is stuck, a PF and a relay that
 * are killed. `SOAK_MINUTES=10 npm test -- test/flows/soak.test.ts` makes it long; then memory has to be flat, too.
 */
import {readFileSync} from 'node:fs';
import {setTimeout as pause} from 'node:timers/promises';
import test from 'ava';
import type {Phone} from '../../lib/phone/phone.ts';
import {deployment} from '../support/deployment.ts';
import {killSeed} from '../support/kill-rounds.ts';
import {compare, impatient, impatientServer, persist, until} from '../support/persistent-sender.ts';
import {seededRandom} from '../support/random.ts';

const minutes = Number(process.env['SOAK_MINUTES'] ?? 0.25);
const pairs = 5;
/** Kills come in the first part; in the rest the processes live long enough to show whether their memory grows. */
const killedShare = 0.6;
const mebibyte = 2 ** 20;

const address = (number: number): string => `sip:+1555${String(number).padStart(4, '0')}@home.example;user=phone`;

const residentBytes = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

/** About ten messages a second, every twentieth one large. */
async function* texts(state: {stop: boolean}): AsyncGenerator<string> {
  for (let number = 0; !state.stop; number++) {
    yield number % 20 === 19 ? `${number} ${'x'.repeat(40_000)}` : String(number);
    await pause(100);
  }
}

test.serial(
  '8.3.2.9.1.1 A16 E3 E8: under load with kills and a stuck reader nothing is lost or out of order, the ledger is equal, and memory stays bounded',
  async (t) => {
    t.timeout(minutes * 60_000 + 240_000);
    t.log(`KILL_SEED=${killSeed} SOAK_MINUTES=${minutes}`);
    const random = seededRandom(killSeed);
    const pf = await deployment(t, {
      config: {...impatientServer, cpm: {sentReofferSeconds: 1}, served: {users: []}},
    });
    const state = {stop: false, stuck: true};
    const senders: Phone[] = [];
    const recipients: Phone[] = [];
    for (let pair = 0; pair < pairs; pair++) {
      senders.push(await pf.phone(address(1000 + pair), impatient));
      recipients.push(await pf.phone(address(2000 + pair), {timers: impatient.timers}));
    }

    for (const sender of senders) await sender.register();
    const [stuck] = recipients;
    if (stuck !== undefined) {
      stuck.onInvitation = (invitation) => {
        void invitation.accept().then(
          ({msrp}) => {
            if (state.stuck) msrp.connection?.pause();
          },
          () => undefined,
        );
      };
    }

    /** On, off, or just gone from its MSRP connections, as chance has it. */
    async function comeAndGo(phone: Phone): Promise<void> {
      while (!state.stop) {
        await phone.register().catch(() => undefined);
        await pause(500 + random.below(2500));
        for (const {msrp} of phone.sessions.items.slice(-2)) if (random.below(3) === 0) msrp.connection?.destroy();
        if (phone !== stuck && random.below(2) === 0) await phone.deregister().catch(() => undefined);
        await pause(500 + random.below(2500));
      }
    }

    const sending = senders.map(async (sender, pair) =>
      persist(sender, address(2000 + pair), texts(state), pair % 2 === 0 ? {dispositions: []} : {}),
    );
    const coming = recipients.map(comeAndGo);

    const begun = Date.now();
    const part = (share: number): boolean => Date.now() - begun < share * minutes * 60_000;
    let kills = 0;
    while (part(killedShare)) {
      await pause(1000 + random.below(Math.min(20_000, minutes * 15_000)));
      if (random.below(2) === 0) {
        await pf.kill();
        await pf.start();
      } else {
        const killed = await pf.pidOf('relay');
        process.kill(killed, 'SIGKILL');
        await until(async () => (await pf.pidOf('relay')) !== killed);
      }

      kills += 1;
    }

    const pids = {pf: pf.pf.process.pid ?? 0, relay: await pf.pidOf('relay')};
    const samples = {pf: [] as number[], relay: [] as number[]};
    while (part(1)) {
      await pause(1000);
      samples.pf.push(residentBytes(pids.pf));
      samples.relay.push(residentBytes(pids.relay));
    }

    state.stop = true;
    state.stuck = false;
    for (const {msrp} of stuck?.sessions.items ?? []) msrp.connection?.resume();
    const sent = await Promise.all(sending);
    await Promise.all(coming);
    for (const [pair, recipient] of recipients.entries()) {
      await recipient.register();
      t.deepEqual(await compare(sent[pair] ?? [], recipient), [], `pair ${pair}`);
    }

    // What was sent and not confirmed is offered again at the next registration.
    await until(async () => {
      for (const recipient of recipients) await recipient.register();
      const {ledger} = (await pf.status()) as {ledger: Record<string, number>};
      const {accepted, pending, delivered = 0, expired = 0, dropped = 0, failed = 0} = ledger;
      return pending === 0 && accepted === delivered + expired + dropped + failed && delivered === accepted;
    });

    for (const name of ['pf', 'relay'] as const) {
      const all = samples[name];
      const early = median(all.slice(all.length >> 2, all.length >> 1));
      const late = median(all.slice(-(all.length >> 2)));
      t.log(`${name}: ${Math.round(early / mebibyte)} MiB, then ${Math.round(late / mebibyte)} MiB`);
      t.true(late < 400 * mebibyte, `${name} is bounded`);
      if (minutes >= 5) t.true(late < early * 1.15 + 8 * mebibyte, `${name} stays flat`);
    }

    t.log(`${kills} kills, ${sent.flat().length} messages`);
  },
);
