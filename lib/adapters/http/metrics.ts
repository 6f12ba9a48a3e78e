import type {AdminStatus} from './admin.ts';

interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The status as Prometheus reads it (text format 0.0.4). What is not known now, such as the ledger of an absent store, is left out. */
export function formatMetrics({state, parts, load, deliveries, ledger, relays}: AdminStatus): string {
  const memory = process.memoryUsage();
  const flag = (set: boolean): number => (set ? 1 : 0);
  const {pending, held: heldBack, addsUp, ...counted} = ledger ?? {};
  return [
    metric('cpm_running', 'gauge', 'Whether the node takes new sessions: it runs and does not drain.', [
      {value: flag(state === 'running')},
    ]),
    metric(
      'cpm_part_up',
      'gauge',
      'Whether a part that the node stands on answers.',
      Object.entries(parts ?? {}).map(([part, value]) => ({labels: {part}, value: flag(value === 'up')})),
    ),
    metric('cpm_sessions', 'gauge', 'Sessions, those being set up included.', only(load?.sessions)),
    metric(
      'cpm_event_loop_delay_seconds',
      'gauge',
      'Mean lateness of the process over the last second.',
      only(load && load.eventLoopDelayMilliseconds / 1000),
    ),
    metric(
      'cpm_overloaded',
      'gauge',
      'Whether a limit of the node is reached.',
      (['sessions', 'event-loop'] as const).flatMap((limit) =>
        load === undefined ? [] : [{labels: {limit}, value: flag(load.over.includes(limit))}],
      ),
    ),
    metric(
      'cpm_refused_total',
      'counter',
      'New sessions that got 503, by why.',
      Object.entries(load?.refused ?? {}).map(([why, value]) => ({labels: {why}, value})),
    ),
    metric(
      'cpm_deliveries',
      'gauge',
      'Users with a delivery that runs, waits for its turn, waits for a retry, or is parked until the next trigger.',
      (['running', 'queued', 'retrying', 'parked'] as const).flatMap((what) =>
        deliveries === undefined ? [] : [{labels: {state: what}, value: deliveries[what]}],
      ),
    ),
    metric('cpm_messages_pending', 'gauge', 'Messages that wait in the store.', only(pending)),
    metric('cpm_messages_held', 'gauge', 'Messages that an operator holds.', only(heldBack)),
    metric(
      'cpm_ledger_adds_up',
      'gauge',
      'Whether accepted messages are pending, held or settled, each once.',
      only(addsUp === undefined ? undefined : flag(addsUp)),
    ),
    metric(
      'cpm_messages_total',
      'counter',
      'Messages by what became of them: accepted = pending + held + all others.',
      Object.entries(counted).map(([how, value]) => ({labels: {how}, value})),
    ),
    metric(
      'cpm_relay_up',
      'gauge',
      'Whether an MSRP relay answers.',
      relays.map(({relay, counters}) => ({labels: {relay}, value: flag(counters !== undefined)})),
    ),
    metric('cpm_relay_now', 'gauge', 'What an MSRP relay holds.', relaySamples(relays, true)),
    metric('cpm_relay_total', 'counter', 'What an MSRP relay has done and refused.', relaySamples(relays, false)),
    metric('process_resident_memory_bytes', 'gauge', 'Resident memory of the process.', [{value: memory.rss}]),
  ].join('');
}

/** Counters of a relay that go down, too; `…Most` are of what they do. */
const held = /^(?:connections|sessions|pausedConnections|\w+Bytes(?:Most)?)$/;

const relaySamples = (relays: AdminStatus['relays'], isHeld: boolean): readonly Sample[] =>
  relays.flatMap(({relay, counters = {}}) =>
    Object.entries(counters).flatMap(([what, value]) =>
      held.test(what) === isHeld ? [{labels: {relay, what}, value}] : [],
    ),
  );

const only = (value: number | undefined): readonly Sample[] => (value === undefined ? [] : [{value}]);

function metric(name: string, type: 'gauge' | 'counter', help: string, samples: readonly Sample[]): string {
  const lines = samples.map(({labels = {}, value}) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${text.replace(/[\\"]/g, '\\$&')}"`);
    return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`;
  });
  return lines.length === 0 ? '' : `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}
