import test from 'ava';
import fc from 'fast-check';
import {cpimHeader, imdnMessageId, isNotification, parseCpim, requestedDispositions} from '../../lib/codecs/cpim.ts';
import {type Imdn, formatImdn, formatNotificationCpim, parseImdn, parseNotifications} from '../../lib/codecs/imdn.ts';
import {mimeHeader} from '../../lib/codecs/mime.ts';
import {formatMultipart} from '../../lib/codecs/multipart.ts';
import {CpmError} from '../../lib/errors.ts';

// RFC 5438 §7.2.1.1
const delivered = `<?xml version="1.0" encoding="UTF-8"?>
<imdn xmlns="urn:ietf:params:xml:ns:imdn">
      <message-id>34jk324j</message-id>
      <datetime>2008-04-04T12:16:49-05:00</datetime>
     <recipient-uri>im:bob@example.com</recipient-uri>
      <original-recipient-uri
        >im:bob@example.com</original-recipient-uri>
      <delivery-notification>
         <status>
            <delivered/>
         </status>
      </delivery-notification>
    </imdn>`;
// RFC 5438 §7.2.1.2
const displayed = delivered
  .replaceAll('delivery-notification', 'display-notification')
  .replace('delivered', 'displayed');

test('RFC 5438 §7.2.1.1: the delivery notification of the standard is read', (t) => {
  t.deepEqual(parseImdn(delivered), {
    messageId: '34jk324j',
    dateTime: '2008-04-04T12:16:49-05:00',
    kind: 'delivery',
    status: 'delivered',
    recipientUri: 'im:bob@example.com',
    originalRecipientUri: 'im:bob@example.com',
  });
});

test('RFC 5438 §7.2.1.2: the display notification of the standard is read', (t) => {
  t.like(parseImdn(displayed), {messageId: '34jk324j', kind: 'display', status: 'displayed'});
});

const document = (inside: string) =>
  `<i:imdn xmlns:i="urn:ietf:params:xml:ns:imdn"><i:message-id> m1 </i:message-id>${inside}</i:imdn>`;

test('RFC 5438 §11.1: prefixes, other elements and extensions of the status are ignored', (t) => {
  const report =
    '<x:a xmlns:x="u"><b/></x:a><i:processing-notification><i:status><x:y xmlns:x="u"/><i:stored/></i:status></i:processing-notification>';
  t.like(parseImdn(document(report)), {messageId: 'm1', kind: 'processing', status: 'stored', dateTime: undefined});
});

test('CPM-CF 5.4: a notification of interworking is read', (t) => {
  const report =
    '<interworking-notification xmlns="urn:oma:xml:cpm:imdn-extensions:1.0"><status><sms/></status></interworking-notification>';
  t.like(parseImdn(document(report)), {kind: 'interworking', status: 'sms'});
});

test('RFC 5438 §11.1: a document that reports nothing known reports nothing', (t) => {
  for (const report of [
    '',
    '<other-notification><status><delivered/></status></other-notification>',
    '<i:delivery-notification/>',
  ]) {
    t.is(parseImdn(document(report)), undefined, report);
  }
  t.is(
    parseImdn(document('<i:delivery-notification><i:status><i:displayed/></i:status></i:delivery-notification>')),
    undefined,
  );
});

test('RFC 5438 §11.1: what names no message is refused with 400', (t) => {
  for (const xml of [
    '<imdn/>',
    '<imdn xmlns="urn:other"><message-id>a</message-id></imdn>',
    '<x><message-id>a</message-id></x>',
  ]) {
    t.throws(() => parseImdn(xml), {instanceOf: CpmError, code: 'CPM_IMDN'}, xml);
  }
});

const anyImdn: fc.Arbitrary<Imdn> = fc
  .record({
    messageId: fc.stringMatching(/^[!-~]{1,20}$/),
    dateTime: fc.constantFrom('2026-11-20T10:15:31Z', '2008-04-04T12:16:49-05:00'),
    outcome: fc.constantFrom(
      ...(['delivered', 'failed', 'forbidden', 'error'] as const).map(
        (status) => ({kind: 'delivery', status}) as const,
      ),
      ...(['displayed', 'forbidden', 'error'] as const).map((status) => ({kind: 'display', status}) as const),
      ...(['processed', 'stored', 'forbidden', 'error'] as const).map(
        (status) => ({kind: 'processing', status}) as const,
      ),
      ...(['sms', 'mms', 'error'] as const).map((status) => ({kind: 'interworking', status}) as const),
    ),
    recipientUri: fc.option(fc.webUrl({withQueryParameters: true}), {nil: undefined}),
    originalRecipientUri: fc.constantFrom(undefined, 'sip:b@c;x=<&>"'),
  })
  .map(({outcome, ...rest}) => ({...rest, ...outcome}));

