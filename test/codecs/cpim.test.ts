import test from 'ava';
import fc from 'fast-check';
import {
  IMDN_NAMESPACE,
  cpimDateTime,
  cpimHeader,
  formatCpim,
  imdnMessageId,
  isNotification,
  parseCpim,
  requestedDispositions,
} from '../../lib/codecs/cpim.ts';
import type {Steps} from '../../lib/codecs/octets.ts';
import {CpmError} from '../../lib/errors.ts';

const octets = (...lines: readonly string[]) => Buffer.from(lines.join('\r\n'));

// RFC 3862 §5.1
const example = octets(
  'From: MR SANDERS <im:piglet@100akerwood.com>',
  'To: Depressed Donkey <im:eeyore@100akerwood.com>',
  'DateTime: 2000-12-13T13:40:00-08:00',
  'Subject: the weather will be fine today',
  "Subject:;lang=fr beau temps prevu pour aujourd'hui",
  'NS: MyFeatures <mid:MessageFeatures@id.foo.com>',
  'Require: MyFeatures.VitalMessageOption',
  'MyFeatures.VitalMessageOption: Confirmation-requested',
  'MyFeatures.WackyMessageOption: Use-silly-font',
  '',
  'Content-type: text/xml; charset=utf-8',
  'Content-ID: <1234567890@foo.com>',
  '',
  '<body>',
  'Here is the text of my message.',
  '</body>',
);

// As a CPM client sends it.
const chat = octets(
  'From: <sip:anonymous@anonymous.invalid>',
  'To: <sip:anonymous@anonymous.invalid>',
  'NS: imdn <urn:ietf:params:imdn>',
  'imdn.Message-ID: Msg-34jk324j',
  'DateTime: 2026-11-20T10:15:30.123+01:00',
  'imdn.Disposition-Notification: positive-delivery, display',
  '',
  'Content-Type: text/plain;charset=UTF-8',
  'Content-Length: 6',
  '',
  'héllo',
);

test('RFC 3862 §5.1: the example of the standard is read', (t) => {
  const cpim = parseCpim(example);
  t.is(cpimHeader(cpim, undefined, 'From'), 'MR SANDERS <im:piglet@100akerwood.com>');
  t.is(cpimHeader(cpim, undefined, 'Subject'), 'the weather will be fine today');
  t.is(cpim.headers[4]?.params.get('lang'), 'fr');
  t.is(cpim.headers[4]?.value, "beau temps prevu pour aujourd'hui");
  t.is(cpimHeader(cpim, 'mid:MessageFeatures@id.foo.com', 'WackyMessageOption'), 'Use-silly-font');
  t.is(cpim.contentType, 'text/xml; charset=utf-8');
  t.is(cpim.body.toString(), '<body>\r\nHere is the text of my message.\r\n</body>');
  t.is(cpimDateTime(cpim), Date.UTC(2000, 11, 13, 21, 40));
});

test('E1 RFC 3862 §2.2: every octet, also of headers unknown or not UTF-8, is kept in its order', (t) => {
  const bytes = Buffer.concat([
    octets('From:x', 'NS: a <urn:a>', 'a.B:  1 '),
    Buffer.from([0x0d, 0x0a]),
    Buffer.from('a.C: \xff\xfe', 'latin1'),
    chat,
  ]);
  const cpim = parseCpim(bytes);
  t.is(cpim.raw, bytes);
  t.deepEqual(
    cpim.headers
      .slice(0, 4)
      .map(({raw}) => raw.toString('latin1'))
      .slice(0, 3),
    ['From:x', 'NS: a <urn:a>', 'a.B:  1 '],
  );
  t.deepEqual([...(cpim.headers[3]?.raw.subarray(5, 7) ?? [])], [0xff, 0xfe]);
});

test('E1: the content is a view of the octets that came, not a copy', (t) => {
  const view = new Uint8Array(chat);
  t.is(parseCpim(view).body.buffer, view.buffer);
  t.is(parseCpim(chat).body.toString(), 'héllo');
});

test('RFC 3862 §3.4: a namespace is known by its URI, whatever its prefix', (t) => {
  for (const ns of [
    ['NS: acme <http://id.acme.widgets/wily-headers/>', 'acme.runner-trap: set'],
    ['NS: widget <http://id.acme.widgets/wily-headers/>', 'widget.runner-trap: set'],
    ['NS: <http://id.acme.widgets/wily-headers/>', 'runner-trap: set'],
  ]) {
    t.is(
      cpimHeader(
        parseCpim(octets('From: <im:a@b>', ...ns, '', '')),
        'http://id.acme.widgets/wily-headers/',
        'runner-trap',
      ),
      'set',
    );
  }
});

test('RFC 3862 §3.4: the prefix imdn may stand for another namespace, and another prefix for imdn', (t) => {
  const cpim = parseCpim(
    octets('NS: imdn <urn:other>', 'NS: x <urn:ietf:params:imdn>', 'imdn.Message-ID: a', 'x.Message-ID: b', '', ''),
  );
  t.is(imdnMessageId(cpim), 'b');
});

