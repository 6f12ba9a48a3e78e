import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'ava';
import {ensureSidecarProcess} from '../../../lib/adapters/sidecar/sidecar-process.ts';
import type {Clock} from '../../../lib/ports/clock.ts';
import {silentLog} from '../../../lib/ports/log.ts';
import {boundLeg, connectPlane} from '../../sidecar/relay-fixture.ts';

/** The system's clock whose timers keep the test alive. */
const clock: Clock = {
  now: () => Date.now(),
  after(milliseconds, fire) {
    const handle = setTimeout(fire, milliseconds);
    return {
      cancel: () => {
        clearTimeout(handle);
      },
    };
  },
};
const rest = {clock, log: silentLog};

/** A life of the PF that can end: its timers fire no more then. */
function life(): {readonly clock: Clock; end(): void} {
  let alive = true;
  const after: Clock['after'] = (milliseconds, fire) =>
    clock.after(milliseconds, () => {
      if (alive) fire();
    });
  return {
    clock: {...clock, after},
    end: () => {
      alive = false;
    },
  };
}

test('CPM-CF 5.2.1.4: a relay process is started, taken over by the next life of the PF, replaced when its options differ', async (t) => {
  const runtimeDirectory = mkdtempSync(path.join(tmpdir(), 'cpm-relay-'));
  const options = {control: `unix:${path.join(runtimeDirectory, 'relay.sock')}`, graceSeconds: 5};
  const [one, two] = [life(), life()];
  const first = await ensureSidecarProcess({options, runtimeDirectory, ...rest, clock: one.clock});
  const plane = connectPlane(first.control);
  await boundLeg(plane);
  await plane.close();
  one.end();
  const second = await ensureSidecarProcess({options, runtimeDirectory, ...rest, clock: two.clock});
  t.true(second.taken);
  t.is(second.ready['pid'], first.ready['pid']);
  two.end();
  const other = {...options, graceSeconds: 6};
  const third = await ensureSidecarProcess({options: other, runtimeDirectory, ...rest});
  t.false(third.taken);
  t.not(third.ready['pid'], first.ready['pid']);
  const again = connectPlane(third.control);
  await boundLeg(again);
  await again.close();
  await third.stop();
  rmSync(runtimeDirectory, {recursive: true});
});

test('CPM-CF 5.2.1.4: a relay process that dies is started again where it was; its legs end, new ones open', async (t) => {
  const runtimeDirectory = mkdtempSync(path.join(tmpdir(), 'cpm-relay-'));
  const options = {control: '127.0.0.1:0'};
  const own = await ensureSidecarProcess({options, runtimeDirectory, ...rest});
  const plane = connectPlane(own.control);
  const held = await boundLeg(plane);
  const ended = new Promise((resolve) => (held.leg.onEnd = resolve));
  process.kill(Number(own.ready['pid']), 'SIGKILL');
  t.is(await ended, 'sidecar-lost');
  await held.peer.end();
  const again = await boundLeg(plane);
  again.send({id: 'agai0001', range: '1-2/2', body: 'hi'});
  t.is((await again.peer.next()).what, '200');
  await plane.close();
  await own.stop();
  rmSync(runtimeDirectory, {recursive: true});
});
