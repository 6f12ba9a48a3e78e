/**
 * SIP dialogs that this node has open, kept so that its next life can end what a kill left behind (docs/acknowledgement.md).
 * A record that cannot be written does not hold up a live session: it is best effort, and never rejects for an absent store.
 * `ofNode` rejects with `CPM_STORE_AWAY` (503) instead, so that nothing left behind is taken for nothing.
 */
export interface DialogRecords {
  record(dialog: DialogRecord): Promise<void>;
  forget(id: string): Promise<void>;
  ofNode(node: string): Promise<readonly DialogRecord[]>;
}

export interface DialogRecord {
  /** The server's dialog id, by which a new application can end it. */
  readonly id: string;
  readonly node: string;
  /** Name of the drachtio server that holds the dialog. */
  readonly server: string;
  readonly servedUser: string;
  /** Milliseconds since 1970. */
  readonly openedAt: number;
}