test('CPM-CF 5.4: imdn headers are understood without an NS line, and after `NS: imdn<…>`', (t) => {
  t.is(imdnMessageId(parseCpim(octets('From: x', 'imdn.Message-ID: abc', '', ''))), 'abc');
  t.is(
    imdnMessageId(parseCpim(octets('NS: imdn<urn:ietf:params:imdn>', 'imdn.Message-ID:XXdcbQV7670XKNzx', '', ''))),
    'XXdcbQV7670XKNzx',
  );
});

test('RFC 3862 §3.4: a prefix never declared belongs to no namespace', (t) => {
  const cpim = parseCpim(octets('From: x', 'foo.From: y', '', ''));
  t.is(cpimHeader(cpim, undefined, 'From'), 'x');
  t.is(cpimHeader(cpim, undefined, 'foo.From'), 'y');
});

test('RFC 3862 §2.2: names of message headers have case, those of the content have none', (t) => {
  const cpim = parseCpim(octets('from: x', 'From: y', '', 'CONTENT-TYPE: text/plain', '', ''));
  t.is(cpimHeader(cpim, undefined, 'From'), 'y');
  t.is(cpim.contentType, 'text/plain');
});

test('RFC 3862 §2.3: escapes are resolved, and stay in the octets', (t) => {
  const cpim = parseCpim(octets('Subject: \\u00e9t\\u00E9 \\"a\\\\b\\"\\n\\x', '', ''));
  t.is(cpimHeader(cpim, undefined, 'Subject'), 'été "a\\b"\n\\x');
  t.true(cpim.raw.includes('\\u00e9t\\u00E9'));
});

test('RFC 3862 §2: LF alone ends lines as well', (t) => {
  const cpim = parseCpim(
    Buffer.from('From: x\nNS: imdn <urn:ietf:params:imdn>\nimdn.Message-ID: m\n\nContent-Type: text/plain\n\na\nb\n'),
  );
  t.is(imdnMessageId(cpim), 'm');
  t.is(cpim.body.toString(), 'a\nb\n');
});

test('RFC 5438 §7.2.1.1: the example without blank line before Content-type is read', (t) => {
  const cpim = parseCpim(
    octets(
      'From: Bob <im:bob@example.com>',
      'To: Alice <im:alice@example.com>',
      'NS: imdn <urn:ietf:params:imdn>',
      'imdn.Message-ID: d834jied93rf',
      'Content-type: message/imdn+xml',
      'Content-Disposition: notification',
      'Content-length: 6',
      '',
      '<imdn>',
    ),
  );
  t.is(imdnMessageId(cpim), 'd834jied93rf');
  t.is(cpim.body.toString(), '<imdn>');
  t.true(isNotification(cpim));
});

test('RFC 5438 §6.2: dispositions asked for, unknown ones and parameters ignored', (t) => {
  t.deepEqual([...requestedDispositions(parseCpim(chat))], ['positive-delivery', 'display']);
  const asked = (value: string) => [
    ...requestedDispositions(parseCpim(octets(`imdn.Disposition-Notification:${value}`, '', ''))),
  ];
  t.deepEqual(asked(' negative-delivery;x=y,processing, interworking, whatever'), [
    'negative-delivery',
    'processing',
    'interworking',
  ]);
  t.deepEqual(asked(''), []);
  t.deepEqual([...requestedDispositions(parseCpim(example))], []);
});

test('E2 RFC 5438 §7.2.1: a notification asks for no notification, whatever it says', (t) => {
  const cpim = parseCpim(
    octets('imdn.Disposition-Notification: display', '', 'Content-Type: message/imdn+xml', '', '<imdn/>'),
  );
  t.deepEqual([...requestedDispositions(cpim)], []);
});

test('RFC 5438 §8.3: an aggregate of notifications is a notification, a mixture is not', (t) => {
  const aggregate = (second: string) =>
    parseCpim(
      octets(
        ...[
          'From: x',
          '',
          'Content-Type: multipart/mixed; boundary="imdn-boundary"',
          'Content-Disposition: notification',
          '',
        ],
        ...['--imdn-boundary', 'Content-type: message/imdn+xml', '', '<imdn/>'],
        ...['--imdn-boundary', `Content-type: ${second}`, '', '<imdn/>', '--imdn-boundary--'],
      ),
    );
  t.true(isNotification(aggregate('Message/IMDN+xml')));
  t.false(isNotification(aggregate('text/plain')));
  t.false(isNotification(parseCpim(chat)));
  t.false(isNotification(parseCpim(octets('From: x', '', 'Content-Type: multipart/mixed', '', ''))));
});

