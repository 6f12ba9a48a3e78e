import test from 'ava';
import fc from 'fast-check';
import {decodeContent, mimeHeader} from '../../lib/codecs/mime.ts';
import {formatMultipart, leafParts, parseMultipart} from '../../lib/codecs/multipart.ts';
import type {Steps} from '../../lib/codecs/octets.ts';
import {CpmError} from '../../lib/errors.ts';

const octets = (...lines: readonly string[]) => Buffer.from(lines.join('\r\n'));
const bodies = (body: Uint8Array, contentType: string) =>
  parseMultipart(body, contentType).map((part) => part.body.toString('latin1'));

// RFC 2046 §5.1.1
const example = octets(
  'This is the preamble.  It is to be ignored, though it',
  'is a handy place for composition agents to include an',
  'explanatory note to non-MIME conformant readers.',
  '',
  '--simple boundary',
  '',
  'This is implicitly typed plain US-ASCII text.',
  'It does NOT end with a linebreak.',
  '--simple boundary',
  'Content-type: text/plain; charset=us-ascii',
  '',
  'This is explicitly typed plain US-ASCII text.',
  'It DOES end with a linebreak.',
  '',
  '--simple boundary--',
  '',
  'This is the epilogue.  It is also to be ignored.',
);

test('RFC 2046 §5.1.1: the example of the standard is read, preamble and epilogue left out', (t) => {
  t.deepEqual(bodies(example, 'multipart/mixed; boundary="simple boundary"'), [
    'This is implicitly typed plain US-ASCII text.\r\nIt does NOT end with a linebreak.',
    'This is explicitly typed plain US-ASCII text.\r\nIt DOES end with a linebreak.\r\n',
  ]);
  t.deepEqual(
    parseMultipart(example, 'Multipart/Mixed;Boundary="simple boundary"').map(({contentType}) => contentType),
    [undefined, 'text/plain; charset=us-ascii'],
  );
});

test('RFC 5366 §4.1: an offer and a list of recipients come apart', (t) => {
  const body = octets(
    ...['--boundary1', 'Content-Type: application/sdp', '', 'v=0', ''],
    ...[
      '--boundary1',
      'Content-Type: application/resource-lists+xml',
      'Content-Disposition: recipient-list',
      '',
      '<x/>',
      '--boundary1--',
    ],
  );
  const [sdp, list] = parseMultipart(body, 'multipart/mixed;boundary="boundary1"');
  t.is(sdp?.body.toString(), 'v=0\r\n');
  t.is(mimeHeader(list?.headers ?? [], 'content-disposition'), 'recipient-list');
});

test('RFC 2046 §5.1.1: a line that only begins like the boundary, or stands in a line, is content', (t) => {
  const body = octets('--b', '', '--bb', 'x --b', '--b--c', '--b-', '-- b', '--b  ', '', 'second', '--b--\t');
  t.deepEqual(bodies(body, 'multipart/mixed;boundary=b'), ['--bb\r\nx --b\r\n--b--c\r\n--b-\r\n-- b', 'second']);
});

test('RFC 2046 §5.1.1: a missing close delimiter ends the last part with the body', (t) => {
  t.deepEqual(bodies(octets('--b', '', 'one', '--b', 'A: b', '', 'two', ''), 'multipart/mixed;boundary=b'), [
    'one',
    'two\r\n',
  ]);
  t.deepEqual(bodies(octets('--b', '', 'one', '--b'), 'multipart/mixed;boundary=b'), ['one', '']);
  t.deepEqual(bodies(octets('--b', '', 'one', '--b--'), 'multipart/mixed;boundary=b'), ['one']);
});

test('RFC 2046 §5.1.1: LF alone ends lines as well', (t) => {
  t.deepEqual(bodies(Buffer.from('x\n--b\nA: b\n\none\n\n--b\n\ntwo\n--b--\n'), 'multipart/mixed;boundary=b'), [
    'one\n',
    'two',
  ]);
});

test('RFC 2046 §5.1.1: empty parts are parts', (t) => {
  t.deepEqual(bodies(octets('--b', '', '--b', '', '', '--b', 'A: b', '--b--'), 'multipart/mixed;boundary=b'), [
    '',
    '',
    '',
  ]);
});

test('RFC 2822 §2.2.3: a folded header of a part is one header', (t) => {
  const [part] = parseMultipart(
    octets('--b', 'Content-Type: multipart/signed;', '\tboundary=next', '', '', '--b--'),
    'multipart/x;boundary=b',
  );
  t.is(part?.contentType, 'multipart/signed; boundary=next');
});

