import test from 'ava';
import fc from 'fast-check';
import {createFrameParser, defaultFrameLimits, type FrameLimits} from '../../../lib/codecs/msrp/frame-parser.ts';
import {bytesOf, writeReport, writeResponse, writeSend} from '../../../lib/codecs/msrp/frame-writer.ts';
import {formatByteRange} from '../../../lib/codecs/msrp/byte-range.ts';

interface Seen {
  readonly start: string;
  readonly headers: Readonly<Record<string, string>>;
  body: Buffer | undefined;
  flag: string;
}

/** What a parser makes of pieces of input: one entry a frame, an unfinished one with flag '', an error with flag '!'. */
function parse(pieces: readonly Buffer[], limits: FrameLimits = defaultFrameLimits, idle = false): Seen[] {
  const seen: Seen[] = [];
  const parser = createFrameParser(
    {
      onStart(head) {
        const headers: Record<string, string> = {
          'to-path': head.toPath.toString('latin1'),
          'from-path': head.fromPath.toString('latin1'),
          reports: `${head.failureReport} ${head.successReport ? 'yes' : 'no'}`,
        };
        if (head.messageId) headers['message-id'] = head.messageId.toString('latin1');
        if (head.contentType) headers['content-type'] = head.contentType.toString('latin1');
        if (head.byteRange) headers['byte-range'] = formatByteRange(head.byteRange);
        if (head.fault !== undefined) headers['fault'] = head.fault;
        const start = `${head.transactionId.toString('latin1')} ${head.method ?? ''}${head.status > 0 ? ` ${head.status}` : ''}`;
        seen.push({start, headers, body: head.hasBody ? Buffer.alloc(0) : undefined, flag: ''});
      },
      onBody(piece) {
        const last = seen.at(-1);
        if (last) last.body = Buffer.concat([last.body ?? Buffer.alloc(0), piece]);
      },
      onEnd(flag) {
        const last = seen.at(-1);
        if (last) last.flag = flag;
      },
      onError(error) {
        seen.push({start: error.code, headers: {}, body: undefined, flag: '!'});
      },
    },
    limits,
  );
  for (const piece of pieces) parser.push(piece);
  if (idle) parser.idle();
  return seen;
}

const lines = (...each: string[]) => Buffer.from(each.join('\r\n') + '\r\n', 'latin1');

// RFC 4975 §4, the first example; §7.1.1 with chunks; §7.1.2 REPORT.
const send = lines(
  'MSRP a786hjs2 SEND',
  'To-Path: msrp://biloxi.example.com:12763/kjhd37s2s20w2a;tcp',
  'From-Path: msrp://atlanta.example.com:7654/jshA7weztas;tcp',
  'Message-ID: 87652491',
  'Byte-Range: 1-25/25',
  'Content-Type: text/plain',
  '',
  'Hey Bob, are you there?\r\n',
  '-------a786hjs2$',
);
const ok = lines(
  'MSRP a786hjs2 200 OK',
  'To-Path: msrp://atlanta.example.com:7654/jshA7weztas;tcp',
  'From-Path: msrp://biloxi.example.com:12763/kjhd37s2s20w2a;tcp',
  '-------a786hjs2$',
);
const chunkOne = lines(
  'MSRP dkei38sd SEND',
  'To-Path: msrp://bob.example.com:8888/9di4eae923wzd;tcp',
  'From-Path: msrp://alicepc.example.com:7777/iau39soe2843z;tcp',
  'Message-ID: 4564dpWd',
  'Byte-Range: 1-*/8',
  'Content-Type: text/plain',
  '',
  'abcd',
  '-------dkei38sd+',
);
const chunkTwo = lines(
  'MSRP dkei38ia SEND',
  'To-Path: msrp://bob.example.com:8888/9di4eae923wzd;tcp',
  'From-Path: msrp://alicepc.example.com:7777/iau39soe2843z;tcp',
  'Message-ID: 4564dpWd',
  'Byte-Range: 5-8/8',
  'Content-Type: text/plain',
  '',
  'EFGH',
  '-------dkei38ia$',
);
const report = lines(
  'MSRP dkei38sd REPORT',
  'To-Path: msrp://alicepc.example.com:7777/iau39soe2843z;tcp',
  'From-Path: msrp://bob.example.com:8888/9di4eae923wzd;tcp',
  'Message-ID: 12339sdqwer',
  'Byte-Range: 1-106/106',
  'Status: 000 200 OK',
  '-------dkei38sd$',
);
const empty = lines(
  'MSRP 5dh7ka9s SEND',
  'To-Path: msrp://b:1/y;tcp',
  'From-Path: msrp://a:1/x;tcp',
  'Message-ID: 1',
  'Byte-Range: 1-0/0',
  '-------5dh7ka9s$',
);
const emptyBody = lines(
  'MSRP 5dh7ka9t SEND',
  'To-Path: msrp://b:1/y;tcp',
  'From-Path: msrp://a:1/x;tcp',
  'Message-ID: 2',
  'Failure-Report: no',
  'Success-Report: yes',
  'Byte-Range: 1-0/0',
  'Content-Type: text/plain',
  '',
  '',
  '-------5dh7ka9t$',
);
const hyphensInBody = lines(
  'MSRP 6dh7ka9t SEND',
  'to-path: msrp://b:1/y;tcp',
  'FROM-PATH: msrp://a:1/x;tcp',
  'Message-ID: 3',
  'X-Other: kept out of the way',
  'Byte-Range: 1-*/*',
  'Content-Type: text/plain',
  '',
  '-------6dh7ka9\r\n-------6dh7ka9t\r\n-------6dh7ka9t!\r\n-------6dh7ka9t$\r.\r\n\r\n',
  '-------6dh7ka9t$',
);

