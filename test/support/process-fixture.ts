/**
 * A process of ours around an application that does as the second argument says. Its start is heard in its log; the first argument is its configuration file.
 */
import {loadConfig} from '../../lib/config/load.ts';
import {processLog, runProcess, startNode} from '../../lib/main.ts';
import type {ReloadableApp} from '../../lib/app.ts';

const [file = '', how = 'run'] = process.argv.slice(2);
const config = loadConfig(file, process.env);
const log = processLog(config, 'pf');

const none = () => Promise.reject(new Error('there are no messages'));
const noOperator = {
  ...{selectionOf: none, trace: none, change: none, erase: none},
  ...{recordedSessions: none, recorded: none, recordedObject: none, groups: none, group: none, groupStates: none},
};

const app: ReloadableApp = {
  ready: () => ({sip: 'up', media: 'up', store: how === 'store-away' ? 'away' : 'up'}),
  deliveries: () => ({running: 0, queued: 0, retrying: 0, parked: 0}),
  load: () => ({
    sessions: 0,
    eventLoopDelayMilliseconds: 0,
    over: [],
    refused: {draining: 0, sessions: 0, 'event-loop': 0, pending: 0, media: 0, store: 0},
  }),
  relays: () => Promise.resolve([]),
  ledger: () => Promise.resolve(undefined),
  operator: noOperator,
  reload: ({cpm}) => {
    log.debug({retention: cpm.deferredRetentionSeconds}, 'the application was told');
  },
  drain: () => (how.startsWith('drain-') ? new Promise(() => undefined) : Promise.resolve()),
};

/** Keeps the process alive, as sockets would. */
setInterval(() => undefined, 1000);

const startApp = (): Promise<ReloadableApp> => {
  if (how === 'fail') return Promise.reject(new Error('no such SIP server'));
  if (how === 'throw') setImmediate(() => { throw new Error('a bug'); }); // prettier-ignore
  if (how === 'reject') setImmediate(() => void Promise.reject(new Error('a bug')));
  return Promise.resolve(app);
};

await runProcess({
  log,
  drainMilliseconds: how === 'drain-late' ? 300 : 60_000,
  start: () => startNode({config, log, startApp, reread: () => loadConfig(file, process.env)}),
});
