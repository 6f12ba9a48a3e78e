import {
  type SipMessage,
  createSipStreamParser,
  formatSipMessage,
  headersOf,
  parseSipMessage,
  withoutHeaders,
} from '../../../lib/codecs/sip-message.ts';
import {attempt, cutsOf, few, promise, promiseSame, randomOf, type Target} from '../target.ts';

const refusals = ['CPM_SIP_MALFORMED', 'CPM_SIP_LINE_TOO_LONG', 'CPM_SIP_TOO_LARGE'];
const wide = {maxMessageBytes: 1_000_000, maxLineBytes: 500_000};

/** SIP messages (RFC 3261 §7), as a datagram and as a stream: wherever the stream is cut, the same messages. */
export const sipMessage: Target = {
  name: 'sip-message',
  clause: 'RFC 3261 §7',
  dictionary: [
    ...[
      'SIP/2.0',
      'INVITE sip:a@b SIP/2.0\r\n',
      'SIP/2.0 200 OK\r\n',
      'Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n',
      'CSeq: 1 INVITE\r\n',
      'Content-Length: 0\r\n\r\n',
    ],
    ...['Content-Length: 5\r\n', 'l: 3\r\n', 'v: ', 'f: ', 'i: ', 'Call-ID: a\r\n', '\r\n\r\n', '\r\n '],
  ],
  check(input) {
    const random = randomOf(input);
    const limits = random.below(2) === 0 ? undefined : {maxMessageBytes: 700, maxLineBytes: 60};
    const [whole = [], ...cuts] = cutsOf(input, random);
    const expected = stream(whole, limits);
    for (const pieces of cuts)
      promiseSame(stream(pieces, limits), expected, `${pieces.length} pieces give what one gives`);
    const {value: datagram, refusal} = attempt(() => parseSipMessage(input, limits), ...refusals);
    const messages = expected.items.filter((item) => item !== 'ping');
    for (const message of datagram === undefined ? messages : [datagram, ...messages]) again(message);
    const taken = datagram === undefined ? refusal : `${datagram.kind} ${few(datagram.headers.length)}`;
    return `${taken} ${few(messages.length)} ${expected.refused}`;
  },
};

function stream(
  pieces: readonly Buffer[],
  limits?: typeof wide,
): {readonly items: readonly (SipMessage | 'ping')[]; readonly refused: boolean} {
  const parser = createSipStreamParser(limits);
  const items: (SipMessage | 'ping')[] = [];
  for (const piece of pieces) {
    const {refusal} = attempt(
      () => {
        parser.push(piece, (item) => items.push(item));
      },
      ...refusals,
    );
    // Which of two faults is met first may depend on the cut.
    if (refusal !== undefined) return {items, refused: true};
  }
  return {items, refused: false};
}

function again(message: SipMessage): void {
  const written = parseSipMessage(formatSipMessage(message), wide);
  promise(
    headersOf(written, 'Content-Length').join() === String(message.body.length),
    'Content-Length is written once and right',
  );
  const said = (one: SipMessage) => withoutHeaders(one, 'Content-Length');
  promiseSame(said(written), said(message), 'a message is written as it was read');
}
