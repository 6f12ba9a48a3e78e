import {connect} from 'node:net';
import {once} from 'node:events';
import {existsSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'ava';
import {createMediaPlane} from '../../lib/adapters/sidecar/media-plane.ts';
import {systemClock} from '../../lib/ports/clock.ts';
import {silentLog} from '../../lib/ports/log.ts';
import {answerText} from '../support/msrp-peer.ts';
import {runNode} from '../support/child.ts';
import {boundLeg, connectPlane, relayedPair, startFixture, startRelay, takesAll} from './relay-fixture.ts';

const folder = (): string => mkdtempSync(path.join(tmpdir(), 'cpm-relay-'));

test('E3 a PF that is gone: held and sending legs are closed at once, relayed pairs go on, the next life of the PF releases them', async (t) => {
  const fixture = await startFixture({graceSeconds: 60});
  const held = await boundLeg(fixture.plane);
  const sending = await boundLeg(fixture.plane, {mode: 'send'});
  const gated = [await boundLeg(fixture.plane), await boundLeg(fixture.plane)] as const;
  await gated[0].leg.pair(gated[1].leg);
  const [one, two] = await relayedPair(fixture.plane);
  takesAll(two.peer);
  await fixture.plane.close();
  await Promise.all([held.peer.end(), sending.peer.end(), gated[0].peer.end(), gated[1].peer.end()]);
  t.deepEqual([held.ends, one.ends], [['sidecar-lost'], ['sidecar-lost']]);

  one.send({id: 'grac0001', range: '1-2/2', body: 'hi'});
  t.is((await one.peer.next()).what, '200');
  t.is(two.peer.frames.at(-1)?.body, 'hi');

  const other = connectPlane(fixture.control, 'pf-2');
  await boundLeg(other);
  t.false(one.peer.closed);
  const next = connectPlane(fixture.control, 'pf-1');
  await boundLeg(next);
  await Promise.all([one.peer.end(), two.peer.end()]);
  await other.close();
  await next.close();
  await fixture.close();
});

test('E3 a relayed pair without its PF ends when the grace time is over, or when it would have to keep something', async (t) => {
  const fixture = await startFixture({graceSeconds: 0.5});
  const [one, two] = await relayedPair(fixture.plane);
  const [three, four] = await relayedPair(fixture.plane);
  three.send({id: 'lost0001', range: '1-2/2', body: 'hi'});
  const send = await four.peer.next('SEND');
  await fixture.plane.close();
  four.peer.write(answerText(send, 481));
  // Nobody is there to keep the message: its sender sees the end instead of a 200.
  await three.peer.end();
  t.false(three.peer.frames.some((each) => each.id === 'lost0001'));
  await Promise.all([one.peer.end(), two.peer.end()]);
  await fixture.close();
});

test('E3 a relay process without a PF ends by itself after the configured time, and not before', async (t) => {
  const directory = folder();
  const control = `unix:${path.join(directory, 'c.sock')}`;
  const child = await startRelay(control, {exitWhenOrphanedSeconds: 4});
  const plane = connectPlane(control);
  await boundLeg(plane);
  await plane.close();
  t.is(await child.ended, 0);
  rmSync(directory, {recursive: true});
});

test('E3 SIGTERM ends a relay process with 0, also when nobody reads what it says; its socket is gone', async (t) => {
  const directory = folder();
  const child = runNode('lib/sidecar/main.ts', [JSON.stringify({control: `unix:${path.join(directory, 'c.sock')}`})]);
  await child.said(/"event":"listening"/);
  child.process.stdout?.destroy();
  child.process.stderr?.destroy();
  const plane = connectPlane(`unix:${path.join(directory, 'c.sock')}`);
  const held = await boundLeg(plane);
  const exited = once(child.process, 'exit');
  child.process.kill('SIGTERM');
  t.deepEqual(await exited, [0, null]);
  await held.peer.end();
  t.deepEqual(held.ends, ['sidecar-lost']);
  t.false(plane.available);
  await plane.close();
  rmSync(directory, {recursive: true});
});

test('E3 a socket file that a killed process left is replaced, one that is in use is not', async (t) => {
  const directory = folder();
  const control = `unix:${path.join(directory, 'c.sock')}`;
  const first = await startRelay(control);
  const second = runNode('lib/sidecar/main.ts', [JSON.stringify({control})]);
  t.is(await second.ended, 1);
  t.regex(second.output(), /"event":"failed","code":"CPM_RELAY_CONTROL"/);
  first.process.kill('SIGKILL');
  await first.ended;
  t.true(existsSync(path.join(directory, 'c.sock')));
  const third = await startRelay(control);
  third.process.kill('SIGTERM');
  t.is(await third.ended, 0);
  rmSync(directory, {recursive: true});
});

test('E3 beyond loopback a relay process asks for TLS files, and refuses to start without', async (t) => {
  for (const control of ['0.0.0.0:0', '192.0.2.1:7650', '[::]:0']) {
    const child = runNode('lib/sidecar/main.ts', [JSON.stringify({control})]);
    t.is(await child.ended, 1);
    t.regex(child.output(), /beyond loopback and has no tls/);
  }
  const mistake = runNode('lib/sidecar/main.ts', [JSON.stringify({control: '127.0.0.1:0', nextHopSecond: 3})]);
  t.is(await mistake.ended, 1);
  t.regex(mistake.output(), /nextHopSecond/);
});

test('E3 what is no gRPC on the control address does no harm', async (t) => {
  const directory = folder();
  const child = await startRelay('127.0.0.1:0');
  const {control} = JSON.parse(await child.line(/"listening"/)) as {control: string};
  const [host = '', port = ''] = control.split(':');
  const socket = connect({host, port: Number(port)});
  await once(socket, 'connect');
  socket.on('error', () => undefined).resume();
  socket.end('GET / HTTP/1.1\r\n\r\n\0\0\0');
  await once(socket, 'close');
  const plane = connectPlane(control);
  const held = await boundLeg(plane);
  t.is(held.offered.length, 0);
  await plane.close();
  child.process.kill('SIGTERM');
  t.is(await child.ended, 0);
  rmSync(directory, {recursive: true});
});

test('RFC 4975 §8: listening and advertised addresses are configured apart, for each side; IPv6 stands in brackets', async (t) => {
  const fixture = await startFixture({
    access: {listen: {host: '::1', port: 0}, advertise: {host: '2001:db8::9', port: 2855}},
    core: {listen: {host: '127.0.0.1', port: 0}, advertise: {host: 'core.example.net'}},
  });
  const open = async (side: 'access' | 'core') =>
    fixture.plane.openLeg({side, mode: 'hold', label: {}, maxMessageBytes: 1});
  const access = await open('access');
  const core = await open('core');
  t.regex(access.uri, /^msrp:\/\/\[2001:db8::9\]:2855\//);
  t.deepEqual(access.address, {host: '2001:db8::9', port: 2855, family: 6});
  t.regex(core.uri, /^msrp:\/\/core\.example\.net:\d+\//);
  t.not(core.address.port, 0);
  await fixture.close();
});

test('RFC 4975 §7.1.1: a spool directory is made where it is missing, and nothing stays in it', async (t) => {
  const directory = path.join(folder(), 'deep', 'spool');
  const fixture = await startFixture({spool: {directory, messageMemoryBytes: 10}});
  const held = await boundLeg(fixture.plane);
  held.send({id: 'spoo0001', range: '1-*/*', body: 'x'.repeat(100_000)});
  t.is((await held.peer.next()).what, '200');
  t.is(held.offered[0]?.bytes.length, 100_000);
  t.true(existsSync(directory));
  await fixture.close();

  writeFileSync(path.join(directory, '..', 'file'), '');
  const broken = await startFixture({
    spool: {directory: path.join(directory, '..', 'file', 'x'), messageMemoryBytes: 10},
  });
  const unlucky = await boundLeg(broken.plane);
  unlucky.send({id: 'spoo0002', range: '1-*/*', body: 'x'.repeat(1000)});
  t.is((await unlucky.peer.next()).what, '413');
  t.is(unlucky.offered.length, 0);
  await broken.close();
  rmSync(path.join(directory, '..', '..'), {recursive: true});
});

test('E3 with TLS both ends show a certificate of one authority; who has none, or a stranger’s, is not heard', async (t) => {
  const file = (name: string) => path.resolve('test/fixtures/relay-tls', name);
  const tls = {ca: file('authority.pem'), cert: file('node.pem'), key: file('node-key.pem')};
  const child = await startRelay('0.0.0.0:0', {tls});
  const [, port = ''] = /"control":"0\.0\.0\.0:(\d+)"/.exec(child.output()) ?? [];
  const control = `localhost:${port}`;
  const options = {control, owner: 'pf', clock: systemClock, log: silentLog};
  const leg = {side: 'access', mode: 'hold', label: {}, maxMessageBytes: 1} as const;
  for (const wrong of [{}, {tls: {...tls, cert: file('stranger.pem'), key: file('stranger-key.pem')}}]) {
    const stranger = createMediaPlane({...options, ...wrong, openMilliseconds: 500});
    await t.throwsAsync(stranger.openLeg(leg), {message: /away/});
    await stranger.close();
  }
  const plane = createMediaPlane({...options, tls, openMilliseconds: 10_000});
  t.truthy(await plane.openLeg(leg));
  await plane.close();
  child.process.kill('SIGTERM');
  t.is(await child.ended, 0);
});
