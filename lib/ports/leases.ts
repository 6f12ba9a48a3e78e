/**
 * The right to work for one served user, held by one node at a time (T36). Durable, so that a node that dies loses it and another goes on.
 * Rejects with `CPM_STORE_AWAY` (503) when the store cannot be reached in time.
 */
export interface Leases {
  /** Claims `key`; undefined while somebody else's lease runs. The owner's own running lease is not given twice either. */
  claim(key: string, owner: LeaseOwner, milliseconds: number): Promise<Lease | undefined>;
  /**
   * Prolongs, from now; false when the lease was lost meanwhile (claimed by another, given back), and then the work must stop. One that ran
   * out and that nobody claimed is still the owner's.
   */
  renew(lease: Lease, milliseconds: number): Promise<boolean>;
  /** Gives it back; a lost lease is left alone. */
  release(lease: Lease): Promise<void>;
  /** Who holds the key now; undefined when nobody does, or the lease ran out. */
  holder(key: string): Promise<LeaseOwner | undefined>;
  /** Drops what an earlier life of this node held. Answers how many. */
  releaseNode(node: string): Promise<number>;
}

export interface LeaseOwner {
  /** Name of the PF node, from its configuration. */
  readonly node: string;
  /** Where other nodes can ask it to finish, if they can. */
  readonly address: string | undefined;
}

export interface Lease {
  readonly key: string;
  readonly owner: LeaseOwner;
  /** Changes with each claim: a lease that was lost and claimed again is not this one. */
  readonly token: string;
}
