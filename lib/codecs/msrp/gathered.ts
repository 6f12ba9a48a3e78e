/** Octets that wait until more of them are there: large pieces as views, small ones copied together, so that octets that come one by one cost no view each. */

/** Octets below which a piece is copied. */
const smallPiece = 2048;
const nothing = Buffer.alloc(0);

export class Gathered {
  #pieces: Buffer[] = [];
  #length = 0;
  /** `#used` octets of it are taken. */
  #room = nothing;
  #used = 0;

  get length(): number {
    return this.#length;
  }

  /** Keeps a piece; says how many octets were copied. */
  add(piece: Buffer): number {
    this.#length += piece.length;
    if (piece.length >= smallPiece) {
      this.#cut();
      this.#pieces.push(piece);
      return 0;
    }
    if (this.#used + piece.length > this.#room.length) {
      this.#cut();
      this.#room = Buffer.allocUnsafe(4 * smallPiece);
    }
    piece.copy(this.#room, this.#used);
    this.#used += piece.length;
    return piece.length;
  }

  /** All pieces in order; nothing is kept any more. */
  take(): Buffer[] {
    this.#cut();
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#length = 0;
    return pieces;
  }

  #cut(): void {
    if (this.#used > 0) this.#pieces.push(this.#room.subarray(0, this.#used));
    this.#room = nothing;
    this.#used = 0;
  }
}
