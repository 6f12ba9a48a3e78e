/**
 * A PF that kills itself at a chosen point, with SIGKILL: `node aimed-pf.js CONFIG AIM`. The parts are the real ones; only the moment is ours.
 */
import {openParts, serveNetwork} from '../../lib/app.ts';
import {loadConfig} from '../../lib/config/load.ts';
import {processLog, runProcess, startNode} from '../../lib/main.ts';
import type {DeferredQueue} from '../../lib/ports/deferred-queue.ts';
import type {Sip} from '../../lib/ports/sip.ts';

/** Where the kill comes. */
export type Aim =
  /** The message is durable, its sender has no 200 yet. */
  | 'stored-before-200'
  /** The client has said 200 to deferred messages, the store does not know yet. */
  | 'taken-before-sent'
  /** The BYE that ends a delivery is on its way. */
  | 'bye';

const die = (): never => {
  process.kill(process.pid, 'SIGKILL');
  for (;;) {
    // The signal comes before the next statement of anybody else.
  }
};

const [, , file = '', aim = ''] = process.argv;
const config = loadConfig(file, process.env);
const log = processLog(config, 'pf');

/** The target, with some of its members replaced; all others are its own, private fields included. */
function over<T extends object>(target: T, replaced: Partial<T>): T {
  return new Proxy(target, {
    get(_, name) {
      if (name in replaced) return Reflect.get(replaced, name) as unknown;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

function aimedQueue(queue: DeferredQueue): DeferredQueue {
  return over(queue, {
    enqueue: async (...messages: Parameters<DeferredQueue['enqueue']>) => {
      const results = await queue.enqueue(...messages);
      return aim === 'stored-before-200' ? die() : results;
    },
    markSent: async (...sent: Parameters<DeferredQueue['markSent']>) =>
      aim === 'taken-before-sent' ? die() : queue.markSent(...sent),
    settle: async (...settled: Parameters<DeferredQueue['settle']>) =>
      aim === 'taken-before-sent' ? die() : queue.settle(...settled),
  });
}

function aimAtBye(sip: Sip): void {
  const invite = sip.invite.bind(sip);
  sip.invite = (request) => {
    const outgoing = invite(request);
    void outgoing.outcome.then((outcome) => {
      if (outcome.kind !== 'accepted') return;
      const {dialog} = outcome;
      const bye = dialog.bye.bind(dialog);
      dialog.bye = (headers) => {
        const sent = bye(headers);
        setImmediate(die);
        return sent;
      };
    });
    return outgoing;
  };
}

async function start() {
  const parts = await openParts(config, log);
  if (aim === 'bye') aimAtBye(parts.sip);
  const store = over(parts.store, {deferredQueue: aimedQueue(parts.store.deferredQueue)});
  const startApp = () => serveNetwork({...parts, store});
  return startNode({config, log, startApp, reread: () => config});
}

process.exitCode = await runProcess({log, drainMilliseconds: 10_000, start});
