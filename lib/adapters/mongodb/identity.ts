/** Identity of a message (row E8) as values that a unique index can hold. */
import {createHash} from 'node:crypto';
import type {NewDeferredMessage} from '../../cpm/deferred-message.ts';

/**
 * `identity` is unique to these bytes under this identity: other bytes are another document (T62), the same ones are refused by the index.
 * `key` is what all of them share. Without an imdn.Message-ID a message is its own. `digest`: hash of the bytes, in hexadecimal.
 */
export function identityOf(
  message: Pick<NewDeferredMessage, 'servedUser' | 'sender' | 'kind' | 'imdnMessageId'> & {readonly id: string},
  digest: string,
): {readonly identity: string; readonly key?: string} {
  const {servedUser, sender, kind, imdnMessageId, id} = message;
  if (imdnMessageId === undefined) return {identity: id};
  const key = createHash('sha256')
    .update(JSON.stringify([servedUser, sender, kind, imdnMessageId]))
    .digest('hex');
  return {identity: `${key}:${digest}`, key};
}

/** The digest of the bytes that an identity names. */
export function digestOf(identity: string): string {
  return identity.slice(identity.indexOf(':') + 1);
}