test('RFC 3862 §4.4: what is no date of RFC 3339 is no DateTime', (t) => {
  const at = (date: string) => cpimDateTime(parseCpim(octets(`DateTime: ${date}`, '', '')));
  t.is(at('2026-11-20T10:15:30.123+01:00'), Date.UTC(2026, 10, 20, 9, 15, 30, 123));
  t.is(at('2026-11-20t10:15:30z'), Date.UTC(2026, 10, 20, 10, 15, 30));
  for (const date of ['', 'Fri, 20 Nov 2026', '2026-13-20T10:15:30Z', '2026-11-20T10:15:30'])
    t.is(at(date), undefined, date);
});

test('RFC 3862 §3: a formatted message is read back, octet for octet and escapes undone', (t) => {
  const token = fc.stringMatching(/^[A-Za-z-]{1,10}$/);
  const header = fc
    .tuple(token, fc.string({unit: 'binary'}))
    .map(([name, value]) => ({namespace: IMDN_NAMESPACE, name: `X${name}`, value: value.trim()}));
  fc.assert(
    fc.property(fc.array(header, {minLength: 1}), fc.uint8Array(), (headers, body) => {
      const cpim = parseCpim(
        formatCpim({
          headers: headers.map(({name, value}) => ({name: `imdn.${name}`, value})),
          contentHeaders: [{name: 'Content-Type', value: 'text/plain'}],
          body,
        }),
      );
      t.deepEqual(
        cpim.headers.map(({namespace, name, value}) => ({namespace, name, value})),
        headers,
      );
      t.deepEqual([...cpim.body], [...body]);
    }),
  );
});

test('RFC 3862 §2.3: no header can be made to begin another line', (t) => {
  const bytes = formatCpim({
    headers: [{name: 'Subject', value: ' a\r\nFrom: b'}],
    contentHeaders: [],
    body: Buffer.alloc(0),
  });
  t.is(bytes.toString(), 'Subject: \\u0020a\\u000d\\u000aFrom: b\r\n\r\n\r\n');
  t.throws(() => formatCpim({headers: [{name: 'a b', value: ''}], contentHeaders: [], body: bytes}), {
    code: 'CPM_CPIM',
  });
  t.throws(() => formatCpim({headers: [], contentHeaders: [{name: 'A', value: 'b\r\n'}], body: bytes}), {
    code: 'CPM_MIME',
  });
});

test('RFC 3862 §2: what is no CPIM is refused with 400', (t) => {
  for (const text of [
    '',
    '\r\n\r\n',
    'hello\r\n\r\n',
    ': x\r\n\r\n',
    'a.b.c: x\r\n\r\n',
    'From: x\r\n\r\nno header\r\n\r\n',
    'Content-Type: text/plain\r\n\r\n',
  ]) {
    t.throws(() => parseCpim(Buffer.from(text)), {instanceOf: CpmError, code: 'CPM_CPIM'}, text);
  }
  t.throws(() => parseCpim(Buffer.from('A: b\r\n'.repeat(300))), {code: 'CPM_CPIM'});
  t.throws(() => parseCpim(Buffer.alloc(100_000, 'a')), {code: 'CPM_CPIM'});
  t.throws(() => parseCpim(chat, {maxHeaderOctets: 100}), {code: 'CPM_CPIM'});
});

test('RFC 3862 §2: whatever comes in, only CpmError comes out', (t) => {
  const pieces = fc.constantFrom(
    '\r\n',
    '\n',
    'From: x',
    'NS: imdn <urn:x>',
    'imdn.Message-ID:',
    ':',
    ';',
    '"',
    '\\u00',
    'Content-Type: multipart/mixed;boundary=b',
    '--b',
    '<',
    '.',
  );
  const input = fc.oneof(
    fc.uint8Array(),
    fc.string({unit: pieces}).map((text) => Buffer.from(text)),
    fc
      .tuple(fc.nat(chat.length), fc.uint8Array())
      .map(([at, noise]) => Buffer.concat([chat.subarray(0, at), noise, chat.subarray(at)])),
  );
  fc.assert(
    fc.property(input, (bytes) => {
      try {
        const cpim = parseCpim(bytes);
        t.is(Buffer.compare(cpim.raw, bytes), 0);
        imdnMessageId(cpim);
        cpimDateTime(cpim);
        requestedDispositions(cpim);
      } catch (error) {
        t.true(error instanceof CpmError, String(error));
      }
    }),
  );
  t.pass();
});

test('RFC 3862 §2: the steps of reading grow with the headers, not with the content', (t) => {
  const taken = (headers: number, content: number) => {
    const steps: Steps = {taken: 0};
    parseCpim(Buffer.from(`${'Subject: x\r\n'.repeat(headers)}\r\nA: b\r\n\r\n${'\r\n'.repeat(content)}`), {
      maxHeaderLines: headers,
      steps,
    });
    return steps.taken;
  };
  t.true(taken(2000, 0) <= 2 * taken(1000, 0));
  t.is(taken(10, 100_000), taken(10, 10));
});
