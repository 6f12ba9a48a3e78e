/** What a long queue must not slow down: filters and orders as functions, so that a test can ask the server for the plan of each. */
import type {Document, Filter} from 'mongodb';
import type {DeferredKind} from '../../cpm/deferred-message.ts';
import type {Selection} from '../../ports/deferred-queue.ts';
import type {MessageDocument} from './documents.ts';

export interface Ordered {
  readonly filter: Filter<MessageDocument>;
  readonly sort: Readonly<Record<string, 1>>;
}

export interface SenderGroup {
  readonly _id: {readonly sender: string; readonly kind: DeferredKind};
  readonly count: number;
  readonly oldest: number;
}

/** Index `queue`. */
export function next(servedUser: string, sender: string, afterSequence: number | undefined): Ordered {
  return {
    filter: {state: 'queued', servedUser, sender, sequence: {$gt: afterSequence ?? 0}},
    sort: {sequence: 1},
  };
}

/** Index `senders`, which holds all that is asked for. */
export function senders(servedUser: string): Document[] {
  return [
    {$match: {state: 'queued', servedUser}},
    {$group: {_id: {sender: '$sender', kind: '$kind'}, count: {$sum: 1}, oldest: {$min: '$orderTime'}}},
  ];
}

/** Index `message`. */
export function find(servedUser: string, imdnMessageId: string): Filter<MessageDocument> {
  return {servedUser, imdnMessageId, pending: true};
}

/** Index `sent`. */
export function sentBefore(servedUser: string, before: number): Filter<MessageDocument> {
  return {state: 'sent', servedUser, sentAt: {$lt: before}};
}

/** Index `queue`. */
export function sentUnconfirmed(servedUser: string, sender: string): Ordered {
  return {filter: {state: 'sent', servedUser, sender}, sort: {sequence: 1}};
}

/** Index `expiry`. */
export function expired(now: number): Ordered {
  return {filter: {pending: true, state: {$ne: 'held'}, expiresAt: {$lte: now}}, sort: {expiresAt: 1, sequence: 1}};
}

/** Index `queue`. */
export function users(after: string | undefined): Ordered {
  return {filter: {state: 'queued', servedUser: {$gt: after ?? ''}}, sort: {servedUser: 1}};
}

/** Indexes `message`, `user`, `sender` and `conversation`, and that of `_id`. */
export function selected({by, value}: Selection): Ordered {
  const filter = {
    message: {$or: [{_id: value}, {imdnMessageId: value}]},
    user: {servedUser: value},
    sender: {sender: value},
    conversation: {conversationId: value},
  }[by];
  return {filter, sort: {sequence: 1, _id: 1}};
}

/** Index `key`. */
export function sameKey(keys: readonly string[]): Filter<MessageDocument> {
  return {key: {$in: [...keys]}};
}
