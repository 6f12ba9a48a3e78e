/** What the store's thread and its owner say to each other. */
export interface WorkerOptions {
  readonly path: string;
  /** Name of the PF node, as histories tell it. */
  readonly node: string;
  readonly busyMilliseconds: number;
  readonly maxFileBytes: number | undefined;
}

/** One call of a port's method. */
export interface CallMessage {
  readonly room: string;
  readonly method: string;
  readonly args: readonly unknown[];
}

export type ToWorker = {readonly kind: 'batch'; readonly calls: readonly CallMessage[]} | {readonly kind: 'close'};

/** `away`: the file or its disk said no, the same call may be repeated later. `fault`: the call itself is impossible. */
export type CallResult = {readonly value: unknown} | {readonly failed: 'away' | 'fault'; readonly message: string};

export type FromWorker =
  | {readonly kind: 'open'}
  | {readonly kind: 'refused'; readonly code: `CPM_${string}`; readonly status: number; readonly message: string}
  /** One result per call, in order; all of them are on the disk. */
  | {readonly kind: 'done'; readonly results: readonly CallResult[]};
