/** What came, in order, for whoever wants to look at it or wait for it. */

/** A list that only grows, and that can be waited on with a deadline. */
export class Inbox<T> {
  readonly #items: T[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #what: string;
  /** Is told of each item as it comes. */
  onPush: ((item: T) => void) | undefined;

  /** `what` names the things in the error of a wait that ended without them. */
  constructor(what: string) {
    this.#what = what;
  }

  get items(): readonly T[] {
    return this.#items;
  }

  push(item: T): void {
    this.#items.push(item);
    this.onPush?.(item);
    this.changed();
  }

  /** To be called when an item itself changed: those who wait look again. */
  changed(): void {
    for (const look of [...this.#waiting]) look();
  }

  /** Resolves with the first item that fits, present or future; rejects after `milliseconds`. */
  first(fits: (item: T) => boolean = () => true, milliseconds = 10_000): Promise<T> {
    return this.#when(() => this.#items.find(fits), milliseconds);
  }

  /** Resolves with all items once there are at least `count` that fit; rejects after `milliseconds`. */
  atLeast(count: number, fits: (item: T) => boolean = () => true, milliseconds = 10_000): Promise<readonly T[]> {
    return this.#when(() => {
      const found = this.#items.filter(fits);
      return found.length >= count ? found : undefined;
    }, milliseconds);
  }

  #when<R>(look: () => R | undefined, milliseconds: number): Promise<R> {
    return new Promise((resolve, reject) => {
      const again = (): void => {
        const found = look();
        if (found === undefined) return;
        stop();
        resolve(found);
      };
      const timer = setTimeout(() => {
        stop();
        reject(new Error(`${this.#what}: not there after ${milliseconds} ms (${this.#items.length} came)`));
      }, milliseconds);
      const stop = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(again);
      };
      this.#waiting.add(again);
      again();
    });
  }
}
