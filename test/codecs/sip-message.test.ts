import test from 'ava';
import fc from 'fast-check';
import {CpmError} from '../../lib/errors.ts';
import {
  createRequest,
  createResponse,
  createSipStreamParser,
  formatSipMessage,
  headerOf,
  headersOf,
  parseSipMessage,
  withHeader,
  type SipMessage,
  type SipStreamParser,
} from '../../lib/codecs/sip-message.ts';

const wire = (lines: readonly string[], body: string | Buffer = ''): Buffer =>
  Buffer.concat([Buffer.from([...lines, '', ''].join('\r\n')), Buffer.from(body)]);

/** What a parser gives for one chunk. */
function pushed(parser: SipStreamParser, chunk: Uint8Array): readonly (SipMessage | 'ping')[] {
  const items: (SipMessage | 'ping')[] = [];
  parser.push(chunk, (item) => items.push(item));
  return items;
}

const invite = wire(
  [
    'INVITE sip:bob@example.com SIP/2.0',
    'v: SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1;rport',
    'f: "Ann \\" <x>" <sip:ann@example.com>;tag=a',
    't: <sip:bob@example.com>',
    'i: call-1',
    'CSeq: 1 INVITE',
    'Conversation-ID: c1',
    'X-Twice: one',
    'x-twice: two',
    'l: 4',
  ],
  Buffer.from([0, 0xff, 13, 10]),
);

test('RFC 3261 §7: a message formatted from what was read is the same bytes', (t) => {
  t.deepEqual(formatSipMessage(parseSipMessage(invite)), invite);
});

test('RFC 3261 §7.3.3: a compact form is found by its long name, and a long form by its compact name', (t) => {
  const message = parseSipMessage(invite);
  t.is(headerOf(message, 'Via'), 'SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1;rport');
  t.is(headerOf(message, 'C'), undefined);
  t.is(headerOf(message, 'CALL-ID'), 'call-1');
  t.deepEqual(headersOf(message, 'X-TWICE'), ['one', 'two']);
});

test('RFC 3261 §7.3.1: a folded header line is one value with single spaces', (t) => {
  const message = parseSipMessage(wire(['OPTIONS sip:a@b SIP/2.0', 'Subject: I know', '   you are', '\tthere']));
  t.is(headerOf(message, 'Subject'), 'I know you are there');
});

test('RFC 3261 §18.3: bytes of a datagram beyond Content-Length are dropped, a missing one means all the rest', (t) => {
  const start = 'MESSAGE sip:a@b SIP/2.0';
  t.is(parseSipMessage(wire([start, 'Content-Length: 2'], 'hi there')).body.toString(), 'hi');
  t.is(parseSipMessage(wire([start], 'hi there')).body.toString(), 'hi there');
  const short = t.throws(() => parseSipMessage(wire([start, 'Content-Length: 9'], 'hi there')), {instanceOf: CpmError});
  t.is(short.status, 400);
});

test('RFC 3261 §20.14: two different lengths are refused, whoever believes which', (t) => {
  const bytes = wire(['MESSAGE sip:a@b SIP/2.0', 'Content-Length: 2', 'l: 3'], 'hi!');
  t.is(t.throws(() => parseSipMessage(bytes), {instanceOf: CpmError}).code, 'CPM_SIP_MALFORMED');
});

test('RFC 3261 §20.14: Content-Length is written anew and keeps its place, or comes last', (t) => {
  const request = createRequest(
    'MESSAGE',
    'sip:a@b',
    [
      ['Content-Length', '999'],
      ['Call-ID', 'é'],
    ],
    Buffer.from('zwölf'),
  );
  t.is(formatSipMessage(request).toString(), 'MESSAGE sip:a@b SIP/2.0\r\nContent-Length: 6\r\nCall-ID: é\r\n\r\nzwölf');
  const parsed = parseSipMessage(invite);
  if (parsed.kind !== 'request') throw new Error('no request');
  const response = formatSipMessage(createResponse(parsed, 486)).toString();
  t.is(
    response,
    [
      'SIP/2.0 486 Busy Here',
      'v: SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1;rport',
      'f: "Ann \\" <x>" <sip:ann@example.com>;tag=a',
      't: <sip:bob@example.com>',
      'i: call-1',
      'CSeq: 1 INVITE',
      'Content-Length: 0',
      '',
      '',
    ].join('\r\n'),
  );
});

