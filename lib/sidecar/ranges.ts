/** Which octets of a message are there: chunks come in any order and may overlap (RFC 4975 §7.3.1). */
const none: readonly never[] = [];

export class Ranges {
  /** The only part; most messages have no more. From inclusive, to exclusive, counted from 0; empty: there is none. */
  #from = 0;
  #to = 0;
  /** Where there are several: disjoint and in order. */
  #several: readonly {from: number; to: number}[] | undefined;

  get parts(): readonly {readonly from: number; readonly to: number}[] {
    if (this.#several !== undefined) return this.#several;
    return this.#from === this.#to ? none : [{from: this.#from, to: this.#to}];
  }

  add(from: number, to: number): void {
    const last = this.#several?.at(-1);
    if (last?.to === from) last.to = to;
    else if (this.#several !== undefined) this.#merge(this.#several, from, to);
    else if (this.#from === this.#to) {
      this.#from = from;
      this.#to = to;
    } else if (from === this.#to) this.#to = to;
    else this.#merge(this.parts, from, to);
  }

  /** Whether everything from the first octet up to `total` is there. */
  covers(total: number): boolean {
    const from = this.#several?.[0]?.from ?? this.#from;
    const to = this.#several?.[0]?.to ?? this.#to;
    return total === 0 || (from === 0 && to >= total);
  }

  #merge(parts: readonly {readonly from: number; readonly to: number}[], from: number, to: number): void {
    if (from === to) return;
    const before = parts.filter((part) => part.to < from);
    const after = parts.filter((part) => part.from > to);
    const touched = parts.slice(before.length, parts.length - after.length);
    const merged = {
      from: Math.min(from, touched[0]?.from ?? from),
      to: Math.max(to, touched.at(-1)?.to ?? to),
    };
    this.#several = [...before, merged, ...after];
  }
}
