import {CpmError} from '../errors.ts';

/** One thing that is wrong in a configuration file. */
export interface Mistake {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** Keys joined by dots; empty for the file as a whole. */
  readonly key: string;
  /** What should stand there, or what to do: `expected a whole number from 1 to 180, found "soon"`. */
  readonly sentence: string;
}

/** Thrown for a file that cannot be used: every mistake that was found, each on a line of the message. */
export class ConfigError extends CpmError {
  readonly mistakes: readonly Mistake[];

  constructor(mistakes: readonly Mistake[]) {
    super('CPM_CONFIG', 500, mistakes.map(formatMistake).join('\n'));
    this.mistakes = mistakes;
  }
}

/** `FILE:LINE: KEY: SENTENCE`, as compilers do it, so that editors can jump there. */
export function formatMistake({file, line, key, sentence}: Mistake): string {
  return `${file}:${line}: ${key === '' ? '' : `${key}: `}${sentence}`;
}

/** The known word that was likely meant: at most a third of it mistyped. Undefined when none is near. */
export function didYouMean(word: string, known: readonly string[]): string | undefined {
  const near = known
    .map((candidate) => ({candidate, distance: editDistance(word.toLowerCase(), candidate.toLowerCase())}))
    .filter(({candidate, distance}) => distance <= Math.max(1, Math.floor(candidate.length / 3)))
    .sort((a, b) => a.distance - b.distance);
  return near[0]?.candidate;
}

/** Levenshtein's: letters to insert, remove or replace. */
function editDistance(from: string, to: string): number {
  let row = Array.from({length: to.length + 1}, (_, index) => index);
  for (const [i, letter] of Array.from(from).entries()) {
    const next = [i + 1];
    for (const [j, other] of Array.from(to).entries())
      next.push(Math.min((row[j] ?? 0) + (letter === other ? 0 : 1), (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    row = next;
  }
  return row.at(-1) ?? 0;
}
