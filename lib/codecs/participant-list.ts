/**
 * The list of participants in a request that may not become longer than the way to its receiver allows.
 *
 * A list that is too long loses its display names first. If that is not enough, as many participants as have room stay, in their order; one
 * at least. Whoever sends it learns that it was shortened, and owes the receiver the complete one in another way.
 */
import {type ListEntry, formatResourceLists} from './resource-lists.ts';

export interface ParticipantList {
  readonly entries: readonly ListEntry[];
  /** Display names were left out, or participants. */
  readonly shortened: boolean;
  /** How many participants were left out. */
  readonly omitted: number;
}

/** The longest list whose document has at most `maxOctets`. */
export function fittingList(entries: readonly ListEntry[], maxOctets: number): ParticipantList {
  if (octetsOf(entries) <= maxOctets) return {entries, shortened: false, omitted: 0};
  const bare = entries.map((entry): ListEntry => ({...entry, displayName: undefined}));
  // Every entry adds to the document: the count that has room is found by halving.
  let fits = Math.min(1, bare.length);
  let tooMany = bare.length + 1;
  while (tooMany - fits > 1) {
    const middle = Math.floor((fits + tooMany) / 2);
    if (octetsOf(bare.slice(0, middle)) <= maxOctets) fits = middle;
    else tooMany = middle;
  }
  return {entries: bare.slice(0, fits), shortened: true, omitted: bare.length - fits};
}

function octetsOf(entries: readonly ListEntry[]): number {
  return Buffer.byteLength(formatResourceLists(entries));
}
