import {decodeContent, readMimeHeaders} from '../../../lib/codecs/mime.ts';
import {MULTIPART_LIMITS, formatMultipart, leafParts, parseMultipart} from '../../../lib/codecs/multipart.ts';
import {HEADER_LIMITS} from '../../../lib/codecs/octets.ts';
import {CpmError} from '../../../lib/errors.ts';
import {attempt, few, promise, promiseSame, type Target} from '../target.ts';

const refuse = (why: string): CpmError => new CpmError('CPM_MULTIPART', 400, why);

/** MIME entities: an input is headers, a blank line, a body. */
export const multipart: Target = {
  name: 'multipart',
  clause: 'RFC 2046 §5.1',
  dictionary: [
    ...[
      'Content-Type: multipart/mixed;boundary=b\r\n',
      'Content-Type: text/plain\r\n\r\n',
      '\r\n--b\r\n',
      '\r\n--b--',
      '--b',
      '--b \t',
      'boundary="',
      ';boundary=c',
    ],
    ...[
      'Content-Transfer-Encoding: quoted-printable\r\n',
      '=\r\n',
      '=41',
      'base64',
      'Content-Disposition: recipient-list\r\n',
      '\r\n--c\r\n',
    ],
  ],
  check(input) {
    const {value: entity, refusal} = attempt(() => readMimeHeaders(input, 0, HEADER_LIMITS, refuse), 'CPM_MULTIPART');
    if (entity === undefined) return refusal;
    const body = input.subarray(entity.next);
    const type = entity.headers.find(({name}) => name.toLowerCase() === 'content-type')?.value ?? 'text/plain';
    const steps = {taken: 0};
    const {value: leaves, refusal: why} = attempt(() => leafParts(body, type, {steps}), 'CPM_MULTIPART');
    // A boundary may begin another one: each place is looked at once for each level.
    promise(
      steps.taken <= 4 * (MULTIPART_LIMITS.maxDepth + 1) * (input.length + 1024),
      'the work grows with the input and no faster',
    );
    if (leaves === undefined) return why;
    promise(leaves.reduce((sum, leaf) => sum + leaf.body.length, 0) <= body.length, 'parts are pieces of the body');
    for (const {headers, body: content} of leaves)
      promise(decodeContent(headers, content).length <= content.length, 'content does not grow');
    const {value: written} = attempt(() => formatMultipart(leaves, 'another-boundary'), 'CPM_MULTIPART', 'CPM_MIME');
    if (written !== undefined && leaves.length <= MULTIPART_LIMITS.maxParts && leaves.length > 0)
      promiseSame(
        said(parseMultipart(written, 'multipart/mixed;boundary=another-boundary', {maxHeaderOctets: 1_000_000})),
        said(leaves),
        'parts are written as they were read',
      );
    return `${few(leaves.length)} ${few(leaves.filter(({headers}) => headers.length > 0).length)} ${leaves.some(({body: {length}}) => length === 0)}`;
  },
};

function said(parts: ReturnType<typeof leafParts>): object {
  return parts.map(({headers, body}) => ({headers, body: Buffer.from(body)}));
}
