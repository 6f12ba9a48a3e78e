/** What can't be read but looks like a request gets an answer: 400, as far as it says to whom (RFC 3261 §21.4.1), or 505. */
import {
  createRequest,
  createResponse,
  headerKey,
  headerOf,
  type SipRequest,
  type SipResponse,
} from '../codecs/sip-message.ts';
import {longName} from '../codecs/sip-headers/names.ts';
import {cseqOf, parseVia, tagOf, topVia} from './sip-values.ts';

/** Octets of a line, of header or body, beyond which a message is refused. */
const maxLineBytes = 8192;

/** The request of which this is what could be made out; `undefined` for anything else. */
export function glimpse(bytes: Buffer): {readonly request: SipRequest; readonly status: 400 | 505} | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  const [start = '', ...lines] = bytes.toString('utf8', 0, end < 0 ? bytes.length : end).split('\r\n');
  const match = /^([A-Z]+) (\S+) SIP\/(\d+\.\d+)$/.exec(start);
  if (match?.[1] === undefined || match[1] === 'ACK') return undefined;
  const headers = lines.flatMap((line) => {
    const [, name = '', value = ''] = /^([\w-]+)\s*:\s*(.*?)\s*$/.exec(line) ?? [];
    return name === '' ? [] : [[longName(name), value] as const];
  });
  const request = createRequest(match[1], match[2] ?? '', headers);
  const via = topVia(request);
  if (via === undefined || parseVia(via) === undefined) return undefined;
  return {request, status: match[3] === '2.0' ? 400 : 505};
}

/** Whether a line of the body is longer than the real server reads. */
export function hasLongLine(body: Buffer): boolean {
  for (let from = 0; body.length - from > maxLineBytes;) {
    const end = body.indexOf('\n', from);
    if (end < 0 || end - from > maxLineBytes) return true;
    from = end + 1;
  }
  return false;
}

/** The answer to what was made out: with a To-tag, without a CSeq that is none, and named by the header that is to blame. */
export function refusal(request: SipRequest, status: number, newTag: () => string): SipResponse {
  const to = headerOf(request, 'To');
  const length = headerOf(request, 'Content-Length');
  const badLength = length !== undefined && !/^\d+$/.test(length);
  const badCseq = headerOf(request, 'CSeq') !== undefined && cseqOf(request) === undefined;
  const blamed = badLength ? 'Bad Content-Length Header' : badCseq ? 'Bad CSeq Header' : undefined;
  const response = createResponse(request, status, status === 400 && blamed !== undefined ? {reason: blamed} : {});
  const tagged = to !== undefined && tagOf(request, 'To') === undefined ? `${to};tag=${newTag()}` : to;
  return {
    ...response,
    headers: response.headers
      .filter(({name}) => name !== 'CSeq' || !badCseq)
      .map(({name, value}) => (headerKey(name) === 'to' ? {name, value: tagged ?? value} : {name, value})),
  };
}
