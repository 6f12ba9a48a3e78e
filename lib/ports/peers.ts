import type {LeaseOwner} from './leases.ts';

/** Other nodes on the same store: one of them may hold the lease of a user whose messages are needed here (T36, T52). */
export interface Peers {
  /** Where they ask this node: stands in its leases. Undefined where it cannot be asked. */
  readonly address: string | undefined;
  /**
   * Asks the owner of a lease to finish, or to give up, what it does under it with one sender's messages. Rejects with `CPM_PEER_AWAY` (503)
   * when the owner cannot be asked, is not who it should be, or says nothing within `milliseconds`.
   */
  giveWay(owner: LeaseOwner, request: GiveWayRequest): Promise<GiveWayAnswer>;
  /** Answers the others; they are told `busy` as long as there is nobody. */
  onGiveWay: ((request: GiveWayRequest) => Promise<GiveWayAnswer>) | undefined;
  close(): Promise<void>;
}

export interface GiveWayRequest {
  /** Key of the user whose lease it is. */
  readonly servedUser: string;
  /** Key of the one whose messages are needed. */
  readonly sender: string;
  /** How long the asking node waits. */
  readonly milliseconds: number;
}

/** `free`: nothing is held here for the user, or no longer. `busy`: still so when the time was over. */
export type GiveWayAnswer = 'free' | 'busy';

/** For a node that is the only one on its store. */
export const alone = (): Peers => ({
  address: undefined,
  giveWay: () => Promise.resolve('busy'),
  onGiveWay: undefined,
  close: () => Promise.resolve(),
});
