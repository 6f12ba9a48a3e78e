import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {createServer} from 'node:net';
import type {AddressInfo} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {openPeers, type PeersOptions} from '../../../lib/adapters/http/peers.ts';
import {readCertificate} from '../../../lib/certificate-files.ts';
import {systemClock} from '../../../lib/ports/clock.ts';
import type {GiveWayAnswer, GiveWayRequest, Peers} from '../../../lib/ports/peers.ts';
import {certificate, type TestCertificate} from '../../support/certificates.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'cpm-peers-'));
const authority = certificate(folder, 'authority');
const stranger = certificate(folder, 'stranger');
test.after.always(() => {
  rmSync(folder, {recursive: true, force: true});
});

const signed = (name: string, by: TestCertificate = authority, trusts = authority): PeersOptions['tls'] => {
  const {certificateFile, keyFile} = certificate(folder, name, by);
  const {cert, key, ca} = readCertificate({certificateFile, keyFile, authorityFile: trusts.certificateFile});
  return ca === undefined ? undefined : {cert, key, ca};
};

async function node(t: ExecutionContext, name: string, options: Partial<PeersOptions> = {}): Promise<Peers> {
  const peers = await openPeers({node: name, host: '127.0.0.1', port: 0, clock: systemClock, ...options});
  t.teardown(async () => peers.close());
  return peers;
}

const asked = {servedUser: 'tel:+15550102', sender: 'tel:+15550101', milliseconds: 2000};

const ask = async (from: Peers, name: string, to: Peers, more: Partial<GiveWayRequest> = {}): Promise<GiveWayAnswer> =>
  from.giveWay({node: name, address: to.address}, {...asked, ...more});

const away = {code: 'CPM_PEER_AWAY'};

test('8.3.2.9.1.1 T36 T52: another node is asked who and whose messages, and its answer comes back', async (t) => {
  const [a, b] = [await node(t, 'a'), await node(t, 'b')];
  const heard: GiveWayRequest[] = [];
  a.onGiveWay = (request) => {
    heard.push(request);
    return Promise.resolve('free');
  };
  t.is(await ask(b, 'a', a), 'free');
  t.deepEqual(heard, [asked]);
  a.onGiveWay = () => Promise.resolve('busy');
  t.is(await ask(b, 'a', a), 'busy');
  a.onGiveWay = undefined;
  t.is(await ask(b, 'a', a), 'busy');
});

test('8.3.2.9.1.1 T36: a node that cannot be reached, or that says nothing in time, is one sentence', async (t) => {
  const [a, b] = [await node(t, 'a'), await node(t, 'b')];
  a.onGiveWay = async () => new Promise(() => undefined);
  await t.throwsAsync(ask(b, 'a', a, {milliseconds: 50}), {...away, message: /node a at http:.*: says nothing/});
  await a.close();
  await t.throwsAsync(ask(b, 'a', a), {...away, message: /ECONNREFUSED/});
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.teardown(() => silent.close());
  const address = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  await t.throwsAsync(b.giveWay({node: 'a', address}, {...asked, milliseconds: 50}), {
    ...away,
    message: /says nothing/,
  });
});

test('8.3.2.9.1.1 T36: an address that has become another node’s is not believed, nor is what cannot be read', async (t) => {
  const [a, b] = [await node(t, 'a'), await node(t, 'b')];
  a.onGiveWay = () => Promise.resolve('free');
  await t.throwsAsync(ask(b, 'c', a), away);
  await t.throwsAsync(b.giveWay({node: 'a', address: 'nowhere'}, asked), away);
  for (const [body, status] of [
    ['no JSON', 400],
    [JSON.stringify({...asked, node: 'a', milliseconds: -1}), 400],
    ['x'.repeat(10_000), 400],
    [JSON.stringify({...asked, node: 'a'}), 200],
  ] as const)
    t.is((await fetch(new URL('/give-way', a.address), {method: 'POST', body})).status, status);
  t.is((await fetch(new URL('/give-way', a.address))).status, 404);
});

test('8.3.2.9.1.1 T36: beyond loopback both nodes show a certificate of their authority', async (t) => {
  const a = await node(t, 'a', {tls: signed('a')});
  const b = await node(t, 'b', {tls: signed('b')});
  a.onGiveWay = () => Promise.resolve('free');
  t.regex(a.address ?? '', /^https:/);
  t.is(await ask(b, 'a', a), 'free');
});

test('8.3.2.9.1.1 T36: a certificate of another authority, on either side, or none at all, is refused', async (t) => {
  const a = await node(t, 'a', {tls: signed('a')});
  let heard = 0;
  a.onGiveWay = () => {
    heard += 1;
    return Promise.resolve('free');
  };
  // Both trust a, and a trusts neither.
  await t.throwsAsync(ask(await node(t, 'b', {tls: signed('b', stranger)}), 'a', a), away);
  await t.throwsAsync(ask(await node(t, 'c'), 'a', a), {...away, message: /without TLS/});
  await t.throwsAsync(fetch(new URL('/give-way', a.address?.replace('https', 'http')), {method: 'POST'}));
  // She trusts another authority than a's, and does not tell him what she wants.
  await t.throwsAsync(ask(await node(t, 'd', {tls: signed('d', authority, stranger)}), 'a', a), away);
  // An address without TLS is not asked by one who has it.
  await t.throwsAsync(ask(a, 'e', await node(t, 'e')), {...away, message: /without TLS/});
  t.is(heard, 0);
});

test('8.3.2.9.1.1 T36: a certificate made out to another host is not the node that was meant', async (t) => {
  const a = await node(t, 'a', {tls: signed('a')});
  const b = await node(t, 'b', {tls: signed('b')});
  const address = a.address?.replace('127.0.0.1', '127.0.0.2');
  const elsewhere = await node(t, 'a', {
    host: '127.0.0.2',
    port: Number(new URL(a.address ?? '').port),
    tls: signed('a'),
  });
  elsewhere.onGiveWay = () => Promise.resolve('free');
  await t.throwsAsync(b.giveWay({node: 'a', address}, asked), {...away, message: /does not match/});
});

test('8.3.2.9.1.1 T36: a port that is taken is told', async (t) => {
  const a = await node(t, 'a');
  const port = Number(new URL(a.address ?? '').port);
  await t.throwsAsync(openPeers({node: 'b', host: '127.0.0.1', port, clock: systemClock}), {
    code: 'CPM_PEERS_ADDRESS',
  });
});
