import {existsSync, mkdtempSync, statSync} from 'node:fs';
import {connect} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {startAdmin} from '../../../lib/adapters/http/admin.ts';
import type {Admin, AdminStatus} from '../../../lib/adapters/http/admin.ts';
import type {Operator} from '../../../lib/ports/operator.ts';
import {readPortFile, writePortFile} from '../../../lib/adapters/http/port-file.ts';

const ledger = {accepted: 3, pending: 1, held: 0, delivered: 2, expired: 0, dropped: 0, failed: 0};

const deliveries = {running: 1, queued: 0, retrying: 2, parked: 3};
const load = {
  sessions: 4,
  eventLoopDelayMilliseconds: 12,
  over: ['sessions'],
  refused: {draining: 0, sessions: 7, 'event-loop': 0, pending: 1, media: 0, store: 0},
} as const;

const up = {sip: 'up', media: 'up', store: 'up'} as const;

type Status = Omit<AdminStatus, 'ledger' | 'relays'>;

const relays = [
  {relay: 'unix:/run/"1".sock', counters: {connections: 4, queuedBytesMost: 9, unknownSession: 3}},
  {relay: '192.0.2.7:7650', counters: undefined},
];

const running: Status = {
  node: 'pf-1',
  version: '1.2.3',
  pid: 7,
  startedAt: 0,
  state: 'running',
  parts: up,
  load,
  deliveries,
};

async function adminWith(
  t: ExecutionContext,
  change: Partial<Status> = {},
  operator?: Operator,
): Promise<Admin & {folder: string}> {
  const folder = path.join(mkdtempSync(path.join(tmpdir(), 'admin-')), 'run');
  const status: Status = {...running, ...change};
  const admin = await startAdmin({
    host: '127.0.0.1',
    port: 0,
    runtimeDirectory: folder,
    status: () => status,
    ledger: () => Promise.resolve(ledger),
    relays: () => Promise.resolve(relays),
    operator: () => operator,
  });
  t.teardown(() => admin.close());
  return {...admin, folder};
}

test('admin: /live is answered as long as the process is there', async (t) => {
  const {url} = await adminWith(t, {state: 'starting', parts: undefined});
  t.is((await fetch(`${url}/live`)).status, 200);
});

test('admin: /ready is 200 with every part up', async (t) => {
  const {url} = await adminWith(t);
  const response = await fetch(`${url}/ready`);
  t.is(response.status, 200);
  t.is(response.headers.get('content-type'), 'application/json');
  t.deepEqual(await response.json(), {state: 'running', sip: 'up', media: 'up', store: 'up'});
});

test('admin: /ready is 503 while a part is away, and names it', async (t) => {
  const {url} = await adminWith(t, {parts: {...up, store: 'away'}});
  const response = await fetch(`${url}/ready`);
  t.is(response.status, 503);
  t.deepEqual(await response.json(), {state: 'running', sip: 'up', media: 'up', store: 'away'});
});

test('admin: /ready is 503 before the start is over and while draining', async (t) => {
  const starting = await adminWith(t, {state: 'starting', parts: undefined});
  const draining = await adminWith(t, {state: 'draining'});
  t.is((await fetch(`${starting.url}/ready`)).status, 503);
  t.is((await fetch(`${draining.url}/ready`)).status, 503);
});

test('admin: /status tells node, version, parts, load, the ledger and what the relays count', async (t) => {
  const {url} = await adminWith(t);
  t.deepEqual(await (await fetch(`${url}/status`)).json(), {
    ...running,
    ledger: {...ledger, addsUp: true},
    relays: [relays[0], {relay: '192.0.2.7:7650'}],
  });
});