test('RFC 4975 §4: a SEND is read with its headers, its octets and its flag', (t) => {
  t.deepEqual(parse([send]), [
    {
      start: 'a786hjs2 SEND',
      headers: {
        'to-path': 'msrp://biloxi.example.com:12763/kjhd37s2s20w2a;tcp',
        'from-path': 'msrp://atlanta.example.com:7654/jshA7weztas;tcp',
        reports: 'yes no',
        'message-id': '87652491',
        'content-type': 'text/plain',
        'byte-range': '1-25/25',
      },
      body: Buffer.from('Hey Bob, are you there?\r\n'),
      flag: '$',
    },
  ]);
});

test('RFC 4975 §7.2: a response is read with and without text after its status', (t) => {
  t.is(parse([ok])[0]?.start, 'a786hjs2  200');
  const bare = Buffer.from(ok.toString().replace('200 OK', '200'));
  t.is(parse([bare])[0]?.start, 'a786hjs2  200');
  t.is(parse([ok])[0]?.flag, '$');
});

test('RFC 4975 §7.1.1: chunks carry their flag and their range', (t) => {
  const [one, two] = parse([Buffer.concat([chunkOne, chunkTwo])]);
  t.deepEqual([one?.flag, one?.headers['byte-range'], one?.body?.toString()], ['+', '1-*/8', 'abcd']);
  t.deepEqual([two?.flag, two?.headers['byte-range'], two?.body?.toString()], ['$', '5-8/8', 'EFGH']);
});

test('RFC 4975 §7.1.2: the status of a REPORT is the code of namespace 000', (t) => {
  t.is(parse([report])[0]?.start, 'dkei38sd REPORT 200');
  const bare = Buffer.from(report.toString().replace('000 200 OK', '000 413'));
  t.is(parse([bare])[0]?.start, 'dkei38sd REPORT 413');
});

test('RFC 4975 §7.1: a frame without body differs from one with an empty body', (t) => {
  t.is(parse([empty])[0]?.body, undefined);
  t.deepEqual(parse([emptyBody])[0]?.body, Buffer.alloc(0));
  t.is(parse([emptyBody])[0]?.headers['reports'], 'no yes');
});

test('E3 RFC 4975 §7.1: hyphens, and all but an end-line, are body', (t) => {
  const body = '-------6dh7ka9\r\n-------6dh7ka9t\r\n-------6dh7ka9t!\r\n-------6dh7ka9t$\r.\r\n\r\n';
  t.is(parse([hyphensInBody])[0]?.body?.toString(), body);
});

