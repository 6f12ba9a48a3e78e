/** The REGISTER by which the core tells the Participating Function that a user is, or is no longer, there (TS 24.229 §5.4.1.7). */
import {randomUUID} from 'node:crypto';
import {createRequest, formatSipMessage, type SipRequest} from '../codecs/sip-message.ts';
import type {Registered} from './registrar.ts';

/** What the initial filter criteria ask to be included: the phone's REGISTER and its 200, the REGISTER alone, or nothing. */
export type ThirdPartyBody = 'both' | 'request' | 'none';

/** Builds it. `pf` is the Request-URI, `servingNode` the core's own URI with which it names itself in From and Contact. */
export function thirdPartyRegister(
  registered: Registered,
  {pf, servingNode, body}: {readonly pf: string; readonly servingNode: string; readonly body: ThirdPartyBody},
): SipRequest {
  const [contentType, bytes] = content(registered, body);
  return createRequest(
    'REGISTER',
    pf,
    [
      ['Max-Forwards', '70'],
      ['From', `<${servingNode}>;tag=${randomUUID().slice(0, 8)}`],
      ['To', `<${registered.identities[0] ?? ''}>`],
      ['Call-ID', randomUUID()],
      ['CSeq', '1 REGISTER'],
      ['Contact', `<${servingNode}>`],
      ['Expires', String(registered.expires)],
      ...(contentType === undefined ? [] : [['Content-Type', contentType] as const]),
    ],
    bytes,
  );
}

function content(registered: Registered, body: ThirdPartyBody): readonly [string | undefined, Buffer] {
  if (body === 'none') return [undefined, Buffer.alloc(0)];
  const request = formatSipMessage(registered.request);
  if (body === 'request') return ['message/sip', request];
  const boundary = `registration-${randomUUID()}`;
  const parts = [request, formatSipMessage(registered.response)].flatMap((part) => [
    Buffer.from(`--${boundary}\r\nContent-Type: message/sip\r\n\r\n`),
    part,
    Buffer.from('\r\n'),
  ]);
  return [`multipart/mixed;boundary="${boundary}"`, Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)])];
}
