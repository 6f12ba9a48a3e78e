/** What became of a deferred message: an entry for each change of its state, kept with it as long as the store knows it. */
import type {DeferredKind, PendingState, Settlement} from './deferred-message.ts';

/** `refused`: an attempt to hand it over that left its state as it was. */
export type HistoryEvent = 'accepted' | 'sent' | 'queued again' | 'refused' | 'held' | 'released' | Settlement;

/** What the store cannot know of a change. */
export interface Note {
  /** Who said what: `MSRP 200`, `SIP 480`, `IMDN displayed`. */
  readonly answer?: string | undefined;
  /** Where: id of the MSRP leg, as the log calls it; of an acceptance, its Conversation-ID. */
  readonly session?: string | undefined;
  /** Name of the operator who did it. */
  readonly by?: string | undefined;
}

export interface HistoryEntry extends Note {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Name of the PF node that did it; empty where an older program did. */
  readonly node: string;
  readonly what: HistoryEvent;
}

/** A message as an operator may see it: all but its words. */
export interface TracedMessage {
  readonly id: string;
  /** Order of arrival; between users and senders as good as clocks agree. */
  readonly sequence: number;
  readonly servedUser: string;
  readonly sender: string;
  readonly kind: DeferredKind;
  readonly imdnMessageId: string | undefined;
  readonly conversationId: string | undefined;
  readonly state: PendingState | Settlement;
  readonly receivedAt: number;
  readonly expiresAt: number;
  /** Its acceptance, then the latest ones in order. */
  readonly history: readonly HistoryEntry[];
  /** Entries after the first that are not kept any more. */
  readonly omitted: number;
}

/** A phone that refuses every time must not make a message grow: so many entries are kept, beside the acceptance. */
export const latestEntries = 20;

/** The whole history: the acceptance is told by the message itself. */
export function wholeHistory(
  accepted: {readonly receivedAt: number; readonly node: string; readonly conversationId: string | undefined},
  later: readonly HistoryEntry[],
  events: number,
): Pick<TracedMessage, 'history' | 'omitted'> {
  const {receivedAt: at, node, conversationId: session} = accepted;
  return {history: [{at, node, what: 'accepted', session}, ...later], omitted: events - later.length};
}
