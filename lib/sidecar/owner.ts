/** The PF as a session sees it: whom it tells what happened. */
import type {Session} from './session.ts';
import type {Transfer} from './transfer.ts';

/** Why a session ended. */
export type SessionEnd =
  'released' | 'connection-lost' | 'connect-failed' | 'not-authentic' | 'silent' | 'protocol-error' | 'idle';

/** What became of a message sent for the PF: an MSRP status, or none. */
export type SendResult = number | 'silent' | 'lost';

export interface Owner {
  bound(session: Session): void;
  ended(session: Session, why: SessionEnd): void;
  /** A whole message; its verdict comes back through `session.offers.verdict`. */
  offer(session: Session, offer: number, transfer: Transfer): void;
  sent(session: Session, send: number, result: SendResult): void;
  /** A notification was relayed from this leg. */
  notification(session: Session, contentType: string, bytes: Buffer): void;
  /** A message that was relayed from this leg; `session.copies.taken` says that the PF has it. */
  copy(session: Session, copy: number, transfer: Transfer): void;
}
