/**
 * A process of ours around an application that does as the second argument says. Its start is heard in its log; the first argument is its configuration file.
 */
import {loadConfig} from '../../lib/config/load.ts';
import {processLog, runProcess, startNode} from '../../lib/main.ts';
import type {App} from '../../lib/ports/app.ts';

const [file = '', how = 'run'] = process.argv.slice(2);
const config = loadConfig(file, process.env);
const log = processLog(config, 'pf');

const app: App = {
  ready: () => ({sip: 'up', media: 'up', store: how === 'store-away' ? 'away' : 'up'}),
  ledger: () => Promise.resolve(undefined),
  drain: () => (how === 'drain-forever' ? new Promise(() => undefined) : Promise.resolve()),
};

/** Keeps the process alive, as sockets would. */
setInterval(() => undefined, 1000);

const startApp = (): Promise<App> => {
  if (how === 'fail') return Promise.reject(new Error('no such SIP server'));
  if (how === 'throw') setImmediate(() => { throw new Error('a bug'); }); // prettier-ignore
  if (how === 'reject') setImmediate(() => void Promise.reject(new Error('a bug')));
  return Promise.resolve(app);
};

await runProcess({
  log,
  drainMilliseconds: how === 'drain-forever' ? 300 : 10_000,
  start: () => startNode(config, log, startApp),
});
