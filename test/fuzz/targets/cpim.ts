import {
  type Cpim,
  cpimDateTime,
  formatCpim,
  imdnMessageId,
  isNotification,
  parseCpim,
  requestedDispositions,
} from '../../../lib/codecs/cpim.ts';
import {parseNotifications} from '../../../lib/codecs/imdn.ts';
import {decodeContent} from '../../../lib/codecs/mime.ts';
import type {Params} from '../../../lib/codecs/tokens.ts';
import {attempt, few, promise, promiseSame, type Target} from '../target.ts';

/** CPIM messages (RFC 3862): its octets are kept, what is written again says the same. */
export const cpim: Target = {
  name: 'cpim',
  clause: 'E1 RFC 3862 §2',
  dictionary: [
    ...[
      'From: ',
      'To: ',
      'DateTime: ',
      'NS: imdn <urn:ietf:params:imdn>\r\n',
      'imdn.Message-ID: ',
      'imdn.Disposition-Notification: ',
    ],
    ...[
      'positive-delivery, display',
      'Content-Type: ',
      'message/imdn+xml',
      'multipart/mixed;boundary=b',
      '--b\r\n',
      '--b--',
    ],
    ...[
      'Content-Transfer-Encoding: base64\r\n',
      'quoted-printable',
      'message/cpim',
      ';lang=',
      '\\u0041',
      '\\n',
      'Subject:',
    ],
  ],
  check(input) {
    const steps = {taken: 0};
    const {value: read, refusal} = attempt(() => parseCpim(input, {steps}), 'CPM_CPIM');
    promise(steps.taken <= 2 * input.length + 1024, 'the work grows with the input and no faster');
    attempt(() => parseNotifications('message/cpim', input), ...['CPM_CPIM', 'CPM_MULTIPART', 'CPM_XML', 'CPM_IMDN']);
    if (read === undefined) return refusal;
    promise(
      read.raw.equals(input) && input.subarray(input.length - read.body.length).equals(read.body),
      'the octets are kept',
    );
    promise(decodeContent(read.contentHeaders, read.body).length <= read.body.length, 'content does not grow');
    const isRead = `${imdnMessageId(read) !== undefined} ${cpimDateTime(read) !== undefined} ${isNotification(read)}`;
    again(read);
    return `${isRead} ${requestedDispositions(read).size} ${few(read.headers.length)} ${few(read.contentHeaders.length)}`;
  },
};

function again(read: Cpim): void {
  const isToken = (name: string) => /^[\w.+-]+$/.test(name);
  // Parameters are ours to write only with names that are names.
  if (read.headers.some(({params}) => ![...params.keys()].every(isToken))) return;
  const headers = read.headers.map(({raw, params, value}) => ({
    name: raw.toString().split(':', 1)[0]?.trim() ?? '',
    params,
    value,
  }));
  // A name with a blank before it, which would begin the content when it is written.
  if (headers.some(({name}) => /^content-/i.test(name))) return;
  const {value: written} = attempt(() => formatCpim({...read, headers}), 'CPM_MIME');
  if (written === undefined) return;
  // Controls in a parameter become blanks.
  const plain = (params: Params) =>
    [...params].map(([name, value]) => [name, value?.replace(/[\u0000-\u001f\u007f]/g, ' ')]);
  const said = ({headers, contentHeaders, contentType, body}: Cpim) => ({
    headers: headers.map(({namespace, name, params, value}) => ({namespace, name, params: plain(params), value})),
    contentHeaders,
    contentType,
    body,
  });
  promiseSame(
    said(parseCpim(written, {maxHeaderOctets: 1_000_000})),
    said(read),
    'a message is written as it was read',
  );
}
