/** The statements that a long queue must not slow down. They are data, so that a test can ask for the plan of each. */
import type {DeferredKind, PendingState} from '../../cpm/deferred-message.ts';
import type {Query} from './database.ts';
import {noted} from './noted.ts';

interface SenderRow {
  readonly sender: string;
  readonly chats: number;
  readonly notifications: number;
  readonly oldest: number;
}

export interface SizeRow {
  readonly sequence: number;
  readonly size: number;
}

interface FoundRow {
  readonly sequence: number;
  readonly sender: string;
  readonly kind: DeferredKind;
  readonly state: PendingState;
}

/** What a message is made from. */
export interface MessageRow {
  readonly sequence: number;
  readonly served_user: string;
  readonly sender: string;
  readonly kind: DeferredKind;
  readonly imdn_message_id: string | undefined;
  readonly content_type: string;
  readonly dispositions: string;
  readonly date_time: number | undefined;
  readonly received_at: number;
  readonly expires_at: number;
  readonly state: PendingState;
  readonly sent_at: number | undefined;
  readonly session: string;
  readonly bytes: Uint8Array;
}

export const senders = `
  SELECT sender, sum(kind = 'chat') AS chats, sum(kind = 'notification') AS notifications,
    min(coalesce(date_time, received_at)) AS oldest
  FROM message WHERE state = 'queued' AND served_user = ? GROUP BY sender` as Query<SenderRow>;

/** Sizes alone: they say how many bodies are read. */
export const next = `
  SELECT sequence, size FROM message
  WHERE state = 'queued' AND served_user = ? AND sender = ? AND sequence > ? ORDER BY sequence LIMIT ?` as Query<SizeRow>;

/** One statement for all, given as a JSON array: a statement for each takes three times as long. */
export const whole = `
  SELECT sequence, served_user, sender, kind, imdn_message_id, content_type, dispositions, date_time, received_at, expires_at,
    state, sent_at, session, bytes
  FROM message JOIN body USING (sequence) WHERE sequence IN (SELECT value FROM json_each(?))` as Query<MessageRow>;

export const markSent = `
  UPDATE message SET state = iif(state = 'held', 'held', 'sent'), sent_at = ?, ${noted}
  WHERE sequence IN (SELECT value FROM json_each(?)) AND (state = 'queued' OR state = 'held' AND sent_at IS NULL)`;

export const noteRefused = `
  UPDATE message SET ${noted} WHERE sequence IN (SELECT value FROM json_each(?)) AND settled_at IS NULL`;

export const expired = `
  SELECT sequence, size FROM message
  WHERE settled_at IS NULL AND expires_at <= ? AND state <> 'held' ORDER BY expires_at, sequence LIMIT ?` as Query<SizeRow>;

export const find = `
  SELECT sequence, sender, kind, state FROM message
  WHERE settled_at IS NULL AND served_user = ? AND imdn_message_id = ?` as Query<FoundRow>;

export const sameIdentity = `
  SELECT sequence, digest = ? AS same FROM message
  WHERE served_user = ? AND imdn_message_id = ? AND sender = ? AND kind = ?` as Query<{
  readonly sequence: number;
  readonly same: number;
}>;

/** One step of a walk over the users: with DISTINCT the whole queue of each would be read. */
export const nextUser = `
  SELECT served_user AS user FROM message
  WHERE state = 'queued' AND served_user > ? ORDER BY served_user LIMIT 1` as Query<{readonly user: string}>;

export const sentUnconfirmed = `
  SELECT sequence, size FROM message WHERE state = 'sent' AND served_user = ? AND sender = ?
  ORDER BY sent_at, sequence LIMIT ?` as Query<SizeRow>;

export const requeueSent = `
  UPDATE message SET state = 'queued', sent_at = NULL, ${noted} WHERE state = 'sent' AND served_user = ? AND sent_at < ?`;

export const forgetSettled = 'DELETE FROM message WHERE settled_at IS NOT NULL AND settled_at < ?';
