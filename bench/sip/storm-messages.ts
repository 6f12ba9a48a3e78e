/** Who is told of in a storm, and what waits for him. */
import type {NewDeferredMessage} from '../../lib/cpm/deferred-message.ts';
import {canonicalAddress} from '../../lib/cpm/address.ts';
import {describe, usualMedia} from '../../lib/phone/session-description.ts';
import {chatMessages} from './messages.ts';

export const member = (index: number): string => `sip:+1555${String(5_000_000 + index)}@home.example;user=phone`;

const author = 'sip:+14441000001@elsewhere.example;user=phone';
const day = 24 * 3600 * 1000;
const offer = describe(usualMedia, {path: ['msrp://127.0.0.1:9/author;tcp'], port: 9, setup: 'active'});

/** So many messages for one user, of one author. */
export function waitingFor(index: number, count: number): readonly NewDeferredMessage[] {
  const now = Date.now();
  return chatMessages(`storm${index}-`, count).map((bytes, number) => ({
    servedUser: canonicalAddress(member(index)) ?? '',
    sender: canonicalAddress(author) ?? '',
    kind: 'chat' as const,
    imdnMessageId: `storm${index}-${number}`,
    dispositions: ['positive-delivery', 'display'] as const,
    contentType: 'message/cpim',
    bytes,
    dateTime: now,
    receivedAt: now,
    expiresAt: now + 30 * day,
    session: {
      conversationId: `conversation-${index}`,
      contributionId: `contribution-${index}`,
      recipientAddress: member(index),
      senderAddress: author,
      senderInstance: '<urn:uuid:7f2d4f0e-5a0c-4c0e-8a53-5d0b1d3a9c11>',
      subject: undefined,
      offer,
    },
  }));
}