test('admin: /metrics says the same to Prometheus, and leaves out what is not known', async (t) => {
  const {url} = await adminWith(t, {parts: {...up, store: 'away'}});
  const response = await fetch(`${url}/metrics`);
  t.is(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  const lines = (await response.text()).split('\n');
  for (const line of [
    'cpm_running 1',
    'cpm_part_up{part="sip"} 1',
    'cpm_part_up{part="store"} 0',
    '# TYPE cpm_sessions gauge',
    'cpm_sessions 4',
    'cpm_event_loop_delay_seconds 0.012',
    'cpm_overloaded{limit="sessions"} 1',
    'cpm_overloaded{limit="event-loop"} 0',
    'cpm_deliveries{state="parked"} 3',
    'cpm_refused_total{why="sessions"} 7',
    'cpm_refused_total{why="pending"} 1',
    'cpm_messages_pending 1',
    'cpm_messages_held 0',
    'cpm_ledger_adds_up 1',
    'cpm_messages_total{how="accepted"} 3',
    'cpm_messages_total{how="delivered"} 2',
    'cpm_relay_up{relay="unix:/run/\\"1\\".sock"} 1',
    'cpm_relay_up{relay="192.0.2.7:7650"} 0',
    'cpm_relay_now{relay="unix:/run/\\"1\\".sock",what="connections"} 4',
    'cpm_relay_now{relay="unix:/run/\\"1\\".sock",what="queuedBytesMost"} 9',
    '# TYPE cpm_relay_total counter',
    'cpm_relay_total{relay="unix:/run/\\"1\\".sock",what="unknownSession"} 3',
  ])
    t.true(lines.includes(line), line);
  const starting = await adminWith(t, {state: 'starting', parts: undefined, load: undefined, deliveries: undefined});
  const text = await (await fetch(`${starting.url}/metrics`)).text();
  t.true(text.includes('cpm_running 0\n'));
  t.false(/cpm_(part_up|sessions|refused)/.test(text));
});

test('admin: an unknown path is 404, another method 405 with Allow', async (t) => {
  const {url} = await adminWith(t);
  t.is((await fetch(`${url}/`)).status, 404);
  t.is((await fetch(`${url}/live/x`)).status, 404);
  const posted = await fetch(`${url}/live`, {method: 'POST', body: 'x'.repeat(100_000)}).catch(() => undefined);
  if (posted !== undefined) t.is(posted.headers.get('allow'), 'GET, HEAD');
  const deleted = await fetch(`${url}/live`, {method: 'DELETE'});
  t.is(deleted.status, 405);
  t.is(deleted.headers.get('allow'), 'GET, HEAD');
});

test('admin: headers beyond the bound are refused, and the endpoint goes on', async (t) => {
  const {url} = await adminWith(t);
  const {port} = new URL(url);
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(Number(port), '127.0.0.1');
    let text = '';
    socket.setEncoding('latin1').on('data', (part: string) => (text += part));
    socket
      .on('error', () => undefined)
      .on('close', () => {
        resolve(text);
      });
    socket.write(`GET /live HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(10_000)}\r\n\r\n`);
  });
  t.regex(answer, /^HTTP\/1\.1 431 /);
  t.is((await fetch(`${url}/live`)).status, 200);
});

test('admin: the port file leads to the endpoint and goes with it', async (t) => {
  const admin = await adminWith(t);
  const {key = '', ...at} = readPortFile(admin.folder) ?? {};
  t.deepEqual(at, {url: admin.url, pid: process.pid});
  t.regex(key, /^[\w-]{32}$/);
  t.is(statSync(path.join(admin.folder, 'admin.json')).mode & 0o777, 0o600);
  await admin.close();
  await admin.close();
  t.false(existsSync(path.join(admin.folder, 'admin.json')));
});

test("admin: another process's port file stays", async (t) => {
  const admin = await adminWith(t);
  writePortFile(admin.folder, {url: 'http://127.0.0.1:1', pid: process.pid + 1, key: ''});
  await admin.close();
  t.is(readPortFile(admin.folder)?.pid, process.pid + 1);
});

test('admin: a taken port is CPM_ADMIN_ADDRESS', async (t) => {
  const {url} = await adminWith(t);
  const again = startAdmin({
    host: '127.0.0.1',
    port: Number(new URL(url).port),
    runtimeDirectory: mkdtempSync(path.join(tmpdir(), 'admin-')),
    status: () => t.fail(),
    ledger: () => Promise.resolve(undefined),
    relays: () => Promise.resolve([]),
    operator: () => undefined,
  });
  await t.throwsAsync(again, {code: 'CPM_ADMIN_ADDRESS'});
});
