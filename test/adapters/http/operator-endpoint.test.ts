import {mkdtempSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {startAdmin} from '../../../lib/adapters/http/admin.ts';
import {readPortFile} from '../../../lib/adapters/http/port-file.ts';
import type {TracedMessage} from '../../../lib/cpm/history.ts';
import type {FolderSummary, StoredSummary} from '../../../lib/cpm/stored-object.ts';
import type {GroupSession} from '../../../lib/cpm/group-session.ts';
import type {GroupState} from '../../../lib/cpm/group-state.ts';
import {CpmError} from '../../../lib/errors.ts';
import type {GroupSummary, KeptGroupState, Operator} from '../../../lib/ports/operator.ts';
import {newGroup} from '../../support/group-sessions.ts';

const message: TracedMessage = {
  ...{id: '7', sequence: 7, servedUser: 'tel:+1', sender: 'tel:+2', kind: 'chat', imdnMessageId: 'Msg1'},
  ...{conversationId: 'c', state: 'queued', receivedAt: 1, expiresAt: 2, history: [], omitted: 0},
};

const folder: FolderSummary = {
  ...{servedUser: 'tel:+1', conversationId: 'c', contributionId: 's', firstDate: 1, lastDate: 2},
  counts: {'session-info': 1, message: 2, notification: 0, 'group-state': 0},
};
const stored: StoredSummary = {
  ...{id: '7', sequence: 7, servedUser: 'tel:+1', conversationId: 'c', contributionId: 's', kind: 'message'},
  ...{imdnMessageId: 'Msg1', from: 'tel:+2', to: 'tel:+1', direction: 'received', date: 1, headers: []},
  ...{contentType: 'message/cpim', size: 5, storedAt: 3},
};

const group = JSON.parse(JSON.stringify(newGroup({contributionId: 'g h'}))) as GroupSession;
const groupSummary: GroupSummary = {...group, subject: 'S', participants: 1};
const groupState: GroupState = {lastFocusSessionId: 'f', timestamp: 't', groupType: 'Closed', participants: []};
const state: KeptGroupState = {id: '8', sequence: 8, imdnMessageId: 'Gso1', date: 1, state: groupState};

/** Writes down what it is asked. */
function recorder(answer: Partial<Operator> = {}): {readonly operator: Operator; readonly asked: unknown[]} {
  const asked: unknown[] = [];
  const operator: Operator = {
    selectionOf: (value) => Promise.resolve({by: 'conversation', value}),
    trace: (...args) => (asked.push(['trace', ...args]), Promise.resolve([message])),
    change: (...args) => (asked.push(['change', ...args]), Promise.resolve({messages: 2, users: 1})),
    erase: (...args) => (
      asked.push(['erase', ...args]),
      Promise.resolve({
        messagesTo: 1,
        messagesFrom: 0,
        recorded: 0,
        groups: 0,
        identities: 1,
        registrations: 1,
        kept: [],
      })
    ),
    recordedSessions: (...args) => (asked.push(['sessions', ...args]), Promise.resolve([folder])),
    recorded: (...args) => (asked.push(['recorded', ...args]), Promise.resolve([stored])),
    recordedObject: (...args) => (
      asked.push(['object', ...args]),
      Promise.resolve({...stored, bytes: Buffer.from('words')})
    ),
    groups: (...args) => (asked.push(['groups', ...args]), Promise.resolve([groupSummary])),
    group: (...args) => (asked.push(['group', ...args]), Promise.resolve(args[1] === 'g' ? group : undefined)),
    groupStates: (...args) => (asked.push(['states', ...args]), Promise.resolve([state])),
    ...answer,
  };
  return {operator, asked};
}

type Asked = Readonly<{method?: string; body?: string; headers?: Record<string, string>}>;

async function ask(t: ExecutionContext, operator: Operator | undefined) {
  const folder = path.join(mkdtempSync(path.join(tmpdir(), 'operator-')), 'run');
  const admin = await startAdmin({
    ...{host: '127.0.0.1', port: 0, runtimeDirectory: folder},
    status: () => t.fail(),
    ledger: () => Promise.resolve(undefined),
    relays: () => Promise.resolve([]),
    operator: () => operator,
  });
  t.teardown(() => admin.close());
  const key = readPortFile(folder)?.key ?? '';
  return async (at: string, init: Asked = {}): Promise<readonly [number, unknown]> => {
    const headers = {authorization: `Bearer ${key}`, connection: 'close', ...init.headers};
    const response = await fetch(`${admin.url}${at}`, {...init, headers});
    return [response.status, await response.json()];
  };
}

const post = (body: unknown): Asked => ({method: 'POST', body: JSON.stringify(body)});

test('admin: without the key of the port file nobody is told of messages, nor changes any', async (t) => {
  const {operator, asked} = recorder();
  const get = await ask(t, operator);
  const headers = {authorization: 'Bearer x'};
  t.is((await get('/messages?value=x', {headers}))[0], 401);
  t.is((await get('/queue/drop', {...post({by: 'user', value: 'x', who: 'root'}), headers}))[0], 401);
  t.is((await get('/erase', {...post({user: 'x', who: 'root'}), headers}))[0], 401);
  t.deepEqual(asked, []);
});

test('admin: /messages tells a page of a selection, and where the next one begins', async (t) => {
  const {operator, asked} = recorder();
  const get = await ask(t, operator);
  t.deepEqual(await get('/messages?by=user&value=tel%3A%2B1&pending=true&limit=1&after=3.x'), [
    200,
    {selection: {by: 'user', value: 'tel:+1'}, messages: [message], next: '7.7'},
  ]);
  t.deepEqual(await get('/messages?value=c'), [
    200,
    {selection: {by: 'conversation', value: 'c'}, messages: [message]},
  ]);
  t.deepEqual(asked, [
    ['trace', {by: 'user', value: 'tel:+1'}, {after: {sequence: 3, id: 'x'}, limit: 1, pendingOnly: true}],
    ['trace', {by: 'conversation', value: 'c'}, {after: undefined, limit: 100, pendingOnly: false}],
  ]);
});

test('admin: each change and the erasure is one POST, with the name of who asks', async (t) => {
  const {operator, asked} = recorder();
  const get = await ask(t, operator);
  for (const what of ['hold', 'release', 'retry', 'drop'])
    t.deepEqual(await get(`/queue/${what}`, post({by: 'sender', value: 'tel:+2', who: 'root'})), [
      200,
      {messages: 2, users: 1},
    ]);
  t.is((await get('/erase', post({user: 'tel:+1', who: 'root'})))[0], 200);
  t.deepEqual(asked, [
    ...['hold', 'release', 'retry', 'drop'].map((what) => ['change', what, {by: 'sender', value: 'tel:+2'}, 'root']),
    ['erase', 'tel:+1', 'root'],
  ]);
});

test('admin: what cannot be understood is 400, 405 or 413, and changes nothing', async (t) => {
  const {operator, asked} = recorder();
  const get = await ask(t, operator);
  const statuses = [
    await get('/messages'),
    await get('/messages?value=x&limit=0'),
    await get('/messages?value=x&after=1'),
    await get('/queue/drop', post({by: 'everybody', value: 'x', who: 'root'})),
    await get('/queue/drop', post({by: 'user', value: 'x'})),
    await get('/queue/drop', post({by: 'user', value: 'x', who: 'two\nlines'})),
    await get('/queue/drop', {method: 'POST', body: '{'}),
    await get('/queue/drop'),
    await get('/messages?value=x', {method: 'DELETE'}),
    await get('/erase', post({user: 'x'.repeat(9000), who: 'root'})),
    await get('/queue/burn', post({})),
  ].map(([status]) => status);
  t.deepEqual(statuses, [400, 400, 400, 400, 400, 400, 400, 405, 405, 413, 404]);
  t.deepEqual(asked, []);
});

test('admin: an absent store is 503 with its code, and so is a PF that is not there yet', async (t) => {
  const away = new CpmError('CPM_STORE_AWAY', 503, 'the store is away');
  const get = await ask(t, recorder({trace: () => Promise.reject(away)}).operator);
  t.deepEqual(await get('/messages?value=x'), [503, {code: 'CPM_STORE_AWAY', error: 'the store is away'}]);
  const starting = await ask(t, undefined);
  t.is((await starting('/messages?value=x'))[0], 503);
});

test('admin: /recorded tells the sessions of a user, the objects of a conversation, and one object with its octets', async (t) => {
  const {operator, asked} = recorder();
  const get = await ask(t, operator);
  t.deepEqual(await get('/recorded?user=tel%3A%2B1&limit=1&after=a+b'), [200, {sessions: [folder], next: 'c s'}]);
  t.deepEqual(await get('/recorded?user=u&conversation=c&limit=1&after=3'), [200, {objects: [stored], next: '7'}]);
  t.deepEqual(await get('/recorded?user=u&conversation=c'), [200, {objects: [stored]}]);
  t.deepEqual(await get('/recorded?user=u&object=7&who=root'), [200, {...stored, bytes: 'd29yZHM='}]);
  t.deepEqual(asked, [
    ['sessions', 'tel:+1', {after: {conversationId: 'a', contributionId: 'b'}, limit: 1}],
    ['recorded', 'u', 'c', {after: 3, limit: 1}],
    ['recorded', 'u', 'c', {after: undefined, limit: 100}],
    ['object', 'u', '7', 'root'],
  ]);
  t.is((await get('/recorded?user=u&object=7'))[0], 400);
  t.is((await get('/recorded?user=u', {headers: {authorization: 'Bearer x'}}))[0], 401);
});

test('admin: /groups tells the groups of a user, one of them, or its states', async (t) => {
  const {operator, asked} = recorder();
  const get = await ask(t, operator);
  t.deepEqual(await get('/groups?user=u&limit=1&after=a+%25b'), [200, {groups: [groupSummary], next: 'g h'}]);
  t.deepEqual(await get('/groups?user=u'), [200, {groups: [groupSummary]}]);
  t.deepEqual(await get('/groups?user=u&group=g'), [200, {group}]);
  t.deepEqual(await get('/groups?user=u&group=G'), [200, {}]);
  t.deepEqual(await get('/groups?user=u&group=g&states=true&limit=1&after=3'), [200, {states: [state], next: '8'}]);
  t.deepEqual(asked, [
    ['groups', 'u', {after: 'a %b', limit: 1}],
    ['groups', 'u', {after: undefined, limit: 100}],
    ['group', 'u', 'g'],
    ['group', 'u', 'G'],
    ['states', 'u', 'g', {after: 3, limit: 1}],
  ]);
  t.is((await get('/groups'))[0], 400);
  t.is((await get('/groups?user=u', {method: 'POST'}))[0], 405);
  t.is((await get('/groups?user=u', {headers: {authorization: 'Bearer x'}}))[0], 401);
});
