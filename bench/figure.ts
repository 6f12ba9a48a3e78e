/** What a benchmark says: pairs of measurements, ours and a peer's, taken in turns, and one ratio out of them. */

/** One pair, taken one right after the other. */
export interface Round {
  readonly ours: number;
  readonly peer: number;
  readonly ratio: number;
  /** Why it does not count. */
  readonly void?: string;
}

/** Ours against a peer's: medians, and the median of the ratios of the pairs. */
export interface Comparison {
  readonly ratio: number;
  readonly ours: number;
  readonly peer: number;
  readonly goal: number;
  readonly rounds: readonly Round[];
}

export interface Figure extends Omit<Comparison, 'rounds'> {
  /** Whether the goal is the least or the most that `ratio` is to be. */
  readonly wanted: 'at least' | 'at most';
  readonly unit: string;
  /** How much was under way at a time, and other circumstances. */
  readonly conditions: string;
  /** How it is known that the client did not hold the others up. */
  readonly client: string;
  readonly rounds: readonly Round[];
  /** Several comparisons where `ratio` is the worst of them (ratio ÷ goal), and those that are only shown. */
  readonly parts?: Readonly<Record<string, Comparison>>;
  /** There were too few rounds that count. */
  readonly void?: string;
}

/** The middle one, or the mean of the two middle ones; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[half] ?? Number.NaN;
  return ((sorted[half - 1] ?? Number.NaN) + (sorted[half] ?? Number.NaN)) / 2;
}

/** The smallest value that a share of all are not above: `percentile(values, 0.99)`. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** The comparison of the rounds that count. */
export function comparison(goal: number, rounds: readonly Round[]): Comparison {
  const counted = rounds.filter((round) => round.void === undefined);
  const middle = (of: (round: Round) => number) => median(counted.map(of));
  return {
    ratio: middle(({ratio}) => ratio),
    ours: middle(({ours}) => ours),
    peer: middle(({peer}) => peer),
    goal,
    rounds,
  };
}

/** Measures ours and the peer's in turns; which comes first changes from round to round. */
export async function inTurns(
  count: number,
  ours: () => Promise<number>,
  peer: () => Promise<number>,
): Promise<readonly Round[]> {
  const rounds: Round[] = [];
  for (let index = 0; index < count; index += 1) {
    const before = index % 2 === 0 ? await ours() : undefined;
    const theirs = await peer();
    const mine = before ?? (await ours());
    rounds.push({ours: mine, peer: theirs, ratio: mine / theirs});
  }
  return rounds;
}

/** Of several comparisons the one with the least ratio ÷ goal; `ratio` of the whole is that quotient, and its goal 1. */
export function worstOf(parts: Readonly<Record<string, Comparison>>): Comparison {
  const [worst] = Object.values(parts).sort((a, b) => a.ratio / a.goal - b.ratio / b.goal);
  if (worst === undefined) throw new RangeError('there is nothing to compare');
  return {...worst, ratio: worst.ratio / worst.goal, goal: 1};
}