test('RFC 4975 §7.1: an end-line at once after the blank line ends an empty body', (t) => {
  const tight = Buffer.from(emptyBody.toString().replace('\r\n\r\n\r\n', '\r\n\r\n'));
  t.deepEqual(
    parse([tight, send]).map((each) => [each.body?.length, each.flag]),
    [
      [0, '$'],
      [25, '$'],
    ],
  );
});

test('E3 RFC 4975 §7.3.1: octets count, not what Byte-Range says', (t) => {
  const ends = ['1-3/3', '1-24/25', '1-26/26', '1-9999/9999', '1-70/70'];
  for (const range of ends) {
    const wrong = Buffer.from(send.toString().replace('1-25/25', range));
    const seen = parse([Buffer.concat([wrong, ok, report, send])], defaultFrameLimits, true);
    t.deepEqual(
      seen.map((each) => each.body?.length),
      [25, undefined, undefined, 25],
      range,
    );
  }
});

test('E3 RFC 4975 §7.3.1: a Byte-Range that promises too much holds a frame up until nothing more comes', (t) => {
  const wrong = Buffer.from(send.toString().replace('1-25/25', '1-9999/9999'));
  t.deepEqual(parse([wrong]), []);
  t.is(parse([wrong], defaultFrameLimits, true)[0]?.body?.length, 25);
});

test('RFC 4975 §7.1: where Byte-Range leads to an end-line, one inside the body is body', (t) => {
  const forged = 'abc\r\n-------a786hjs2$\r\nMSRP x';
  const frame = send.toString().replace('1-25/25', `1-${forged.length}/${forged.length}`);
  const seen = parse([Buffer.from(frame.replace('Hey Bob, are you there?\r\n', forged))]);
  t.deepEqual(
    seen.map((each) => each.body?.toString()),
    [forged],
  );
});

test('E3 RFC 4975 §7.3: cutting the input anywhere changes nothing', (t) => {
  const all = [send, ok, chunkOne, report, chunkTwo, empty, emptyBody, hyphensInBody, Buffer.from('\r\n'), send];
  const input = Buffer.concat(all);
  const whole = parse([input]);
  t.is(whole.length, 9);
  t.deepEqual(parse([...input].map((byte) => Buffer.of(byte))), whole);
  for (let cut = 1; cut < input.length; cut += 1) {
    t.deepEqual(parse([input.subarray(0, cut), input.subarray(cut)]), whole, `cut at ${cut}`);
  }
});

