import type {NewDeferredMessage} from '../../lib/cpm/deferred-message.ts';

/** A chat message from Alice to Bob, as far as `overrides` does not say otherwise. */
export function newMessage(overrides: Partial<NewDeferredMessage> = {}): NewDeferredMessage {
  return {
    servedUser: 'tel:+4915150000002',
    sender: 'tel:+4915150000001',
    kind: 'chat',
    imdnMessageId: 'Msg1',
    dispositions: ['positive-delivery', 'display'],
    contentType: 'message/cpim',
    bytes: Buffer.from('From: <sip:anonymous@anonymous.invalid>\r\n\r\nContent-Type: text/plain\r\n\r\nHello'),
    dateTime: 1_790_000_000_000,
    receivedAt: 1_790_000_000_500,
    expiresAt: 1_790_600_000_000,
    session: {
      conversationId: 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6',
      contributionId: 'abcdef-1234-5678-90ab-cdef01234567',
      recipientAddress: 'tel:+4915150000002',
      senderAddress: 'sip:+4915150000001@ims.example;user=phone',
      senderInstance: '<urn:gsma:imei:90420156-025763-0>',
      subject: undefined,
      offer: 'v=0\r\nm=message 2855 TCP/MSRP *\r\n',
    },
    ...overrides,
  };
}

/** `count` messages with ids `${prefix}1` … in order. */
export function newMessages(
  count: number,
  overrides: Partial<NewDeferredMessage> = {},
  prefix = 'Msg',
): NewDeferredMessage[] {
  return Array.from({length: count}, (_, index) =>
    newMessage({imdnMessageId: `${prefix}${index + 1}`, bytes: Buffer.from(`${prefix} ${index + 1}`), ...overrides}),
  );
}