test('RFC 3261 §7.3: a replaced header keeps its place and its name as written, repeats go', (t) => {
  const message = withHeader(parseSipMessage(invite), 'X-TWICE', 'three');
  t.deepEqual(headersOf(message, 'x-twice'), ['three']);
  t.deepEqual(message.headers.at(6), {name: 'X-Twice', value: 'three'});
});

test('RFC 3261 §18.3: a line over 8192 bytes is 400, a message over the limit is 513, on datagram and stream', (t) => {
  const long = wire(['OPTIONS sip:a@b SIP/2.0', `Subject: ${'x'.repeat(8192)}`, 'Content-Length: 0']);
  const large = wire(['OPTIONS sip:a@b SIP/2.0', 'Content-Length: 70000'], Buffer.alloc(70_000));
  const limits = {maxMessageBytes: 65_536, maxLineBytes: 8192};
  t.is(t.throws(() => parseSipMessage(long), {instanceOf: CpmError}).status, 400);
  t.is(t.throws(() => parseSipMessage(large), {instanceOf: CpmError}).status, 513);
  t.is(t.throws(() => pushed(createSipStreamParser(limits), long), {instanceOf: CpmError}).status, 400);
  t.is(
    t.throws(() => pushed(createSipStreamParser(limits), large.subarray(0, 100)), {instanceOf: CpmError}).status,
    513,
  );
  const endless = Buffer.from('A: b\r\n'.repeat(20_000));
  t.is(t.throws(() => pushed(createSipStreamParser(limits), endless), {instanceOf: CpmError}).status, 513);
  const unbroken = Buffer.alloc(9000, 'A');
  t.is(t.throws(() => pushed(createSipStreamParser(limits), unbroken), {instanceOf: CpmError}).status, 400);
});

test('RFC 3261 §18.3: cutting a stream anywhere changes nothing', (t) => {
  const second = wire(['SIP/2.0 200 OK', 'Call-ID: 2', 'Content-Length: 3'], '\r\n\r');
  const stream = Buffer.concat([invite, Buffer.from('\r\n\r\n'), second, Buffer.from('\r\n'), invite]);
  const whole = pushed(createSipStreamParser(), stream);
  t.deepEqual(
    whole.map((item) => (item === 'ping' ? item : item.body.toString('latin1'))),
    ['\0\xff\r\n', 'ping', '\r\n\r', '\0\xff\r\n'],
  );
  for (let cut = 1; cut < stream.length; cut++) {
    const parser = createSipStreamParser();
    t.deepEqual([...pushed(parser, stream.subarray(0, cut)), ...pushed(parser, stream.subarray(cut))], whole);
  }
  const parser = createSipStreamParser();
  t.deepEqual(
    [...stream].flatMap((byte) => pushed(parser, Uint8Array.of(byte))),
    whole,
  );
});

test('RFC 3261 §18.3: a message on a stream is given before what follows it is refused', (t) => {
  const stream = Buffer.concat([
    wire(['OPTIONS sip:a@b SIP/2.0', 'Content-Length: 0']),
    Buffer.from('garbage\r\n\r\n'),
  ]);
  const items: unknown[] = [];
  t.throws(
    () => {
      createSipStreamParser().push(stream, (item) => items.push(item));
    },
    {instanceOf: CpmError},
  );
  t.is(items.length, 1);
});

test('RFC 3261 §18.3: a message on a stream without Content-Length is refused', (t) => {
  const error = t.throws(() => pushed(createSipStreamParser(), wire(['OPTIONS sip:a@b SIP/2.0'])), {
    instanceOf: CpmError,
  });
  t.is(error.code, 'CPM_SIP_MALFORMED');
});

test('RFC 3261 §25.1: whatever comes in, only a CpmError comes out', (t) => {
  const near = fc.array(fc.tuple(fc.nat(invite.length - 1), fc.nat(255)), {maxLength: 8}).map((changes) => {
    const bytes = Buffer.from(invite);
    for (const [at, byte] of changes) bytes[at] = byte;
    return bytes;
  });
  const any = fc.uint8Array({maxLength: 300}).map((bytes) => Buffer.from(bytes));
  const onlyCpmErrors = (run: () => unknown): void => {
    try {
      run();
    } catch (error) {
      if (!(error instanceof CpmError)) throw error;
    }
  };
  fc.assert(
    fc.property(fc.oneof(near, any), (bytes) => {
      onlyCpmErrors(() => parseSipMessage(formatSipMessage(parseSipMessage(bytes))));
      onlyCpmErrors(() => pushed(createSipStreamParser(), bytes));
    }),
    {numRuns: 500},
  );
  t.pass();
});
