/** Which octets of a message are there: chunks come in any order and may overlap (RFC 4975 §7.3.1). */
const none: readonly never[] = [];

export class Ranges {
  /** Disjoint and in order; from inclusive, to exclusive, counted from 0. */
  #parts: readonly {from: number; to: number}[] = none;

  get parts(): readonly {readonly from: number; readonly to: number}[] {
    return this.#parts;
  }

  add(from: number, to: number): void {
    const last = this.#parts.at(-1);
    if (last?.to === from) {
      last.to = to;
      return;
    }
    if (from === to) return;
    if (last === undefined) {
      this.#parts = [{from, to}];
      return;
    }
    const before = this.#parts.filter((part) => part.to < from);
    const after = this.#parts.filter((part) => part.from > to);
    const touched = this.#parts.slice(before.length, this.#parts.length - after.length);
    const merged = {
      from: Math.min(from, touched[0]?.from ?? from),
      to: Math.max(to, touched.at(-1)?.to ?? to),
    };
    this.#parts = [...before, merged, ...after];
  }

  /** Whether everything from the first octet up to `total` is there. */
  covers(total: number): boolean {
    const first = this.#parts[0];
    return total === 0 || (first?.from === 0 && first.to >= total);
  }
}
