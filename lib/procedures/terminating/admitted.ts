import type {DeferredMessage} from '../../cpm/deferred-message.ts';
import type {Hooks} from '../../hooks/lifecycle.ts';
import {viewOfMessage} from '../../hooks/views.ts';

/** What plugins let go now: up to the first one that is to wait, as nothing overtakes it. */
export async function admitted(
  messages: readonly DeferredMessage[],
  beforeSend: Hooks['beforeSend'],
): Promise<readonly DeferredMessage[]> {
  if (beforeSend === undefined) return messages;
  for (const [index, message] of messages.entries()) {
    if ((await beforeSend({...viewOfMessage(message), id: message.id})) === 'later') return messages.slice(0, index);
  }

  return messages;
}
