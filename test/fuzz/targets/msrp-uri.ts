import {formatByteRange, parseByteRange} from '../../../lib/codecs/msrp/byte-range.ts';
import {formatMsrpUri, leftmostUri, parseMsrpUri, sameMsrpUri, sessionIdOfPath} from '../../../lib/codecs/msrp/uri.ts';
import {attempt, promise, promiseSame, type Target} from '../target.ts';

/** MSRP URIs and byte ranges: what is read can be written, and is then the same. */
export const msrpUri: Target = {
  name: 'msrp-uri',
  clause: 'E5 RFC 4975 §6',
  dictionary: [
    'msrp://',
    'msrps://',
    ';tcp',
    ';ws',
    '[2001:db8::1]',
    ':2855',
    '/',
    'user@',
    '1-*/*',
    '1-0/0',
    '-',
    '*',
  ],
  check(input) {
    const range = parseByteRange(input);
    if (range !== undefined) {
      promiseSame(parseByteRange(Buffer.from(formatByteRange(range))), range, 'a byte range is written as it was read');
      return `range ${range.end === undefined} ${range.total === undefined}`;
    }
    promise(leftmostUri(input).length <= input.length, 'the leftmost URI is in the path');
    const id = sessionIdOfPath(input);
    const {value: uri, refusal} = attempt(() => parseMsrpUri(input.toString('latin1')), 'CPM_MSRP_URI');
    if (uri === undefined) return `${refusal} ${id !== undefined}`;
    promise(uri.sessionId?.slice(0, 128) === id, 'both readers of a session-id find the same');
    const written = parseMsrpUri(formatMsrpUri(uri));
    promiseSame(written, uri, 'a URI is written as it was read');
    promise(sameMsrpUri(written, uri), 'a URI equals itself');
    return `uri ${uri.secure} ${uri.port === undefined} ${uri.sessionId === undefined} ${uri.host.includes(':')}`;
  },
};
