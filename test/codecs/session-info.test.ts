import test from 'ava';
import fc from 'fast-check';
import {
  SESSION_INFO_TYPE,
  formatSessionInfo,
  parseSessionInfo,
  type SessionInfo,
} from '../../lib/codecs/session-info.ts';
import {CpmError} from '../../lib/errors.ts';

const read = (xml: string, contentType = SESSION_INFO_TYPE): SessionInfo =>
  parseSessionInfo(contentType, Buffer.from(xml));

test('8.5.2 E9: the info of a session of two is written in the order of its schema, and names nobody', (t) => {
  const info = {type: '1-1', replaces: undefined, invitedParticipants: []} as const;
  t.is(
    formatSessionInfo(info),
    '<?xml version="1.0" encoding="UTF-8"?>\r\n<session><session-type>1-1</session-type></session>\r\n',
  );
  t.deepEqual(read(formatSessionInfo(info)), info);
});

test('8.5.2 E9: the info of a group names those invited, parameters and all, and the session that it replaces', (t) => {
  const info: SessionInfo = {
    type: 'group',
    replaces: 'abcdef-1234-5678-90ab-cdef01234567',
    invitedParticipants: ['sip:+15550102@home.example;user=phone', 'tel:7042;phone-context=+1', 'sip:a&b@x.example'],
  };
  t.is(
    formatSessionInfo(info),
    '<?xml version="1.0" encoding="UTF-8"?>\r\n<session><session-type>Group</session-type>' +
      '<session-replaces>abcdef-1234-5678-90ab-cdef01234567</session-replaces>' +
      '<invited-participants>sip:+15550102@home.example;user=phone;tel:7042;phone-context=+1;sip:a&amp;b@x.example' +
      '</invited-participants></session>\r\n',
  );
  t.deepEqual(read(formatSessionInfo(info)), info);
});

test('8.5.2 E9: prefixes, another order, blanks, unknown elements and a separator too many are forgiven', (t) => {
  const xml = `<s:session xmlns:s="urn:x"><s:invited-participants> sip:a@x.example ; sip:b@x.example; </s:invited-participants>
    <x/><s:session-type> GROUP </s:session-type></s:session>`;
  t.deepEqual(read(xml, 'application/x-cpm-session; charset=utf-8'), {
    type: 'group',
    replaces: undefined,
    invitedParticipants: ['sip:a@x.example', 'sip:b@x.example'],
  });
});

test('8.5.2 E9: the older form, in multipart/related and with other types, is read', (t) => {
  const body = (type: string): string =>
    [
      '--cpm',
      'Content-Type: Application/X-CPM-Session',
      '',
      `<session><session-type>${type}</session-type></session>`,
      '--cpm--',
      '',
    ].join('\r\n');
  const contentType = 'multipart/related;boundary=cpm;type="Application/X-CPM-Session"';
  t.is(read(body('Ad-Hoc'), contentType).type, 'group');
  t.is(read(body('Pre-Defined'), contentType).type, 'group');
  t.is(read(body('1-1'), contentType).type, '1-1');
});

test('8.5.2 E9: another document, type of session or content type is refused with 400', (t) => {
  const refused = {instanceOf: CpmError, code: 'CPM_SESSION_INFO'};
  t.throws(() => read('<session/>'), refused);
  t.throws(() => read('<session><session-type>party</session-type></session>'), refused);
  t.throws(() => read('<other><session-type>1-1</session-type></other>'), refused);
  t.throws(() => read('<session><session-type>1-1</session-type></session>', 'text/plain'), refused);
});

test('8.5.2 E9: every info comes back as it was written', (t) => {
  const word = fc.stringMatching(/^[a-z0-9&<"']{1,12}$/);
  const uri = fc
    .tuple(fc.constantFrom('sip:', 'tel:+'), word, fc.constantFrom('', ';user=phone', ';a=b;c'))
    .map((parts) => parts.join(''));
  const info = fc.oneof(
    fc.record({
      type: fc.constant('1-1' as const),
      replaces: fc.option(word, {nil: undefined}),
      invitedParticipants: fc.constant([]),
    }),
    fc.record({
      type: fc.constant('group' as const),
      replaces: fc.option(word, {nil: undefined}),
      invitedParticipants: fc.array(uri),
    }),
  );
  fc.assert(
    fc.property(info, (value) => {
      t.deepEqual(read(formatSessionInfo(value)), value);
    }),
  );
});

test('8.5.2 E9: whatever comes in, only CpmError comes out', (t) => {
  const pieces = fc.constantFrom('<session>', '</session>', '<session-type>', '</session-type>', '1-1', ';', '&');
  fc.assert(
    fc.property(fc.string({unit: pieces}), (text) => {
      try {
        read(text);
      } catch (error) {
        t.true(error instanceof CpmError, String(error));
      }
    }),
  );
});