test('RFC 2046 §5.1: nested parts come as one row of leaves', (t) => {
  const inner = formatMultipart(
    [{headers: [{name: 'Content-Type', value: 'text/a'}], body: Buffer.from('a')}],
    'inner',
  );
  const outer = formatMultipart(
    [
      {headers: [{name: 'Content-Type', value: 'multipart/mixed;boundary=inner'}], body: inner},
      {headers: [], body: Buffer.from('b')},
    ],
    'outer',
  );
  t.deepEqual(
    leafParts(outer, 'multipart/mixed;boundary=outer').map(({body}) => body.toString()),
    ['a', 'b'],
  );
  t.is(leafParts(Buffer.from('v=0'), 'application/sdp').at(0)?.body.toString(), 'v=0');
  t.throws(() => leafParts(outer, 'multipart/mixed;boundary=outer', {maxDepth: 1}), {code: 'CPM_MULTIPART'});
});

test('RFC 2046 §5.1: formatted parts are read back, whatever their octets', (t) => {
  const body = fc.oneof(
    fc.uint8Array(),
    fc.string({unit: fc.constantFrom('\r', '\n', '-', '--b', 'a')}).map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(fc.array(body, {minLength: 1, maxLength: 5}), (contents) => {
      const parts = contents.map((content) => ({headers: [{name: 'X', value: 'y'}], body: Buffer.from(content)}));
      const read = parseMultipart(formatMultipart(parts, 'b-1'), 'multipart/mixed;boundary="b-1"');
      t.deepEqual(
        read.map(({body: content}) => [...content]),
        contents.map((content) => [...content]),
      );
    }),
  );
});

test('RFC 2046 §5.1.1: a boundary that occurs in a part, or is none, is refused', (t) => {
  for (const boundary of ['b', '', 'a b', 'x'.repeat(71)]) {
    t.throws(() => formatMultipart([{headers: [], body: Buffer.from('--b')}], boundary), {code: 'CPM_MULTIPART'});
  }
});

test('RFC 2046 §5.1: nothing of a part is copied', (t) => {
  const body = new Uint8Array(octets('--b', '', 'one', '--b--'));
  t.is(parseMultipart(body, 'multipart/mixed;boundary=b').at(0)?.body.buffer, body.buffer);
});

test('RFC 2045 §6: transfer encodings are undone to look inside', (t) => {
  const decoded = (encoding: string, text: string) =>
    decodeContent([{name: 'content-transfer-encoding', value: encoding}], Buffer.from(text)).toString();
  t.is(decoded('BASE64', '57qi57qi54Gr54Gr\r\n'), '红红火火');
  t.is(decoded('quoted-printable', 'h=C3=A9l=\r\nlo =4'), 'héllo =4');
  t.is(decoded('8bit', 'h=C3'), 'h=C3');
});

test('RFC 2046 §5.1: whatever comes in, only CpmError comes out', (t) => {
  const pieces = fc.constantFrom(
    '\r\n',
    '\n',
    '--b',
    '--',
    'A: b',
    ' ',
    'Content-Type: multipart/mixed;boundary=c',
    '--c',
    'x',
  );
  fc.assert(
    fc.property(
      fc.string({unit: pieces}),
      fc.constantFrom('multipart/mixed;boundary=b', 'multipart/x', 'multipart/x;boundary=""', ';'),
      (text, type) => {
        try {
          leafParts(Buffer.from(text), type);
        } catch (error) {
          t.true(error instanceof CpmError, String(error));
        }
      },
    ),
  );
  t.throws(() => parseMultipart(octets('--b', '', 'x'), 'multipart/mixed;boundary=c'), {code: 'CPM_MULTIPART'});
  t.throws(() => parseMultipart(Buffer.from('--b\r\n\r\n'.repeat(300)), 'multipart/mixed;boundary=b'), {
    code: 'CPM_MULTIPART',
  });
});

test('RFC 2046 §5.1: the steps of reading grow with the body, however it is made', (t) => {
  for (const unit of ['--b\r\n\r\nx\r\n', '--bb\r\n', '--b ', '\r\n', '--b--x\r\n', '\r\n--b\t\t\t\tx']) {
    const taken = (times: number) => {
      const steps: Steps = {taken: 0};
      parseMultipart(Buffer.from(`--b\r\n\r\n${unit.repeat(times)}`), 'multipart/mixed;boundary=b', {
        maxParts: Infinity,
        steps,
      });
      return steps.taken;
    };
    t.true(taken(2000) <= 2.1 * taken(1000), unit);
    t.true(taken(1000) <= 4 * unit.length * 1000 + 100, unit);
  }
});