/** Bodies of the octets that an end-line is made of, so that nearly-end-lines are common. */
const nastyBody = fc
  .array(fc.constantFrom('\r', '\n', '-', '-------', 'tid0', 'tid0$', 'tid0+\r', '\r\n-------tid', 'x', 'ü', '\0'), {
    maxLength: 30,
  })
  .map((parts) => Buffer.from(parts.join('')))
  .filter((body) => !/\r\n-------tid0[$+#]\r\n/.test(`\r\n${body.toString('latin1')}\r\n`));
const frame = fc.record({
  body: fc.option(nastyBody, {nil: undefined}),
  flag: fc.constantFrom('$' as const, '+' as const, '#' as const),
  start: fc.integer({min: 1, max: 1_000_000}),
  end: fc.constantFrom('true', 'unknown', 'short', 'long'),
});

test('E3 RFC 4975 §7.3: what is written is read back, however the input is cut and whatever Byte-Range says', (t) => {
  fc.assert(
    fc.property(fc.array(frame, {minLength: 1, maxLength: 5}), fc.array(fc.nat()), (frames, cuts) => {
      const input = bytesOf((sink) => {
        for (const {body, flag, start, end} of frames) {
          const real = start + (body?.length ?? 0) - 1;
          const stated = {true: real, unknown: undefined, short: Math.max(start - 1, real - 3), long: real + 5}[end];
          const byteRange = {start, end: stated, total: undefined};
          const paths = {toPath: 'msrp://b:1/y;tcp', fromPath: 'msrp://a:1/x;tcp', messageId: 'm'};
          // The nasty bodies hold the beginning of an end-line on purpose: written here as writeSend would refuse to.
          const head = {transactionId: 'tid1', ...paths, byteRange, contentType: body && 'text/plain', flag, body};
          const text = bytesOf((inner) => {
            writeSend(inner, head);
          }).toString('latin1');
          sink.latin1(text.replace('MSRP tid1', 'MSRP tid0').replace(/-------tid1([$+#]\r\n)$/, '-------tid0$1'));
        }
      });
      const at = [...new Set(cuts.map((cut) => cut % input.length))].sort((one, other) => one - other);
      const pieces = [...at, input.length].map((to, index) => input.subarray(index === 0 ? 0 : at[index - 1], to));
      const seen = parse(pieces, defaultFrameLimits, true);
      t.deepEqual(
        seen.map((each) => [each.body?.toString('latin1'), each.flag]),
        frames.map((each) => [each.body?.toString('latin1'), each.flag]),
      );
    }),
    {numRuns: 500},
  );
});

test('RFC 4975 §9: out of garbage comes an error event, once, and nothing is thrown', (t) => {
  const scrap = fc.oneof(
    fc.uint8Array({maxLength: 60}).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom(
      send,
      ok,
      report,
      chunkOne,
      Buffer.from('\r\n'),
      Buffer.from('MSRP '),
      Buffer.from('\r\n-------a786hjs2$\r\n'),
    ),
    fc.nat({max: send.length}).map((to) => send.subarray(0, to)),
  );
  fc.assert(
    fc.property(fc.array(scrap, {maxLength: 12}), (pieces) => {
      const errors = parse(pieces, defaultFrameLimits, true).filter((each) => each.flag === '!');
      t.true(errors.length <= 1 && errors.every((each) => each.start === 'CPM_MSRP_FRAME'));
    }),
    {numRuns: 1000},
  );
});

test('RFC 4975 §7.1: what spoils one frame alone is its fault, and the next frame is read', (t) => {
  const spoil = (from: string | RegExp, to: string) => Buffer.from(send.toString().replace(from, to));
  const faults: readonly (readonly [Buffer, string])[] = [
    [spoil(/To-Path.*\r\n/, ''), 'To-Path is the first header'],
    [spoil(/From-Path.*\r\n/, ''), 'From-Path is the second header'],
    [spoil('Message-ID: 87652491\r\n', ''), 'the request has no Message-ID'],
    [spoil('1-25/25', '25'), 'Byte-Range is start-end/total'],
    [spoil('Byte-Range', 'Failure-Report: maybe\r\nByte-Range'), 'a report is asked for with yes, no or partial'],
    [spoil('Message-ID', 'Message-ID: 1\r\nMessage-ID'), 'a header comes once'],
    [spoil('Message-ID', 'nonsense\r\nMessage-ID'), 'a header has a name and a value'],
  ];
  for (const [bytes, fault] of faults) {
    const [first, second] = parse([bytes, ok]);
    t.is(first?.headers['fault'], fault);
    t.is(second?.flag, '$');
  }
});

test('RFC 4975 §9: what cannot be told from the next frame is an error', (t) => {
  for (const text of [
    'HTTP/1.1 200 OK\r\n',
    'MSRP abc SEND\r\n',
    'MSRP abcd\r\n',
    'MSRP abcd send\r\n',
    'MSRP abcd 99 x\r\n',
    'MSRP ab/d SEND\r\n',
    'MSRP abcd SEND\n',
    `MSRP ${'a'.repeat(33)} SEND\r\n`,
  ]) {
    t.is(parse([Buffer.from(text)])[0]?.start, 'CPM_MSRP_FRAME', text);
  }
});

test('RFC 4975 §9: start line and headers have limits, also when no line ever ends', (t) => {
  const limits = {...defaultFrameLimits, startLineBytes: 64, headerBytes: 256};
  const flagOf = (text: string) => parse([Buffer.from(text)], limits).at(-1)?.flag;
  t.is(flagOf(`MSRP abcd 200 ${'x'.repeat(100)}`), '!');
  t.is(flagOf(`MSRP abcd SEND\r\nTo-Path: ${'x'.repeat(300)}`), '!');
  t.is(flagOf(`MSRP abcd SEND\r\n${'X: y\r\n'.repeat(60)}`), '!');
  t.is(flagOf(`MSRP abcd SEND\r\n${'X: y\r\n'.repeat(10)}`), undefined);
});

test('RFC 4975 §12: any method is read, any header can be asked for', (t) => {
  let authorization: string | undefined;
  const parser = createFrameParser({
    onStart(head) {
      t.is(head.kind, 'other');
      t.is(head.method, 'AUTH');
      authorization = head.header('authorization')?.toString();
    },
    onBody: () => undefined,
    onEnd: () => undefined,
    onError: (error) => {
      t.fail(error.message);
    },
  });
  parser.push(
    lines(
      'MSRP 49fh9df2 AUTH',
      'To-Path: msrps://r;tcp',
      'From-Path: msrps://a:1/x;tcp',
      'AUTHORIZATION:  Digest q',
      '-------49fh9df2$',
    ),
  );
  t.is(authorization, 'Digest q');
});

test('E3 RFC 4975 §7.3: work grows with the input, not with its square', (t) => {
  const work = (input: Buffer, step: number) => {
    const parser = createFrameParser({
      onStart: () => undefined,
      onBody: () => undefined,
      onEnd: () => undefined,
      onError: () => undefined,
    });
    for (let at = 0; at < input.length; at += step) parser.push(input.subarray(at, at + step));
    return parser.examined / input.length;
  };
  const body = (range: string, text: string, times: number) =>
    Buffer.from(send.toString().replace('1-25/25', range).replace('Hey Bob, are you there?\r\n', text.repeat(times)));
  for (const step of [1, 7, 1024, 65_536]) {
    for (const text of ['x', '\r\n-------a786hjs', '\r\n-------a786hjs2!', '\r']) {
      t.true(work(body('1-*/*', text, 20_000), step) < 8, `scanned ${JSON.stringify(text)} ${step}`);
      t.true(work(body('1-100000/100000', text, 20_000), step) < 8, `jumped ${JSON.stringify(text)} ${step}`);
    }
    const overstated = Buffer.from(send.toString().replace('1-25/25', '1-100000/100000'));
    t.true(work(Buffer.concat(Array.from({length: 2000}, () => overstated)), step) < 8, `overstated ${step}`);
    t.true(work(Buffer.from(`MSRP abcd SEND\r\n${'X: y\r\n'.repeat(1000)}`), step) < 8, `headers ${step}`);
  }
});

test('RFC 4975 §7.1: frames are written as the examples stand', (t) => {
  const alice = 'msrp://alicepc.example.com:7777/iau39soe2843z;tcp';
  const bob = 'msrp://bob.example.com:8888/9di4eae923wzd;tcp';
  const two = bytesOf((sink) => {
    writeSend(sink, {
      transactionId: 'dkei38ia',
      toPath: bob,
      fromPath: alice,
      messageId: '4564dpWd',
      byteRange: {start: 5, end: 8, total: 8},
      contentType: 'text/plain',
      body: Buffer.from('EFGH'),
      flag: '$',
    });
  });
  t.deepEqual(two, chunkTwo);
  const reported = bytesOf((sink) => {
    const byteRange = {start: 1, end: 106, total: 106};
    writeReport(sink, {
      transactionId: 'dkei38sd',
      toPath: alice,
      fromPath: bob,
      messageId: '12339sdqwer',
      byteRange,
      status: 200,
    });
  });
  t.deepEqual(reported, report);
  const answered = bytesOf((sink) => {
    writeResponse(sink, {
      transactionId: 'a786hjs2',
      toPath: 'msrp://atlanta.example.com:7654/jshA7weztas;tcp',
      fromPath: 'msrp://biloxi.example.com:12763/kjhd37s2s20w2a;tcp',
      status: 200,
    });
  });
  t.deepEqual(answered, ok);
});

test('RFC 4975 §7.1: a transaction id whose end-line stands in the body is refused', (t) => {
  const body = Buffer.from('before\r\n-------abcd1234$\r\nafter');
  const paths = {toPath: 'msrp://b:1/y;tcp', fromPath: 'msrp://a:1/x;tcp', messageId: 'm'};
  const rest = {...paths, byteRange: {start: 1, end: body.length, total: body.length}, contentType: 'text/plain', body};
  t.throws(
    () =>
      bytesOf((sink) => {
        writeSend(sink, {...rest, transactionId: 'abcd1234', flag: '$'});
      }),
    {instanceOf: RangeError},
  );
});
