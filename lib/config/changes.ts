import type {Config} from './load.ts';

/** Sections and keys that a running PF takes over; every other one is read at the start alone. */
const reloadable = [
  'cpm',
  'overload',
  'served',
  'log.level',
  'relay.bindSeconds',
  'sip.directionMarkers',
  'sip.inviteSeconds',
  'sip.messageSeconds',
  'sip.outboundProxy',
  'sip.retryAfterSeconds',
  'sip.sessionExpiresSeconds',
  'sip.trustedPeers',
];

/** Whether a running PF takes a new value of the key, `cpm.refusalPolicy.486`. */
export const isReloadable = (key: string): boolean =>
  reloadable.some((known) => key === known || key.startsWith(`${known}.`));

/** The keys whose values differ, by their full names; a list is one value. */
export function changedKeys(before: Config, after: Config): readonly string[] {
  return leaves(before, after).flatMap(({key, before: old, after: value}) => (isSame(old, value) ? [] : [key]));
}

/** What is in force after a running PF has read `next`: of that what it can take over, the rest as it was. */
export function withReloaded(running: Config, next: Config): Config {
  return merged(running, next, '') as Config;
}

type Section = Readonly<Record<string, unknown>>;

const isSection = (value: unknown): value is Section =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

const keysOf = (a: Section, b: Section): readonly string[] => [...new Set([...Object.keys(a), ...Object.keys(b)])];

const nameIn = (section: string, key: string): string => (section === '' ? key : `${section}.${key}`);

interface Leaf {
  readonly key: string;
  readonly before: unknown;
  readonly after: unknown;
}

function leaves(before: unknown, after: unknown, key = ''): readonly Leaf[] {
  if (!isSection(before) || !isSection(after)) return [{key, before, after}];
  return keysOf(before, after).flatMap((inner) => leaves(before[inner], after[inner], nameIn(key, inner)));
}

function merged(running: unknown, next: unknown, key: string): unknown {
  if (isReloadable(key)) return next;
  if (!isSection(running) || !isSection(next)) return running;
  const entries = keysOf(running, next).map((inner) => [
    inner,
    merged(running[inner], next[inner], nameIn(key, inner)),
  ]);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as Section;
}
