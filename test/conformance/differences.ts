/** Where the embedded server does something else than the real one: every difference is listed, with its reason. */
import {readFile, writeFile} from 'node:fs/promises';
import {parse, stringify} from 'yaml';
import {z} from 'zod';

/** A run of lines that the real server says, and those which the embedded one says in their place. */
export interface Hunk {
  readonly real: readonly string[];
  readonly embedded: readonly string[];
}

export interface Difference {
  readonly reason: string;
  readonly hunks: readonly Hunk[];
}

const text = z.string().transform((lines) => (lines === '' ? [] : lines.replace(/\n$/, '').split('\n')));
const listed = z.record(
  z.string(),
  z.strictObject({
    reason: z.string(),
    hunks: z.array(z.strictObject({real: text.default([]), embedded: text.default([])})).min(1),
  }),
);

export const differencesFile = 'test/fixtures/conformance/differences.yaml';

/** All differences, by scenario. */
export async function readDifferences(): Promise<Readonly<Record<string, Difference>>> {
  return listed.parse(parse(await readFile(differencesFile, 'utf8')) ?? {});
}

/** Writes the list anew: reasons stay, and are to be written where there is none. */
export async function writeDifferences(
  found: ReadonlyMap<string, readonly Hunk[]>,
  before: Readonly<Record<string, Difference>>,
): Promise<void> {
  const entries = [...found]
    .filter(([, hunks]) => hunks.length > 0)
    .map(([name, hunks]) => {
      const shown = hunks.map(({real, embedded}) => ({
        ...(real.length === 0 ? {} : {real: `${real.join('\n')}\n`}),
        ...(embedded.length === 0 ? {} : {embedded: `${embedded.join('\n')}\n`}),
      }));
      return [name, {reason: before[name]?.reason ?? '', hunks: shown}] as const;
    });
  await writeFile(differencesFile, stringify(Object.fromEntries(entries), {lineWidth: 0}));
}

/** The shortest list of hunks between two texts (longest common subsequence of lines). */
export function hunksBetween(real: string, embedded: string): Hunk[] {
  const [a, b] = [real.split('\n'), embedded.split('\n')];
  const common = commonLengths(a, b);
  const hunks: {real: string[]; embedded: string[]}[] = [];
  let open: {real: string[]; embedded: string[]} | undefined;
  const hunk = (): {real: string[]; embedded: string[]} => {
    open ??= (hunks.push({real: [], embedded: []}), hunks.at(-1));
    return open ?? {real: [], embedded: []};
  };
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      open = undefined;
      i++;
      j++;
    } else if (j >= b.length || (i < a.length && (common[i + 1]?.[j] ?? 0) >= (common[i]?.[j + 1] ?? 0))) {
      hunk().real.push(a[i++] ?? '');
    } else hunk().embedded.push(b[j++] ?? '');
  }
  return hunks;
}

function commonLengths(a: readonly string[], b: readonly string[]): number[][] {
  const table = Array.from({length: a.length + 1}, () => new Array<number>(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const row = table[i];
      if (row === undefined) continue;
      row[j] = a[i] === b[j] ? 1 + (table[i + 1]?.[j + 1] ?? 0) : Math.max(table[i + 1]?.[j] ?? 0, row[j + 1] ?? 0);
    }
  }
  return table;
}
