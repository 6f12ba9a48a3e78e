/**
 * Memory for small octets that do not stay for long: pieces of many messages behind one another, used again when the last one of them is
 * gone. Whoever wants to keep octets longer takes them elsewhere, as one piece holds all of its slab.
 */

const slabBytes = 64 * 1024;
/** Slabs kept for later. */
const spareSlabs = 32;

export class Slab {
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(slabBytes);
  used = 0;
  pieces = 0;
}

export class Slabs {
  readonly #spare: Slab[] = [];
  #current: Slab | undefined;

  /** Copies octets, fewer than a slab has: they are the last ones of what the slab returned has used. */
  keep(octets: Uint8Array): Slab {
    let slab = this.#current;
    if (slab === undefined || slab.used + octets.length > slabBytes) {
      slab = this.#spare.pop() ?? new Slab();
      this.#current = slab;
    }
    slab.bytes.set(octets, slab.used);
    slab.used += octets.length;
    slab.pieces += 1;
    return slab;
  }

  /** One piece of the slab is not looked at any more. */
  release(slab: Slab): void {
    slab.pieces -= 1;
    if (slab.pieces > 0) return;
    slab.used = 0;
    if (slab !== this.#current && this.#spare.length < spareSlabs) this.#spare.push(slab);
  }
}
