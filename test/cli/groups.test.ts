import {mkdtempSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {openEmbeddedStore} from '../../lib/adapters/embedded-store/embedded-store.ts';
import {startAdmin} from '../../lib/adapters/http/admin.ts';
import {formatGroup, formatGroups, formatGroupStates} from '../../lib/cli/group-lines.ts';
import {formatGroupState, GROUP_STATE_TYPE} from '../../lib/codecs/group-state.ts';
import {groupStateOf} from '../../lib/cpm/group-state.ts';
import type {GroupSession} from '../../lib/cpm/group-session.ts';
import {silentLog} from '../../lib/ports/log.ts';
import type {KeptGroupState} from '../../lib/ports/operator.ts';
import type {Store} from '../../lib/ports/store.ts';
import type {Context} from '../../lib/procedures/context.ts';
import {createOperator} from '../../lib/procedures/operator.ts';
import {newObject} from '../contracts/message-store.ts';
import {runNode} from '../support/child.ts';
import {conference, newGroup} from '../support/group-sessions.ts';

const bob = '+15550102';
const at = Date.UTC(2026, 10, 21, 20, 0, 0);
const group = (more: Partial<GroupSession> = {}): GroupSession =>
  newGroup({servedUser: `tel:${bob}`, changedAt: at, subject: 'Football', ...more});

const xmlOf = (removed: boolean): string =>
  formatGroupState(
    groupStateOf(group().conference, {
      lastFocusSessionId: group().focus,
      timestamp: '2026-11-21T20:00:00Z',
      groupType: 'Closed',
      own: [],
      groupData: false,
      removed,
      referredBy: removed ? 'tel:+15550101' : undefined,
    }),
  );

interface Running {
  readonly store: Store;
  /** Runs `cpm-pf groups`; answers its status and what it printed. */
  readonly run: (...args: string[]) => Promise<{readonly status: number | string; readonly output: string}>;
}

/** The admin endpoint of a PF with a store of its own. */
async function running(t: ExecutionContext): Promise<Running> {
  const folder = mkdtempSync(path.join(tmpdir(), 'groups-'));
  const store = await openEmbeddedStore({path: path.join(folder, 'store.db')});
  t.teardown(() => store.close());
  const users = {resolve: (address: string) => Promise.resolve(address)} as Context['users'];
  const operator = createOperator({store, users, log: silentLog} as Context);
  const runtimeDirectory = path.join(folder, 'run');
  const admin = await startAdmin({
    ...{host: '127.0.0.1', port: 0, runtimeDirectory},
    status: () => t.fail(),
    ledger: () => Promise.resolve(undefined),
    relays: () => Promise.resolve([]),
    operator: () => operator,
  });
  t.teardown(() => admin.close());
  const config = path.join(folder, 'pf.yaml');
  writeFileSync(config, JSON.stringify({node: {runtimeDirectory}}));
  return {
    store,
    async run(...args) {
      const child = runNode('lib/cli.ts', ['groups', ...args, '--config', config]);
      return {status: await child.ended, output: child.output()};
    },
  };
}

const state = (imdnMessageId: string, xml: string, date: number) =>
  newObject({
    ...{
      servedUser: `tel:${bob}`,
      conversationId: group().conversationId,
      contributionId: 'Group1',
      kind: 'group-state',
    },
    ...{imdnMessageId, date, contentType: GROUP_STATE_TYPE, bytes: Buffer.from(xml)},
  });

test('8.3.2.9.1.2 C2: cpm-pf groups list: each group of a user is told, by Contribution-ID', async (t) => {
  t.timeout(120_000);
  const {store, run} = await running(t);
  t.deepEqual(await run('list', bob), {status: 1, output: 'no group is known\n'});
  await store.groupSessions.put(group({contributionId: 'Group2', standing: 'left', conference}));
  await store.groupSessions.put(group());
  const {status, output} = await run('list', bob);
  t.is(status, 0);
  t.is(
    output,
    [
      'changed              standing participants group                    subject',
      '2026-11-21T20:00:00Z active              1 Group1                   Football',
      '2026-11-21T20:00:00Z left                1 Group2                   Grüße \u{1f44b}',
      '',
    ].join('\n'),
  );
  const [first = '', second = ''] = (await run('list', bob, '--json')).output.split('\n');
  t.deepEqual(JSON.parse(first), {
    ...{servedUser: `tel:${bob}`, contributionId: 'Group1', conversationId: 'f81d4fae', standing: 'active'},
    ...{focus: group().focus, memberAddress: 'sip:bob@ims.example', node: 'pf-1', changedAt: at},
    ...{subject: 'Football', participants: 1},
  });
  t.like(JSON.parse(second), {contributionId: 'Group2', subject: 'Grüße \u{1f44b}'});
});

test('8.3.2.3 B4 B5: cpm-pf groups show tells who takes part, and each kept state: when, who, whether removed and by whom', async (t) => {
  t.timeout(120_000);
  const {store, run} = await running(t);
  await store.groupSessions.put(group({standing: 'removed'}));
  await store.messageStore.put(
    [
      state('Gso1', xmlOf(false), at),
      state('Gso2', xmlOf(true), at + 1000),
      state('Gso3', '<other/>', at + 2000),
      {...state('Gso4', xmlOf(false), at), contributionId: 'Group2'},
      {...state('Msg1', 'words', at), kind: 'message'},
    ],
    1,
  );
  const {status, output} = await run('show', bob, 'Group1');
  t.is(status, 0);
  t.is(
    output,
    [
      'group Group1: removed',
      '  conversation f81d4fae',
      '  subject Football',
      '  changed 2026-11-21T20:00:00Z, node pf-1',
      '  focus sip:focus@cf.ims.example;transport=tcp;gr=1',
      '  member sip:bob@ims.example',
      'participants: 1',
      '  tel:+4915150000001                       Alice',
      'states: 3',
      '  2026-11-21T20:00:00Z id 1, IMDN-Message-ID Gso1',
      '    tel:+4915150000001',
      '  2026-11-21T20:00:01Z id 2, IMDN-Message-ID Gso2',
      '    removed, referred by tel:+15550101',
      '    tel:+4915150000001',
      '  2026-11-21T20:00:02Z id 3, IMDN-Message-ID Gso3, unreadable',
      '',
    ].join('\n'),
  );

  const withXml = await run('show', bob, 'Group1', '--xml');
  t.is(withXml.output, `${output}\n${xmlOf(false)}\n${xmlOf(true)}\n<other/>`);
  const json = JSON.parse((await run('show', bob, 'Group1', '--xml', '--json')).output) as GroupSession & {
    readonly states: readonly (KeptGroupState & {readonly xml: string})[];
  };
  t.like(json, JSON.parse(JSON.stringify(group({standing: 'removed'}))));
  t.deepEqual(
    json.states.map(({imdnMessageId, date, state: kept, xml}) => [imdnMessageId, date, kept?.removed, xml]),
    [
      ['Gso1', at, undefined, xmlOf(false)],
      ['Gso2', at + 1000, true, xmlOf(true)],
      ['Gso3', at + 2000, undefined, '<other/>'],
    ],
  );
});

test('8.3.2.3 B4: cpm-pf groups: a group that is not known is 1, a PF that does not run 69, a wrong call 64', async (t) => {
  t.timeout(120_000);
  const {run} = await running(t);
  t.deepEqual(await run('show', bob, 'Group1'), {status: 1, output: 'no such group is known\n'});
  t.is((await run('show', bob)).status, 64);
  t.is((await run('forget', bob)).status, 64);
  const config = path.join(mkdtempSync(path.join(tmpdir(), 'groups-')), 'pf.yaml');
  writeFileSync(config, JSON.stringify({node: {runtimeDirectory: path.dirname(config)}}));
  for (const args of [
    ['list', bob],
    ['show', bob, 'Group1'],
  ])
    t.is(await runNode('lib/cli.ts', ['groups', ...args, '--config', config]).ended, 69);
});

test('8.3.2.3 B4 B5: cpm-pf groups: whatever a group brings, lines have 100 columns and no control character', (t) => {
  const long = `\u001b[2J\n${'x'.repeat(2000)}`;
  const user = {entity: long, displayText: long, roles: [long], endpoints: []};
  const hostile = group({
    ...{contributionId: long, conversationId: long, subject: long, focus: long, memberAddress: long},
    conference: {...conference, description: {subject: long}, participants: [user, user]},
  });
  const participants = Array.from({length: 30}, (_, index) => ({
    ...{name: '', yourOwn: false, address: index === 7 ? long : `tel:+1555010${index}`},
  }));
  const kept: KeptGroupState = {
    ...{id: '1', sequence: 1, imdnMessageId: long, date: at},
    state: {lastFocusSessionId: '', timestamp: '', groupType: 'Closed', participants, removed: true, referredBy: long},
  };
  for (const text of [
    formatGroups([{...hostile, participants: 2}]),
    formatGroup(hostile),
    formatGroupStates([kept, kept]),
  ]) {
    t.deepEqual(
      text.split('\n').filter((line) => line.length > 100),
      [],
    );
    t.notRegex(text.replaceAll('\n', ''), /\p{Cc}/u);
  }

  const said = formatGroupStates([kept]);
  for (const {address} of participants) if (address !== long) t.true(said.includes(address), address);
});
