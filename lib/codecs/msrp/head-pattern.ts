/**
 * What heads of one connection have in common: mostly one differs from the last in transaction id, Message-ID and Byte-Range only. A head that
 * was understood once is a pattern: the next one is compared with it, and not read line by line.
 */
import type {ByteRange} from './byte-range.ts';
import type {FailureReport, FrameHead} from './frame.ts';

const blank = 0x20;
const mostPatience = 63;
/** Octets from which on a call of the engine is faster than a loop. */
const longBlock = 64;
const nothing = Buffer.alloc(0);

/** What is known of a head when its octets are known to be like another's. */
export type Understood = Pick<
  FrameHead,
  'kind' | 'status' | 'hasBody' | 'failureReport' | 'successReport' | 'byteRange'
>;

export class HeadPattern implements Understood {
  kind: FrameHead['kind'] = 'other';
  status = 0;
  hasBody = false;
  failureReport: FailureReport = 'yes';
  successReport = false;
  byteRange: ByteRange | undefined;
  /** Values that are the same in all heads of this kind, by field, once they were asked for as texts. */
  readonly texts: (string | undefined)[] = [];
  /** Those behind the transaction id. */
  #octets: Buffer = nothing;
  #length = 0;
  /** Where the values of the head that was learnt stand among them; from and to of each field, to = 0: absent. */
  readonly #spans: Int32Array;
  /** From and to of the values that differ, in order, and where they stand in the head that was compared last. */
  readonly #holes: Int32Array;
  readonly #found: Int32Array;
  #holeCount = 0;
  /** Heads in a row that were not like it, and at how many it is given up for another: of little use, it is not learnt anew all the time. */
  #misses = 0;
  #patience = 0;

  /** For heads with so many fields of which so many may differ. */
  constructor(fields: number, differing: number) {
    this.#spans = new Int32Array(2 * fields);
    this.#holes = new Int32Array(2 * differing);
    this.#found = new Int32Array(2 * differing);
  }

  /**
   * Learns a head without fault: its octets from behind the transaction id, where from and to of each field's value stand among them (to = 0:
   * absent), and which fields may differ.
   */
  learn(head: Understood, octets: Uint8Array, spans: Int32Array, differing: readonly number[]): void {
    this.kind = head.kind;
    this.status = head.status;
    this.hasBody = head.hasBody;
    this.failureReport = head.failureReport;
    this.successReport = head.successReport;
    this.byteRange = head.byteRange;
    if (this.#octets.length < octets.length) this.#octets = Buffer.allocUnsafeSlow(octets.length);
    this.#octets.set(octets);
    this.#length = octets.length;
    this.#spans.set(spans);
    this.texts.length = 0;
    const holes = differing
      .map((field) => spans.subarray(2 * field, 2 * field + 2))
      .filter(([, to]) => to !== 0)
      .sort(([one = 0], [other = 0]) => one - other);
    holes.forEach((hole, at) => {
      this.#holes.set(hole, 2 * at);
    });
    this.#holeCount = holes.length;
    this.#misses = 0;
    this.#patience = Math.min(mostPatience, 2 * this.#patience + 1);
  }

  /** A head was not like it; says whether it is to be learnt instead. */
  missed(): boolean {
    this.#misses += 1;
    return this.#misses >= this.#patience;
  }

  /** A head was like it. */
  matched(): void {
    this.#misses = 0;
    if (this.#patience > 1) this.#patience -= 1;
  }

  /** Where a head whose transaction id ends at `from` ends, if it is of this kind; otherwise -1. */
  match(bytes: Buffer, from: number): number {
    let at = from;
    let octet = 0;
    for (let hole = 0; hole < 2 * this.#holeCount; hole += 2) {
      const begin = this.#holes[hole] ?? 0;
      if (!this.#isSame(octet, begin, bytes, at)) return -1;
      const value = at + begin - octet;
      at = value;
      while (at < bytes.length && (bytes[at] ?? 0) > blank) at += 1;
      if (at === value) return -1;
      this.#found[hole] = value;
      this.#found[hole + 1] = at;
      octet = this.#holes[hole + 1] ?? 0;
    }
    return this.#isSame(octet, this.#length, bytes, at) ? at + this.#length - octet : -1;
  }

  /** Where the values of the head that was matched last stand, counted from its first octet, which is so many before `match` began. */
  place(spans: Int32Array, before: number): void {
    for (let at = 0; at < this.#spans.length; at += 1) {
      const learnt = this.#spans[at] ?? 0;
      let moved = before;
      for (let hole = 0; hole < 2 * this.#holeCount; hole += 2) {
        const to = this.#holes[hole + 1] ?? 0;
        if (learnt < to) break;
        moved += (this.#found[hole + 1] ?? 0) - (this.#found[hole] ?? 0) - to + (this.#holes[hole] ?? 0);
      }
      spans[at] = (this.#spans[at | 1] ?? 0) === 0 ? 0 : learnt + moved;
    }
  }

  /** Whether the value of a field is the one that was learnt. */
  isLearnt(field: number, bytes: Buffer, from: number, to: number): boolean {
    const begin = this.#spans[2 * field] ?? 0;
    const end = this.#spans[2 * field + 1] ?? 0;
    return to - from === end - begin && this.#isSame(begin, end, bytes, from);
  }

  #isSame(from: number, to: number, bytes: Buffer, at: number): boolean {
    const octets = this.#octets;
    const moved = at - from;
    if (to + moved > bytes.length) return false;
    if (to - from >= longBlock) return bytes.compare(octets, from, to, at, at + to - from) === 0;
    for (let each = from; each < to; each += 1) if (octets[each] !== bytes[each + moved]) return false;
    return true;
  }
}
