/** The statements by which an operator's selection is read. */
import type {DeferredKind, PendingState, Settlement} from '../../cpm/deferred-message.ts';
import type {Selection} from '../../ports/deferred-queue.ts';
import type {Query} from './database.ts';
import type {SizeRow} from './queries.ts';

/** What a selection means, with as many values as `valuesOf` gives. */
const selected: Readonly<Record<Selection['by'], string>> = {
  message: '(imdn_message_id = ? OR sequence = ?)',
  user: 'served_user = ?',
  sender: 'sender = ?',
  conversation: 'conversation_id = ?',
};

export interface TraceRow {
  readonly sequence: number;
  readonly served_user: string;
  readonly sender: string;
  readonly kind: DeferredKind;
  readonly imdn_message_id: string | undefined;
  readonly conversation_id: string | undefined;
  readonly state: PendingState | Settlement;
  readonly received_at: number;
  readonly expires_at: number;
  readonly node: string;
  readonly events: number;
  readonly history: string;
}

/** `condition` narrows it further; its values stand behind those of the selection. */
export const trace = (by: Selection['by'], condition: string): Query<TraceRow> =>
  `SELECT sequence, served_user, sender, kind, imdn_message_id, conversation_id, state, received_at, expires_at, node, events, history
  FROM message WHERE ${selected[by]} AND ${condition} ORDER BY sequence LIMIT ?` as Query<TraceRow>;

export const selectedSizes = (by: Selection['by']): Query<SizeRow> =>
  `SELECT sequence, size FROM message WHERE ${selected[by]} AND settled_at IS NULL ORDER BY sequence LIMIT ?` as Query<SizeRow>;

/** What the selection's condition compares with. */
export function valuesOf({by, value}: Selection): readonly (string | number)[] {
  return by === 'message' ? [value, sequenceOf(value)] : [value];
}

/** An id that is not one of ours names no message. */
export function sequenceOf(id: string): number {
  return /^[0-9]{1,15}$/.test(id) ? Number(id) : 0;
}

/** Several in the form in which a statement takes them. */
export const sequencesOf = (ids: readonly string[]): string => JSON.stringify(ids.map(sequenceOf));
