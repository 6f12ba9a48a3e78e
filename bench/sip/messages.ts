/** Chat messages of about 1 KB as a phone sends them, all equally long, each with an identity of its own. */
import {chatMessage} from '../../lib/phone/chat-messages.ts';

const content = Buffer.alloc(700, 'The quick brown fox jumps over the lazy dog. ');

/** `count` messages; `prefix` keeps them apart from all others. */
export const chatMessages = (prefix: string, count: number): readonly Buffer[] =>
  Array.from({length: count}, (_, index) =>
    chatMessage({
      messageId: `${prefix}${String(index).padStart(8, '0')}`,
      dispositions: ['positive-delivery', 'display'],
      contentType: 'text/plain;charset=UTF-8',
      content,
    }),
  );