test('RFC 5438 §11.1: a formatted notification is read back, in whichever way it comes', (t) => {
  fc.assert(
    fc.property(fc.array(anyImdn, {minLength: 1, maxLength: 4}), (imdns) => {
      const parts = imdns.map((imdn) => ({
        headers: [{name: 'Content-Type', value: 'message/imdn+xml'}],
        body: Buffer.from(formatImdn(imdn)),
      }));
      for (const imdn of imdns)
        t.deepEqual(parseNotifications('message/imdn+xml;charset=utf-8', Buffer.from(formatImdn(imdn))), [imdn]);
      // Longer than anything that is in one by chance: one that is cannot be written (RFC 2046 §5.1.1).
      const boundary = 'between-one-notification-and-another';
      t.deepEqual(parseNotifications(`multipart/mixed;boundary=${boundary}`, formatMultipart(parts, boundary)), imdns);
    }),
  );
});

test('E2 RFC 5438 §7.2.1: a notification in CPIM has an id of its own, is marked as one, and asks for none', (t) => {
  const imdn: Imdn = {messageId: '34jk324j', dateTime: '2026-11-20T10:15:31Z', kind: 'delivery', status: 'delivered'};
  const bytes = formatNotificationCpim({
    imdn,
    from: '<sip:anonymous@anonymous.invalid>',
    to: '<sip:anonymous@anonymous.invalid>',
    messageId: 'd834jied93rf',
    dateTime: '2026-11-20T10:15:32Z',
  });
  t.is(
    bytes.toString(),
    [
      'From: <sip:anonymous@anonymous.invalid>',
      'To: <sip:anonymous@anonymous.invalid>',
      'NS: imdn <urn:ietf:params:imdn>',
      'imdn.Message-ID: d834jied93rf',
      'DateTime: 2026-11-20T10:15:32Z',
      '',
      'Content-Type: message/imdn+xml',
      'Content-Disposition: notification',
      'Content-Length: 241',
      '',
      '<?xml version="1.0" encoding="UTF-8"?>',
      '<imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>34jk324j</message-id><datetime>2026-11-20T10:15:31Z</datetime><delivery-notification><status><delivered/></status></delivery-notification></imdn>',
      '',
    ].join('\r\n'),
  );
  const cpim = parseCpim(bytes);
  t.true(isNotification(cpim));
  t.is(imdnMessageId(cpim), 'd834jied93rf');
  t.is(mimeHeader(cpim.contentHeaders, 'content-disposition'), 'notification');
  t.is(Number(mimeHeader(cpim.contentHeaders, 'content-length')), cpim.body.length);
  t.is(requestedDispositions(cpim).size, 0);
  t.is(cpimHeader(cpim, undefined, 'From'), '<sip:anonymous@anonymous.invalid>');
  t.like(parseNotifications('Message/CPIM', bytes)[0], imdn);
});

test('RFC 5438 §8.3: aggregates in CPIM, transfer encodings and other content are told apart', (t) => {
  const cpim = (headers: string, body: string) => Buffer.from(`From: x\r\n\r\n${headers}\r\n\r\n${body}`);
  const base64 = cpim(
    'Content-Type: message/imdn+xml\r\nContent-Transfer-Encoding: base64',
    Buffer.from(displayed).toString('base64'),
  );
  t.is(parseNotifications('message/cpim', base64)[0]?.status, 'displayed');
  const aggregate = cpim(
    'Content-Type: multipart/mixed; boundary="imdn-boundary"',
    `--imdn-boundary\r\nContent-type: message/imdn+xml\r\n\r\n${delivered}\r\n--imdn-boundary\r\nContent-type: message/imdn+xml\r\n\r\n${displayed}\r\n--imdn-boundary--\r\n`,
  );
  t.deepEqual(
    parseNotifications('message/cpim', aggregate).map(({status}) => status),
    ['delivered', 'displayed'],
  );
  t.deepEqual(parseNotifications('message/cpim', cpim('Content-Type: text/plain', 'hello')), []);
  t.deepEqual(parseNotifications('message/cpim', cpim('Content-Type: message/cpim', base64.toString())), []);
  t.deepEqual(parseNotifications('text/plain', Buffer.from('hello')), []);
});

test('RFC 5438 §11: whatever comes in, only CpmError comes out', (t) => {
  const pieces = fc.constantFrom(
    '<imdn>',
    '</imdn>',
    '<message-id>a</message-id>',
    '<delivery-notification>',
    '<status>',
    '<delivered/>',
    '\r\n',
    '--b',
    'From: x',
    'Content-Type: message/imdn+xml',
  );
  const types = fc.constantFrom('message/imdn+xml', 'message/cpim', 'multipart/mixed;boundary=b', '');
  fc.assert(
    fc.property(types, fc.string({unit: pieces}), (type, text) => {
      try {
        parseNotifications(type, Buffer.from(text));
      } catch (error) {
        t.true(error instanceof CpmError, String(error));
      }
    }),
  );
  t.pass();
});
