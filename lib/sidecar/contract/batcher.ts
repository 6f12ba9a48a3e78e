/** Collects what goes into a stream within a tick and writes it as one batch; waits while the stream is full. */
import {batchBytes} from './messages.ts';

interface Writable<Batch> {
  write(batch: Batch): boolean;
  once(event: 'drain', listener: () => void): unknown;
}

export class Batcher<Item, Batch> {
  readonly #stream: Writable<Batch>;
  readonly #batch: (items: readonly Item[]) => Batch;
  #items: {readonly item: Item; readonly bytes: number}[] = [];
  #bytes = 0;
  #scheduled = false;
  #full = false;
  #closed = false;
  #waiting: (() => void)[] = [];

  constructor(stream: Writable<Batch>, batch: (items: readonly Item[]) => Batch) {
    this.#stream = stream;
    this.#batch = batch;
  }

  /** Adds an item that carries so many octets. After `close` it goes nowhere. */
  push(item: Item, bytes = 0): void {
    if (this.#closed) return;
    this.#items.push({item, bytes});
    this.#bytes += bytes;
    if (this.#scheduled || this.#full) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  /** Resolves when there is room for more large items. */
  async ready(): Promise<void> {
    while (this.#bytes >= batchBytes && !this.#closed) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  close(): void {
    this.#closed = true;
    this.#items = [];
    this.#wake();
  }

  #flush(): void {
    while (this.#items.length > 0 && !this.#full && !this.#closed) {
      let count = 0;
      for (let bytes = 0; count < this.#items.length && bytes < batchBytes; count += 1)
        bytes += this.#items[count]?.bytes ?? 0;
      const items = this.#items.splice(0, count);
      this.#bytes -= items.reduce((sum, each) => sum + each.bytes, 0);
      this.#full = !this.#stream.write(this.#batch(items.map((each) => each.item)));
    }
    if (this.#full) {
      this.#stream.once('drain', () => {
        this.#full = false;
        this.#flush();
      });
    }
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const each of waiting) each();
  }
}
