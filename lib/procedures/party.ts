import type {Leg} from '../ports/media-plane.ts';
import type {SipDialog} from '../ports/sip.ts';
import type {LocalDescription} from './session-description.ts';

/** One of the two that a session joins at the B2BUA: its dialog, our leg towards it, and what either side said last (RFC 3264 §8). */
export interface Party {
  readonly dialog: SipDialog;
  readonly leg: Leg;
  /** How we describe our side to it. */
  local: LocalDescription;
  /** How it describes itself: its latest offer or answer. */
  remote: string;
}
