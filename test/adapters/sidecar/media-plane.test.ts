import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'ava';
import {admits} from '../../../lib/adapters/sidecar/admission.ts';
import {boundLeg, connectPlane, startFixture, startRelay, takesAll} from '../../sidecar/relay-fixture.ts';
import {createMediaPlane} from '../../../lib/adapters/sidecar/media-plane.ts';
import {systemClock} from '../../../lib/ports/clock.ts';
import {silentLog} from '../../../lib/ports/log.ts';

const folder = (): string => mkdtempSync(path.join(tmpdir(), 'cpm-relay-'));
const options = {side: 'access', mode: 'hold', label: {}, maxMessageBytes: 1000} as const;

test('CPM-CF 5.2.1.4: without a relay no leg is opened; when it comes, or comes back, legs are', async (t) => {
  const directory = folder();
  const control = `unix:${path.join(directory, 'c.sock')}`;
  const plane = createMediaPlane({control, owner: 'pf', clock: systemClock, log: silentLog, openMilliseconds: 200});
  const changes: boolean[] = [];
  plane.onAvailability((available) => changes.push(available));
  t.false(plane.available);
  t.like(await t.throwsAsync(plane.openLeg(options)), {code: 'CPM_MEDIA_AWAY', status: 503});
  await t.throwsAsync(plane.status());
  await plane.close();

  const patient = connectPlane(control);
  patient.onAvailability((available) => changes.push(available));
  const opening = patient.openLeg(options);
  const first = await startRelay(control);
  const leg = await opening;
  const ended = new Promise((resolve) => (leg.onEnd = resolve));
  first.process.kill('SIGKILL');
  t.is(await ended, 'sidecar-lost');
  t.false(patient.available);
  t.deepEqual(await leg.send({contentType: 'text/plain', bytes: Buffer.from('x')}), {kind: 'lost'});
  await t.throwsAsync(leg.bound(1000), {message: /did not open/});
  leg.refuse();
  leg.hold();
  leg.connect({path: [], connection: 'passive', acceptTypes: [], maxSize: undefined});
  await leg.release();

  const second = await startRelay(control);
  const again = await patient.openLeg(options);
  t.true(patient.available);
  t.not(again.uri, leg.uri);
  const pairing = await leg.pair(again);
  pairing.open();
  pairing.undo();
  t.deepEqual(changes, [true, false, true]);
  await patient.close();
  second.process.kill('SIGTERM');
  await second.ended;
  rmSync(directory, {recursive: true});
});

test('T21 RFC 4975 §8.6: a peer is sent only what its accept-types and its max-size admit', async (t) => {
  const remote = {path: [], connection: 'passive' as const, maxSize: 10};
  const why = (acceptTypes: string[], contentType: string, length = 1) =>
    admits({...remote, acceptTypes}, {contentType, bytes: Buffer.alloc(length)});
  t.is(why(['message/cpim'], 'Message/CPIM; charset=utf-8'), undefined);
  t.is(why(['message/cpim'], 'text/plain'), 'type');
  t.is(why([], 'text/plain'), 'type');
  t.is(why(['text/*'], 'text/html'), undefined);
  t.is(why(['*'], 'image/png'), undefined);
  t.is(why(['*'], 'image/png', 11), 'size');

  const fixture = await startFixture();
  const {leg, peer} = await boundLeg(fixture.plane, {}, {acceptTypes: ['message/cpim'], maxSize: 10});
  takesAll(peer);
  const send = (contentType: string, text: string) => leg.send({contentType, bytes: Buffer.from(text)});
  t.deepEqual(await send('text/plain', 'x'), {kind: 'not-admitted', why: 'type'});
  t.deepEqual(await send('message/cpim', 'x'.repeat(11)), {kind: 'not-admitted', why: 'size'});
  t.deepEqual(await send('message/cpim', 'x'.repeat(10)), {kind: 'answered', status: 200});
  await fixture.close();
});

test('CPM-CF 5.2.1.4: messages beyond the window of a leg wait in the PF, and all of them arrive, in order', async (t) => {
  const fixture = await startFixture();
  const {leg, peer} = await boundLeg(fixture.plane);
  let octets = 0;
  const order: string[] = [];
  peer.onSend = undefined;
  takesAll(peer);
  const outcomes = await Promise.all(
    Array.from({length: 30}, async (_, index) => {
      const outcome = await leg.send({contentType: 'text/plain', bytes: Buffer.alloc(700_000, 65 + index)});
      order.push(String(index));
      return outcome;
    }),
  );
  for (const frame of peer.frames) octets += frame.what === 'SEND' ? (frame.body?.length ?? 0) : 0;
  t.true(outcomes.every((each) => each.kind === 'answered' && each.status === 200));
  t.is(octets, 30 * 700_000);
  t.deepEqual(
    order,
    Array.from({length: 30}, (_, index) => String(index)),
  );
  await fixture.close();
});

test('CPM-CF 5.2.1.4: a handler that fails leaves the message with its sender, who gets 408', async (t) => {
  const fixture = await startFixture();
  const held = await boundLeg(fixture.plane);
  held.verdict = () => Promise.reject(new Error('the store fell over'));
  held.send({id: 'fail0001', range: '1-2/2', body: 'hi'});
  t.is((await held.peer.next()).what, '408');
  held.leg.onMessage = undefined;
  held.send({id: 'late0001', range: '1-2/2', body: 'hi'});
  const taken = new Promise((resolve) => {
    held.leg.onMessage = (message) => {
      resolve(message.messageId);
      return Promise.resolve('accepted');
    };
  });
  t.is((await held.peer.next()).what, '200');
  t.is(await taken, 'm-late0001');
  await fixture.close();
});
